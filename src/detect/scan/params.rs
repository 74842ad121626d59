//! The detector's parameters: one struct, every field with its unit, its default and the reason.
//!
//! It must never hold state. Invariant: `Params::default()` is the tuned point that the figures of
//! the project's benchmark belong to; a parameter file only has to name what differs.

use serde::{Deserialize, Serialize};

/// Holds every number that the detector can be tuned by.
///
/// "Nats" are natural-log likelihood units. Defaults were chosen on development worlds 1–10 of the
/// two simulators in `bench/detect` and reported on worlds 11–20.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Threshold of the scan for the dashboard, nats after the penalty. 3.5: about 4.5 false alarms
    /// per 1000 series-days on the first simulator, 11 on the second.
    pub spike: f64,
    /// Threshold of the scan for a page, nats: about a third of the dashboard's false alarms.
    pub spike_page: f64,
    /// Threshold for a signature without a baseline, nats without a penalty.
    pub new: f64,
    /// Page threshold for a signature without a baseline, nats.
    pub new_page: f64,
    /// Threshold of the version test, log Bayes factor. 4: one look-elsewhere factor per version.
    pub version: f64,
    /// Page threshold of the version test.
    pub version_page: f64,
    /// Expected events over dispersion in an empty stretch that say "silent".
    pub silence: f64,
    /// Factor on all thresholds until two reference days are seen.
    pub young: f64,
    /// Weight of the multiplicity penalty of short windows.
    pub penalty: f64,
    /// Least value of the penalty's logarithm.
    pub penalty_floor: f64,
    /// Shortest window that the penalty tells apart, minutes.
    pub penalty_minutes_min: f64,
    /// A window is kept only while its count is above this multiple of the expected.
    pub interest_ratio: f64,
    /// The ratio that a window's rise is tested against (1.1: a tenth more is nobody's incident).
    pub null_ratio: f64,
    /// The ratio that the version test is against.
    pub version_null_ratio: f64,
    /// A silence is not said before this multiple of the signature's longest earlier empty
    /// stretch, both in expected events.
    pub silence_gap_ratio: f64,
    /// Minutes without a run after which an hourly job is silent: two runs and a margin.
    pub job_minutes: i32,
    /// Longest window, minutes.
    pub window_minutes_max: i32,
    /// Most hull points per signature and version.
    pub hull_points_max: usize,
    /// Distinct minutes with events that a window needs.
    pub window_buckets_min: u32,
    /// Guarded events that a window needs where a baseline exists.
    pub window_events_min: f64,
    /// Weight (pseudo-events) that draws a group's rate to the signature's.
    pub kappa: f64,
    /// A group with a small share of the exposure is expected at the signature's rate times
    /// (1 / share) to this power until it has its own events: what few requests make is rarely in
    /// proportion. Zero: in proportion.
    pub thin_group_power: f64,
    /// Prior events of a signature's rate.
    pub prior_count: f64,
    /// Expected-event strength (decayed count) below which a signature has no baseline.
    pub baseline_min: f64,
    /// Half-life of the baseline, days.
    pub half_life_days: f64,
    /// Half-life of the dispersion estimates, days.
    pub dispersion_half_life_days: f64,
    /// Prior of the minute dispersion (variance over mean).
    pub phi: f64,
    /// Weight of that prior, expected events.
    pub phi_weight: f64,
    /// Prior relative variance of the rate at 10, 60 and 240 minutes.
    pub drift: [f64; 3],
    /// Expected events of a ten-minute block at which half of its excess dispersion is taken as
    /// clusters (additive) and half as drift (multiplicative).
    pub cluster_events: f64,
    /// Weight of the drift prior, blocks.
    pub drift_weight: f64,
    /// Cap of one block's relative deviation.
    pub drift_cap: f64,
    /// The same cap as a multiple of the present estimate.
    pub drift_cap_ratio: f64,
    /// Relative variance of the exposure itself: 0 for request counts; see `SELF_EXPOSURE_DRIFT`.
    pub exposure_drift: f64,
    /// A bucket above expected + this many standard deviations counts on a log scale.
    pub clump: f64,
    /// Hour profile: shrinkage, expected events.
    pub profile_weight: f64,
    /// Hour profile: significance (z of the daily harmonic) from which it is used.
    pub profile_z: f64,
    /// Baseline commit: an hour whose best raw score reaches this waits, nats.
    pub hold: f64,
    /// Minutes after which a waiting baseline is committed anyway, and after which a ringing alarm
    /// is learned: a day.
    pub hold_minutes_max: i32,
    /// Minutes without a new crossing after which an alarm ends.
    pub ring_minutes: i32,
    /// Minutes above half of all exposure after which a later version becomes a reference: a day.
    pub reference_minutes: u32,
    /// Minutes of reference exposure before anything but `new` on a later version is said: a day.
    pub warm_minutes: u32,
    /// Tail calibration: hourly maxima above this, nats, are excesses.
    pub tail_from: f64,
    /// Tail calibration: prior weight, excesses of mean one.
    pub tail_weight: f64,
    /// Tail calibration: cap of one excess, nats.
    pub tail_cap: f64,
    /// Tail calibration: windows up to this long count on every version, longer ones (which a true
    /// regression fills for hours) on references only, minutes.
    pub tail_minutes: i32,
    /// Tail calibration: nats added to the threshold per unit of excess scale.
    pub tail_gain: f64,
    /// Days without any event after which a series is forgotten (ten baseline half-lives).
    pub forget_days: i32,
}

