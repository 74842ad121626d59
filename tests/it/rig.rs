//! The test rig keeps its own promises: what these tests take for granted, the others build on.

use crate::services::kafka::Kafka;
use crate::services::process::Process;
use crate::services::{
    PATIENCE, alertmanager_url, eventually, http, kafka_address, rig_variable, services, unique,
};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
#[ignore = "needs Kafka: make test"]
fn every_acknowledged_record_is_in_its_partition() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("rig-count", 6);
    let mut feeder = kafka.feeder();
    for n in 0..60_000_i32 {
        feeder.send(&topic, n % 6, format!("record {n}").as_bytes(), b"key");
    }
    assert_eq!(feeder.finish(), 60_000);
    for partition in 0..6 {
        assert_eq!(kafka.offsets(&topic, partition), (0, 10_000));
    }
}

#[test]
#[ignore = "needs Kafka: make test"]
fn deleted_records_move_the_first_offset_and_added_partitions_have_leaders() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("rig-delete", 1);
    let mut feeder = kafka.feeder();
    for n in 0..100 {
        feeder.send(&topic, 0, format!("record {n}").as_bytes(), b"");
    }
    feeder.finish();
    kafka.delete_records(&topic, &[(0, 40)]);
    assert_eq!(kafka.offsets(&topic, 0), (40, 100));
    kafka.add_partitions(&topic, 3);
    assert_eq!(kafka.offsets(&topic, 2), (0, 0));
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_broker_that_was_stopped_or_killed_comes_back_with_its_records() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("rig-restart", 1);
    let mut feeder = kafka.feeder();
    for (round, how) in (1_i64..).zip(["stop", "kill"]) {
        for _ in 0..1_000 {
            feeder.send(&topic, 0, b"before the restart", b"");
        }
        feeder.finish();
        services(&["broker", how]);
        let probe = std::net::TcpStream::connect(kafka_address());
        assert!(probe.is_err(), "the broker still listens after {how}");
        services(&["broker", "start"]);
        assert_eq!(kafka.offsets(&topic, 0), (0, 1_000 * round));
    }
}

/// Keeps what librdkafka reports beside its answers: the only place where it says why a log-in failed.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl ClientContext for Reports {
    fn error(&self, _: KafkaError, reason: &str) {
        self.0.lock().unwrap().push(reason.to_owned());
    }
}

impl ConsumerContext for Reports {}

/// Logs in and returns the number of brokers, or why the broker refused.
fn log_in(mechanism: &str, password: &str) -> Result<usize, String> {
    let reports = Reports::default();
    let consumer: BaseConsumer<Reports> = ClientConfig::new()
        .set(
            "bootstrap.servers",
            rig_variable("FATALMONITOR_TEST_KAFKA_SASL"),
        )
        .set("group.id", unique("it"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanisms", mechanism)
        .set(
            "sasl.username",
            rig_variable("FATALMONITOR_TEST_KAFKA_USER"),
        )
        .set("sasl.password", password)
        .create_with_context(reports.clone())
        .unwrap();
    eventually("the broker takes or refuses the log-in", PATIENCE, || {
        if let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_millis(300)) {
            return Ok(Ok(metadata.brokers().len()));
        }
        drop(consumer.poll(Duration::ZERO));
        let reports = reports.0.lock().unwrap();
        let refused = reports
            .iter()
            .find(|reason| reason.contains("uthentication failed"));
        refused
            .map(|reason| Err(reason.clone()))
            .ok_or_else(|| reports.join("; "))
    })
}

#[test]
#[ignore = "needs Kafka: make test"]
fn the_right_password_logs_in_and_a_wrong_one_is_refused() {
    let password = rig_variable("FATALMONITOR_TEST_KAFKA_PASSWORD");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        assert_eq!(log_in(mechanism, &password), Ok(1), "{mechanism}");
        assert!(
            log_in(mechanism, "not the password").is_err(),
            "{mechanism}"
        );
    }
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_tls_client_needs_the_brokers_certificate() {
    let address = rig_variable("FATALMONITOR_TEST_KAFKA_SSL");
    let ca = rig_variable("FATALMONITOR_TEST_KAFKA_CA");
    let tls = [
        ("bootstrap.servers", address.as_str()),
        ("security.protocol", "SSL"),
    ];
    let with_ca = Kafka::with(&[tls[0], tls[1], ("ssl.ca.location", &ca)]);
    let metadata = with_ca
        .consumer()
        .fetch_metadata(None, Duration::from_secs(10))
        .unwrap();
    assert_eq!(metadata.brokers().len(), 1);
    let without = Kafka::with(&tls);
    assert!(
        without
            .consumer()
            .fetch_metadata(None, Duration::from_secs(3))
            .is_err()
    );
}

#[test]
#[ignore = "needs Alertmanager: make test"]
fn a_posted_alert_is_listed_by_alertmanager() {
    let name = unique("RigAlert");
    let body = serde_json::json!([{"labels": {"alertname": name}}]).to_string();
    let url = format!("{}/api/v2/alerts", alertmanager_url());
    assert_eq!(http::post_json(&url, &body).unwrap().status, 200);
    eventually("the alert is listed", PATIENCE, || {
        let alerts = http::get(&url).unwrap().json();
        let names = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| &alert["labels"]["alertname"]);
        if names.into_iter().any(|listed| *listed == name) {
            Ok(())
        } else {
            Err(alerts.to_string())
        }
    });
}

#[test]
#[ignore = "needs Prometheus: make test"]
fn prometheus_scrapes_and_keeps_its_port_and_data_over_a_restart() {
    let mut prometheus = Process::prometheus(concat!(
        "global: {scrape_interval: 1s}\n",
        "scrape_configs: [{job_name: self, static_configs: [{targets: ['{listen}']}]}]\n",
    ));
    prometheus.start();
    let up = |prometheus: &Process| {
        let answer = prometheus.get_json("/api/v1/query?query=max_over_time(up[1h])");
        match answer["data"]["result"][0]["value"][1].as_str() {
            Some("1") => Ok(()),
            _ => Err(answer.to_string()),
        }
    };
    eventually("the scrape is up", PATIENCE, || up(&prometheus));
    let address = prometheus.address();
    assert!(prometheus.terminate().success());
    assert!(http::get(&prometheus.url("/-/ready")).is_err());
    prometheus.start();
    assert_eq!(prometheus.address(), address);
    eventually("the scrape is known", PATIENCE, || up(&prometheus));
    prometheus.kill();
    assert!(http::get(&prometheus.url("/-/ready")).is_err());
}

#[test]
fn ports_and_names_are_given_once() {
    let ports = [crate::services::free_port(), crate::services::free_port()];
    assert_ne!(ports[0], ports[1]);
    assert!(ports.iter().all(|port| (12_000..20_000).contains(port)));
    assert_ne!(unique("topic"), unique("topic"));
}
