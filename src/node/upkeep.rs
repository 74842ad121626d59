//! What keeps the store in shape while it works: snapshots to repair it from, and forgetting in small bites.
//!
//! It must never hold up a checkpoint: a snapshot is written by a thread and a connection of its own, and what
//! is forgotten at once is bounded. A failure is said and harmless; it is tried again.

use tokio::sync::oneshot;

use super::clock;
use crate::config::Config;
use crate::model::EventTime;
use crate::store::{BackupInfo, Store, StoreError};
use crate::telemetry::{self, SharedStatus};

/// Seconds between two rounds over everything that is kept.
const ROUND_SECONDS: i64 = 60;

/// Seconds between two bites of one round.
const BITE_SECONDS: i64 = 1;

/// Seconds after the start at which a store without any snapshot gets its first one.
const FIRST_SECONDS: i64 = 60;

/// What became of a snapshot.
type Written = Result<BackupInfo, StoreError>;

/// When what is due.
#[derive(Debug)]
pub(super) struct Upkeep {
    bite_at: EventTime,
    snapshot_at: EventTime,
    /// Seconds between two snapshots; `None` makes none.
    interval: Option<i64>,
    kept: usize,
    writing: Option<oneshot::Receiver<Written>>,
    status: SharedStatus,
}

impl Upkeep {
    /// Plans the first work on a store.
    pub(super) fn new(config: &Config, store: &Store, status: SharedStatus) -> Self {
        let now = clock::now();
        let limits = &config.limits;
        let interval = i64::try_from(limits.snapshot_interval_seconds)
            .ok()
            .filter(|&it| it > 0);
        let last = store.snapshot_at();
        telemetry::write(&status).store.snapshot_at = last;
        let seconds = interval.unwrap_or_default();
        Self {
            bite_at: now,
            snapshot_at: match last {
                Some(last) => last.plus_seconds(seconds),
                None => now.plus_seconds(seconds.min(FIRST_SECONDS)),
            },
            interval,
            kept: limits.snapshots_kept,
            writing: None,
            status,
        }
    }

    /// Does what is due; `event_now` tells how old history is.
    pub(super) fn work(&mut self, store: &mut Store, event_now: Option<EventTime>) {
        let now = clock::now();
        if let Some(event_now) = event_now.filter(|_| now >= self.bite_at) {
            let wait = match store.prune(event_now) {
                Ok(stats) if !stats.is_round_done => BITE_SECONDS,
                Ok(_) => ROUND_SECONDS,
                Err(error) => {
                    tracing::warn!(%error, "old history is not cleaned up");
                    ROUND_SECONDS
                }
            };
            self.bite_at = now.plus_seconds(wait);
        }
        self.look_after_snapshot(now);
        if self.writing.is_none()
            && now >= self.snapshot_at
            && let Some(interval) = self.interval
        {
            self.snapshot_at = now.plus_seconds(interval);
            self.begin_snapshot(store);
        }
    }

    fn begin_snapshot(&mut self, store: &Store) {
        let (tell, told) = oneshot::channel();
        let kept = self.kept;
        let reader = match store.reader() {
            Ok(reader) => reader,
            Err(error) => return self.failed(&error),
        };
        // It reports by the channel; a stop does not wait for it, and what it leaves behind is removed by the next one.
        let begun = std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || tell.send(reader.snapshot(kept)));
        match begun {
            Ok(_) => self.writing = Some(told),
            Err(error) => self.failed(&error),
        }
    }

    fn look_after_snapshot(&mut self, now: EventTime) {
        let Some(Ok(written)) = self.writing.as_mut().map(oneshot::Receiver::try_recv) else {
            return;
        };
        self.writing = None;
        match written {
            Ok(info) => {
                tracing::info!(path = %info.path.display(), bytes = info.bytes, "snapshot written");
                let mut status = telemetry::write(&self.status);
                status.store.snapshot_at = Some(now);
                status.store.snapshot_problem.clear();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &dyn std::error::Error) {
        let mut problem = error.to_string();
        if let Some(source) = error.source() {
            problem = format!("{problem}: {source}");
        }
        tracing::error!(
            problem,
            "no snapshot of the store could be written; counting goes on, and the next one is tried in its time"
        );
        telemetry::write(&self.status).store.snapshot_problem = problem;
    }
}
