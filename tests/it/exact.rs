//! Counts are exact: over a million records in three dialects, over kill -9, over a broker that goes away,
//! over new partitions and over records that were deleted before they were read.

use crate::load::{compare, config, feed, options, read, topic_with};
use crate::services::kafka::Kafka;
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually, kafka_address, rig_variable, services};
use fatalmonitor::model::EventTime;
use fatalmonitor::scenario::load::{Expected, load};
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

/// Rules under which a new error is told although the store knows nothing of the days before.
const NO_LEARNING: &str = "[detect]\nlearn_seconds = 0\n";

/// Records of an error that appears with a version, two a second, after everything else.
const FRESH: u64 = 600;

#[test]
#[ignore = "needs Kafka: make test"]
fn counts_and_alerts_stay_exact_over_kill_9_at_random_moments() {
    let kills: u64 = std::env::var("FATALMONITOR_TEST_KILLS")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(20);
    let kafka = Kafka::at(&kafka_address());
    let options = options(1_000_000, 6);
    let end = options.start.plus_millis(options.step_ms * 1_000_000);
    let (topic, mut expected) = topic_with(&kafka, options);
    add_fresh_error(&kafka, &topic, end, &mut expected);
    let calm = alert_log_of_a_calm_run(&topic, expected.read);
    assert!(
        calm.iter().any(|it| it.contains("new")),
        "the calm run tells the new error: {calm:?}"
    );

    let mut process = reader(&topic, "[limits]\ncommit_interval_ms = 50\n");
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
        told(&process, calm.len()),
        calm,
        "no alert lost, doubled or changed"
    );
    println!(
        "{kills} kills, {} records, {} alerts: equal to a calm run",
        expected.read,
        calm.len()
    );
}

/// Puts an error on a version of its own at the end of a topic, and tells the oracle.
fn add_fresh_error(kafka: &Kafka, topic: &str, from: EventTime, expected: &mut Expected) {
    let mut feeder = kafka.feeder();
    let partitions = expected.by_partition.len() as u64;
    for n in 0..FRESH {
        let at = from.plus_millis(i64::try_from(n).expect("small") * 500);
        let event = serde_json::json!({
            "@timestamp": at.to_string(), "channel": "exception", "level": "ERROR", "host": format!("mw{}", n % 20),
            "wiki": "enwiki", "mwversion": "9.9.9", "message": "The frobnicator of the kill test is missing",
        });
        let partition = i32::try_from(n % partitions).expect("small");
        feeder.send(topic, partition, event.to_string().as_bytes(), b"");
        let sums = &mut expected.by_partition[usize::try_from(partition).expect("small")];
        sums.read += 1;
        sums.counted += 1;
    }
    feeder.finish();
    *expected
        .by_channel_version
        .entry(("exception".to_owned(), "9.9.9".to_owned()))
        .or_insert(0) += FRESH;
    expected.read += FRESH;
    expected.counted += FRESH;
}

/// A process that reads one topic under [`NO_LEARNING`].
fn reader(topic: &str, more: &str) -> Process {
    let process = Process::fatalmonitor("");
    process.write_config("rules.toml", NO_LEARNING);
    let rules = format!(
        "rules = [{:?}]\n{more}",
        process.path("rules.toml").display().to_string()
    );
    process.write_config(
        "fatalmonitor.toml",
        &config(&kafka_address(), topic, &rules),
    );
    process
}

/// The alert log of the same load, read without any disturbance.
fn alert_log_of_a_calm_run(topic: &str, records: u64) -> Vec<String> {
    let mut process = reader(topic, "");
    process.start();
    await_read(&process, records);
    told(&process, 1)
}

/// Waits until at least this many alerts were told and no more are coming, and returns their log.
fn told(process: &Process, wanted: usize) -> Vec<String> {
    let mut last = Vec::new();
    eventually("the alert log is complete", PATIENCE, || {
        let now = alert_log(process);
        let is_steady = now.len() >= wanted && now == last;
        last.clone_from(&now);
        // Two looks a second apart: every commit brings what it decided.
        std::thread::sleep(Duration::from_secs(1));
        if is_steady {
            Ok(())
        } else {
            Err(format!("{} alerts", now.len()))
        }
    });
    last
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
fn credentials_decide_whether_a_topic_is_read_and_wrong_ones_are_said() {
    let kafka = Kafka::at(&kafka_address());
    let (topic, expected) = topic_with(&kafka, options(1_000, 1));
    let secured = |password: &str| {
        let user = rig_variable("FATALMONITOR_TEST_KAFKA_USER");
        config(&rig_variable("FATALMONITOR_TEST_KAFKA_SASL"), &topic, "")
            + &format!(
                "[source.properties]\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"{password}\"\n"
            )
    };
    let mut right =
        Process::fatalmonitor(&secured(&rig_variable("FATALMONITOR_TEST_KAFKA_PASSWORD")));
    right.start();
    await_read(&right, expected.read);
    compare(&right.get_json("/api/v1/accounting"), &expected);

    let mut wrong = Process::fatalmonitor(&secured("not-the-password"));
    wrong.spawn();
    assert_eq!(wrong.wait_end().code(), Some(2), "trouble");
    let log = wrong.log();
    assert!(
        log.contains("cannot reach Kafka") && log.contains("credentials"),
        "{log}"
    );
    assert!(!log.contains("not-the-password"), "a secret is never shown");
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
