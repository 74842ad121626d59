//! Learns which fingerprints of one channel are the same problem (stage 2).
//!
//! It must never depend on the order of fingerprints within a tick, never take a merge back by
//! itself and never hold more than its limits. Invariants: the id of a group is that of its oldest
//! fingerprint (first tick; ties: the smallest id), and every alias can say why it exists.

mod canon;
mod compare;
mod cover;
mod flat;
mod gap;
mod holes;
mod learner;
mod pattern;
mod run;
mod table;
mod tail;
mod token;

use serde::{Deserialize, Serialize};

pub use canon::canonical;
pub use compare::{Group, compare};
pub use learner::{Alias, Kept, Learner, Limits, Snapshot};
pub use pattern::{Pattern, prepared};

/// The rule by which two fingerprints were found to be one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Equal but for identifier-like and known values.
    Skeleton,
    /// Equal but for one position with enough different values.
    OneHole,
    /// Equal but for two positions with enough different values.
    TwoHoles,
    /// Equal but for a free text behind an anchor.
    Tail,
    /// Equal but for a name of one to four tokens.
    Gap,
    /// One is covered by the other, more general one.
    Cover,
    /// Equal once structured values are one token each.
    Structure,
}

/// Why a template was generalised.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    rule: Rule,
    evidence: String,
}

#[cfg(test)]
mod tests;
