//! The real Alertmanager gets the alerts, the real Prometheus scrapes the metrics.

use crate::load::config;
use crate::services::kafka::{Feeder, Kafka};
use crate::services::process::Process;
use crate::services::{PATIENCE, alertmanager_url, eventually, http, kafka_address, rig_variable};
use fatalmonitor::model::EventTime;
use fatalmonitor::node::now;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Rules under which a store needs no hour of learning before it calls something new.
const NO_LEARNING: &str = "[fields]\ncontext = [\"status\"]\nfacets = [\"wiki\"]\n[detect]\nlearn_seconds = 0\nresolve_after_seconds = 30\n";

fn send(feeder: &mut Feeder, topic: &str, (channel, version, message): (&str, &str, &str)) {
    let event = json!({
        "@timestamp": now().to_string(), "channel": channel, "level": "ERROR", "host": "mw1017", "wiki": "enwiki",
        "mwversion": version, "message": message, "type": "mediawiki",
    });
    feeder.send(topic, 0, event.to_string().as_bytes(), b"");
}

/// Sends about `per_second` of each line for some seconds of real time, so that event time goes on as it does in life.
fn live(feeder: &mut Feeder, topic: &str, seconds: i64, lines: &[(&str, &str, &str)]) {
    let end = now().plus_seconds(seconds);
    while now() < end {
        for line in lines {
            send(feeder, topic, *line);
        }
        feeder.finish();
        std::thread::sleep(Duration::from_millis(400));
    }
}

fn alerts_about(text: &str) -> Vec<Value> {
    let answer = http::get(&format!("{}/api/v2/alerts", alertmanager_url()))
        .expect("the Alertmanager answers");
    let all = answer.json();
    all.as_array()
        .expect("a list")
        .iter()
        .filter(|it| it["annotations"].to_string().contains(text))
        .cloned()
        .collect()
}

#[test]
#[ignore = "needs Kafka and an Alertmanager: make test"]
fn a_new_error_reaches_the_alertmanager_survives_a_restart_and_resolves() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("alert", 1);
    let mut feeder = kafka.feeder();
    let more = format!(
        "rules = [\"RULES\"]\n[limits]\nalert_resend_seconds = 5\n[[alertmanager]]\nurl = \"{}\"\n",
        alertmanager_url()
    );
    let mut process = Process::fatalmonitor("");
    process.write_config("rules.toml", NO_LEARNING);
    let rules = process.path("rules.toml").display().to_string();
    process.write_config(
        "fatalmonitor.toml",
        &config(&kafka_address(), &topic, &more.replace("RULES", &rules)),
    );

    let old = (
        "exception",
        "1.27.0-wmf.10",
        "Lock wait timeout exceeded for query 17",
    );
    let fresh = (
        "exception",
        "1.27.0-wmf.11",
        "The frobnicator of the alertmanager test is missing",
    );
    process.start();
    live(&mut feeder, &topic, 25, &[old]);
    let first = now();
    // Two buckets with events, and then on.
    let second_closes = first.floor(10).plus_seconds(20);
    let mut seen = None;
    for _ in 0..60 {
        live(&mut feeder, &topic, 2, &[old, fresh]);
        if seen.is_none() && !alerts_about("frobnicator").is_empty() {
            seen = Some(now());
            break;
        }
    }
    let seen = seen.expect("the alert is in the Alertmanager");
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let after = seen.millis_since(second_closes) as f64 / 1000.0;
    println!(
        "in the Alertmanager {after:.1} s after the close of the second bucket with events (limit 15 s)"
    );
    assert!(after <= 5.0 * 15.0, "{after} s");
    let [before] = alerts_about("frobnicator")
        .try_into()
        .expect("exactly one alert");
    assert_eq!(
        before["labels"]["alertname"], "FatalmonitorNewError",
        "{before}"
    );
    assert_eq!(before["labels"]["version"], "1.27.0-wmf.11", "{before}");

    process.kill();
    process.start();
    live(&mut feeder, &topic, 12, &[old, fresh]);
    let [after] = alerts_about("frobnicator")
        .try_into()
        .expect("still exactly one alert");
    assert_eq!(
        after["fingerprint"], before["fingerprint"],
        "the same alert over our restart"
    );
    assert_eq!(
        after["startsAt"], before["startsAt"],
        "which began when it began"
    );

    let quiet_since = now();
    eventually(
        "the alert resolves once the error has stopped",
        Duration::from_mins(10),
        || {
            live(&mut feeder, &topic, 5, &[old]);
            let alerts = process.get_json("/api/v1/alerts");
            let resolved = alerts["alerts"]
                .as_array()
                .expect("a list")
                .iter()
                .any(|it| it.to_string().contains("frobnicator") && it["state"] == "resolved");
            if resolved {
                Ok(())
            } else {
                Err(alerts.to_string())
            }
        },
    );
    println!(
        "resolved {} s after the last event",
        now().millis_since(quiet_since) / 1000
    );
    eventually("the Alertmanager hears of it", PATIENCE, || {
        let active: Vec<Value> = alerts_about("frobnicator")
            .into_iter()
            .filter(|it| {
                let ends = it["endsAt"]
                    .as_str()
                    .and_then(EventTime::parse_rfc3339)
                    .expect("a time");
                ends > now().plus_seconds(2)
            })
            .collect();
        if active.is_empty() {
            Ok(())
        } else {
            Err(format!("{active:?}"))
        }
    });
}

