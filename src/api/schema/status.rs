//! Shapes of the status.

use utoipa::ToSchema;

/// Whether what pages show can be trusted as current.
#[derive(ToSchema)]
pub(in crate::api) struct Freshness {
    /// `fresh`, `degraded`, `empty` or `stale`.
    level: String,
    /// Largest lag over the partitions, in seconds.
    lag_seconds: Option<f64>,
    /// What is wrong, worst first.
    reasons: Vec<String>,
}

/// One source partition.
#[derive(ToSchema)]
pub(in crate::api) struct PartitionStatus {
    /// Name of the source.
    source: String,
    /// Topic or file.
    topic: String,
    /// Partition.
    partition: i32,
    /// Next position to read.
    next: u64,
    /// Position after the last record that the source has.
    end: Option<u64>,
    /// Records not read yet.
    lag_records: Option<u64>,
    /// Arrival time minus event time of what was read last.
    lag_seconds: Option<f64>,
    /// Event time up to which it is complete.
    #[schema(format = DateTime)]
    watermark: Option<String>,
    /// Whether somebody reads it.
    assigned: bool,
    /// Whether others do not wait for it.
    idle: bool,
    /// What is wrong with it; empty if nothing.
    problem: String,
}

/// The store.
#[derive(ToSchema)]
pub(in crate::api) struct StoreStatus {
    /// Where it is.
    path: String,
    /// Size on disk.
    size_bytes: u64,
    /// When the last checkpoint was written.
    #[schema(format = DateTime)]
    checkpoint_at: Option<String>,
    /// How long it took.
    checkpoint_millis: Option<u64>,
    /// Why nothing is written now; empty if all is well.
    problem: String,
    /// When the last snapshot was written.
    #[schema(format = DateTime)]
    snapshot_at: Option<String>,
    /// Why the last snapshot could not be written; empty if it was.
    snapshot_problem: String,
}

/// One Alertmanager or webhook.
#[derive(ToSchema)]
pub(in crate::api) struct TargetStatus {
    /// Place in the configuration.
    index: usize,
    /// `alertmanager` or `webhook`.
    kind: String,
    /// Address without credentials.
    address: String,
    /// Notifications accepted.
    sent: u64,
    /// Notifications that failed.
    errors: u64,
    /// Notifications waiting.
    queued: u64,
    /// Last success.
    #[schema(format = DateTime)]
    success_at: Option<String>,
    /// The last error; empty if none.
    problem: String,
}

/// The rules in force.
#[derive(ToSchema)]
pub(in crate::api) struct RulesStatus {
    /// Short hash of their text.
    hash: String,
    /// When they were loaded.
    #[schema(format = DateTime)]
    loaded_at: Option<String>,
    /// Why the last reload was refused; empty if it was not.
    problem: String,
}

/// Latency of one stage.
#[derive(ToSchema)]
pub(in crate::api) struct StageLatency {
    /// `arrive`, `count` or `alert`.
    stage: String,
    /// Records measured.
    records: u64,
    /// Sum in seconds.
    sum_seconds: f64,
    /// Half of the records were faster.
    p50_seconds: f64,
    /// 99 % of the records were faster.
    p99_seconds: f64,
    /// The slowest.
    max_seconds: f64,
}
