//! The chain of batches of each source partition: what was applied, where to go on, how far event time is complete.
//!
//! A batch is applied at most once. Invariant: the stored next position of a partition equals the end of
//! the last batch that was applied, and each gap in between is counted.

use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Position, StateRow};
use crate::model::{CountBatch, EventTime, LimiterRow, SourceRange, Totals};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Counted.
    Counted,
    /// Counted, after so many records that nobody read.
    Gap(u64),
    /// Ignored: it had been counted before.
    Duplicate,
    /// Refused: a part of it had been counted before.
    Overlap,
}

/// Name of a source partition: source, topic, partition.
pub(super) type PartitionKey = (String, String, i32);

/// One source partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partition {
    /// Next position; `None` before the first batch.
    pub(super) next: Option<u64>,
    pub(super) watermark: Option<EventTime>,
    pub(super) idle: bool,
    pub(super) totals: Totals,
    pub(super) gap_records: u64,
    pub(super) gaps: u64,
    pub(super) duplicates: u64,
    pub(super) overlaps: u64,
    /// Event time at which the latest gap was met, to be told by the next bucket that closes.
    pub(super) gap_open: Option<GapSeen>,
    limiter: Vec<LimiterRow>,
}

/// A gap that was met and is still to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GapSeen {
    /// Records nobody read.
    pub(super) records: u64,
    /// First event time after the gap.
    pub(super) at: Option<EventTime>,
}

/// All source partitions.
#[derive(Debug, Default)]
pub(super) struct Chain {
    partitions: Table<PartitionKey, Partition>,
}

impl Chain {
    /// Checks a batch against what was applied, and moves the partition on if it is to be applied.
    pub(super) fn accept(&mut self, batch: &CountBatch) -> Applied {
        let range = &batch.range;
        let partition = self.partitions.entry(&key(range), Partition::default);
        let missed = match partition.next {
            // Before the first batch of a partition there is nothing to be missed but what the source says itself.
            None => 0,
            Some(next) if range.to <= next && range.from < next => {
                partition.duplicates += 1;
                return Applied::Duplicate;
            }
            Some(next) if range.from < next => {
                partition.overlaps += 1;
                return Applied::Overlap;
            }
            Some(next) => range.from - next,
        };
        // The source's own word counts records, the distance of positions may count less (bytes of a file).
        let gap = missed.max(range.gap);
        partition.next = Some(range.to);
        partition.watermark = partition.watermark.max(batch.watermark);
        partition.idle = false;
        partition.totals.add(&batch.totals);
        partition.limiter.clone_from(&batch.limiter);
        if gap == 0 {
            return Applied::Counted;
        }
        partition.gaps += 1;
        partition.gap_records += gap;
        let seen = partition.gap_open.get_or_insert_default();
        seen.records += gap;
        seen.at = seen.at.or(batch.watermark);
        Applied::Gap(gap)
    }

    /// Marks a partition as having nothing to read; a partition that is not known yet becomes known.
    pub(super) fn set_idle(&mut self, key: &PartitionKey, idle: bool) {
        if self.partitions.get(key).is_some_and(|it| it.idle == idle) {
            return;
        }
        self.partitions.entry(key, Partition::default).idle = idle;
    }

    /// Returns the event time up to which all partitions are complete; `None` while one has not begun or all are idle.
    pub(super) fn watermark(&self) -> Option<EventTime> {
        self.partitions
            .values()
            .filter(|it| !it.idle)
            .map(|it| it.watermark)
            .min()
            .flatten()
    }

    /// Returns the latest event time of any partition.
    pub(super) fn latest(&self) -> Option<EventTime> {
        self.partitions.values().filter_map(|it| it.watermark).max()
    }

    /// Takes the gaps that were met before a time and not told yet.
    pub(super) fn take_gaps(&mut self, before: EventTime) -> Vec<(PartitionKey, GapSeen)> {
        let due: Vec<PartitionKey> = self
            .partitions
            .iter()
            .filter(|(_, it)| {
                it.gap_open
                    .as_ref()
                    .is_some_and(|gap| gap.at.is_none_or(|at| at < before))
            })
            .map(|(key, _)| key.clone())
            .collect();
        due.into_iter()
            .filter_map(|key| {
                let gap = self.partitions.get_mut(&key)?.gap_open.take()?;
                Some((key, gap))
            })
            .collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PartitionKey, &Partition)> {
        self.partitions.iter()
    }

    /// Lists where each partition goes on.
    pub(super) fn positions(&self) -> Vec<Position> {
        self.partitions
            .iter()
            .filter_map(|((source, topic, partition), it)| {
                Some(Position {
                    source: source.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    next: it.next?,
                    watermark: it.watermark,
                    limiter: it.limiter.clone(),
                })
            })
            .collect()
    }

    /// Takes positions back that stand beside the state: they win over the state's own.
    pub(super) fn restore_positions(&mut self, positions: Vec<Position>) {
        for position in positions {
            let key = (position.source, position.topic, position.partition);
            let partition = self.partitions.entry(&key, Partition::default);
            partition.next = Some(position.next);
            partition.watermark = partition.watermark.max(position.watermark);
            partition.limiter = position.limiter;
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.partitions.flush("partition", out);
    }

    pub(super) const fn table(&mut self) -> &mut Table<PartitionKey, Partition> {
        &mut self.partitions
    }
}

fn key(range: &SourceRange) -> PartitionKey {
    (range.source.clone(), range.topic.clone(), range.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(from: u64, to: u64) -> CountBatch {
        CountBatch {
            range: SourceRange {
                source: "s".to_owned(),
                topic: "t".to_owned(),
                partition: 0,
                from,
                to,
                gap: 0,
            },
            watermark: Some(EventTime::from_seconds(to.cast_signed())),
            ..CountBatch::default()
        }
    }

    #[test]
    fn a_repeated_batch_is_ignored_and_an_overlap_refused() {
        let mut chain = Chain::default();
        assert_eq!(chain.accept(&batch(0, 10)), Applied::Counted);
        assert_eq!(chain.accept(&batch(0, 10)), Applied::Duplicate);
        assert_eq!(chain.accept(&batch(5, 15)), Applied::Overlap);
        assert_eq!(chain.accept(&batch(10, 20)), Applied::Counted);
        assert_eq!(chain.positions()[0].next, 20);
    }

    #[test]
    fn an_empty_batch_at_the_end_is_no_duplicate() {
        let mut chain = Chain::default();
        assert_eq!(chain.accept(&batch(0, 10)), Applied::Counted);
        assert_eq!(chain.accept(&batch(10, 10)), Applied::Counted);
    }

    #[test]
    fn a_gap_is_counted_and_told_once() {
        let mut chain = Chain::default();
        chain.accept(&batch(0, 10));
        assert_eq!(chain.accept(&batch(14, 20)), Applied::Gap(4));
        assert_eq!(chain.take_gaps(EventTime::MAX)[0].1.records, 4);
        assert!(chain.take_gaps(EventTime::MAX).is_empty());
        assert_eq!(chain.iter().next().unwrap().1.gap_records, 4);
    }

    #[test]
    fn the_watermark_waits_for_a_known_partition_that_has_not_begun() {
        let mut chain = Chain::default();
        let second = ("s".to_owned(), "t".to_owned(), 1);
        chain.set_idle(&second, false);
        chain.accept(&batch(0, 10));
        assert_eq!(chain.watermark(), None);
        chain.set_idle(&second, true);
        assert_eq!(chain.watermark(), Some(EventTime::from_seconds(10)));
    }
}
