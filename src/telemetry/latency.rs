//! Latency from a record's own time stamp to each stage, as histograms that keep quantiles exact to 1 %.

use std::sync::Mutex;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, in milliseconds: one day.
const MILLIS_MAX: u64 = 86_400_000;

/// Upper bounds of the buckets of `detect_latency_seconds`.
pub(super) const BUCKETS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A place that a record passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was appended to the source.
    Arrive,
    /// It was counted and committed.
    Count,
    /// The alert about it was handed over.
    Alert,
}

impl Stage {
    /// Every stage, in the order in which a record passes them.
    pub const ALL: [Self; 3] = [Self::Arrive, Self::Count, Self::Alert];

    /// Returns the name used in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrive => "arrive",
            Self::Count => "count",
            Self::Alert => "alert",
        }
    }
}

/// Latency of one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageLatency {
    /// Stage.
    pub stage: Stage,
    /// Records measured.
    pub records: u64,
    /// Sum in seconds.
    pub sum_seconds: f64,
    /// Half of the records were faster.
    pub p50_seconds: f64,
    /// 99 % of the records were faster.
    pub p99_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
    /// Records at or below each bound of the metric's buckets.
    #[serde(skip)]
    pub buckets: Vec<(f64, u64)>,
}

/// Latencies of every stage.
#[derive(Debug)]
pub struct Latencies {
    stages: Mutex<[Histogram<u64>; Stage::ALL.len()]>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// Makes empty histograms.
    ///
    /// # Panics
    /// Never: the bounds are constants that are valid.
    pub fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "two digits up to a day are valid bounds"
        )]
        let empty =
            || Histogram::new_with_max(MILLIS_MAX, 2).expect("bounds of the histogram are valid");
        Self {
            stages: Mutex::new([empty(), empty(), empty()]),
        }
    }

    /// Adds `records` records that took `millis`.
    pub fn record(&self, stage: Stage, millis: u64, records: u64) {
        let mut stages = self
            .stages
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(histogram) = stages.get_mut(stage as usize) {
            histogram.saturating_record_n(millis.min(MILLIS_MAX), records);
        }
    }

    /// Returns the latency of every stage that has seen a record.
    pub fn stages(&self) -> Vec<StageLatency> {
        let stages = self
            .stages
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Stage::ALL
            .iter()
            .zip(stages.iter())
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(&stage, histogram)| describe(stage, histogram))
            .collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds of at most a day are exact in a float"
)]
fn describe(stage: Stage, histogram: &Histogram<u64>) -> StageLatency {
    let records = histogram.len();
    let seconds = |millis: u64| millis as f64 / 1000.0;
    StageLatency {
        stage,
        records,
        sum_seconds: histogram.mean() * records as f64 / 1000.0,
        p50_seconds: seconds(histogram.value_at_quantile(0.5)),
        p99_seconds: seconds(histogram.value_at_quantile(0.99)),
        max_seconds: seconds(histogram.max()),
        buckets: BUCKETS
            .iter()
            .map(|&bound| (bound, histogram.count_between(0, (bound * 1000.0) as u64)))
            .collect(),
    }
}
