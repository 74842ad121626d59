//! Gauges that are made at scrape time from the latest snapshot and status, so that no series outlives its cause.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile,
    Summary,
};

use super::guard::{Label, LabelGuard};
use super::latency::{Latencies, StageLatency};
use super::status::Status;
use super::{SharedStatus, read};
use crate::model::{Alert, AlertKind, AlertState, EventTime, Severity, SignatureId};

/// Anomalies with series of their own; UX: enough for a bad deploy, few enough for Prometheus.
const ANOMALIES_MAX: usize = 50;

/// One signature that is out of the ordinary now.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// Signature.
    pub signature: SignatureId,
    /// `new`, `spike` or `regressed`.
    pub kind: AlertKind,
    /// How urgent.
    pub severity: Severity,
    /// Version.
    pub version: String,
    /// Group.
    pub group: String,
    /// Channel.
    pub channel: String,
    /// Rate against the expected one, if there is one.
    pub ratio: Option<f64>,
}

/// One channel, for its gauges.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelGauge {
    /// Channel.
    pub channel: String,
    /// Whether its cap is engaged.
    pub capped: bool,
    /// Last record.
    pub last_seen: EventTime,
}

/// What the scrape-time gauges show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Signatures by state: `active`, `quiet`, `muted`.
    pub signatures: BTreeMap<&'static str, u64>,
    /// Anomalies, most urgent first.
    pub anomalies: Vec<Anomaly>,
    /// Anomalies without a series, by reason: `topk`, `muted`, `low_exposure`.
    pub suppressed: BTreeMap<&'static str, u64>,
    /// Channels.
    pub channels: Vec<ChannelGauge>,
}

impl Snapshot {
    /// Takes the anomalies from the alerts that fire now.
    #[must_use]
    pub fn with_alerts(mut self, alerts: &[Alert]) -> Self {
        let of_kind = |it: &&Alert| {
            it.state == AlertState::Firing
                && matches!(
                    it.key.kind,
                    AlertKind::New | AlertKind::Spike | AlertKind::Regressed
                )
        };
        let mut firing: Vec<&Alert> = alerts.iter().filter(of_kind).collect();
        firing.sort_by(|a, b| {
            (b.severity, b.evidence.count, &a.id).cmp(&(a.severity, a.evidence.count, &b.id))
        });
        for alert in firing {
            let Some(signature) = alert.key.signature else {
                continue;
            };
            if alert.muted.is_some() {
                *self.suppressed.entry("muted").or_default() += 1;
                continue;
            }
            self.anomalies.push(Anomaly {
                signature,
                kind: alert.key.kind,
                severity: alert.severity,
                version: alert.key.version.clone(),
                group: alert.key.group.clone(),
                channel: alert.key.channel.clone(),
                ratio: alert.evidence.ratio,
            });
        }
        self
    }

    /// Cuts the anomalies to the limit and their labels to what the guard admits.
    pub(super) fn guarded(mut self, guard: &LabelGuard) -> Self {
        let cut = self.anomalies.len().saturating_sub(ANOMALIES_MAX);
        self.anomalies.truncate(ANOMALIES_MAX);
        *self.suppressed.entry("topk").or_default() += cut as u64;
        for anomaly in &mut self.anomalies {
            for (label, value) in [
                (Label::Version, &mut anomaly.version),
                (Label::Group, &mut anomaly.group),
                (Label::Channel, &mut anomaly.channel),
            ] {
                *value = guard.admit(label, value).to_owned();
            }
        }
        let mut channels: BTreeMap<String, ChannelGauge> = BTreeMap::new();
        for gauge in self.channels {
            let channel = guard.admit(Label::Channel, &gauge.channel).to_owned();
            let merged = channels.entry(channel.clone()).or_insert(ChannelGauge {
                channel,
                ..gauge.clone()
            });
            merged.capped |= gauge.capped;
            merged.last_seen = merged.last_seen.max(gauge.last_seen);
        }
        self.channels = channels.into_values().collect();
        self
    }
}

/// Makes the gauges when somebody scrapes.
pub(super) struct ScrapeCollector {
    status: SharedStatus,
    snapshot: Arc<RwLock<Snapshot>>,
    latencies: Arc<Latencies>,
    desc: Desc,
}

impl ScrapeCollector {
    /// Makes a collector over these values.
    pub(super) fn new(
        status: SharedStatus,
        snapshot: Arc<RwLock<Snapshot>>,
        latencies: Arc<Latencies>,
    ) -> Result<Self, prometheus::Error> {
        let desc = Desc::new(
            "build_info".into(),
            "Always 1; the labels say what runs.".into(),
            vec!["version".into(), "revision".into(), "rustc".into()],
            std::collections::HashMap::new(),
        )?;
        Ok(Self {
            status,
            snapshot,
            latencies,
            desc,
        })
    }
}

