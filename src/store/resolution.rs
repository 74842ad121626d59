//! The three resolutions of history: 10 seconds, 1 minute, 1 hour.
//!
//! Every count is added to all three at once, so a coarser one is always the exact sum of a finer one.

use crate::model::EventTime;

/// One resolution of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resolution {
    /// 10 seconds.
    Fine,
    /// 1 minute.
    Minute,
    /// 1 hour.
    Hour,
}

impl Resolution {
    /// Every resolution, finest first.
    pub(super) const ALL: [Self; 3] = [Self::Fine, Self::Minute, Self::Hour];

    /// Returns the length of a bucket.
    pub(super) const fn seconds(self) -> i64 {
        match self {
            Self::Fine => 10,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// Returns the start of the bucket that holds an instant, in seconds.
    pub(super) const fn bucket(self, at: EventTime) -> i64 {
        let second = at.seconds();
        second.saturating_sub(second.rem_euclid(self.seconds()))
    }

    /// Returns the end of the names of its tables.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Fine => "10s",
            Self::Minute => "1m",
            Self::Hour => "1h",
        }
    }

    /// Returns the meta key of the instant before which its buckets may be gone.
    pub(super) const fn horizon_key(self) -> &'static str {
        match self {
            Self::Fine => "complete_from_10s",
            Self::Minute => "complete_from_1m",
            Self::Hour => "complete_from_1h",
        }
    }
}
