//! The past as stage 2 asks for it: records by release, events by minute, alerts as they stood.
//!
//! Whole minutes only, so that an answer does not depend on where in a minute it is asked. Invariant: nothing at
//! or after `to` is in an answer.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::detect::past::{Past, PastError, ReleaseMinute, ReleaseSum, SignatureMinute};
use crate::model::{Alert, AlertState, AlertTransition, EventTime, SignatureId};

use super::{HistoryReader, StoreError};

/// Entries of the alert log in one answer at most.
const TRANSITIONS_MAX: u32 = 100_000;

/// Rows of a minute in one answer at most.
// A week of minutes of a hundred releases.
const MINUTES_MAX: u32 = 1_000_000;

/// Seconds of an hour.
const HOUR: i64 = 3_600;

/// Channel, version, group.
type SumKey = (String, String, String);

impl Past for HistoryReader {
    fn release_sums(&self, from: EventTime, to: EventTime) -> Result<Vec<ReleaseSum>, PastError> {
        let mut sums: BTreeMap<SumKey, (u64, u64)> = BTreeMap::new();
        for (table, from, to) in parts(from, to) {
            add_sums(&self.connection, &mut sums, table, (from, to)).map_err(|it| failed(&it))?;
        }
        Ok(sums
            .into_iter()
            .map(
                |((channel, version, group), (records, capped))| ReleaseSum {
                    version,
                    group,
                    channel,
                    records,
                    capped,
                },
            )
            .collect())
    }

    fn release_minutes(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<ReleaseMinute>, PastError> {
        release_minutes(&self.connection, from, to).map_err(|it| failed(&it))
    }

    fn signature_minutes(
        &self,
        id: SignatureId,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<SignatureMinute>, PastError> {
        signature_minutes(&self.connection, id, (from, to)).map_err(|it| failed(&it))
    }

    fn alerts_at(&self, at: EventTime) -> Result<Vec<Alert>, PastError> {
        alerts_at(&self.connection, at).map_err(|it| failed(&it))
    }

    fn transitions(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<AlertTransition>, PastError> {
        transitions(&self.connection, from, to).map_err(|it| failed(&it))
    }
}

fn failed(error: &StoreError) -> PastError {
    PastError(error.to_string())
}

const fn minute(at: EventTime) -> i64 {
    at.seconds() - at.seconds().rem_euclid(60)
}

/// Cuts a range into the whole hours within it and the minutes around them.
fn parts(from: EventTime, to: EventTime) -> Vec<(&'static str, i64, i64)> {
    let (from, to) = (minute(from), minute(to));
    let first_hour = (from + HOUR - 1).div_euclid(HOUR) * HOUR;
    let last_hour = to.div_euclid(HOUR) * HOUR;
    if first_hour >= last_hour {
        return vec![("channel_1m", from, to)];
    }
    vec![
        ("channel_1m", from, first_hour),
        ("channel_1h", first_hour, last_hour),
        ("channel_1m", last_hour, to),
    ]
}

fn add_sums(
    connection: &Connection,
    sums: &mut BTreeMap<SumKey, (u64, u64)>,
    table: &str,
    (from, to): (i64, i64),
) -> Result<(), StoreError> {
    if from >= to {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT c.text, v.text, g.text, sum(h.counted + h.capped), sum(h.capped)
         FROM channel k JOIN {table} h ON h.channel = k.id AND h.bucket >= ?1 AND h.bucket < ?2
         JOIN name c ON c.id = k.channel JOIN name v ON v.id = k.version
         JOIN name g ON g.id = k.release_group
         GROUP BY k.channel, k.version, k.release_group"
    ))?;
    let mut rows = statement.query((from, to))?;
    while let Some(row) = rows.next()? {
        let sum = sums
            .entry((row.get(0)?, row.get(1)?, row.get(2)?))
            .or_default();
        sum.0 += unsigned(row.get(3)?);
        sum.1 += unsigned(row.get(4)?);
    }
    Ok(())
}

fn release_minutes(
    connection: &Connection,
    from: EventTime,
    to: EventTime,
) -> Result<Vec<ReleaseMinute>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT h.bucket, v.text, g.text, sum(h.counted + h.capped)
         FROM channel k JOIN channel_1m h ON h.channel = k.id AND h.bucket >= ?1 AND h.bucket < ?2
         JOIN name v ON v.id = k.version JOIN name g ON g.id = k.release_group
         GROUP BY h.bucket, k.version, k.release_group
         ORDER BY h.bucket, v.text, g.text LIMIT ?3",
    )?;
    let mut rows = statement.query((minute(from), minute(to), MINUTES_MAX))?;
    let mut minutes = Vec::new();
    while let Some(row) = rows.next()? {
        minutes.push(ReleaseMinute {
            at: EventTime::from_seconds(row.get(0)?),
            version: row.get(1)?,
            group: row.get(2)?,
            records: unsigned(row.get(3)?),
        });
    }
    Ok(minutes)
}

