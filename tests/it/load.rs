//! A load of known content, the configuration that reads it, and the comparison with what the API says.

use crate::services::kafka::{Feeder, Kafka};
use crate::services::process::Process;
use fatalmonitor::model::EventTime;
use fatalmonitor::scenario::load::{Expected, Load, LoadOptions, load};
use serde_json::Value;
use std::collections::BTreeMap;

/// A load over several partitions, from an hour ago on, so that every record lies in the past and none is too old.
pub(crate) fn options(records: u64, partitions: u32) -> LoadOptions {
    let start = fatalmonitor::node::now().plus_seconds(-3600);
    let step_ms = 3_000_000 / i64::try_from(records).expect("not that many").max(1);
    LoadOptions {
        records,
        partitions,
        start: EventTime::from_seconds(start.seconds()),
        step_ms: step_ms.max(1),
        ..LoadOptions::default()
    }
}

/// Configuration that reads one topic from its beginning.
pub(crate) fn config(bootstrap: &str, topic: &str, more: &str) -> String {
    format!(
        "listen = \"{{listen}}\"\ndata_dir = \"{{data_dir}}\"\n{more}\n[[source]]\nname = \"test\"\nkind = \"kafka\"\nbrokers = \"{bootstrap}\"\ntopics = [\"{topic}\"]\nstart = \"earliest\"\n"
    )
}

/// Sends records of a load, at most `count`; returns how many were left to send.
pub(crate) fn feed(feeder: &mut Feeder, topic: &str, load: &mut Load, count: u64) -> u64 {
    let mut payload = Vec::new();
    for sent in 0..count {
        let Some(item) = load.next_into(&mut payload) else {
            return sent;
        };
        let partition = i32::try_from(item.partition).expect("a small number");
        if item.tombstone {
            feeder.send_tombstone(topic, partition);
        } else {
            feeder.send(topic, partition, &payload, b"");
        }
    }
    count
}

/// Makes a topic that holds a whole load, and returns its name and what a right reader arrives at.
pub(crate) fn topic_with(kafka: &Kafka, options: LoadOptions) -> (String, Expected) {
    let partitions = i32::try_from(options.partitions).expect("a small number");
    let topic = kafka.new_topic("load", partitions);
    let mut feeder = kafka.feeder();
    let mut load = load(options);
    feed(&mut feeder, &topic, &mut load, u64::MAX);
    feeder.finish();
    (topic, load.expected())
}

/// What the API says was read, as far as an oracle can check it.
pub(crate) fn read(process: &Process) -> u64 {
    process.get_json("/api/v1/accounting")["total"]["read"]
        .as_u64()
        .expect("a number")
}

/// Compares the API's accounting with the oracle: equal per channel and version, per partition, per reason.
pub(crate) fn compare(accounting: &Value, expected: &Expected) {
    let n = |value: &Value| {
        value
            .as_u64()
            .unwrap_or_else(|| panic!("not a number: {value}"))
    };
    let total = &accounting["total"];
    assert_eq!(n(&total["read"]), expected.read, "records read");
    assert_eq!(
        n(&total["counted"]) + n(&total["capped"]),
        expected.counted,
        "records that count"
    );
    let mut found = BTreeMap::new();
    for row in accounting["channels"].as_array().expect("a list") {
        let key = (
            row["channel"].as_str().expect("text").to_owned(),
            row["version"].as_str().expect("text").to_owned(),
        );
        let records = n(&row["counted"]) + n(&row["capped"]);
        if records > 0 {
            *found.entry(key).or_insert(0) += records;
        }
    }
    assert_eq!(
        found, expected.by_channel_version,
        "records by channel and version"
    );
    let partitions = accounting["partitions"].as_array().expect("a list");
    assert_eq!(partitions.len(), expected.by_partition.len(), "partitions");
    for (row, expected) in partitions.iter().zip(&expected.by_partition) {
        let totals = &row["totals"];
        let rejected: u64 = totals["rejected"]
            .as_object()
            .expect("by reason")
            .values()
            .map(n)
            .sum();
        let (read, counted, capped) = (
            n(&totals["read"]),
            n(&totals["counted"]),
            n(&totals["capped"]),
        );
        assert_eq!(read, counted + capped + rejected, "conservation in {row}");
        assert_eq!(
            (read, counted + capped, rejected),
            (expected.read, expected.counted, expected.rejected),
            "{row}"
        );
        assert_eq!((n(&row["gaps"]), n(&row["duplicates"])), (0, 0), "{row}");
    }
    for (reason, count) in &expected.rejected {
        assert_eq!(
            n(&total["rejected"][reason.name()]),
            *count,
            "rejected for {}",
            reason.name()
        );
    }
}
