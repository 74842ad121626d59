//! Thresholds of detection, with their defaults and where those come from.

use serde::Deserialize;

use super::RuleProblem;

/// Thresholds of detection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectRules {
    /// Milliseconds by which records may come out of order within a partition before they count as late.
    pub disorder_max_ms: i64,
}

impl Default for DetectRules {
    fn default() -> Self {
        Self {
            // 5 s: RELIABILITY.md §3, "late".
            disorder_max_ms: 5_000,
        }
    }
}

impl DetectRules {
    pub(super) fn check(&self, problems: &mut Vec<RuleProblem>) {
        if !(0..=600_000).contains(&self.disorder_max_ms) {
            problems.push(RuleProblem::new(format!(
                "[detect] disorder_max_ms = {} is outside 0..=600000",
                self.disorder_max_ms
            )));
        }
    }
}
