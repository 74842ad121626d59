//! What stage 2 asks the store to write: opaque state rows, and the time series and alert log beside them.
//!
//! Written in one transaction with the source positions, so that state and positions never disagree.

use serde::{Deserialize, Serialize};

use super::learn::Merged;
use crate::model::{AlertTransition, EventTime, Level, LimiterRow, SignatureId};

/// One row of state. `kind` and `key` name it; `value` is a version byte and a compact encoding, or `None` to delete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// Sort of state, such as `signature`, `series`, `alert`, `channel`, `release`, `open_bucket`, `global`.
    pub kind: &'static str,
    /// Name within its kind.
    pub key: Vec<u8>,
    /// Encoded value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

/// A signature in readable columns, for people who open the store with `sqlite3`.
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureRow {
    /// Id.
    pub id: SignatureId,
    /// Channel.
    pub channel: String,
    /// Level.
    pub level: Level,
    /// Template, redacted.
    pub template: String,
    /// First event.
    pub first_seen: EventTime,
    /// Last event.
    pub last_seen: EventTime,
    /// Version of the first event.
    pub first_version: String,
    /// Events so far.
    pub events: u64,
}

/// Events to add to the history of one signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesPoint {
    /// Signature.
    pub signature: SignatureId,
    /// Version.
    pub version: String,
    /// Group.
    pub group: String,
    /// Start of the 10-second bucket.
    pub bucket: EventTime,
    /// Events to add.
    pub events: u64,
}

/// Records to add to the history of one channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelPoint {
    /// Channel.
    pub channel: String,
    /// Version.
    pub version: String,
    /// Group.
    pub group: String,
    /// Level.
    pub level: Level,
    /// Start of the 10-second bucket.
    pub bucket: EventTime,
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Where a source partition goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Name of the `[[source]]`.
    pub source: String,
    /// Topic or file identity.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next position to read.
    pub next: u64,
    /// Watermark of the partition.
    pub watermark: Option<EventTime>,
    /// State of its caps.
    pub limiter: Vec<LimiterRow>,
}

/// Everything that changed since the last checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// State rows to write or delete.
    pub rows: Vec<StateRow>,
    /// Signatures that became one: history and readable rows of the younger go to the older.
    pub merged: Vec<Merged>,
    /// Readable signature rows to write.
    pub signatures: Vec<SignatureRow>,
    /// History to add.
    pub series: Vec<SeriesPoint>,
    /// Channel history to add.
    pub channels: Vec<ChannelPoint>,
    /// Alert log entries to append.
    pub transitions: Vec<AlertTransition>,
    /// Positions to go on from.
    pub positions: Vec<Position>,
}
