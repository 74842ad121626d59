//! Questions about the past: the counts of a signature or of the channels over a range of time.
//!
//! The finest resolution is used that is still complete over the range and no finer than the step asked for, so a
//! step may come back longer than it was asked, never with a part of its counts missing.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::model::{EventTime, Level, SignatureId};

use super::resolution::Resolution;
use super::{HistoryReader, StoreError, schema};

/// Points of one line at most.
// 10,000: more than any screen has columns; a JSON answer of 200 kB.
const POINTS_MAX: u64 = 10_000;

/// Lines of one answer at most; the smaller ones past it are summed into one line named `*`.
const LINES_MAX: usize = 64;

/// Name of a line that sums several.
const SEVERAL: &str = "*";

/// What the lines of an answer stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitBy {
    /// One line for everything.
    #[default]
    Total,
    /// One line per version.
    Version,
    /// One line per group.
    Group,
    /// One line per version and group.
    Release,
}

/// A range of time, and how finely it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Start, rounded down to a step.
    pub from: EventTime,
    /// End, exclusive.
    pub to: EventTime,
    /// Length of a point in seconds.
    pub step_seconds: i64,
    /// What the lines stand for.
    pub by: SplitBy,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<L> {
    /// Start of the first point.
    pub from: EventTime,
    /// Length of a point: at least what was asked for.
    pub step_seconds: i64,
    /// Instant before which counts may be gone, if the range starts earlier.
    pub complete_from: Option<EventTime>,
    /// The lines, most first.
    pub lines: Vec<L>,
}

/// Counts of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Version; `*` for several.
    pub version: String,
    /// Group; `*` for several.
    pub group: String,
    /// Events in the range.
    pub events: u64,
    /// Start and events of every point that has any, in the order of time.
    pub points: Vec<(EventTime, u64)>,
}

/// Records of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelValue {
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Bytes.
    pub bytes: u64,
}

impl ChannelValue {
    fn add(&mut self, other: Self) {
        self.counted = self.counted.saturating_add(other.counted);
        self.capped = self.capped.saturating_add(other.capped);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Returns the records of every fate.
    pub const fn records(self) -> u64 {
        self.counted
            .saturating_add(self.capped)
            .saturating_add(self.rejected)
    }
}

/// Records of one channel at one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLine {
    /// Channel; `*` for several.
    pub channel: String,
    /// Level.
    pub level: Level,
    /// Version; `*` for several.
    pub version: String,
    /// Group; `*` for several.
    pub group: String,
    /// Sum over the range.
    pub total: ChannelValue,
    /// Start and records of every point that has any, in the order of time.
    pub points: Vec<(EventTime, ChannelValue)>,
}

/// How an answer is read.
#[derive(Clone, Copy, Debug)]
struct Plan {
    resolution: Resolution,
    step: i64,
    from: i64,
    to: i64,
    complete_from: Option<EventTime>,
}

impl HistoryReader {
    /// Reads the counts of a signature.
    pub fn signature_history(
        &self,
        signature: SignatureId,
        query: &HistoryQuery,
    ) -> Result<History<Line>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let plan = plan(&transaction, query)?;
        let mut lines: BTreeMap<(String, String), BTreeMap<i64, u64>> = BTreeMap::new();
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT v.text, g.text, h.bucket, h.events
             FROM series s JOIN name v ON v.id = s.version JOIN name g ON g.id = s.release_group
             JOIN series_{} h ON h.series = s.id AND h.bucket >= ?2 AND h.bucket < ?3
             WHERE s.signature = ?1",
            plan.resolution.suffix()
        ))?;
        let mut rows = statement.query((signature.0.to_be_bytes(), plan.from, plan.to))?;
        while let Some(row) = rows.next()? {
            let key = split(query.by, row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
            let sum = lines
                .entry(key)
                .or_default()
                .entry(plan.point(row.get(2)?))
                .or_default();
            *sum = sum.saturating_add(unsigned(row.get(3)?));
        }
        let lines = lines
            .into_iter()
            .map(|((version, group), points)| Line {
                version,
                group,
                events: points.values().sum(),
                points: timed(points),
            })
            .collect();
        Ok(plan.answer(most_first(lines)))
    }

    /// Reads the records of one channel, or of every channel, by level.
    pub fn channel_history(
        &self,
        channel: Option<&str>,
        query: &HistoryQuery,
    ) -> Result<History<ChannelLine>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let plan = plan(&transaction, query)?;
        let mut lines: BTreeMap<ChannelKey, BTreeMap<i64, ChannelValue>> = BTreeMap::new();
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT c.text, l.text, v.text, g.text, h.bucket, h.counted, h.capped, h.rejected, h.bytes
             FROM channel k JOIN name c ON c.id = k.channel JOIN name l ON l.id = k.level
             JOIN name v ON v.id = k.version JOIN name g ON g.id = k.release_group
             JOIN channel_{} h ON h.channel = k.id AND h.bucket >= ?2 AND h.bucket < ?3
             WHERE ?1 IS NULL OR c.text = ?1",
            plan.resolution.suffix()
        ))?;
        let mut rows = statement.query((channel, plan.from, plan.to))?;
        while let Some(row) = rows.next()? {
            let (version, group) =
                split(query.by, row.get_ref(2)?.as_str(), row.get_ref(3)?.as_str());
            let key = ChannelKey {
                channel: row.get(0)?,
                level: level(row.get_ref(1)?.as_str().unwrap_or_default()),
                version,
                group,
            };
            let value = ChannelValue {
                counted: unsigned(row.get(5)?),
                capped: unsigned(row.get(6)?),
                rejected: unsigned(row.get(7)?),
                bytes: unsigned(row.get(8)?),
            };
            let points = lines.entry(key).or_default();
            points
                .entry(plan.point(row.get(4)?))
                .or_default()
                .add(value);
        }
        let lines = lines
            .into_iter()
            .map(|(key, points)| channel_line(key, points));
        Ok(plan.answer(most_first(lines.collect())))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ChannelKey {
    channel: String,
    level: Level,
    version: String,
    group: String,
}

