//! What stage 1 hands to stage 2: the counts of a stretch of one source partition, with that stretch.
//!
//! A batch explains itself: names stand in its own string table, and every signature that it counts is
//! defined in it, so a reader needs no earlier batch. Invariant: `totals.read = totals.counted +
//! totals.capped + Σ totals.rejected`.

use serde::{Deserialize, Serialize};

use super::{DeployMarker, EventTime, ExposureRecord, Flag, Level, Rejection, SignatureDef};

/// A stretch of one source partition. `from` is where the previous stretch ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRange {
    /// Name of the `[[source]]`.
    pub source: String,
    /// Kafka topic, or the identity of a file.
    pub topic: String,
    /// Kafka partition; 0 for files.
    pub partition: i32,
    /// Position of the first record that this batch may hold.
    pub from: u64,
    /// Position after the last one.
    pub to: u64,
    /// Records between the last position and `from` that the source no longer had (retention passed us).
    pub gap: u64,
}

/// Sums over a batch, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records read; markers and exposure records are not among them.
    pub read: u64,
    /// Records counted in full.
    pub counted: u64,
    /// Records counted by channel only, because the channel was over its cap.
    pub capped: u64,
    /// Records not counted, by [`Rejection`].
    pub rejected: [u64; Rejection::ALL.len()],
    /// Counted records with an oddity, by [`Flag`].
    pub flags: [u64; Flag::ALL.len()],
    /// Markers and exposure records.
    pub control: u64,
    /// Bytes of all records.
    pub bytes: u64,
    /// Records later than their partition's watermark allows; they went into their own bucket all the same.
    pub late: u64,
}

impl Totals {
    /// Returns the sum over all reasons of rejection.
    pub fn rejected_sum(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Adds another sum to this one.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.counted += other.counted;
        self.capped += other.capped;
        self.control += other.control;
        self.bytes += other.bytes;
        self.late += other.late;
        for (mine, theirs) in self.rejected.iter_mut().zip(&other.rejected) {
            *mine += theirs;
        }
        for (mine, theirs) in self.flags.iter_mut().zip(&other.flags) {
            *mine += theirs;
        }
    }
}

/// Events of one signature in one bucket, version, group and service. Numbers index the batch's tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRow {
    /// Index into [`CountBatch::signatures`].
    pub signature: u32,
    /// Index into [`CountBatch::strings`]; the empty string is an unknown version.
    pub version: u32,
    /// Index into [`CountBatch::strings`].
    pub group: u32,
    /// Index into [`CountBatch::strings`].
    pub service: u32,
    /// Start of the 10-second bucket of event time.
    pub bucket: EventTime,
    /// Events; a "message repeated N times" counts N.
    pub events: u64,
    /// Earliest event.
    pub first: EventTime,
    /// Latest event.
    pub last: EventTime,
    /// Events by host: index into [`CountBatch::strings`], sorted by it.
    pub hosts: Vec<(u32, u64)>,
    /// Events by facet: index of `name`, index of value, events; sorted.
    pub facets: Vec<(u32, u32, u64)>,
}

/// Records of one channel in one bucket, version, group, level: exact also past the cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// Index into [`CountBatch::strings`].
    pub channel: u32,
    /// Index into [`CountBatch::strings`].
    pub version: u32,
    /// Index into [`CountBatch::strings`].
    pub group: u32,
    /// Index into [`CountBatch::strings`].
    pub service: u32,
    /// Level.
    pub level: Level,
    /// Start of the 10-second bucket of event time.
    pub bucket: EventTime,
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records of this channel that were rejected (too old, bad time, filtered).
    pub rejected: u64,
    /// Events: like `counted + capped`, but a repeated message counts as often as it says.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records by host: index into [`CountBatch::strings`], sorted by it.
    pub hosts: Vec<(u32, u64)>,
}

/// One redacted example of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Index into [`CountBatch::signatures`].
    pub signature: u32,
    /// When it happened.
    pub at: EventTime,
    /// Host that logged it.
    pub host: String,
    /// Version that logged it.
    pub version: String,
    /// Redacted message, at most 2 KiB.
    pub message: String,
    /// Redacted stack trace, at most 4 KiB; empty if none.
    pub trace: String,
    /// Redacted URL; empty if none.
    pub url: String,
    /// Request id; empty if none.
    pub request_id: String,
}

/// One redacted example of a rejected record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedSample {
    /// Why it was not counted.
    pub reason: Rejection,
    /// Where it stands in the partition.
    pub offset: u64,
    /// Redacted text, at most 512 bytes, invalid bytes replaced.
    pub text: String,
}

/// How much of its cap a channel has used in one second of event time; travels with the position, so
/// that a restart goes on exactly where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimiterRow {
    /// Channel.
    pub channel: String,
    /// Second of event time.
    pub second: i64,
    /// Records kept in that second.
    pub used: u32,
}

/// The counts of a stretch of one source partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CountBatch {
    /// What was read.
    pub range: SourceRange,
    /// Latest arrival time in it.
    pub arrived_max: Option<EventTime>,
    /// Latest event time seen in this partition so far, not past its arrival: the partition's watermark.
    pub watermark: Option<EventTime>,
    /// Sums.
    pub totals: Totals,
    /// Names that the rows refer to.
    pub strings: Vec<String>,
    /// Every signature that the rows refer to.
    pub signatures: Vec<SignatureDef>,
    /// Counts by signature.
    pub counts: Vec<CountRow>,
    /// Counts by channel.
    pub channels: Vec<ChannelRow>,
    /// A few redacted examples.
    pub samples: Vec<Sample>,
    /// A few redacted examples of what was rejected.
    pub rejected: Vec<RejectedSample>,
    /// Deploy markers in the stream.
    pub markers: Vec<DeployMarker>,
    /// Exposure counts in the stream.
    pub exposures: Vec<ExposureRecord>,
    /// State of the caps of this partition after the batch, the last 60 seconds of event time.
    pub limiter: Vec<LimiterRow>,
    /// Arrival minus event time in milliseconds, rounded to 1, 2 or 5 times a power of ten, with its records; sorted.
    pub latency_ms: Vec<(u64, u64)>,
}

impl CountBatch {
    /// Returns a name of the string table; empty for an index outside it.
    pub fn string(&self, index: u32) -> &str {
        self.strings.get(index as usize).map_or("", |it| it)
    }

    /// Tells whether conservation holds for this batch.
    pub fn is_conserved(&self) -> bool {
        let totals = &self.totals;
        totals.read == totals.counted + totals.capped + totals.rejected_sum()
    }
}
