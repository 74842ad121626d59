//! How severe the application says an event is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The severity of an event: syslog's eight names, with `Unknown` where the record names none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// The record names no level that we know.
    #[default]
    #[serde(rename = "-")]
    Unknown,
    /// Detail for developers.
    Debug,
    /// Normal operation.
    Info,
    /// Normal but significant.
    Notice,
    /// Something to look at.
    Warning,
    /// A request or job failed.
    Error,
    /// A component failed (fatal errors of PHP and HHVM are here).
    Critical,
    /// Action must be taken at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

/// The coarse severity that is part of a signature's identity, so that `ERROR` and `CRITICAL` of one
/// text stay one problem while `INFO` and `ERROR` do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LevelClass {
    /// No level.
    #[serde(rename = "-")]
    Unknown,
    /// Debug, info and notice.
    Info,
    /// Warning.
    Warning,
    /// Error and everything above.
    Error,
}

impl Level {
    /// Every level, mildest first.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// Returns the name that is shown and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "-",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
            Self::Alert => "ALERT",
            Self::Emergency => "EMERGENCY",
        }
    }

    /// Reads a level name in any of the usual spellings (`warn`, `WARNING`, `err`, `Fatal`, `panic`); `Unknown` otherwise.
    pub fn parse(text: &str) -> Self {
        const NAMES: [(&str, Level); 24] = [
            ("trace", Level::Debug),
            ("debug", Level::Debug),
            ("verbose", Level::Debug),
            ("info", Level::Info),
            ("informational", Level::Info),
            ("information", Level::Info),
            ("notice", Level::Notice),
            ("warn", Level::Warning),
            ("warning", Level::Warning),
            ("err", Level::Error),
            ("error", Level::Error),
            ("severe", Level::Error),
            ("crit", Level::Critical),
            ("critical", Level::Critical),
            ("fatal", Level::Critical),
            ("alert", Level::Alert),
            ("emerg", Level::Emergency),
            ("emergency", Level::Emergency),
            ("panic", Level::Emergency),
            ("dpanic", Level::Emergency),
            ("fine", Level::Debug),
            ("finer", Level::Debug),
            ("finest", Level::Debug),
            ("config", Level::Debug),
        ];
        let text = text.trim();
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map_or(Self::Unknown, |&(_, level)| level)
    }

    /// Returns the level of a syslog severity number, 0 (emergency) to 7 (debug).
    pub const fn from_syslog(severity: u8) -> Self {
        match severity {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            7 => Self::Debug,
            _ => Self::Unknown,
        }
    }

    /// Returns the coarse class that takes part in a signature's identity.
    pub const fn class(self) -> LevelClass {
        match self {
            Self::Unknown => LevelClass::Unknown,
            Self::Debug | Self::Info | Self::Notice => LevelClass::Info,
            Self::Warning => LevelClass::Warning,
            Self::Error | Self::Critical | Self::Alert | Self::Emergency => LevelClass::Error,
        }
    }
}

impl LevelClass {
    /// Returns the name that goes into a signature's identity; it may never change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "-",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
