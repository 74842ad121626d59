//! The learned rate of one stream of counts by minute, with how much it scatters.
//!
//! Invariant: the state after a minute depends only on the counts of the minutes so far.

use serde::{Deserialize, Serialize};

/// Weight of the newest minute once enough were seen: a half-life of twelve hours.
const WEIGHT_MIN: f64 = 0.000_962;

/// A count above this many times the mean teaches no more than that.
const TEACH_MAX: f64 = 4.0;

/// Mean and dispersion of counts by minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Learned {
    mean: f64,
    /// Decayed sums of squared deviations and of expectations, for the dispersion.
    squares: f64,
    expected: f64,
    minutes: u32,
}

impl Learned {
    /// Learns from the count of one minute.
    pub(super) fn learn(&mut self, count: f64) {
        self.minutes = self.minutes.saturating_add(1);
        let taught = if self.minutes > 60 {
            count.min(TEACH_MAX * self.mean + 10.0)
        } else {
            count
        };
        if self.minutes > 10 {
            let keep = 1.0 - WEIGHT_MIN;
            self.squares = self.squares * keep + (taught - self.mean).powi(2);
            self.expected = self.expected * keep + self.mean;
        }
        let weight = (1.0 / f64::from(self.minutes)).max(WEIGHT_MIN);
        self.mean += (taught - self.mean) * weight;
    }

    /// Returns counts per minute.
    pub(super) const fn per_min(&self) -> f64 {
        self.mean
    }

    /// Returns the minutes that were learned from.
    pub(super) const fn minutes(&self) -> u32 {
        self.minutes
    }

    /// Returns variance over mean, at least 1.
    pub(super) fn dispersion(&self) -> f64 {
        // Prior of DETECTION_METHOD.md §1: 1.3 with the weight of 8 expected events.
        ((8.0 * 1.3 + self.squares) / (8.0 + self.expected)).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_mean_and_no_dispersion() {
        let mut rate = Learned::default();
        for _ in 0..600 {
            rate.learn(7.0);
        }
        assert!((rate.per_min() - 7.0).abs() < 1e-9);
        assert!((rate.dispersion() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_huge_minute_teaches_little() {
        let mut rate = Learned::default();
        for _ in 0..600 {
            rate.learn(1.0);
        }
        rate.learn(1e9);
        assert!(rate.per_min() < 1.1, "{}", rate.per_min());
    }
}
