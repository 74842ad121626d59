use super::*;
use crate::model::{ChannelRow, SourceRange, Totals};

fn metrics() -> (Metrics, SharedStatus) {
    let status = SharedStatus::default();
    (Metrics::new(Arc::clone(&status)).unwrap(), status)
}

fn series(text: &str) -> usize {
    text.lines().filter(|it| !it.starts_with('#')).count()
}

/// Sums the samples of a metric whose labels contain every given text.
fn sum(text: &str, metric: &str, wanted: &[&str]) -> u64 {
    text.lines()
        .filter(|it| it.starts_with(&format!("{metric}{{")))
        .filter(|it| wanted.iter().all(|w| it.contains(w)))
        .map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

fn batch(n: u32) -> CountBatch {
    let mut batch = CountBatch {
        range: SourceRange {
            topic: format!("topic-{}", n % 100),
            partition: i32::try_from(n).unwrap(),
            ..SourceRange::default()
        },
        strings: vec![
            format!("channel-{n}"),
            format!("1.27.0-wmf.{n}"),
            format!("group{n}"),
        ],
        ..CountBatch::default()
    };
    batch.channels.push(ChannelRow {
        channel: 0,
        version: 1,
        group: 2,
        service: 2,
        level: Level::ALL[n as usize % Level::ALL.len()],
        bucket: EventTime::from_seconds(0),
        counted: 3,
        capped: 2,
        rejected: 1,
        events: 5,
        bytes: 100,
        hosts: Vec::new(),
    });
    let mut rejected = [0; Rejection::ALL.len()];
    rejected[Rejection::Syntax.index()] = 4;
    rejected[Rejection::TooOld.index()] = 1;
    batch.totals = Totals {
        read: 10,
        counted: 3,
        capped: 2,
        rejected,
        ..Totals::default()
    };
    batch
}

#[test]
fn read_is_counted_and_capped_and_rejected_by_channel_and_by_partition() {
    let (metrics, _) = metrics();
    metrics.add_batch(&batch(7));
    let text = metrics.render().unwrap();
    assert_eq!(sum(&text, "fatalmonitor_events_total", &[]), 10, "{text}");
    assert_eq!(
        sum(
            &text,
            "fatalmonitor_events_total",
            &["outcome=\"rejected\""]
        ),
        5
    );
    let partition = "fatalmonitor_partition_records_total";
    assert_eq!(sum(&text, partition, &["outcome=\"read\""]), 10);
    let parts: u64 = ["counted", "capped", "rejected"]
        .iter()
        .map(|it| sum(&text, partition, &[&format!("outcome=\"{it}\"")]))
        .sum();
    assert_eq!(parts, 10);
    assert_eq!(
        sum(
            &text,
            "fatalmonitor_records_rejected_total",
            &["syntax", "intentional=\"no\""]
        ),
        4
    );
}

#[test]
fn a_flood_of_names_leaves_at_most_5000_series_and_loses_no_count() {
    let (metrics, status) = metrics();
    let mut snapshot = Snapshot::default();
    for n in 0..100_000 {
        metrics.add_batch(&batch(n));
        metrics.add_new_signatures(&format!("v{n}"), &format!("g{n}"), 1);
        metrics.add_deploy(
            &format!("s{n}"),
            "g",
            &format!("v{n}"),
            EventTime::from_seconds(1),
        );
        if n % 100 == 0 {
            snapshot.channels.push(ChannelGauge {
                channel: format!("channel-{n}"),
                capped: n % 3 == 0,
                last_seen: EventTime::from_seconds(i64::from(n)),
            });
            snapshot.anomalies.push(Anomaly {
                signature: crate::model::SignatureId(u128::from(n)),
                kind: crate::model::AlertKind::New,
                severity: crate::model::Severity::Critical,
                version: format!("v{n}"),
                group: format!("g{n}"),
                channel: format!("channel-{n}"),
                ratio: Some(12.0),
            });
        }
    }
    metrics.set_snapshot(snapshot);
    for stage in Stage::ALL {
        metrics.observe_latency(stage, 1500, 10);
    }
    write(&status).partitions = (0..10_000)
        .map(|n| PartitionStatus {
            topic: format!("t{n}"),
            lag_seconds: Some(1.0),
            lag_records: Some(1),
            watermark: Some(EventTime::from_seconds(5)),
            ..PartitionStatus::default()
        })
        .collect();
    let text = metrics.render().unwrap();
    assert!(series(&text) <= 5_000, "{} series", series(&text));
    assert!(series(&text) > 1_000);
    assert_eq!(sum(&text, "fatalmonitor_events_total", &[]), 1_000_000);
    assert_eq!(
        sum(&text, "fatalmonitor_partition_records_total", &["\"read\""]),
        1_000_000
    );
    assert!(
        sum(
            &text,
            "fatalmonitor_label_overflow_total",
            &["label=\"channel\""]
        ) > 0
    );
    assert!(text.contains("channel=\"_other\""));
}

#[test]
fn expected_channels_keep_their_place_in_a_flood() {
    let (metrics, _) = metrics();
    metrics.expect_channels(["channel-99999"]);
    for n in 0..1_000 {
        metrics.add_batch(&batch(n));
    }
    metrics.add_batch(&batch(99_999));
    let text = metrics.render().unwrap();
    let wanted = "fatalmonitor_events_total{channel=\"channel-99999\",outcome=\"counted\"} 3";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn latency_shows_quantiles_buckets_and_sums() {
    let (metrics, _) = metrics();
    for millis in 1..=1000 {
        metrics.observe_latency(Stage::Count, millis, 1);
    }
    let stages = metrics.stages();
    assert_eq!(stages.len(), 1);
    assert!((stages[0].p50_seconds - 0.5).abs() < 0.01, "{stages:?}");
    assert!((stages[0].p99_seconds - 0.99).abs() < 0.01, "{stages:?}");
    let text = metrics.render().unwrap();
    assert!(
        text.contains(
            "fatalmonitor_detect_latency_seconds_bucket{stage=\"count\",le=\"+Inf\"} 1000"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "fatalmonitor_detect_latency_quantile_seconds{stage=\"count\",quantile=\"0.99\"}"
        ),
        "{text}"
    );
}

#[test]
fn process_metrics_have_no_prefix_of_ours() {
    let (metrics, _) = metrics();
    let text = metrics.render().unwrap();
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert!(!text.contains("fatalmonitor_process_"));
    assert!(text.contains("fatalmonitor_build_info{"));
}

#[test]
fn freshness_is_never_fresh_on_late_missing_or_capped_data() {
    let good = Status {
        clock: Some(EventTime::from_seconds(1)),
        partitions: vec![PartitionStatus {
            topic: "logs".into(),
            assigned: true,
            lag_seconds: Some(2.0),
            ..PartitionStatus::default()
        }],
        ..Status::default()
    };
    assert_eq!(good.freshness().level, FreshnessLevel::Fresh);
    let late = with(&good, |it| it.partitions[0].lag_seconds = Some(240.0));
    assert_eq!(late.freshness().level, FreshnessLevel::Stale);
    assert_eq!(late.freshness().reasons, ["data is 4 min old"]);
    let unread = with(&good, |it| it.partitions[0].assigned = false);
    assert_eq!(unread.freshness().reasons, ["nobody reads logs/0"]);
    let full = with(&good, |it| it.store.problem = "no space left".into());
    assert_eq!(full.freshness().level, FreshnessLevel::Stale);
    let capped = with(&good, |it| it.channels_capped = vec!["session".into()]);
    assert_eq!(capped.freshness().level, FreshnessLevel::Degraded);
    assert_eq!(Status::default().freshness().level, FreshnessLevel::Empty);
}

fn with(status: &Status, change: impl FnOnce(&mut Status)) -> Status {
    let mut status = status.clone();
    change(&mut status);
    status
}
