//! Writing a checkpoint in one transaction.
//!
//! Invariant: the number of commits in the store rises by one with each checkpoint, so that the outcome of a commit
//! that failed on its last step is looked up, never guessed; history adds, so a guess could count twice.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::detect::{ChannelPoint, Checkpoint, Position, SeriesPoint, SignatureRow, StateRow};
use crate::model::{AlertTransition, EventTime, SignatureId};

use super::resolution::Resolution;
use super::{Store, StoreError, merged, reader, schema};

/// Meta key of the number of commits.
pub(super) const COMMITS_KEY: &str = "commits";

/// Largest number stored for a count; two of them still add up inside an `i64`.
// 2^53: the largest integer that JSON readers hold exactly.
pub(super) const COUNT_MAX: i64 = 1 << 53;

/// Version byte of a stored limiter.
pub(super) const LIMITER_VERSION: u8 = 1;

/// Entries past which a table of known numbers starts anew.
const KNOWN_MAX: usize = 200_000;

/// What a commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// State rows written.
    pub rows_written: u64,
    /// State rows deleted.
    pub rows_deleted: u64,
    /// History points of signatures that were added, at 10 s.
    pub series_points: u64,
    /// History points of channels that were added, at 10 s.
    pub channel_points: u64,
    /// Entries appended to the alert log.
    pub transitions: u64,
    /// Positions written.
    pub positions: u64,
}

/// Numbers of names, series and channels that were looked up lately.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: HashMap<String, i64>,
    series: HashMap<(SignatureId, i64, i64), i64>,
    channels: HashMap<[i64; 4], i64>,
}

impl Names {
    /// Forgets everything: after a rollback or a pruning the numbers may be others.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.series.clear();
        self.channels.clear();
    }

    /// Keeps each table inside its bound.
    fn trim(&mut self) {
        if self
            .texts
            .len()
            .max(self.series.len())
            .max(self.channels.len())
            > KNOWN_MAX
        {
            self.clear();
        }
    }

    /// Returns the number of a name, giving it one if it has none.
    fn text(&mut self, connection: &Connection, text: &str) -> Result<i64, StoreError> {
        if let Some(&number) = self.texts.get(text) {
            return Ok(number);
        }
        let known = connection
            .prepare_cached("SELECT id FROM name WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => connection
                .prepare_cached("INSERT INTO name (text) VALUES (?1)")?
                .insert([text])?,
        };
        self.texts.insert(text.to_owned(), number);
        Ok(number)
    }

    /// Returns the number of a signature on a version in a group.
    pub(super) fn series(
        &mut self,
        connection: &Connection,
        point: &SeriesPoint,
    ) -> Result<i64, StoreError> {
        let version = self.text(connection, &point.version)?;
        let group = self.text(connection, &point.group)?;
        let key = (point.signature, version, group);
        if let Some(&number) = self.series.get(&key) {
            return Ok(number);
        }
        let row = (point.signature.0.to_be_bytes(), version, group);
        let known = connection
            .prepare_cached(
                "SELECT id FROM series WHERE signature = ?1 AND version = ?2 AND release_group = ?3",
            )?
            .query_row(row, |row| row.get(0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => connection
                .prepare_cached(
                    "INSERT INTO series (signature, version, release_group) VALUES (?1, ?2, ?3)",
                )?
                .insert(row)?,
        };
        self.series.insert(key, number);
        Ok(number)
    }

    /// Returns the number of a channel on a version in a group at a level.
    fn channel(
        &mut self,
        connection: &Connection,
        point: &ChannelPoint,
    ) -> Result<i64, StoreError> {
        let key = [
            self.text(connection, &point.channel)?,
            self.text(connection, &point.version)?,
            self.text(connection, &point.group)?,
            self.text(connection, point.level.name())?,
        ];
        if let Some(&number) = self.channels.get(&key) {
            return Ok(number);
        }
        let known = connection
            .prepare_cached(
                "SELECT id FROM channel
                 WHERE channel = ?1 AND version = ?2 AND release_group = ?3 AND level = ?4",
            )?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => connection
                .prepare_cached(
                    "INSERT INTO channel (channel, version, release_group, level)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .insert(key)?,
        };
        self.channels.insert(key, number);
        Ok(number)
    }
}

