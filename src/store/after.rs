//! How much happened at or after a time, for "new since a marker".
//!
//! It must never read the whole history: one seek for each series and channel. Invariant: the bucket that holds
//! the time counts as after it.

use rusqlite::Row;

use crate::detect::After;
use crate::model::{EventTime, SignatureId};

use super::resolution::Resolution;
use super::{HistoryReader, StoreError, schema};

impl HistoryReader {
    /// Sums events and records at or after a time, at the finest resolution that is still kept for it.
    pub fn after(&self, at: EventTime) -> Result<After, StoreError> {
        let mut resolution = Resolution::Hour;
        for finer in [Resolution::Minute, Resolution::Fine] {
            let horizon = schema::meta(&self.connection, finer.horizon_key())?;
            let horizon: Option<i64> = horizon.and_then(|it| it.parse().ok());
            if horizon.is_none_or(|it| it <= finer.bucket(at)) {
                resolution = finer;
            }
        }
        let (suffix, bucket) = (resolution.suffix(), resolution.bucket(at));
        let mut after = After::default();
        let mut statement = self.connection.prepare(&format!(
            "SELECT v.text, g.text, s.signature,
               (SELECT sum(events) FROM series_{suffix} WHERE series = s.id AND bucket >= ?1)
             FROM series s JOIN name v ON v.id = s.version JOIN name g ON g.id = s.release_group"
        ))?;
        let mut rows = statement.query([bucket])?;
        while let Some(row) = rows.next()? {
            let (version, group, events) = read(row, 3)?;
            let id: [u8; 16] = row.get(2)?;
            if events > 0 {
                let key = (SignatureId(u128::from_be_bytes(id)), version, group);
                after.events.insert(key, events);
            }
        }
        let mut statement = self.connection.prepare(&format!(
            "SELECT v.text, g.text,
               (SELECT sum(counted + capped) FROM channel_{suffix} WHERE channel = c.id AND bucket >= ?1)
             FROM channel c JOIN name v ON v.id = c.version JOIN name g ON g.id = c.release_group"
        ))?;
        let mut rows = statement.query([bucket])?;
        while let Some(row) = rows.next()? {
            let (version, group, records) = read(row, 2)?;
            if records > 0 {
                *after.records.entry((version, group)).or_default() += records;
            }
        }
        Ok(after)
    }
}

/// Reads version, group and a sum, which is missing where there was nothing.
fn read(row: &Row<'_>, sum: usize) -> Result<(String, String, u64), StoreError> {
    let n: Option<i64> = row.get(sum)?;
    let n = n.and_then(|it| u64::try_from(it).ok()).unwrap_or_default();
    Ok((row.get(0)?, row.get(1)?, n))
}
