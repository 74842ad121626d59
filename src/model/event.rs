//! A record as the source delivers it, and the event that decoding makes of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{DeployMarker, EventTime, ExposureRecord, Level};

/// Bytes from a source, with their place in it.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Position of this record in its partition: a Kafka offset, or the byte where a line starts.
    pub offset: u64,
    /// Position after this record; what is stored to go on from.
    pub next_offset: u64,
    /// The bytes; `None` is a Kafka tombstone.
    pub payload: Option<&'a [u8]>,
    /// When the record was appended to the log (Kafka's time stamp, or the reader's clock for files).
    pub arrived: EventTime,
}

/// A decoded event. Text is borrowed from the record wherever the record holds it verbatim.
#[derive(Clone, Debug, Default)]
pub struct LogEvent<'a> {
    /// When it happened; `None` if the record does not say (the arrival time is used then).
    pub time: Option<EventTime>,
    /// Logger channel such as `session`; empty if the record names none.
    pub channel: Cow<'a, str>,
    /// Severity.
    pub level: Level,
    /// Version of the deployed code; empty if unknown.
    pub version: Cow<'a, str>,
    /// Rollout group; empty if unknown.
    pub group: Cow<'a, str>,
    /// Service; empty means the rules' default.
    pub service: Cow<'a, str>,
    /// Host that logged it; empty if unknown.
    pub host: Cow<'a, str>,
    /// The message as logged.
    pub message: Cow<'a, str>,
    /// The template that the application itself gives (`normalized_message`, PSR-3 text with placeholders); empty if none.
    pub normalized: Cow<'a, str>,
    /// The exception, if the record carries one as a structure.
    pub exception: Option<ExceptionInfo<'a>>,
    /// Request id; empty if none.
    pub request_id: Cow<'a, str>,
    /// URL of the request; empty if none.
    pub url: Cow<'a, str>,
    /// Captured context fields: index into the rules' list of captured fields, and the value.
    pub context: SmallVec<[(u16, Cow<'a, str>); 8]>,
    /// How many equal events this record stands for (rsyslog's "message repeated N times"); at least 1.
    pub repeat: u32,
    /// What was odd about the record.
    pub flags: Flags,
}

/// An exception as a structure.
#[derive(Clone, Debug, Default)]
pub struct ExceptionInfo<'a> {
    /// Class name.
    pub class: Cow<'a, str>,
    /// Message of the exception.
    pub message: Cow<'a, str>,
    /// `path:line` where it was thrown; empty if unknown.
    pub file: Cow<'a, str>,
    /// Stack trace text; empty if none.
    pub trace: Cow<'a, str>,
}

/// What decoding finds in a record.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events; a box would cost an allocation each"
)]
pub enum Decoded<'a> {
    /// A log event.
    Event(LogEvent<'a>),
    /// A deploy marker that travels in the stream.
    Marker(DeployMarker),
    /// An exposure count that travels in the stream.
    Exposure(ExposureRecord),
}

/// Why a record was not counted. A closed list: every drop has one of these reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Not JSON, or not the dialect's line shape.
    Syntax,
    /// Nested deeper than 127 levels.
    Depth,
    /// JSON, but not an object.
    NotObject,
    /// Not text in any encoding that we read.
    Encoding,
    /// More than seven days behind its partition.
    TooOld,
    /// A time that cannot be one, such as the year 9999.
    BadTime,
    /// Dropped by a rule, on purpose.
    Filtered,
    /// A Kafka tombstone (no value).
    Tombstone,
    /// A record that stopped the process three times and was stepped over.
    InternalError,
}

impl Rejection {
    /// Every reason, in the order in which tables show them.
    pub const ALL: [Self; 9] = [
        Self::Syntax,
        Self::Depth,
        Self::NotObject,
        Self::Encoding,
        Self::TooOld,
        Self::BadTime,
        Self::Filtered,
        Self::Tombstone,
        Self::InternalError,
    ];

    /// Returns the name used in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Depth => "depth",
            Self::NotObject => "not_object",
            Self::Encoding => "encoding",
            Self::TooOld => "too_old",
            Self::BadTime => "bad_time",
            Self::Filtered => "filtered",
            Self::Tombstone => "tombstone",
            Self::InternalError => "internal_error",
        }
    }

    /// Tells whether somebody asked for this drop.
    pub const fn intentional(self) -> bool {
        matches!(self, Self::Filtered | Self::Tombstone)
    }

    /// Returns the place of this reason in [`Rejection::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// One oddity of a record that was counted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Invalid UTF-8 was replaced.
    Lossy,
    /// A JSON key stood twice; the last one won.
    DupKey,
    /// Longer than the text that is looked at.
    Oversize,
    /// Its time lay in the future and was set to the arrival time.
    FutureClamped,
    /// It names no version.
    NoVersion,
}

impl Flag {
    /// Every flag, in the order in which tables show them.
    pub const ALL: [Self; 5] = [
        Self::Lossy,
        Self::DupKey,
        Self::Oversize,
        Self::FutureClamped,
        Self::NoVersion,
    ];

    /// Returns the name used in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lossy => "lossy",
            Self::DupKey => "dup_key",
            Self::Oversize => "oversize",
            Self::FutureClamped => "future_clamped",
            Self::NoVersion => "no_version",
        }
    }
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags(u8);

impl Flags {
    /// Adds a flag.
    pub const fn insert(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u8;
    }

    /// Tells whether a flag is in the set.
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Tells whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