/// Commits a checkpoint, or leaves the store as it was.
pub(super) fn commit(
    store: &mut Store,
    checkpoint: &Checkpoint,
) -> Result<CommitStats, StoreError> {
    let next = store.commits + 1;
    store.names.trim();
    let written = write(&mut store.connection, &mut store.names, checkpoint, next);
    let error = match written {
        Ok(stats) => {
            store.commits = next;
            return Ok(stats);
        }
        Err(error) => error,
    };
    store.names.clear();
    if reader::commits(&store.connection).is_ok_and(|it| it == next) {
        // The last step reported a failure, but the transaction is on disk.
        store.commits = next;
        return Ok(counted(checkpoint));
    }
    Err(error)
}

fn write(
    connection: &mut Connection,
    names: &mut Names,
    checkpoint: &Checkpoint,
    number: u64,
) -> Result<CommitStats, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write_state(&transaction, &checkpoint.rows)?;
    write_signatures(&transaction, &checkpoint.signatures)?;
    write_series(&transaction, names, &checkpoint.series)?;
    merged::move_history(&transaction, names, &checkpoint.merged)?;
    write_channels(&transaction, names, &checkpoint.channels)?;
    append_log(&transaction, &checkpoint.transitions)?;
    write_positions(&transaction, &checkpoint.positions)?;
    schema::set_meta(&transaction, COMMITS_KEY, &number.to_string())?;
    transaction.commit()?;
    Ok(counted(checkpoint))
}

fn counted(checkpoint: &Checkpoint) -> CommitStats {
    let rows_deleted = checkpoint
        .rows
        .iter()
        .filter(|it| it.value.is_none())
        .count();
    CommitStats {
        rows_written: (checkpoint.rows.len() - rows_deleted) as u64,
        rows_deleted: rows_deleted as u64,
        series_points: checkpoint.series.len() as u64,
        channel_points: checkpoint.channels.len() as u64,
        transitions: checkpoint.transitions.len() as u64,
        positions: checkpoint.positions.len() as u64,
    }
}

fn write_state(transaction: &Transaction<'_>, rows: &[StateRow]) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO state (kind, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    )?;
    let mut delete =
        transaction.prepare_cached("DELETE FROM state WHERE kind = ?1 AND key = ?2")?;
    for row in rows {
        match &row.value {
            Some(value) => upsert.execute((row.kind, &row.key, value))?,
            None => delete.execute((row.kind, &row.key))?,
        };
    }
    Ok(())
}

fn write_signatures(
    transaction: &Transaction<'_>,
    rows: &[SignatureRow],
) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO signature (id, channel, level, template, first_seen, last_seen, first_version, events)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET channel = excluded.channel, level = excluded.level,
           template = excluded.template, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
           first_version = excluded.first_version, events = excluded.events",
    )?;
    for row in rows {
        upsert.execute((
            row.id.to_string(),
            &row.channel,
            row.level.name(),
            &row.template,
            row.first_seen.millis(),
            row.last_seen.millis(),
            &row.first_version,
            count(row.events),
        ))?;
    }
    Ok(())
}

fn write_series(
    transaction: &Transaction<'_>,
    names: &mut Names,
    points: &[SeriesPoint],
) -> Result<(), StoreError> {
    let mut numbered = Vec::with_capacity(points.len());
    for point in points {
        numbered.push((names.series(transaction, point)?, point));
    }
    for resolution in Resolution::ALL {
        // Summed and sorted first: fewer statements, and pages are written in their order.
        let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (series, point) in &numbered {
            let sum = sums
                .entry((*series, resolution.bucket(point.bucket)))
                .or_default();
            *sum = (*sum + count(point.events)).min(COUNT_MAX);
        }
        let mut add = transaction.prepare_cached(&format!(
            "INSERT INTO series_{} (series, bucket, events) VALUES (?1, ?2, ?3)
             ON CONFLICT (series, bucket) DO UPDATE SET events = min(events + excluded.events, {COUNT_MAX})",
            resolution.suffix()
        ))?;
        for ((series, bucket), events) in sums {
            add.execute((series, bucket, events))?;
        }
    }
    Ok(())
}

