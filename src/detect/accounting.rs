//! Where every record went: sums per partition, and per channel and version.
//!
//! Counted as batches are applied, so it is exact at every commit. Invariant: in every row of partitions
//! `read = counted + capped + Σ rejected`.

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::table::Table;
use crate::model::Totals;

/// Most pairs of channel and version that are told apart.
// A hundred channels on a hundred versions; past it the pairs are summed under `(other)`.
const PAIRS_MAX: usize = 10_000;

/// Where every record went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Accounting {
    /// Sum over all partitions.
    pub total: Totals,
    /// Records that nobody could read any more when we came to them, over all partitions.
    pub gap_records: u64,
    /// By source partition, sorted.
    pub partitions: Vec<PartitionAccount>,
    /// By channel and version, sorted.
    pub channels: Vec<ChannelAccount>,
}

/// Sums of one source partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionAccount {
    /// Name of the `[[source]]`.
    pub source: String,
    /// Topic or file.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next position.
    pub next: u64,
    /// Sums.
    pub totals: Totals,
    /// Times that records were missed.
    pub gaps: u64,
    /// Records that were missed.
    pub gap_records: u64,
    /// Batches that came again and were ignored.
    pub duplicates: u64,
    /// Batches that were refused because a part of them had been counted.
    pub overlaps: u64,
    /// Whether it has nothing to read at present.
    pub idle: bool,
}

/// Sums of one channel on one version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelAccount {
    /// Channel.
    pub channel: String,
    /// Version; empty if the records name none.
    pub version: String,
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Events: a repeated message counts as often as it says.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Sums of one channel on one version, as they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PairSums {
    pub(super) counted: u64,
    pub(super) capped: u64,
    pub(super) rejected: u64,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// Sums by channel and version.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) pairs: Table<(Name, Name), PairSums>,
}

impl Ledger {
    pub(super) fn add(&mut self, channel: &Name, version: &Name, sums: PairSums) {
        let mut key = (channel.clone(), version.clone());
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains(&key) {
            key = (super::name::OTHER.into(), super::name::OTHER.into());
        }
        let mine = self.pairs.entry(&key, PairSums::default);
        mine.counted += sums.counted;
        mine.capped += sums.capped;
        mine.rejected += sums.rejected;
        mine.events += sums.events;
        mine.bytes += sums.bytes;
    }

    pub(super) fn rows(&self) -> Vec<ChannelAccount> {
        self.pairs
            .iter()
            .map(|((channel, version), it)| ChannelAccount {
                channel: channel.to_string(),
                version: version.to_string(),
                counted: it.counted,
                capped: it.capped,
                rejected: it.rejected,
                events: it.events,
                bytes: it.bytes,
            })
            .collect()
    }
}
