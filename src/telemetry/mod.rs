//! Our own metrics and status: every name of `/metrics` is declared here and nowhere else.
//!
//! It must never take a label value from message text, and never read a clock: figures come in as
//! arguments. Invariant: whatever producers send, a scrape has at most 5,000 series ([`LabelGuard`]).

mod guard;
mod latency;
mod scrape;
mod status;

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::model::{CountBatch, EventTime, Level, LevelClass, Rejection};

pub use guard::{Label, LabelGuard};
pub use latency::{Latencies, Stage, StageLatency};
pub use scrape::{Anomaly, ChannelGauge, Snapshot};
pub use status::{
    Freshness, FreshnessLevel, Mode, PartitionStatus, RulesStatus, Status, StoreStatus,
    TargetStatus,
};

/// The status that `node` writes and everybody else reads.
pub type SharedStatus = Arc<RwLock<Status>>;

/// Distinct label sets of `errors_total`; past it the channel becomes `_other`.
// 1,200 + 4 severities × 9 versions × 17 groups stay well under the 5,000 series of one scrape.
const ERROR_SETS_MAX: usize = 1_200;

/// Distinct label sets of the deploy metrics.
const DEPLOY_SETS_MAX: usize = 100;

/// Distinct partitions with series of their own.
const PARTITION_SETS_MAX: usize = 200;

/// A metric could not be declared: a programming error that shows at start-up.
#[derive(Debug, thiserror::Error)]
#[error("cannot declare the metrics")]
pub struct TelemetryError(#[from] prometheus::Error);

/// Every metric of this process, in registries of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: Registry,
    guard: LabelGuard,
    latencies: Arc<Latencies>,
    snapshot: Arc<RwLock<Snapshot>>,
    events: IntCounterVec,
    event_bytes: IntCounterVec,
    errors: IntCounterVec,
    rejected: IntCounterVec,
    letters: IntCounterVec,
    partition_records: IntCounterVec,
    new_signatures: IntCounterVec,
    deploys: IntCounterVec,
    deploy_time: IntGaugeVec,
    checkpoint_seconds: Histogram,
    http_seconds: HistogramVec,
}

