//! Event time: when a thing happened, by the record's own word.
//!
//! Time is an argument everywhere below `node`; nothing here reads a clock.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length in seconds of the buckets in which counts are kept.
// 10 s: short enough that a new error is said within two buckets, long enough that a quiet channel costs little.
pub const BUCKET_SECONDS: i64 = 10;

/// Length in seconds of the buckets that the rate scan reads (six count buckets).
pub const SCAN_SECONDS: i64 = 60;

/// An instant in milliseconds since the Unix epoch, UTC.
///
/// In JSON it is an RFC 3339 text with milliseconds; in compact formats it is the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// The earliest instant; smaller than every real one.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant; larger than every real one.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes an instant from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes an instant from seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the start of the bucket of `seconds` that holds this instant.
    #[must_use]
    pub const fn floor(self, seconds: i64) -> Self {
        let width = seconds * 1000;
        Self(self.0.div_euclid(width).saturating_mul(width))
    }

    /// Returns the instant `seconds` later (earlier if negative); saturates at the ends of time.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Returns the instant `millis` later (earlier if negative); saturates at the ends of time.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns how many milliseconds lie between `earlier` and this instant; negative if it is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 text such as `2016-01-20T01:20:03.5Z`; `None` if it is none.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<Timestamp>()
            .ok()
            .map(|it| Self(it.as_millisecond()))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(at) if self.0 % 1000 == 0 => write!(f, "{at:.0}"),
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
            Self::parse_rfc3339(&text).ok_or_else(|| {
                serde::de::Error::custom("expected an RFC 3339 time such as 2016-01-19T23:14:07Z")
            })
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_starts_at_or_before_its_events_even_before_1970() {
        assert_eq!(
            EventTime::from_millis(-1).floor(10),
            EventTime::from_millis(-10_000)
        );
        assert_eq!(
            EventTime::from_millis(19_999).floor(10),
            EventTime::from_millis(10_000)
        );
    }

    #[test]
    fn json_shows_rfc_3339_and_reads_it_back() {
        let at = EventTime::parse_rfc3339("2016-01-19T23:14:07Z").unwrap();
        assert_eq!(
            serde_json::to_string(&at).unwrap(),
            "\"2016-01-19T23:14:07Z\""
        );
        let back: EventTime = serde_json::from_str("\"2016-01-19T23:14:07.250Z\"").unwrap();
        assert_eq!(back.millis_since(at), 250);
    }

    #[test]
    fn compact_formats_hold_the_number() {
        let at = EventTime::from_millis(1_453_245_247_250);
        let bytes = postcard::to_stdvec(&at).unwrap();
        assert_eq!(postcard::from_bytes::<EventTime>(&bytes).unwrap(), at);
    }
}
