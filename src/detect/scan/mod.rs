//! The detector core: exposure-clock `FOCuS` 2, event-driven.
//!
//! Per-minute counts of (signature, version, group) and exposure of (version, group) go in, firings
//! come out. Pure: no clock, no file, no thread, no log text — signatures, versions and groups are
//! numbers that the caller gives. Invariants: the firings of a minute depend on the set of its
//! counts, not on their order; work per minute follows the signatures with events and the timers
//! that are due, not the number of series; a detector restored from its parts goes on exactly.

pub mod backtest;
mod clock;
mod detector;
mod hull;
mod ledger;
mod noise;
mod params;
mod profile;
mod rate;
mod score;
mod self_exposure;
mod series;
mod version;

pub use detector::{Detector, Globals};
pub use params::{Params, SELF_EXPOSURE_DRIFT};
pub use self_exposure::SelfExposure;
pub use series::Series;

use serde::{Deserialize, Serialize};

/// The traffic that one version served on one group in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellExposure {
    /// The caller's number of the version.
    pub version: u32,
    /// The caller's number of the group.
    pub group: u32,
    /// Requests, or any unit that is proportional to them; not positive or not finite means none.
    pub exposure: f64,
}

/// The events of one signature on one (version, group) in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellCount {
    /// The caller's number of the signature.
    pub signature: u32,
    /// The caller's number of the version.
    pub version: u32,
    /// The caller's number of the group.
    pub group: u32,
    /// Events; zero is ignored.
    pub count: u32,
}

/// What a firing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A known signature above its baseline.
    Spike,
    /// A signature without a baseline.
    New,
    /// A signature that stopped while its traffic did not.
    Silent,
    /// A later version is worse over its whole life.
    Regressed,
    /// An earlier firing is over (`Firing::ends`), or (`ends` empty) a later version has lost a
    /// signature that the references still have.
    Resolved,
}

/// One transition, renewal or end of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// Minute (since the epoch) whose close decided.
    pub t_minute: i64,
    /// The caller's number of the signature.
    pub signature: u32,
    /// The caller's number of the version.
    pub version: u32,
    /// What is said.
    pub kind: Kind,
    /// Which kind ended, when `kind` is `Resolved` and a firing ended.
    pub ends: Option<Kind>,
    /// False on the transition to firing, true when a ringing alarm crossed again.
    pub renewal: bool,
    /// Whether the evidence passes the page threshold.
    pub page: bool,
    /// Evidence in nats, after the penalty.
    pub score: f64,
    /// The deciding window, minutes.
    pub window_minutes: u32,
    /// Events in the window.
    pub count: f64,
    /// Events expected in the window.
    pub expected: f64,
    /// `count / expected`.
    pub ratio: f64,
    /// Lower end of the ratio's 90 % interval.
    pub ratio_low: f64,
    /// Upper end of the ratio's 90 % interval.
    pub ratio_high: f64,
}

/// Minutes since the epoch as the detector holds them.
fn narrow(t_minute: i64) -> i32 {
    i32::try_from(t_minute).unwrap_or(if t_minute < 0 {
        i32::MIN / 2
    } else {
        i32::MAX / 2
    })
}

#[cfg(test)]
mod tests;