impl Metrics {
    /// Declares every metric; gauges about the pipeline are read from `status` at scrape time.
    pub fn new(status: SharedStatus) -> Result<Self, TelemetryError> {
        let registry = Registry::new_custom(Some("fatalmonitor".into()), None)?;
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self()))?;
        let latencies = Arc::new(Latencies::new());
        let snapshot = Arc::new(RwLock::new(Snapshot::default()));
        registry.register(Box::new(scrape::ScrapeCollector::new(
            status,
            Arc::clone(&snapshot),
            Arc::clone(&latencies),
        )?))?;
        let counter = |name, help, labels: &[&str]| declare(&registry, name, help, labels);
        let overflow = counter(
            "label_overflow_total",
            "Values that became _other because their label was full.",
            &["label"],
        )?;
        let metrics = Self {
            guard: LabelGuard::new(overflow),
            latencies,
            snapshot,
            events: counter(
                "events_total",
                "Records by channel and what became of them.",
                &["channel", "outcome"],
            )?,
            event_bytes: counter(
                "event_bytes_total",
                "Bytes of records by channel.",
                &["channel"],
            )?,
            errors: counter(
                "errors_total",
                "Normalised error events.",
                &["channel", "severity", "version", "group"],
            )?,
            rejected: counter(
                "records_rejected_total",
                "Records not counted, by reason.",
                &["reason", "intentional"],
            )?,
            letters: letters_counter(&registry)?,
            partition_records: counter(
                "partition_records_total",
                "Records by source partition; read = counted + capped + rejected.",
                &["topic", "partition", "outcome"],
            )?,
            new_signatures: counter(
                "new_signatures_total",
                "Signatures seen for the first time.",
                &["version", "group"],
            )?,
            deploys: counter(
                "deploys_total",
                "Deploy markers.",
                &["service", "group", "version"],
            )?,
            deploy_time: IntGaugeVec::new(
                Opts::new(
                    "deploy_timestamp_seconds",
                    "When the latest deploy took effect.",
                ),
                &["service", "group", "version"],
            )?,
            checkpoint_seconds: checkpoint_histogram()?,
            http_seconds: http_histogram()?,
            process,
            registry,
        };
        metrics.register_rest()?;
        Ok(metrics)
    }

    fn register_rest(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        registry.register(Box::new(self.deploy_time.clone()))?;
        registry.register(Box::new(self.checkpoint_seconds.clone()))?;
        registry.register(Box::new(self.http_seconds.clone()))?;
        // Series that matter exist from the start, so that `rate()` sees their first record.
        for reason in Rejection::ALL {
            let intentional = if reason.intentional() { "yes" } else { "no" };
            self.rejected
                .with_label_values(&[reason.name(), intentional]);
        }
        self.add_letters(0, 0);
        Ok(())
    }

    /// Gives these channels their series before any record, so that a flood of unknown ones cannot take their place.
    pub fn expect_channels<'a>(&self, channels: impl IntoIterator<Item = &'a str>) {
        for channel in channels {
            let channel = self.guard.admit(Label::Channel, channel);
            for outcome in ["counted", "capped", "rejected"] {
                self.events.with_label_values(&[channel, outcome]);
            }
        }
    }

    /// Adds the sums of one batch.
    pub fn add_batch(&self, batch: &CountBatch) {
        let mut channel_rejected = 0;
        for row in &batch.channels {
            let name = batch.string(row.channel);
            let channel = self.guard.admit(Label::Channel, name);
            let add = |outcome, n| {
                if n > 0 {
                    self.events.with_label_values(&[channel, outcome]).inc_by(n);
                }
            };
            add("counted", row.counted);
            add("capped", row.capped);
            add("rejected", row.rejected);
            self.event_bytes
                .with_label_values(&[channel])
                .inc_by(row.bytes);
            channel_rejected += row.rejected;
            if let Some(severity) = error_severity(row.level) {
                let version = batch.string(row.version);
                let group = batch.string(row.group);
                self.add_errors([name, severity, version, group], row.events);
            }
        }
        // Records that could not be decoded name no channel; without them the sum would not be what was read.
        let nameless = batch.totals.rejected_sum().saturating_sub(channel_rejected);
        if nameless > 0 {
            self.events
                .with_label_values(&["-", "rejected"])
                .inc_by(nameless);
        }
        for (reason, &n) in Rejection::ALL.iter().zip(&batch.totals.rejected) {
            let intentional = if reason.intentional() { "yes" } else { "no" };
            self.rejected
                .with_label_values(&[reason.name(), intentional])
                .inc_by(n);
        }
        self.add_partition(batch);
        for &(millis, records) in &batch.latency_ms {
            self.latencies.record(Stage::Arrive, millis, records);
        }
    }

    fn add_errors(&self, [name, severity, version, group]: [&str; 4], events: u64) {
        let version = self.guard.admit(Label::Version, version);
        let group = self.guard.admit(Label::Group, group);
        let mut channel = self.guard.admit(Label::Channel, name);
        let set = format!("{channel}\u{0}{severity}\u{0}{version}\u{0}{group}");
        if !self.guard.admit_set("errors_total", &set, ERROR_SETS_MAX) {
            channel = guard::OTHER;
        }
        self.errors
            .with_label_values(&[channel, severity, version, group])
            .inc_by(events);
    }

    fn add_partition(&self, batch: &CountBatch) {
        let topic = self.guard.admit(Label::Topic, &batch.range.topic);
        let number = batch.range.partition.to_string();
        let set = format!("{topic}\u{0}{number}");
        let known = self.guard.admit_set("partition", &set, PARTITION_SETS_MAX);
        let partition = if known { number.as_str() } else { guard::OTHER };
        let totals = &batch.totals;
        for (outcome, n) in [
            ("read", totals.read),
            ("counted", totals.counted),
            ("capped", totals.capped),
            ("rejected", totals.rejected_sum()),
        ] {
            self.partition_records
                .with_label_values(&[topic, partition, outcome])
                .inc_by(n);
        }
    }

    /// Counts copies of undecodable records.
    pub fn add_letters(&self, delivered: u64, lost: u64) {
        for (outcome, n) in [("delivered", delivered), ("lost", lost)] {
            self.letters.with_label_values(&[outcome]).inc_by(n);
        }
    }

    /// Counts signatures seen for the first time.
    pub fn add_new_signatures(&self, version: &str, group: &str, n: u64) {
        let version = self.guard.admit(Label::Version, version);
        let group = self.guard.admit(Label::Group, group);
        self.new_signatures
            .with_label_values(&[version, group])
            .inc_by(n);
    }

    /// Counts a deploy marker and keeps its time.
    pub fn add_deploy(&self, service: &str, group: &str, version: &str, at: EventTime) {
        let service = self.guard.admit(Label::Service, service);
        let version = self.guard.admit(Label::Version, version);
        let group = self.guard.admit(Label::Group, group);
        let set = format!("{service}\u{0}{group}\u{0}{version}");
        let labels = if self.guard.admit_set("deploy", &set, DEPLOY_SETS_MAX) {
            [service, group, version]
        } else {
            [guard::OTHER; 3]
        };
        self.deploys.with_label_values(&labels).inc();
        let gauge = self.deploy_time.with_label_values(&labels);
        gauge.set(gauge.get().max(at.seconds()));
    }

    /// Records the time from a record's own time stamp to a stage, for `records` records.
    pub fn observe_latency(&self, stage: Stage, millis: u64, records: u64) {
        self.latencies.record(stage, millis, records);
    }

    /// Records how long a checkpoint took.
    pub fn observe_checkpoint(&self, seconds: f64) {
        self.checkpoint_seconds.observe(seconds);
    }

    /// Records how long a request took; `route` is the matched path, never the path asked for.
    pub fn observe_http(&self, route: &str, method: &str, code: &str, seconds: f64) {
        self.http_seconds
            .with_label_values(&[route, method, code])
            .observe(seconds);
    }

    /// Replaces what the scrape-time gauges show.
    pub fn set_snapshot(&self, snapshot: Snapshot) {
        *write(&self.snapshot) = snapshot.guarded(&self.guard);
    }

    /// Returns the latency of every stage that has seen a record.
    pub fn stages(&self) -> Vec<StageLatency> {
        self.latencies.stages()
    }

    /// Returns the exposition text of every metric.
    pub fn render(&self) -> Result<String, TelemetryError> {
        let mut families = self.registry.gather();
        families.extend(self.process.gather());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn declare(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let it = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(it.clone()))?;
    Ok(it)
}

