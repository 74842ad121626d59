//! What the store knows of the past, as stage 2 asks for it.
//!
//! Counts come by whole minutes, alerts as they stood at a moment. Invariant: an answer about the time
//! before `to` holds nothing that happened at or after it, so that a question "as of" never looks ahead.

use crate::model::{Alert, AlertTransition, EventTime, SignatureId};

/// Records of one channel on one version and group over a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseSum {
    /// Version; empty if the records name none.
    pub version: String,
    /// Group; empty if unknown.
    pub group: String,
    /// Channel.
    pub channel: String,
    /// Records counted or capped.
    pub records: u64,
    /// Those of them whose detail was given up.
    pub capped: u64,
}

/// Records of one version on one group in one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseMinute {
    /// Start of the minute.
    pub at: EventTime,
    /// Version; empty if the records name none.
    pub version: String,
    /// Group; empty if unknown.
    pub group: String,
    /// Records counted or capped.
    pub records: u64,
}

/// Events of a signature on one version and group in one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureMinute {
    /// Start of the minute.
    pub at: EventTime,
    /// Version; empty if the events name none.
    pub version: String,
    /// Group; empty if unknown.
    pub group: String,
    /// Events.
    pub events: u64,
}

/// The past could not be read; the words of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the past: {0}")]
pub struct PastError(pub String);

/// Reads the past: the store does, and tests do from memory.
pub trait Past {
    /// Sums the records of every channel, version and group in `[from, to)`, by whole minutes.
    fn release_sums(&self, from: EventTime, to: EventTime) -> Result<Vec<ReleaseSum>, PastError>;

    /// Lists the records of every version and group by minute in `[from, to)`, in the order of time.
    fn release_minutes(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<ReleaseMinute>, PastError>;

    /// Lists the events of a signature by minute in `[from, to)`, in the order of time.
    fn signature_minutes(
        &self,
        id: SignatureId,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<SignatureMinute>, PastError>;

    /// Lists the alerts that fired at a moment, by key.
    fn alerts_at(&self, at: EventTime) -> Result<Vec<Alert>, PastError>;

    /// Lists the changes in the life of alerts in `[from, to)`, in the order of the log.
    fn transitions(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<AlertTransition>, PastError>;
}
