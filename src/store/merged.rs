//! Signatures that became one: the history of the younger becomes that of the older.
//!
//! Invariant: the sum of the history of both is what it was.

use rusqlite::Transaction;

use crate::detect::{Merged, SeriesPoint};
use crate::model::EventTime;

use super::StoreError;
use super::commit::{COUNT_MAX, Names};
use super::resolution::Resolution;

/// Moves history and drops the readable rows of the signatures that are gone, in the order of the merges.
pub(super) fn move_history(
    transaction: &Transaction<'_>,
    names: &mut Names,
    merged: &[Merged],
) -> Result<(), StoreError> {
    for pair in merged {
        transaction
            .prepare_cached("DELETE FROM signature WHERE id = ?1")?
            .execute([pair.younger.to_string()])?;
        for (series, version, group) in series_of(transaction, pair)? {
            let point = SeriesPoint {
                signature: pair.older,
                version,
                group,
                bucket: EventTime::MIN,
                events: 0,
            };
            let to = names.series(transaction, &point)?;
            move_points(transaction, series, to)?;
        }
    }
    Ok(())
}

/// Lists the series of the younger signature with their version and group.
fn series_of(
    transaction: &Transaction<'_>,
    pair: &Merged,
) -> Result<Vec<(i64, String, String)>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT s.id, v.text, g.text
         FROM series s JOIN name v ON v.id = s.version JOIN name g ON g.id = s.release_group
         WHERE s.signature = ?1",
    )?;
    let rows = statement.query_map([pair.younger.0.to_be_bytes()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn move_points(transaction: &Transaction<'_>, from: i64, to: i64) -> Result<(), StoreError> {
    for resolution in Resolution::ALL {
        let suffix = resolution.suffix();
        transaction
            .prepare_cached(&format!(
                "INSERT INTO series_{suffix} (series, bucket, events)
                 SELECT ?2, bucket, events FROM series_{suffix} WHERE series = ?1
                 ON CONFLICT (series, bucket) DO UPDATE SET events = min(events + excluded.events, {COUNT_MAX})"
            ))?
            .execute((from, to))?;
        transaction
            .prepare_cached(&format!("DELETE FROM series_{suffix} WHERE series = ?1"))?
            .execute([from])?;
    }
    Ok(())
}