/// Relative variance of exposure estimated from the logs alone: about 5.5 % squared.
pub const SELF_EXPOSURE_DRIFT: f64 = 0.003;

impl Default for Params {
    fn default() -> Self {
        Self {
            spike: 3.5,
            spike_page: 6.0,
            new: 10.0,
            new_page: 12.0,
            version: 4.0,
            version_page: 6.0,
            silence: 12.0,
            young: 1.2,
            penalty: 1.6,
            penalty_floor: 0.7,
            penalty_minutes_min: 2.0,
            interest_ratio: 1.1,
            null_ratio: 1.1,
            version_null_ratio: 1.25,
            silence_gap_ratio: 1.5,
            job_minutes: 130,
            window_minutes_max: 2880,
            hull_points_max: 48,
            window_buckets_min: 2,
            window_events_min: 3.0,
            kappa: 0.3,
            thin_group_power: 0.2,
            prior_count: 0.3,
            baseline_min: 0.5,
            half_life_days: 3.0,
            dispersion_half_life_days: 5.0,
            phi: 1.3,
            phi_weight: 8.0,
            drift: [0.003, 0.005, 0.01],
            cluster_events: 8.0,
            drift_weight: 3.0,
            drift_cap: 2.0,
            drift_cap_ratio: 12.0,
            exposure_drift: 0.0,
            clump: 1.2,
            profile_weight: 40.0,
            profile_z: 4.0,
            hold: 4.0,
            hold_minutes_max: 1440,
            ring_minutes: 60,
            reference_minutes: 1440,
            warm_minutes: 1440,
            tail_from: 3.0,
            tail_weight: 5.0,
            tail_cap: 6.0,
            tail_minutes: 60,
            tail_gain: 5.0,
            forget_days: 30,
        }
    }
}

impl Params {
    /// Gives the per-minute decay of the baseline.
    pub(crate) fn baseline_decay(&self) -> f64 {
        0.5_f64.powf(1.0 / (self.half_life_days * 1440.0))
    }

    /// Gives the per-minute decay of the dispersion estimates.
    pub(crate) fn dispersion_decay(&self) -> f64 {
        0.5_f64.powf(1.0 / (self.dispersion_half_life_days * 1440.0))
    }
}