fn signature_minutes(
    connection: &Connection,
    id: SignatureId,
    (from, to): (EventTime, EventTime),
) -> Result<Vec<SignatureMinute>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT h.bucket, v.text, g.text, h.events
         FROM series s JOIN series_1m h ON h.series = s.id AND h.bucket >= ?2 AND h.bucket < ?3
         JOIN name v ON v.id = s.version JOIN name g ON g.id = s.release_group
         WHERE s.signature = ?1 ORDER BY h.bucket, v.text, g.text LIMIT ?4",
    )?;
    let mut rows = statement.query((id.0.to_be_bytes(), minute(from), minute(to), MINUTES_MAX))?;
    let mut minutes = Vec::new();
    while let Some(row) = rows.next()? {
        minutes.push(SignatureMinute {
            at: EventTime::from_seconds(row.get(0)?),
            version: row.get(1)?,
            group: row.get(2)?,
            events: unsigned(row.get(3)?),
        });
    }
    Ok(minutes)
}

fn alerts_at(connection: &Connection, at: EventTime) -> Result<Vec<Alert>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, body FROM alert_log
         WHERE seq IN (SELECT max(seq) FROM alert_log WHERE at <= ?1 GROUP BY alert) AND state = 'firing'",
    )?;
    let mut rows = statement.query([at.millis()])?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        alerts.push(entry(row)?.alert);
    }
    alerts.retain(|it: &Alert| it.state == AlertState::Firing);
    alerts.sort_by(|a, b| (&a.key, a.started_at).cmp(&(&b.key, b.started_at)));
    Ok(alerts)
}

fn transitions(
    connection: &Connection,
    from: EventTime,
    to: EventTime,
) -> Result<Vec<AlertTransition>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, body FROM alert_log WHERE at >= ?1 AND at < ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = statement.query((from.millis(), to.millis(), TRANSITIONS_MAX))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: &rusqlite::Row<'_>) -> Result<AlertTransition, StoreError> {
    let seq: i64 = row.get(0)?;
    let body = row.get_ref(1)?.as_str().ok();
    body.and_then(|it| serde_json::from_str(it).ok())
        .ok_or_else(|| StoreError::Value {
            what: format!("alert log entry {seq}"),
        })
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_whole_hours_and_covers_every_minute_once() {
        let at = |minutes: i64| EventTime::from_seconds(minutes * 60);
        assert_eq!(parts(at(5), at(50)), [("channel_1m", 300, 3000)]);
        assert_eq!(
            parts(at(50), at(130)),
            [
                ("channel_1m", 3000, 3600),
                ("channel_1h", 3600, 7200),
                ("channel_1m", 7200, 7800)
            ]
        );
        assert_eq!(parts(at(50), at(70)), [("channel_1m", 3000, 4200)]);
    }
}