fn letters_counter(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Copies of undecodable records for the dead-letter topic, by what became of them.";
    declare(registry, "dead_letters_total", help, &["outcome"])
}

fn checkpoint_histogram() -> Result<Histogram, prometheus::Error> {
    let help = "Time to write a checkpoint.";
    Histogram::with_opts(HistogramOpts::new("checkpoint_duration_seconds", help))
}

fn http_histogram() -> Result<HistogramVec, prometheus::Error> {
    let help = "Time to answer a request.";
    let opts = HistogramOpts::new("http_request_duration_seconds", help);
    let opts = opts.buckets(vec![0.005, 0.025, 0.1, 0.5, 2.5, 10.0]);
    HistogramVec::new(opts, &["route", "method", "code"])
}

/// Locks for reading; a writer that panicked has left plain values behind, which are still worth showing.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks for writing; see [`read`].
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns the `severity` label of an error event; `None` for informational ones.
const fn error_severity(level: Level) -> Option<&'static str> {
    match level {
        Level::Critical | Level::Alert | Level::Emergency => Some("critical"),
        other => match other.class() {
            LevelClass::Error => Some("error"),
            LevelClass::Warning => Some("warning"),
            LevelClass::Unknown => Some("unknown"),
            LevelClass::Info => None,
        },
    }
}

#[cfg(test)]
mod tests;
