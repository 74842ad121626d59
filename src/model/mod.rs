//! The vocabulary that every other module speaks: plain data, no behaviour beyond keeping itself consistent.
//!
//! It must never do I/O, read a clock or draw randomness. Invariant: a value that exists is valid, so no
//! later module has to check it again.

mod alert;
mod batch;
mod event;
mod level;
mod release;
mod signature;
mod symbol;
mod time;

pub use alert::{
    Alert, AlertId, AlertKey, AlertKind, AlertState, AlertTransition, Evidence, Severity,
};
pub use batch::{
    ChannelRow, CountBatch, CountRow, LimiterRow, RejectedSample, Sample, SourceRange, Totals,
};
pub use event::{Decoded, ExceptionInfo, Flag, Flags, LogEvent, RawRecord, Rejection};
pub use level::{Level, LevelClass};
pub use release::{DeployMarker, Expected, ExposureRecord, MarkerKind};
pub use signature::{SignatureDef, SignatureId};
pub use symbol::Symbols;
pub use time::{BUCKET_SECONDS, EventTime, SCAN_SECONDS};
