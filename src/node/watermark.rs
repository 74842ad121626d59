//! Up to which event time every source has been read: the clock that closes buckets.
//!
//! The slowest partition decides, so that no partition's records come too late only because another was
//! read faster. A partition that is read to its end is left out when its time stands still for a while, because it
//! is quiet or because nothing in it can be read, or when it is hours behind the others. Pure.

use std::collections::BTreeMap;

use crate::model::{CountBatch, EventTime};
use crate::source::PartitionStatus;

/// How far the times of a partition that is read to its end may be behind the others before it is left out.
// 1 h: longer than a log shipper that was away takes to catch up; a page that comes later still helps nobody.
const BEHIND_MS_MAX: i64 = 3_600_000;

#[derive(Clone, Debug, Default)]
struct Reached {
    watermark: Option<EventTime>,
    at_end: bool,
    /// Arrival of the last records that moved the watermark; those that cannot be read do not.
    moved: Option<EventTime>,
    stopped: bool,
}

/// Watermarks of all partitions.
#[derive(Clone, Debug)]
pub(super) struct Watermarks {
    partitions: BTreeMap<(String, String, i32), Reached>,
    idle_seconds: i64,
}

impl Watermarks {
    /// Makes an empty table; a quiet partition counts as idle after this many seconds.
    pub(super) const fn new(idle_seconds: i64) -> Self {
        Self {
            partitions: BTreeMap::new(),
            idle_seconds,
        }
    }

    /// Notes a partition's stored watermark, before it is read on.
    pub(super) fn restore(
        &mut self,
        source: &str,
        topic: &str,
        partition: i32,
        watermark: Option<EventTime>,
    ) {
        self.entry(source, topic, partition).watermark = watermark;
    }

    /// Notes what a batch reached.
    pub(super) fn batch(&mut self, batch: &CountBatch) {
        let range = &batch.range;
        let reached = self.entry(&range.source, &range.topic, range.partition);
        if batch.watermark > reached.watermark {
            reached.watermark = batch.watermark;
            reached.moved = reached.moved.max(batch.arrived_max);
        }
    }

    /// Notes where a partition stands.
    pub(super) fn status(&mut self, source: &str, status: &PartitionStatus) {
        let reached = self.entry(source, &status.topic, status.partition);
        reached.at_end = status.at_end;
        reached.stopped = status.stopped.is_some();
        if reached.watermark.is_some() {
            reached.moved = reached.moved.or(status.last_arrived);
        }
    }

    /// Forgets the partitions of a source that it does not read any more, such as those of a deleted topic.
    pub(super) fn only(&mut self, source: &str, partitions: &[PartitionStatus]) {
        self.partitions.retain(|(name, topic, partition), _| {
            name != source
                || partitions
                    .iter()
                    .any(|it| it.topic == *topic && it.partition == *partition)
        });
    }

    /// A source is over: its partitions hold nothing back any more.
    pub(super) fn ended(&mut self, source: &str) {
        for ((name, _, _), reached) in &mut self.partitions {
            if name == source {
                reached.at_end = true;
                reached.moved = None;
            }
        }
    }

    /// Returns the event time up to which everything was read; `None` while nothing is known.
    ///
    /// `now` is the latest arrival anywhere or the wall clock, whichever the caller trusts.
    pub(super) fn low(&self, now: EventTime) -> Option<EventTime> {
        let mut low = None;
        let high = self.partitions.values().filter_map(|it| it.watermark).max();
        for reached in self.partitions.values() {
            if reached.stopped || self.is_idle(reached, now) || is_far_behind(reached, high, now) {
                continue;
            }
            // Nothing read yet, and there is something: whatever it holds must not come too late.
            let watermark = reached.watermark?;
            low = Some(low.map_or(watermark, |it: EventTime| it.min(watermark)));
        }
        low.or(high)
    }

    /// Returns the watermark of one partition.
    pub(super) fn of(&self, source: &str, status: &PartitionStatus) -> Option<EventTime> {
        self.get(source, status)?.watermark
    }

    /// Tells whether one partition is left out because it is quiet.
    pub(super) fn idle(&self, source: &str, status: &PartitionStatus, now: EventTime) -> bool {
        self.get(source, status)
            .is_some_and(|it| self.is_idle(it, now))
    }

    fn get(&self, source: &str, status: &PartitionStatus) -> Option<&Reached> {
        self.partitions
            .get(&(source.to_owned(), status.topic.clone(), status.partition))
    }

    fn is_idle(&self, reached: &Reached, now: EventTime) -> bool {
        reached.at_end
            && reached
                .moved
                .is_none_or(|it| now.millis_since(it) > self.idle_seconds * 1000)
    }