#[test]
#[ignore = "needs Kafka and a Prometheus: make test"]
fn prometheus_scrapes_us_and_a_flood_of_names_leaves_a_bounded_number_of_series() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("names", 2);
    let mut feeder = kafka.feeder();
    for n in 0..100_000_u32 {
        let event = json!({
            "@timestamp": now().to_string(), "channel": format!("channel-{n}"), "level": "ERROR",
            "host": format!("host-{n}"), "wiki": "enwiki", "mwversion": format!("1.{n}.0"), "message": format!("flood of {n} names"),
        });
        feeder.send(
            &topic,
            i32::from(n % 2 == 1),
            event.to_string().as_bytes(),
            b"",
        );
    }
    feeder.finish();
    let mut process = Process::fatalmonitor(&config(&kafka_address(), &topic, ""));
    process.start();
    eventually(
        "everything is read",
        Duration::from_mins(5),
        || match crate::load::read(&process) {
            100_000 => Ok(()),
            other => Err(other.to_string()),
        },
    );
    let text = http::get(&process.url("/metrics")).expect("metrics").text();
    let series = text
        .lines()
        .filter(|it| !it.starts_with('#') && !it.is_empty())
        .count();
    println!("{series} series after 100,000 distinct channels, versions and hosts (limit 5,000)");
    assert!(series <= 5_000, "{series} series");
    check_metrics(&text);

    let target = process.address();
    let mut prometheus = Process::prometheus(&format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: fatalmonitor\n    static_configs:\n      - targets: ['{target}']\n"
    ));
    prometheus.start();
    eventually("the scrape is up", PATIENCE, || {
        let answer = prometheus.get_json("/api/v1/query?query=up%7Bjob%3D%22fatalmonitor%22%7D");
        if answer["data"]["result"][0]["value"][1] == "1" {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    });
    eventually("the counts are in Prometheus", PATIENCE, || {
        let answer = prometheus.get_json("/api/v1/query?query=sum(fatalmonitor_events_total)");
        if answer["data"]["result"][0]["value"][1] == "100000" {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    });
}

/// Runs `promtool check metrics` over an exposition.
fn check_metrics(text: &str) {
    let mut child = Command::new(rig_variable("FATALMONITOR_TEST_PROMTOOL"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    assert!(
        output.status.success(),
        "promtool check metrics: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
