//! What each channel does: how much it writes, at which levels, how much of it was capped, since when it is quiet.
//!
//! Invariant: `read = counted + capped + rejected` for every channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::buckets::ChannelCell;
use super::learned::Learned;
use super::name::Name;
use super::table::Table;
use super::tally::Minutes;
use super::view::{ChannelView, ValueCount};
use crate::model::{BUCKET_SECONDS, EventTime, Level, LevelClass, SCAN_SECONDS};

/// Minutes of learning before a channel has an expected rate.
const LEARNED_MINUTES_MIN: u32 = 30;

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Channel {
    pub(super) first: EventTime,
    /// End of the last bucket with a record.
    pub(super) last: EventTime,
    pub(super) service: Name,
    pub(super) counted: u64,
    pub(super) capped: u64,
    pub(super) rejected: u64,
    pub(super) bytes: u64,
    pub(super) records: Minutes,
    pub(super) byte_minutes: Minutes,
    pub(super) capped_minutes: Minutes,
    pub(super) capped_last: Option<EventTime>,
    pub(super) levels: BTreeMap<Level, Minutes>,
    pub(super) rate: Learned,
    pub(super) class_rates: BTreeMap<LevelClass, Learned>,
    /// Longest stretch without a record that was normal, in seconds.
    pub(super) quiet_longest: i64,
    pub(super) silent: bool,
    pub(super) flooded: bool,
}

/// All channels, and the whole feed.
#[derive(Debug, Default)]
pub(super) struct Channels {
    pub(super) table: Table<Name, Channel>,
}

impl Channels {
    /// Counts one closed (or late) bucket of a channel.
    pub(super) fn count(&mut self, name: &Name, cells: &[ChannelCell], bucket: EventTime) {
        let end = bucket.plus_seconds(BUCKET_SECONDS);
        let channel = self.table.entry(name, || Channel::new(bucket, cells));
        let minute = bucket.seconds().div_euclid(SCAN_SECONDS);
        if end > channel.last {
            if !channel.silent && channel.last > channel.first {
                let quiet = bucket.millis_since(channel.last) / 1000;
                channel.quiet_longest = channel.quiet_longest.max(quiet);
            }
            channel.last = end;
        }
        for cell in cells {
            let records = cell.counted + cell.capped;
            channel.counted += cell.counted;
            channel.capped += cell.capped;
            channel.rejected += cell.rejected;
            channel.bytes += cell.bytes;
            if records > 0 {
                channel.records.add(minute, records);
                let level = channel.levels.entry(cell.level).or_default();
                level.add(minute, records);
            }
            channel.byte_minutes.add(minute, cell.bytes);
            if cell.capped > 0 {
                channel.capped_minutes.add(minute, cell.capped);
                channel.capped_last = channel.capped_last.max(Some(end));
            }
        }
    }

    /// Learns from the minute that just closed.
    pub(super) fn learn(&mut self, minute: i64) {
        self.table.update_all(|_, channel| {
            if channel.silent || channel.flooded {
                return;
            }
            channel.rate.learn(as_f64(channel.records.sum(minute, 1)));
            for (class, count) in channel.class_counts(minute, 1) {
                let rate = channel.class_rates.entry(class).or_default();
                rate.learn(as_f64(count));
            }
        });
    }

    /// Returns records of all channels but one in the last `minutes` minutes, and as many as were expected per minute.
    pub(super) fn others(&self, name: &Name, minute: i64, minutes: i64) -> (u64, f64) {
        let mut seen = 0;
        let mut expected = 0.0;
        for (other, channel) in self.table.iter() {
            if other != name && !channel.silent {
                seen += channel.records.sum(minute, minutes);
                expected += channel.rate.per_min();
            }
        }
        (seen, expected)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("channel", out);
    }
}

impl Channel {
    fn new(bucket: EventTime, cells: &[ChannelCell]) -> Self {
        Self {
            first: bucket,
            last: bucket,
            service: super::catalogue::single(cells.iter().map(|it| &it.service)),
            counted: 0,
            capped: 0,
            rejected: 0,
            bytes: 0,
            records: Minutes::default(),
            byte_minutes: Minutes::default(),
            capped_minutes: Minutes::default(),
            capped_last: None,
            levels: BTreeMap::new(),
            rate: Learned::default(),
            class_rates: BTreeMap::new(),
            quiet_longest: 0,
            silent: false,
            flooded: false,
        }
    }

    /// Returns records by level class in the `minutes` minutes that end with `minute`; every class, also empty ones.
    pub(super) fn class_counts(&self, minute: i64, minutes: i64) -> BTreeMap<LevelClass, u64> {
        let mut counts = BTreeMap::from([
            (LevelClass::Unknown, 0),
            (LevelClass::Info, 0),
            (LevelClass::Warning, 0),
            (LevelClass::Error, 0),
        ]);
        for (level, it) in &self.levels {
            *counts.entry(level.class()).or_default() += it.sum(minute, minutes);
        }
        counts
    }

    /// Tells whether nearly everything that it usually writes is an error.
    pub(super) fn is_errors_only(&self) -> bool {
        let errors = self
            .class_rates
            .get(&LevelClass::Error)
            .map_or(0.0, Learned::per_min);
        errors >= 0.99 * self.rate.per_min()
    }

    /// Returns the expected records per minute; `None` before it has learned for half an hour.
    pub(super) fn expected(&self) -> Option<f64> {
        (self.rate.minutes() >= LEARNED_MINUTES_MIN).then(|| self.rate.per_min())
    }

    /// Returns bytes a day at the rate of the last ten minutes.
    pub(super) fn bytes_per_day(&self, minute: i64) -> f64 {
        as_f64(self.byte_minutes.sum(minute, 10)) * 144.0
    }

    pub(super) fn view(&self, name: &Name, now: EventTime) -> ChannelView {
        let minute = minute_before(now);
        let mut levels: Vec<ValueCount> = self
            .levels
            .iter()
            .map(|(level, it)| ValueCount {
                value: level.name().to_owned(),
                events: it.sum(minute, 60),
            })
            .filter(|it| it.events > 0)
            .collect();
        levels.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.value.cmp(&b.value)));
        ChannelView {
            channel: name.to_string(),
            read: self.counted + self.capped + self.rejected,
            counted: self.counted,
            capped: self.capped,
            rejected: self.rejected,
            bytes: self.bytes,
            rate_per_min: as_f64(self.records.sum(minute, 5)) / 5.0,
            expected_per_min: self.expected(),
            bytes_per_day: self.bytes_per_day(minute),
            last_seen: self.last,
            capped_now: self
                .capped_last
                .is_some_and(|last| now.millis_since(last) < 60_000),
            silent: self.silent,
            spark: self.records.spark(minute),
            levels,
        }
    }
}

/// Returns the minute that holds the last instant before `now`.
pub(super) const fn minute_before(now: EventTime) -> i64 {
    now.plus_millis(-1).seconds().div_euclid(SCAN_SECONDS)
}

/// Returns a count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^53")]
pub(super) const fn as_f64(count: u64) -> f64 {
    count as f64
}