/// A line that can be ranked and summed with others.
trait Ranked {
    fn size(&self) -> u64;
    fn absorb(&mut self, other: Self);
}

impl Ranked for Line {
    fn size(&self) -> u64 {
        self.events
    }

    fn absorb(&mut self, other: Self) {
        SEVERAL.clone_into(&mut self.version);
        SEVERAL.clone_into(&mut self.group);
        self.events = self.events.saturating_add(other.events);
        let mut points: BTreeMap<EventTime, u64> =
            std::mem::take(&mut self.points).into_iter().collect();
        for (at, events) in other.points {
            let sum = points.entry(at).or_default();
            *sum = sum.saturating_add(events);
        }
        self.points = points.into_iter().collect();
    }
}

impl Ranked for ChannelLine {
    fn size(&self) -> u64 {
        self.total.records()
    }

    fn absorb(&mut self, other: Self) {
        SEVERAL.clone_into(&mut self.channel);
        self.level = Level::Unknown;
        SEVERAL.clone_into(&mut self.version);
        SEVERAL.clone_into(&mut self.group);
        self.total.add(other.total);
        let mut points: BTreeMap<EventTime, ChannelValue> =
            std::mem::take(&mut self.points).into_iter().collect();
        for (at, value) in other.points {
            points.entry(at).or_default().add(value);
        }
        self.points = points.into_iter().collect();
    }
}

impl Plan {
    /// Returns the start of the point that holds a bucket.
    const fn point(self, bucket: i64) -> i64 {
        bucket.saturating_sub(bucket.rem_euclid(self.step))
    }

    fn answer<L>(self, lines: Vec<L>) -> History<L> {
        History {
            from: EventTime::from_seconds(self.from),
            step_seconds: self.step,
            complete_from: self.complete_from,
            lines,
        }
    }
}

/// Chooses resolution and step.
fn plan(connection: &Connection, query: &HistoryQuery) -> Result<Plan, StoreError> {
    let wanted = query.step_seconds.max(Resolution::Fine.seconds());
    let mut chosen = (Resolution::Fine, None);
    for resolution in Resolution::ALL {
        let horizon = schema::meta(connection, resolution.horizon_key())?
            .and_then(|it| it.parse().ok())
            .map_or(EventTime::MIN, EventTime::from_seconds);
        let is_complete = horizon <= query.from;
        if resolution.seconds() > wanted && chosen.1.is_none() {
            break;
        }
        chosen = (resolution, (!is_complete).then_some(horizon));
    }
    let (resolution, complete_from) = chosen;
    let width = resolution.seconds();
    let step = wanted.saturating_add(width - 1) / width * width;
    let start = query.from.seconds();
    let from = start.saturating_sub(start.rem_euclid(step));
    let to = query.to.plus_millis(999).seconds();
    let points = u64::try_from(to.saturating_sub(from)).unwrap_or(0) / step.unsigned_abs().max(1);
    if points > POINTS_MAX {
        let fits = to.saturating_sub(from) / i64::try_from(POINTS_MAX).unwrap_or(i64::MAX) + 1;
        return Err(StoreError::TooManyPoints {
            points,
            max: POINTS_MAX,
            step_seconds: fits.saturating_add(width - 1) / width * width,
        });
    }
    Ok(Plan {
        resolution,
        step,
        from,
        to,
        complete_from,
    })
}

fn split<E>(by: SplitBy, version: Result<&str, E>, group: Result<&str, E>) -> (String, String) {
    let own = |it: Result<&str, E>| it.map_or_else(|_| SEVERAL.to_owned(), str::to_owned);
    let several = || SEVERAL.to_owned();
    match by {
        SplitBy::Total => (several(), several()),
        SplitBy::Version => (own(version), several()),
        SplitBy::Group => (several(), own(group)),
        SplitBy::Release => (own(version), own(group)),
    }
}

fn level(name: &str) -> Level {
    Level::ALL
        .into_iter()
        .find(|it| it.name() == name)
        .unwrap_or_default()
}

/// Sorts by size and sums what is past the limit into the last line.
fn most_first<L: Ranked>(mut lines: Vec<L>) -> Vec<L> {
    lines.sort_by_key(|it| std::cmp::Reverse(it.size()));
    if lines.len() <= LINES_MAX {
        return lines;
    }
    let mut rest = lines.split_off(LINES_MAX - 1).into_iter();
    if let Some(mut sum) = rest.next() {
        for line in rest {
            sum.absorb(line);
        }
        lines.push(sum);
    }
    lines
}

fn channel_line(key: ChannelKey, points: BTreeMap<i64, ChannelValue>) -> ChannelLine {
    let mut total = ChannelValue::default();
    for value in points.values() {
        total.add(*value);
    }
    ChannelLine {
        channel: key.channel,
        level: key.level,
        version: key.version,
        group: key.group,
        total,
        points: timed(points),
    }
}

fn timed<V>(points: BTreeMap<i64, V>) -> Vec<(EventTime, V)> {
    points
        .into_iter()
        .map(|(second, value)| (EventTime::from_seconds(second), value))
        .collect()
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