impl Collector for ScrapeCollector {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut out = Families(Vec::new());
        status_families(&read(&self.status), &mut out);
        snapshot_families(&read(&self.snapshot), &mut out);
        latency_families(&self.latencies.stages(), &mut out);
        out.0
    }
}

struct Families(Vec<MetricFamily>);

impl Families {
    fn push(&mut self, name: &str, help: &str, kind: MetricType, mut metrics: Vec<Metric>) {
        // Values that became `_other` can make two label sets equal; Prometheus refuses a whole scrape for that.
        let mut seen = BTreeSet::new();
        metrics.retain(|it| {
            let labels = it.get_label().iter();
            seen.insert(labels.map(|it| it.value().to_owned()).collect::<Vec<_>>())
        });
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.into());
        family.set_help(help.into());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    fn gauges(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.push(name, help, MetricType::GAUGE, metrics);
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let mut pairs: Vec<LabelPair> = Vec::with_capacity(labels.len());
    for &(name, value) in labels {
        let mut pair = LabelPair::default();
        pair.set_name(name.into());
        pair.set_value(value.into());
        pairs.push(pair);
    }
    Metric::from_label(pairs)
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut metric = labelled(labels);
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut metric = labelled(labels);
    let mut counter = Counter::default();
    counter.set_value(float(value));
    metric.set_counter(counter);
    metric
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only")]
const fn float(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are exact in a float"
)]
fn seconds(at: EventTime) -> f64 {
    at.millis() as f64 / 1000.0
}

fn status_families(status: &Status, out: &mut Families) {
    let build = [
        ("version", status.version.as_str()),
        ("revision", &status.revision),
        ("rustc", env!("CARGO_PKG_RUST_VERSION")),
    ];
    out.gauges(
        "build_info",
        "Always 1; the labels say what runs.",
        vec![gauge(&build, 1.0)],
    );
    partition_families(status, out);
    out.gauges(
        "records_stepped_over",
        "Records that stopped the process before and were stepped over since this start.",
        vec![gauge(&[], float(status.stepped_over_total))],
    );
    let store = &status.store;
    out.gauges(
        "store_size_bytes",
        "Size of the store on disk.",
        vec![gauge(&[], float(store.size_bytes))],
    );
    out.gauges(
        "checkpoint_last_success_timestamp_seconds",
        "When the last checkpoint was written.",
        store
            .checkpoint_at
            .map(|at| gauge(&[], seconds(at)))
            .into_iter()
            .collect(),
    );
    out.gauges(
        "store_snapshot_last_success_timestamp_seconds",
        "When the last snapshot of the store was written.",
        store
            .snapshot_at
            .map(|at| gauge(&[], seconds(at)))
            .into_iter()
            .collect(),
    );
    let reload_ok = if status.rules.problem.is_empty() {
        1.0
    } else {
        0.0
    };
    out.gauges(
        "config_last_reload_successful",
        "Whether the last reload was accepted.",
        vec![gauge(&[], reload_ok)],
    );
    out.gauges(
        "config_last_reload_success_timestamp_seconds",
        "When a reload was last accepted.",
        status
            .rules
            .loaded_at
            .map(|at| gauge(&[], seconds(at)))
            .into_iter()
            .collect(),
    );
    target_families(status, out);
}

/// Partitions with lag gauges of their own; the rest are in the totals of the status page.
const PARTITIONS_MAX: usize = 200;

fn partition_families(status: &Status, out: &mut Families) {
    let mut lag_seconds = Vec::new();
    let mut lag_records = Vec::new();
    let mut watermarks: BTreeMap<&str, EventTime> = BTreeMap::new();
    for partition in status.partitions.iter().take(PARTITIONS_MAX) {
        let number = partition.partition.to_string();
        let labels = [("topic", partition.topic.as_str()), ("partition", &number)];
        if let Some(lag) = partition.lag_seconds {
            lag_seconds.push(gauge(&labels, lag));
        }
        if let Some(lag) = partition.lag_records {
            lag_records.push(gauge(&labels, float(lag)));
        }
        if let Some(at) = partition.watermark.filter(|_| !partition.idle) {
            let least = watermarks.entry(&partition.topic).or_insert(at);
            *least = at.min(*least);
        }
    }
    out.gauges(
        "ingest_lag_seconds",
        "Arrival time minus event time of what was read last.",
        lag_seconds,
    );
    out.gauges("ingest_lag_records", "Records not read yet.", lag_records);
    let watermarks = watermarks
        .into_iter()
        .map(|(topic, at)| gauge(&[("topic", topic)], seconds(at)))
        .collect();
    out.gauges(
        "watermark_timestamp_seconds",
        "Event time up to which a topic is complete.",
        watermarks,
    );
}

fn target_families(status: &Status, out: &mut Families) {
    let mut sent = Vec::new();
    let mut errors = Vec::new();
    let mut queued = Vec::new();
    let mut success = Vec::new();
    for target in &status.targets {
        let index = target.index.to_string();
        let labels = [("alertmanager", index.as_str())];
        sent.push(counter(&labels, target.sent));
        errors.push(counter(&labels, target.errors));
        queued.push(gauge(&labels, float(target.queued)));
        if let Some(at) = target.success_at {
            success.push(gauge(&labels, seconds(at)));
        }
    }
    out.push(
        "alertmanager_notifications_total",
        "Notifications accepted.",
        MetricType::COUNTER,
        sent,
    );
    out.push(
        "alertmanager_errors_total",
        "Notifications that failed.",
        MetricType::COUNTER,
        errors,
    );
    out.gauges(
        "alertmanager_queue_length",
        "Notifications waiting.",
        queued,
    );
    out.gauges(
        "alertmanager_last_success_timestamp_seconds",
        "When a notification was last accepted.",
        success,
    );
}

fn snapshot_families(snapshot: &Snapshot, out: &mut Families) {
    let signatures = ["active", "quiet", "muted"]
        .map(|state| {
            let n = snapshot.signatures.get(state).copied().unwrap_or_default();
            gauge(&[("state", state)], float(n))
        })
        .to_vec();
    out.gauges("signatures", "Signatures by state.", signatures);
    let mut active = Vec::new();
    let mut ratios = Vec::new();
    for anomaly in &snapshot.anomalies {
        let id = anomaly.signature.to_string();
        active.push(gauge(
            &[
                ("signature", id.as_str()),
                ("kind", anomaly.kind.name()),
                ("severity", anomaly.severity.name()),
                ("version", &anomaly.version),
                ("group", &anomaly.group),
                ("channel", &anomaly.channel),
            ],
            1.0,
        ));
        if let Some(ratio) = anomaly.ratio {
            let labels = [
                ("signature", id.as_str()),
                ("version", &anomaly.version),
                ("group", &anomaly.group),
            ];
            ratios.push(gauge(&labels, ratio));
        }
    }
    out.gauges(
        "anomaly_active",
        "Anomalies that fire now, the most urgent ones.",
        active,
    );
    out.gauges("anomaly_ratio", "Rate against the expected one.", ratios);
    let suppressed = ["low_exposure", "muted", "topk"]
        .map(|reason| {
            let n = snapshot.suppressed.get(reason).copied().unwrap_or_default();
            gauge(&[("reason", reason)], float(n))
        })
        .to_vec();
    out.gauges(
        "anomalies_suppressed",
        "Anomalies without a series, by reason.",
        suppressed,
    );
    let mut capped = Vec::new();
    let mut last = Vec::new();
    for it in &snapshot.channels {
        let labels = [("channel", it.channel.as_str())];
        capped.push(gauge(&labels, if it.capped { 1.0 } else { 0.0 }));
        last.push(gauge(&labels, seconds(it.last_seen)));
    }
    out.gauges(
        "channel_capped",
        "Whether the channel's cap is engaged.",
        capped,
    );
    out.gauges(
        "channel_last_event_timestamp_seconds",
        "Last record of the channel.",
        last,
    );
}

fn latency_families(stages: &[StageLatency], out: &mut Families) {
    let mut histograms = Vec::new();
    let mut summaries = Vec::new();
    for it in stages {
        let labels = [("stage", it.stage.name())];
        let mut histogram = Histogram::default();
        histogram.set_sample_count(it.records);
        histogram.set_sample_sum(it.sum_seconds);
        let mut buckets = Vec::with_capacity(it.buckets.len());
        for &(bound, n) in &it.buckets {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(n);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        let mut metric = labelled(&labels);
        metric.set_histogram(histogram);
        histograms.push(metric);

        let mut summary = Summary::default();
        summary.set_sample_count(it.records);
        summary.set_sample_sum(it.sum_seconds);
        let mut quantiles = Vec::with_capacity(2);
        for (at, value) in [(0.5, it.p50_seconds), (0.99, it.p99_seconds)] {
            let mut quantile = Quantile::default();
            quantile.set_quantile(at);
            quantile.set_value(value);
            quantiles.push(quantile);
        }
        summary.set_quantile(quantiles);
        let mut metric = labelled(&labels);
        metric.set_summary(summary);
        summaries.push(metric);
    }
    let help = "Time from a record's own time stamp to a stage.";
    out.push(
        "detect_latency_seconds",
        help,
        MetricType::HISTOGRAM,
        histograms,
    );
    let help = "The same as quantiles, exact to 1 %.";
    out.push(
        "detect_latency_quantile_seconds",
        help,
        MetricType::SUMMARY,
        summaries,
    );
}
