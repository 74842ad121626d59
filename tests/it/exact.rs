//! Counts are exact: over a million records in three dialects, over kill -9, over a broker that goes away,
//! over new partitions and over records that were deleted before they were read.

use crate::load::{compare, config, feed, options, read, topic_with};
use crate::services::kafka::Kafka;
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually, kafka_address, services};
use fatalmonitor::scenario::load::load;
use std::time::Duration;

/// How long reading a million records may take on a machine that does other things too.
const LONG: Duration = Duration::from_mins(5);

fn await_read(process: &Process, records: u64) {
    eventually(
        &format!("{records} records are read"),
        LONG,
        || match read(process) {
            found if found >= records => Ok(()),
            found => Err(format!("{found}")),
        },
    );
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_million_records_in_three_dialects_are_counted_exactly() {
    let kafka = Kafka::at(&kafka_address());
    let (topic, expected) = topic_with(&kafka, options(1_000_000, 6));
    let mut process = Process::fatalmonitor(&config(&kafka_address(), &topic, ""));
    process.start();
    await_read(&process, expected.read);
    compare(&process.get_json("/api/v1/accounting"), &expected);
    assert!(
        process.terminate().success(),
        "a stop by signal is a success"
    );
    process.start();
    compare(&process.get_json("/api/v1/accounting"), &expected);
}

#[test]
#[ignore = "needs Kafka: make test"]
fn counts_and_alerts_stay_exact_over_kill_9_at_random_moments() {
    let kills: u64 = std::env::var("FATALMONITOR_TEST_KILLS")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(20);
    let kafka = Kafka::at(&kafka_address());
    let (topic, expected) = topic_with(&kafka, options(1_000_000, 6));
    let calm = alert_log_of_a_calm_run(&topic, expected.read);
    let mut process = Process::fatalmonitor(&config(
        &kafka_address(),
        &topic,
        "[limits]\ncommit_interval_ms = 50\n",
    ));
    let mut seed = 20_160_123_u64;
    for kill in 0..kills {
        process.spawn();
        // A random moment between the start and well into the reading; xorshift, so that a run can be repeated.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(20 + seed % 700));
        process.kill();
        println!("kill {} of {kills}", kill + 1);
    }
    process.start();
    await_read(&process, expected.read);
    compare(&process.get_json("/api/v1/accounting"), &expected);
    assert_eq!(
        alert_log(&process),
        calm,
        "no alert lost, doubled or changed"
    );
}

/// The alert log of the same load, read without any disturbance.
fn alert_log_of_a_calm_run(topic: &str, records: u64) -> Vec<String> {
    let mut process = Process::fatalmonitor(&config(&kafka_address(), topic, ""));
    process.start();
    await_read(&process, records);
    alert_log(&process)
}

/// Every alert that was ever said, by what makes it what it is.
fn alert_log(process: &Process) -> Vec<String> {
    let answer = process.get_json("/api/v1/alerts?limit=500");
    let mut lines: Vec<String> = answer["alerts"]
        .as_array()
        .expect("a list of alerts")
        .iter()
        .map(|it| {
            format!(
                "{} {} {} {}",
                it["id"], it["key"]["kind"], it["fired_at"], it["state"]
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_broker_that_goes_away_and_comes_back_costs_nothing() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("outage", 3);
    let mut load = load(options(60_000, 3));
    let mut feeder = kafka.feeder();
    feed(&mut feeder, &topic, &mut load, 30_000);
    feeder.finish();
    let mut process = Process::fatalmonitor(&config(&kafka_address(), &topic, ""));
    process.start();
    await_read(&process, load.expected().read);

    services(&["broker", "stop"]);
    let stopped = std::time::Instant::now();
    eventually("the status says that the broker is away", PATIENCE, || {
        let status = process.get_json("/api/v1/status");
        if status.to_string().contains("cannot re") {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    assert_eq!(
        process.get_json("/api/v1/accounting")["total"]["read"],
        load.expected().read,
        "pages go on"
    );
    eventually("20 s without a broker", PATIENCE, || {
        if stopped.elapsed() >= Duration::from_secs(20) {
            Ok(())
        } else {
            Err("not yet".into())
        }
    });
    services(&["broker", "start"]);

    feed(&mut feeder, &topic, &mut load, 30_000);
    feeder.finish();
    await_read(&process, load.expected().read);
    compare(&process.get_json("/api/v1/accounting"), &load.expected());
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_partition_that_is_added_is_read_from_its_beginning() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("grows", 1);
    let mut feeder = kafka.feeder();
    let mut one = load(options(1_000, 1));
    feed(&mut feeder, &topic, &mut one, 1_000);
    feeder.finish();
    let more = "[limits]\nmetadata_refresh_seconds = 1\n";
    let mut process = Process::fatalmonitor(&config(&kafka_address(), &topic, more));
    process.start();
    await_read(&process, 1_000);
    kafka.add_partitions(&topic, 2);
    // A new producer, since the first one knows the topic with one partition.
    let mut feeder = kafka.feeder();
    let mut two = load(options(2_000, 2));
    feed(&mut feeder, &topic, &mut two, 2_000);
    feeder.finish();
    await_read(&process, 3_000);
    let partitions = process.get_json("/api/v1/accounting")["partitions"].clone();
    assert_eq!(partitions[0]["totals"]["read"], 2_000);
    assert_eq!(
        partitions[1]["totals"]["read"], 1_000,
        "nothing of the new partition is missed"
    );
}

#[test]
#[ignore = "needs Kafka: make test"]
fn records_deleted_before_they_were_read_are_a_counted_gap_and_an_alert() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("gap", 1);
    let mut feeder = kafka.feeder();
    let mut load = load(options(3_000, 1));
    feed(&mut feeder, &topic, &mut load, 1_000);
    feeder.finish();
    let mut process = Process::fatalmonitor(&config(&kafka_address(), &topic, ""));
    process.start();
    await_read(&process, 1_000);
    process.terminate();
    feed(&mut feeder, &topic, &mut load, 2_000);
    feeder.finish();
    kafka.delete_records(&topic, &[(0, 2_500)]);
    process.start();
    await_read(&process, 1_500);
    let accounting = process.get_json("/api/v1/accounting");
    assert_eq!(
        accounting["partitions"][0]["gaps"], 1_500,
        "the records that were deleted"
    );
    assert_eq!(accounting["partitions"][0]["next"], 3_000);
    eventually("the gap is alerted", PATIENCE, || {
        let alerts = process.get_json("/api/v1/alerts");
        if alerts.to_string().contains("data_gap") {
            Ok(())
        } else {
            Err(alerts.to_string())
        }
    });
}
