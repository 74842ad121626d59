//! Forgetting history past its age, a bounded piece at a time.
//!
//! Invariant: before the first row of an age is deleted, the instant up to which that resolution may have holes is
//! stored, so that a question about the past never takes a hole for quiet.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::model::EventTime;

use super::resolution::Resolution;
use super::{Store, StoreError, schema};

/// Series and channels looked at by one call.
// 2,000 of each in three resolutions: some 12,000 seeks, tens of milliseconds, between two commits.
const SLICE_MAX: i64 = 2_000;

/// Entries of the alert log, signatures or names deleted by one call.
const ROWS_MAX: i64 = 2_000;

/// Free pages given back to the disk by one call.
// 1,000 pages of 4 KiB.
const VACUUM_PAGES: i64 = 1_000;

/// Where the next call goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    series: i64,
    channel: i64,
}

/// What one call forgot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneStats {
    /// Rows deleted.
    pub rows: u64,
    /// Whether every series and channel has been looked at since the cursor was at the start.
    pub is_round_done: bool,
}

impl Store {
    /// Forgets a bounded piece of what is past its age; call it every second until a round is done, then once a minute.
    pub fn prune(&mut self, now: EventTime) -> Result<PruneStats, StoreError> {
        let cutoffs = self.cutoffs(now);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (resolution, cutoff) in cutoffs {
            raise_horizon(&transaction, resolution, cutoff)?;
        }
        let mut rows = 0;
        let series = slice(&transaction, "series", self.prune_cursor.series)?;
        let channels = slice(&transaction, "channel", self.prune_cursor.channel)?;
        for (resolution, cutoff) in cutoffs {
            rows += forget(
                &transaction,
                &series.table(resolution),
                "series",
                &series,
                cutoff,
            )?;
            rows += forget(
                &transaction,
                &channels.table(resolution),
                "channel",
                &channels,
                cutoff,
            )?;
        }
        let unused =
            forget_unused(&transaction, &series)? + forget_unused(&transaction, &channels)?;
        rows += unused;
        let names_due = self.names_due || unused > 0;
        let [_, _, (_, oldest)] = cutoffs;
        rows += forget_old(&transaction, oldest)?;
        let is_round_done = series.is_last && channels.is_last;
        // It reads every series and channel, so only when one of them is gone.
        let mut names_due = names_due;
        if is_round_done && names_due {
            let names = forget_names(&transaction)?;
            names_due = names >= ROWS_MAX.unsigned_abs();
            rows += names;
        }
        transaction.commit()?;
        self.names_due = names_due;
        self.prune_cursor = Cursor {
            series: series.next(),
            channel: channels.next(),
        };
        if rows > 0 {
            self.names.clear();
        }
        give_back(&self.connection)?;
        Ok(PruneStats {
            rows,
            is_round_done,
        })
    }

    /// Returns, for each resolution, the second before which its buckets go. A coarser one is never kept shorter.
    fn cutoffs(&self, now: EventTime) -> [(Resolution, i64); 3] {
        let fine = self.limits.keep_10s_seconds.max(0);
        let minute = self.limits.keep_1m_seconds.max(fine);
        let hour = self.limits.keep_1h_seconds.max(minute);
        let cutoff = |resolution: Resolution, keep: i64| {
            let at = now.plus_seconds(keep.saturating_neg());
            (resolution, resolution.bucket(at))
        };
        [
            cutoff(Resolution::Fine, fine),
            cutoff(Resolution::Minute, minute),
            cutoff(Resolution::Hour, hour),
        ]
    }
}

/// A range of numbers of series or channels.
#[derive(Clone, Copy, Debug)]
struct Slice {
    table: &'static str,
    after: i64,
    last: i64,
    is_last: bool,
}

impl Slice {
    fn table(&self, resolution: Resolution) -> String {
        format!("{}_{}", self.table, resolution.suffix())
    }

    const fn next(&self) -> i64 {
        if self.is_last { 0 } else { self.last }
    }
}

