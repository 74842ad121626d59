//! Fills the status that pages and metrics show.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::clock;
use super::watermark::Watermarks;
use crate::detect::World;
use crate::model::EventTime;
use crate::notify::NotifyStats;
use crate::source::PartitionStatus;
use crate::store::Store;
use crate::telemetry::{self, SharedStatus};

/// Records that were stepped over whose places are shown.
const STEPPED_OVER_MAX: usize = 20;

/// The status, with what is needed to keep it.
#[derive(Debug)]
pub(super) struct StatusBoard {
    status: SharedStatus,
    troubles: BTreeMap<String, String>,
    /// Sources that have not brought anything yet.
    awaited: Vec<String>,
    notified: Arc<NotifyStats>,
}

impl StatusBoard {
    /// Makes a board on which the given sources are still awaited.
    pub(super) fn new(
        status: SharedStatus,
        awaited: Vec<String>,
        notified: Arc<NotifyStats>,
    ) -> Self {
        let board = Self {
            status,
            troubles: BTreeMap::new(),
            awaited,
            notified,
        };
        board.update_ready();
        board
    }

    /// Notes where the partitions of a source stand.
    pub(super) fn partitions(
        &mut self,
        source: &str,
        partitions: &[PartitionStatus],
        watermarks: &Watermarks,
        now: EventTime,
    ) {
        if !partitions.is_empty() && self.awaited.iter().any(|it| it == source) {
            self.awaited.retain(|it| it != source);
            self.update_ready();
        }
        let mut status = telemetry::write(&self.status);
        status.partitions.retain(|it| it.source != source);
        for partition in partitions {
            let watermark = watermarks.of(source, partition);
            let lag_records = partition.end.map(|it| it.saturating_sub(partition.next));
            // What lag is in time: how far behind its own arrival the newest record was, or, while there is
            // more to read, how far behind now the reading is.
            let lag_seconds = match (watermark, partition.at_end) {
                (Some(watermark), false) if now > EventTime::MIN => {
                    Some(seconds(now.millis_since(watermark)))
                }
                (Some(watermark), _) => partition
                    .last_arrived
                    .map(|it| seconds(it.millis_since(watermark))),
                (None, _) => None,
            };
            status.partitions.push(telemetry::PartitionStatus {
                source: source.to_owned(),
                topic: partition.topic.clone(),
                partition: partition.partition,
                next: partition.next,
                end: partition.end,
                lag_records,
                lag_seconds,
                watermark,
                assigned: partition.stopped.is_none(),
                idle: watermarks.idle(source, partition, now),
                problem: partition.stopped.clone().unwrap_or_default(),
            });
        }
        status.partitions.sort_by(|a, b| {
            (&a.source, &a.topic, a.partition).cmp(&(&b.source, &b.topic, b.partition))
        });
    }

    /// Notes that a source has a problem, or none any more.
    pub(super) fn trouble(&mut self, source: &str, problem: Option<&str>) {
        match problem {
            Some(problem) => self.troubles.insert(source.to_owned(), problem.to_owned()),
            None => self.troubles.remove(source),
        };
        self.update_ready();
    }

    /// Notes records that stopped the process before and were stepped over.
    pub(super) fn stepped_over(&self, places: Vec<String>) {
        let mut status = telemetry::write(&self.status);
        status.stepped_over_total += places.len() as u64;
        let room = STEPPED_OVER_MAX.saturating_sub(status.stepped_over.len());
        status.stepped_over.extend(places.into_iter().take(room));
    }

    /// Notes that nothing can be written.
    pub(super) fn store_problem(&self, problem: &str) {
        problem.clone_into(&mut telemetry::write(&self.status).store.problem);
        self.update_ready();
    }

    /// Notes a commit.
    pub(super) fn committed(
        &self,
        store: Option<&Store>,
        took_seconds: f64,
        world: &RwLock<World>,
    ) {
        let (clock_at, capped) = {
            let world = world.read().unwrap_or_else(PoisonError::into_inner);
            let capped = world
                .channel_gauges()
                .into_iter()
                .filter(|it| it.capped)
                .map(|it| it.channel)
                .collect();
            (world.clock(), capped)
        };
        let mut status = telemetry::write(&self.status);
        status.clock = clock_at;
        super::alerting::update(&mut status.targets, &self.notified);
        status.channels_capped = capped;
        status.store.checkpoint_at = Some(clock::now());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration in milliseconds"
        )]
        {
            status.store.checkpoint_millis = Some((took_seconds * 1000.0) as u64);
        }
        if let Some(store) = store {
            status.store.size_bytes = store.size_bytes();
        }
        let was_full = !std::mem::take(&mut status.store.problem).is_empty();
        drop(status);
        if was_full {
            tracing::info!("there is room again: reading goes on");
            self.update_ready();
        }
    }

    fn update_ready(&self) {
        let mut status = telemetry::write(&self.status);
        let mut reasons: Vec<String> = self.troubles.values().cloned().collect();
        for source in &self.awaited {
            if !self.troubles.contains_key(source) {
                reasons.push(format!(
                    "source `{source}` has not found its partitions yet"
                ));
            }
        }
        if !status.store.problem.is_empty() {
            reasons.push(format!("store: {}", status.store.problem));
        }
        status.not_ready = reasons;
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds(millis: i64) -> f64 {
    millis.max(0) as f64 / 1000.0
}
