//! Stage 2: from counts to what people are told. Pure.
//!
//! [`World`] takes [`crate::model::CountBatch`]es, closes buckets of event time as the watermark moves on, and
//! decides there and only there. It must never read a clock, do I/O or look at a bucket that is open.
//! Invariant: the same batches and watermarks give the same alert log, however they were cut or delivered.

mod accounting;
mod act;
mod buckets;
mod catalogue;
mod chain;
mod channels;
mod checkpoint;
mod close;
mod doctor;
mod errors;
mod exposure;
mod family;
pub mod fix;
mod flood;
pub mod gate;
mod gauges;
mod history;
mod hosts;
mod learn;
mod learned;
mod lifecycle;
pub mod merge;
mod mix;
mod mute;
mod name;
mod new_since;
mod novelty;
pub mod past;
mod persist;
pub mod planned;
mod query;
mod rates;
mod recent;
mod releases;
mod renamed;
mod resurfaced;
pub mod rollout;
pub mod scan;
mod score;
mod sides;
mod signature;
mod silence;
mod storm;
mod suspects;
mod table;
mod tally;
pub mod timeline;
pub mod view;
mod words;
mod world;

pub use accounting::{Accounting, ChannelAccount, PartitionAccount};
pub use act::{Action, ActionError};
pub use chain::Applied;
pub use checkpoint::{ChannelPoint, Checkpoint, Position, SeriesPoint, SignatureRow, StateRow};
pub use gauges::{ChannelGauge, SignatureStates, scan_params};
pub use learn::Merged;
pub use mute::{Mute, MuteTarget, MuteUntil};
pub use new_since::{After, NewQuery, NewSinceError};
pub use query::{AlertQuery, SignatureOrder, SignaturePage, SignatureQuery};
pub use table::RestoreError;
pub use world::{Counts, World};

#[cfg(test)]
mod tests;
