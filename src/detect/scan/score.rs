//! The arithmetic of evidence: two-sample likelihood ratio, dispersion, the mixture Bayes factor.
//!
//! Pure functions of numbers; nothing here knows of time or signatures. Invariant: finite inputs
//! give finite scores, and a count at or below the expected never scores above zero.

use super::hull::Sums;
use super::params::Params;

/// Ratios that the version test mixes over.
const RATIOS: [f64; 6] = [1.6, 2.5, 4.0, 8.0, 20.0, 60.0];
/// Least common factor that the control may grant: at most half of a rise is explained away.
const CONTROL_FACTOR_MIN: f64 = 0.5;

/// What a version's scan needs to know of its series at one minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Minute dispersion.
    pub(crate) phi: f64,
    /// Dispersion with clusters longer than a minute.
    pub(crate) phi_long: f64,
    /// Relative variance of the rate at 10, 60, 240 minutes.
    pub(crate) drift: [f64; 3],
    /// Decayed events that the baseline rests on.
    pub(crate) strength: f64,
    /// Gamma shape of the expected count.
    pub(crate) shape: f64,
    /// Is the version a reference itself?
    pub(crate) reference: bool,
    pub(crate) t: i32,
}

/// A window's evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// After the penalty.
    pub(crate) score: f64,
    /// Before the penalty.
    pub(crate) raw: f64,
    pub(crate) count: f64,
    pub(crate) expected: f64,
    pub(crate) minutes: i32,
    /// Variance of the log ratio.
    pub(crate) variance: f64,
}

impl Frame {
    /// Gives the relative variance of a window of `minutes`.
    pub(crate) fn drift_over(&self, minutes: f64, p: &Params) -> f64 {
        let [ten, sixty, long] = self.drift;
        let own = if minutes <= 10.0 {
            ten
        } else if minutes <= 60.0 {
            sixty
        } else if minutes <= 240.0 {
            long
        } else {
            long * 240.0 / minutes.min(1440.0)
        };
        own + p.exposure_drift
    }

    /// Difference in differences: gives the common factor and the variance that is left.
    fn control(&self, cx: f64, cm: f64, drift: f64) -> (f64, f64) {
        if self.reference || cm <= 0.0 || drift <= 0.0 {
            return (1.0, drift);
        }
        let weight = self.phi / drift;
        let factor = ((weight + cx) / (weight + cm)).max(CONTROL_FACTOR_MIN);
        (factor, self.phi / (weight + cm))
    }

    /// Scores one window; none when it is not above the tested ratio.
    pub(crate) fn window(&self, window: &Sums, p: &Params) -> Option<Evidence> {
        let known = self.strength >= p.baseline_min;
        let events_min = if known { p.window_events_min } else { 2.0 };
        if window.x < events_min || window.n < p.window_buckets_min {
            return None;
        }
        let span = self.t - window.t + 1;
        let minutes = f64::from(span);
        let (factor, drift) = self.control(window.cx, window.cm, self.drift_over(minutes, p));
        let expected = (p.null_ratio * window.m).max(1e-6) * factor;
        if window.x <= expected {
            return None;
        }
        let shape = if !known {
            self.shape.max(p.prior_count)
        } else if self.reference && minutes > 60.0 {
            (self.shape - window.x).max(p.prior_count) // its own events are part of the baseline
        } else {
            self.shape
        };
        let r = expected / shape;
        let x = window.x;
        let ratio = x * (x * (1.0 + r) / ((x + shape) * r)).ln()
            + shape * (shape * (1.0 + r) / (x + shape)).ln();
        let phi = if minutes > 1.0 {
            self.phi_long
        } else {
            self.phi
        };
        let mut raw = ratio / phi.max(1.0);
        if drift > 0.0 {
            let log = (x / expected).ln();
            let limit = log * log / (2.0 * drift.ln_1p());
            raw = raw * limit / (raw + limit).max(1e-9);
        }
        let penalty = if known {
            let looks = (1440.0 / minutes.max(p.penalty_minutes_min)).ln_1p();
            p.penalty * looks.max(p.penalty_floor)
        } else {
            0.0
        };
        Some(Evidence {
            score: raw - penalty,
            raw,
            count: window.raw,
            expected: expected / p.null_ratio,
            minutes: span,
            variance: phi.max(1.0) / x + 1.0 / shape + drift,
        })
    }

    /// Gives the log Bayes factor of a version's whole life.
    pub(crate) fn life(&self, life: &Life, p: &Params) -> f64 {
        if life.n < 3 || life.x <= p.version_null_ratio * life.m {
            return 0.0;
        }
        let minutes = f64::from(self.t - life.from + 1).max(60.0);
        let over = self.drift_over(minutes, p);
        if over <= 0.0 {
            return 0.0; // too few events to know the rate's own variance: no test for life
        }
        let (factor, drift) = self.control(life.cx, life.cm, over);
        let m = (p.version_null_ratio * life.m * factor).max(1e-6);
        let own = if life.v > 0.0 {
            (life.m * life.m / life.v).max(p.prior_count)
        } else {
            p.prior_count
        };
        let shape = 1.0 / (1.0 / own + drift);
        let r = m / shape;
        let phi = self.phi_long.max(1.0);
        let mix: f64 = RATIOS
            .iter()
            .map(|ratio| {
                let log =
                    life.x * ratio.ln() - (life.x + shape) * ((1.0 + ratio * r) / (1.0 + r)).ln();
                (log / phi).min(60.0).exp() / 6.0
            })
            .sum();
        mix.max(1e-9).ln()
    }
}

/// A version's sums since its first minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Life {
    pub(crate) x: f64,
    pub(crate) m: f64,
    /// Sum of squared expectations over their shapes.
    pub(crate) v: f64,
    pub(crate) cx: f64,
    pub(crate) cm: f64,
    pub(crate) raw: f64,
    pub(crate) n: u32,
    pub(crate) from: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            phi: 1.0,
            phi_long: 1.0,
            drift: [0.003, 0.005, 0.01],
            strength: 100.0,
            shape: 100.0,
            reference: true,
            t: 29,
        }
    }

    #[test]
    fn more_events_give_more_evidence_and_fewer_than_expected_none() {
        let p = Params::default();
        let at = |x: f64| {
            frame().window(
                &Sums {
                    x,
                    m: 10.0,
                    n: 9,
                    ..Sums::default()
                },
                &p,
            )
        };
        assert!(at(9.0).is_none());
        let (low, high) = (at(20.0).unwrap(), at(40.0).unwrap());
        assert!(high.score > low.score && low.raw > low.score);
    }

    #[test]
    fn control_that_rose_as_well_takes_the_evidence_away() {
        let p = Params::default();
        let frame = Frame {
            reference: false,
            ..frame()
        };
        let alone = Sums {
            x: 30.0,
            m: 10.0,
            n: 9,
            cx: 100.0,
            cm: 100.0,
            ..Sums::default()
        };
        let shared = Sums { cx: 200.0, ..alone };
        let score = |w: &Sums| frame.window(w, &p).map_or(0.0, |e| e.raw);
        assert!(score(&shared) < 0.6 * score(&alone));
    }
}
