//! Where records come from: Kafka, files, and records posted to the API.
//!
//! Each source has its own OS thread, owns its [`Ingest`](crate::ingest::Ingest) and hands over batches by
//! a bounded queue; when the queue is full it simply reads no further, so nothing is ever dropped here.
//! It must never decide by itself that a record is unimportant.

mod careful;
pub mod file;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
mod keys;
mod lines;
#[cfg(feature = "kafka")]
pub mod sample;

use tokio::sync::{mpsc, oneshot};

pub use self::careful::Careful;
pub use self::keys::{Row, Sums};

use crate::detect::StateRow;
use crate::model::{CountBatch, EventTime};

/// Reads the wall clock; given by `node`, which alone knows the time.
pub type WallClock = fn() -> EventTime;

/// Rows that a worker gathers before it hands them over, whatever the time.
// RELIABILITY.md §2.1: at most 50,000 deltas a transaction.
pub(crate) const ROWS_MAX: usize = 50_000;

/// Bytes that a worker reads before it hands over what it counted.
// RELIABILITY.md §2.1: at most 16 MiB a transaction.
pub(crate) const BYTES_MAX: u64 = 16 << 20;

/// Where a partition stands; sent with every delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Topic or file.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next position to read.
    pub next: u64,
    /// Position after the last record that the source is known to hold.
    pub end: Option<u64>,
    /// Whether everything known was read.
    pub at_end: bool,
    /// Arrival of the last record.
    pub last_arrived: Option<EventTime>,
    /// Why it is not read, if it is not.
    pub stopped: Option<String>,
}

/// What a source hands to stage 2.
#[derive(Debug)]
pub enum Delivery {
    /// Counts, and where every partition stands.
    Counts {
        /// Name of the source.
        source: String,
        /// What was counted since the last delivery.
        batches: Vec<CountBatch>,
        /// Every partition that this source reads.
        partitions: Vec<PartitionStatus>,
        /// Rows of the source's own to store with the counts.
        rows: Vec<StateRow>,
        /// Answered after the counts are stored.
        stored: Option<oneshot::Sender<()>>,
    },
    /// What became of the copies of undecodable records; sent before the counts of those records.
    Letters {
        /// Copies that the dead-letter topic took.
        delivered: u64,
        /// Copies that were given up.
        lost: u64,
    },
    /// Records that stopped the process before were stepped over.
    SteppedOver {
        /// Their places, for people.
        places: Vec<String>,
    },
    /// The source is read to its end and will bring no more.
    Ended {
        /// Name of the source.
        source: String,
    },
    /// The source has a problem; it goes on by itself unless it also ends.
    Trouble {
        /// Name of the source.
        source: String,
        /// What happened and what to do; `None` when it is over.
        problem: Option<String>,
        /// Whether the process should stop because of it.
        fatal: bool,
    },
}

/// A stream that ends (the demo): how far it was read, and where it ends once that is known.
#[derive(Debug, Default)]
pub struct Finite {
    /// Bytes of records read so far.
    pub read_bytes: std::sync::atomic::AtomicU64,
    /// Position after the last record of each topic and partition.
    pub ends: std::sync::OnceLock<std::collections::BTreeMap<(String, i32), u64>>,
}

/// The way out of a source.
pub type Outlet = mpsc::Sender<Delivery>;

/// Stage 2 has gone away; the source stops.
#[derive(Debug, thiserror::Error)]
#[error("stage 2 has stopped")]
pub struct OutletClosed;