    fn entry(&mut self, source: &str, topic: &str, partition: i32) -> &mut Reached {
        self.partitions
            .entry((source.to_owned(), topic.to_owned(), partition))
            .or_default()
    }
}

/// Tells whether a partition has nothing more to read and is hours behind the newest one all the same.
fn is_far_behind(reached: &Reached, high: Option<EventTime>, now: EventTime) -> bool {
    let newest = high.map(|it| it.min(now));
    reached.at_end
        && reached.watermark.zip(newest).is_some_and(|(it, newest)| {
            newest > EventTime::MIN && newest.millis_since(it) > BEHIND_MS_MAX
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceRange;

    fn at(seconds: i64) -> EventTime {
        EventTime::from_seconds(seconds)
    }

    fn status(partition: i32, at_end: bool, arrived: i64) -> PartitionStatus {
        PartitionStatus {
            topic: "t".into(),
            partition,
            next: 0,
            end: None,
            at_end,
            last_arrived: (arrived > 0).then(|| at(arrived)),
            stopped: None,
        }
    }

    fn batch(partition: i32, watermark: i64) -> CountBatch {
        let range = SourceRange {
            source: "s".into(),
            topic: "t".into(),
            partition,
            from: 0,
            to: 1,
            gap: 0,
        };
        CountBatch {
            range,
            watermark: Some(at(watermark)),
            arrived_max: Some(at(watermark)),
            ..CountBatch::default()
        }
    }

    #[test]
    fn the_slowest_partition_decides() {
        let mut marks = Watermarks::new(30);
        marks.batch(&batch(0, 100));
        marks.batch(&batch(1, 50));
        assert_eq!(marks.low(at(100)), Some(at(50)));
    }

    #[test]
    fn a_partition_with_unread_records_holds_everything_back() {
        let mut marks = Watermarks::new(30);
        marks.batch(&batch(0, 100));
        marks.status("s", &status(1, false, 0));
        assert_eq!(marks.low(at(100)), None);
        marks.status("s", &status(1, true, 0));
        assert_eq!(
            marks.low(at(100)),
            Some(at(100)),
            "it turned out to be empty"
        );
    }

    #[test]
    fn a_partition_that_is_gone_holds_nothing_back() {
        let mut marks = Watermarks::new(30);
        marks.restore("s", "gone", 0, Some(at(10)));
        marks.batch(&batch(0, 100));
        assert_eq!(marks.low(at(100)), Some(at(10)), "it may still be found");
        marks.only("s", &[status(0, false, 100)]);
        assert_eq!(marks.low(at(100)), Some(at(100)));
    }

    #[test]
    fn a_quiet_partition_is_left_out_after_a_while() {
        let mut marks = Watermarks::new(30);
        marks.batch(&batch(0, 100));
        marks.batch(&batch(1, 50));
        marks.status("s", &status(1, true, 50));
        assert_eq!(marks.low(at(60)), Some(at(50)));
        assert_eq!(marks.low(at(81)), Some(at(100)));
    }

    #[test]
    fn records_that_cannot_be_read_do_not_stop_the_clock() {
        let junk = |partition, arrived| CountBatch {
            arrived_max: Some(at(arrived)),
            watermark: None,
            ..batch(partition, 0)
        };
        let mut marks = Watermarks::new(30);
        marks.batch(&batch(0, 100));
        marks.batch(&junk(1, 100));
        marks.status("s", &status(1, true, 100));
        assert_eq!(
            marks.low(at(100)),
            Some(at(100)),
            "there is nothing else in it"
        );
        // Another one had times before.
        marks.batch(&batch(2, 50));
        marks.status("s", &status(2, true, 50));
        assert_eq!(marks.low(at(60)), Some(at(50)));
        let broken = CountBatch {
            watermark: Some(at(50)),
            ..junk(2, 100)
        };
        marks.batch(&broken);
        marks.status("s", &status(2, true, 100));
        assert_eq!(marks.low(at(100)), Some(at(100)));
    }

    #[test]
    fn a_partition_whose_clock_is_wrong_holds_nothing_back_once_it_is_read_to_its_end() {
        let (now, day) = (1_000_000, 86_400);
        let mut marks = Watermarks::new(30);
        marks.batch(&batch(0, now));
        let old = CountBatch {
            arrived_max: Some(at(now)),
            ..batch(1, now - day)
        };
        marks.batch(&old);
        marks.status("s", &status(1, false, now));
        assert_eq!(marks.low(at(now)), Some(at(now - day)), "a backlog is read");
        marks.status("s", &status(1, true, now));
        assert_eq!(marks.low(at(now)), Some(at(now)));
        assert_eq!(marks.low(EventTime::MIN), Some(at(now - day)), "in replay");
    }
}