fn write_channels(
    transaction: &Transaction<'_>,
    names: &mut Names,
    points: &[ChannelPoint],
) -> Result<(), StoreError> {
    let mut numbered = Vec::with_capacity(points.len());
    for point in points {
        numbered.push((names.channel(transaction, point)?, point));
    }
    for resolution in Resolution::ALL {
        let mut sums: BTreeMap<(i64, i64), [i64; 4]> = BTreeMap::new();
        for (channel, point) in &numbered {
            let values = [point.counted, point.capped, point.rejected, point.bytes];
            let sum = sums
                .entry((*channel, resolution.bucket(point.bucket)))
                .or_default();
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum = (*sum + count(value)).min(COUNT_MAX);
            }
        }
        let mut add = transaction.prepare_cached(&format!(
            "INSERT INTO channel_{} (channel, bucket, counted, capped, rejected, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (channel, bucket) DO UPDATE SET
               counted = min(counted + excluded.counted, {COUNT_MAX}),
               capped = min(capped + excluded.capped, {COUNT_MAX}),
               rejected = min(rejected + excluded.rejected, {COUNT_MAX}),
               bytes = min(bytes + excluded.bytes, {COUNT_MAX})",
            resolution.suffix()
        ))?;
        for ((channel, bucket), [counted, capped, rejected, bytes]) in sums {
            add.execute((channel, bucket, counted, capped, rejected, bytes))?;
        }
    }
    Ok(())
}

fn append_log(
    transaction: &Transaction<'_>,
    transitions: &[AlertTransition],
) -> Result<(), StoreError> {
    let mut last = reader::last_seq(transaction)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO alert_log (seq, at, state, kind, alert, signature, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for transition in transitions {
        if transition.seq <= last {
            return Err(StoreError::Sequence {
                last,
                found: transition.seq,
            });
        }
        last = transition.seq;
        let key = &transition.alert.key;
        insert.execute((
            whole(transition.seq, "alert log number")?,
            transition.at.millis(),
            state_name(transition),
            key.kind.name(),
            &transition.alert.id.0,
            key.signature.map(|it| it.to_string()),
            json(transition)?,
        ))?;
    }
    Ok(())
}

const fn state_name(transition: &AlertTransition) -> &'static str {
    use crate::model::AlertState;
    match transition.to {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    }
}

fn json(transition: &AlertTransition) -> Result<String, StoreError> {
    serde_json::to_string(transition).map_err(|_| StoreError::Value {
        what: format!("alert log entry {}", transition.seq),
    })
}

fn write_positions(
    transaction: &Transaction<'_>,
    positions: &[Position],
) -> Result<(), StoreError> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO position (source, topic, partition, next, watermark, limiter)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (source, topic, partition) DO UPDATE SET next = excluded.next,
           watermark = excluded.watermark, limiter = excluded.limiter",
    )?;
    for position in positions {
        let limiter =
            postcard::to_extend(&position.limiter, vec![LIMITER_VERSION]).map_err(|_| {
                StoreError::Value {
                    what: format!("limiter of {} {}", position.topic, position.partition),
                }
            })?;
        upsert.execute((
            &position.source,
            &position.topic,
            position.partition,
            whole(position.next, "position")?,
            position.watermark.map(EventTime::millis),
            limiter,
        ))?;
    }
    Ok(())
}

/// Clamps a count to what the store holds.
fn count(value: u64) -> i64 {
    i64::try_from(value).map_or(COUNT_MAX, |it| it.min(COUNT_MAX))
}

/// Refuses a number that must stay exact and does not fit.
fn whole(value: u64, what: &str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Value {
        what: format!("{what} {value}"),
    })
}
