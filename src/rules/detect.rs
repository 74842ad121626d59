//! Thresholds of detection, with their defaults and where those come from.

use serde::Deserialize;

use super::RuleProblem;

/// Thresholds of detection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectRules {
    /// Milliseconds by which records may come out of order within a partition before they count as late.
    pub disorder_max_ms: i64,
    /// Seconds of event time after the first event during which everything is taken for known, unless a marker says that its version is new.
    pub learn_seconds: i64,
    /// Events that a new signature needs before it is told.
    pub new_events_min: u64,
    /// Events a second from which a new signature is told at the close of its second bucket.
    pub new_per_second: f64,
    /// Evidence in nats that a slower new signature needs on a release deployed after the baseline.
    pub new_evidence: f64,
    /// Evidence in nats that a new signature needs where no release explains it.
    pub new_evidence_unexplained: f64,
    /// Seconds after its first event after which a signature that was never told is simply known.
    pub new_within_seconds: i64,
    /// New signatures of one version and group at once that are told as one storm.
    pub storm_new_max: usize,
    /// Least seconds without an event after which an alert about a signature is over.
    pub resolve_after_seconds: i64,
    /// Days without an event after which a signature that comes back is told as resurfaced.
    pub resurfaced_after_days: i64,
    /// Expected events over dispersion without a record that make a channel silent.
    pub silent_channel_expected: f64,
    /// Least seconds without a record before a channel is silent.
    pub silent_channel_seconds_min: i64,
    /// Expected events over dispersion without a record that make a host silent.
    pub silent_host_expected: f64,
    /// Least seconds without a record before a host is silent.
    pub silent_host_seconds_min: i64,
    /// Times its baseline from which a channel at one level is a flood.
    pub flood_ratio: f64,
    /// Records a minute below which nothing is a flood, unless a budget says so.
    pub flood_per_minute_min: f64,
    /// Bytes a day from which a flood without a budget is more than information.
    pub flood_bytes_per_day: f64,
    /// Share of a signature's recent events on one host from which the host is suspected.
    pub bad_host_share: f64,
    /// Recent events on that host that are needed.
    pub bad_host_events_min: u64,
    /// Other hosts that run the same version without the error that are needed.
    pub bad_host_clean_min: usize,
    /// Evidence in nats that the errors of a release in one group need to be called regressed.
    pub errors_evidence: f64,
    /// Times the reference's rate that the errors of a release in one group need.
    pub errors_ratio_min: f64,
    /// Errors in the window that are needed.
    pub errors_events_min: u64,
    /// Standard errors by which the share of a watched field's value has to differ.
    pub mix_z: f64,
    /// Events on each side that a share needs.
    pub mix_events_min: u64,
    /// Events in its window that a rise of a signature needs.
    pub rise_events_min: u64,
    /// Dashboard threshold of the rate scan in nats.
    pub scan_threshold: f64,
    /// Page threshold of the rate scan in nats: from there a rise is more than information.
    pub scan_page: f64,
    /// Times its expected rate that a rise needs before anybody is told more than information.
    pub scan_page_ratio: f64,
}

impl Default for DetectRules {
    fn default() -> Self {
        Self {
            // 5 s: RELIABILITY.md §3, "late".
            disorder_max_ms: 5_000,
            // An hour: long enough that whatever is logged more than every few minutes has been seen.
            learn_seconds: 3_600,
            // One request with its retries is not a trend.
            new_events_min: 4,
            // Half of the promised 1/s, so that a Poisson stream of 1/s passes nearly always.
            new_per_second: 0.5,
            // DETECTION_METHOD.md: h_new = 10.
            new_evidence: 10.0,
            // Three times that: nothing but the error itself speaks for it.
            new_evidence_unexplained: 30.0,
            new_within_seconds: 86_400,
            // UX.md §7.
            storm_new_max: 20,
            // Five minutes: Alertmanager's own resolve_timeout.
            resolve_after_seconds: 300,
            resurfaced_after_days: 7,
            // DETECTION_METHOD.md §4: 12 for a signature; channels are few and matter more to be right about.
            silent_channel_expected: 20.0,
            silent_channel_seconds_min: 120,
            // Hundreds of hosts are looked at every minute: 1e-10 a look leaves one false alarm in decades.
            silent_host_expected: 24.0,
            silent_host_seconds_min: 900,
            flood_ratio: 10.0,
            flood_per_minute_min: 40.0,
            // 10 GB: a tenth of what filled the disk in the incident of January 2016.
            flood_bytes_per_day: 1e10,
            bad_host_share: 0.9,
            bad_host_events_min: 20,
            bad_host_clean_min: 5,
            errors_evidence: 12.0,
            errors_ratio_min: 3.0,
            errors_events_min: 20,
            mix_z: 6.0,
            mix_events_min: 30,
            // Fewer is one request with its retries, whatever the ratio.
            rise_events_min: 5,
            // DETECTION_METHOD.md §2.
            scan_threshold: 5.0,
            scan_page: 7.5,
            scan_page_ratio: 3.0,
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
        for (name, seconds) in [
            ("learn_seconds", self.learn_seconds),
            ("new_within_seconds", self.new_within_seconds),
            ("resolve_after_seconds", self.resolve_after_seconds),
            (
                "silent_channel_seconds_min",
                self.silent_channel_seconds_min,
            ),
            ("silent_host_seconds_min", self.silent_host_seconds_min),
        ] {
            if !(0..=31_536_000).contains(&seconds) {
                problems.push(RuleProblem::new(format!(
                    "[detect] {name} = {seconds} is outside 0..=31536000 (a year)"
                )));
            }
        }
        for (name, value) in [
            ("new_per_second", self.new_per_second),
            ("new_evidence", self.new_evidence),
            ("new_evidence_unexplained", self.new_evidence_unexplained),
            ("silent_channel_expected", self.silent_channel_expected),
            ("silent_host_expected", self.silent_host_expected),
            ("flood_ratio", self.flood_ratio),
            ("flood_bytes_per_day", self.flood_bytes_per_day),
            ("flood_per_minute_min", self.flood_per_minute_min),
            ("errors_evidence", self.errors_evidence),
            ("errors_ratio_min", self.errors_ratio_min),
            ("mix_z", self.mix_z),
            ("scan_threshold", self.scan_threshold),
            ("scan_page", self.scan_page),
            ("scan_page_ratio", self.scan_page_ratio),
        ] {
            if !(value.is_finite() && value > 0.0) {
                problems.push(RuleProblem::new(format!(
                    "[detect] {name} = {value} has to be a number above 0"
                )));
            }
        }
        if !(0.5..=1.0).contains(&self.bad_host_share) {
            problems.push(RuleProblem::new(format!(
                "[detect] bad_host_share = {} is outside 0.5..=1",
                self.bad_host_share
            )));
        }
    }
}