/// Finds the numbers that come next.
fn slice(
    transaction: &Transaction<'_>,
    table: &'static str,
    after: i64,
) -> Result<Slice, StoreError> {
    let (last, found): (Option<i64>, i64) = transaction
        .prepare_cached(&format!(
            "SELECT max(id), count(*) FROM (SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT {SLICE_MAX})"
        ))?
        .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Slice {
        table,
        after,
        last: last.unwrap_or(after),
        is_last: found < SLICE_MAX,
    })
}

/// Stores the instant before which a resolution may have holes; it only rises.
fn raise_horizon(
    transaction: &Transaction<'_>,
    resolution: Resolution,
    cutoff: i64,
) -> Result<(), StoreError> {
    let key = resolution.horizon_key();
    let known: Option<i64> = schema::meta(transaction, key)?.and_then(|it| it.parse().ok());
    if known.is_none_or(|it| it < cutoff) {
        schema::set_meta(transaction, key, &cutoff.to_string())?;
    }
    Ok(())
}

/// Deletes the old buckets of a slice, each by a seek on the primary key.
fn forget(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    slice: &Slice,
    cutoff: i64,
) -> Result<u64, StoreError> {
    let mut ids = transaction.prepare_cached(&format!(
        "SELECT id FROM {} WHERE id > ?1 AND id <= ?2",
        slice.table
    ))?;
    let mut delete = transaction.prepare_cached(&format!(
        "DELETE FROM {table} WHERE {column} = ?1 AND bucket < ?2"
    ))?;
    let mut rows = ids.query((slice.after, slice.last))?;
    let mut deleted = 0;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        deleted += delete.execute((id, cutoff))? as u64;
    }
    Ok(deleted)
}

/// Deletes the series or channels of a slice that have no history left.
fn forget_unused(transaction: &Transaction<'_>, slice: &Slice) -> Result<u64, StoreError> {
    let table = slice.table;
    let unused = Resolution::ALL
        .map(|it| {
            format!(
                "NOT EXISTS (SELECT 1 FROM {table}_{} h WHERE h.{table} = {table}.id)",
                it.suffix()
            )
        })
        .join(" AND ");
    let deleted = transaction
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE id > ?1 AND id <= ?2 AND {unused}"
        ))?
        .execute((slice.after, slice.last))?;
    Ok(deleted as u64)
}

/// Deletes old entries of the alert log, and readable rows of signatures that have not happened for as long.
fn forget_old(transaction: &Transaction<'_>, cutoff_seconds: i64) -> Result<u64, StoreError> {
    let cutoff = EventTime::from_seconds(cutoff_seconds).millis();
    // From the old end, and never the last entry: the numbers go on from it.
    let log = transaction
        .prepare_cached(
            "DELETE FROM alert_log WHERE at < ?1 AND seq < (SELECT max(seq) FROM alert_log)
             AND seq IN (SELECT seq FROM alert_log ORDER BY seq LIMIT ?2)",
        )?
        .execute((cutoff, ROWS_MAX))?;
    let signatures = transaction
        .prepare_cached(
            "DELETE FROM signature WHERE rowid IN
             (SELECT rowid FROM signature WHERE last_seen < ?1 LIMIT ?2)",
        )?
        .execute((cutoff, ROWS_MAX))?;
    Ok((log + signatures) as u64)
}

/// Deletes names that nothing uses any more.
fn forget_names(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let deleted = transaction
        .prepare_cached(
            "DELETE FROM name WHERE id IN (
               SELECT id FROM name
               EXCEPT SELECT version FROM series EXCEPT SELECT release_group FROM series
               EXCEPT SELECT channel FROM channel EXCEPT SELECT version FROM channel
               EXCEPT SELECT release_group FROM channel EXCEPT SELECT level FROM channel
               LIMIT ?1)",
        )?
        .execute([ROWS_MAX])?;
    Ok(deleted as u64)
}

/// Gives free pages back to the disk.
fn give_back(connection: &Connection) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    // Each step frees one page.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
