//! Where reading a real topic begins: at its oldest record, its end, a time, or where it was left.

use crate::load::{config, read};
use crate::services::kafka::{Feeder, Kafka};
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually, kafka_address};
use fatalmonitor::node::now;
use serde_json::json;

fn feed(feeder: &mut Feeder, topic: &str, n: u32) {
    for it in 0..n {
        let event = json!({
            "@timestamp": now().to_string(), "channel": "exception", "level": "ERROR", "host": "mw1", "wiki": "enwiki",
            "mwversion": "1.0", "message": format!("Lock wait timeout {it}"),
        });
        let partition = i32::from(it % 2 == 1);
        feeder.send(topic, partition, event.to_string().as_bytes(), b"");
    }
    feeder.finish();
}

fn reader(topic: &str, start: &str) -> Process {
    let config = config(&kafka_address(), topic, "");
    Process::fatalmonitor(&config.replace("\"earliest\"", &format!("\"{start}\"")))
}

/// Waits until exactly this many records are read.
fn await_exactly(process: &Process, records: u64) {
    eventually(
        &format!("{records} records are read"),
        PATIENCE,
        || match read(process) {
            found if found == records => Ok(()),
            found => Err(found.to_string()),
        },
    );
}

#[test]
#[ignore = "needs Kafka: make test"]
fn reading_begins_at_the_oldest_record_the_end_a_time_or_where_it_was_left() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("starts", 2);
    let mut feeder = kafka.feeder();
    feed(&mut feeder, &topic, 100);
    let mut latest = reader(&topic, "latest");
    latest.start();
    assert_eq!(read(&latest), 0);
    // A later millisecond than the first records have.
    let before = now();
    let between = eventually("the clock goes on", PATIENCE, || {
        Some(now())
            .filter(|it| it.millis_since(before) > 1)
            .ok_or_else(|| "not yet".to_owned())
    });
    feed(&mut feeder, &topic, 30);
    await_exactly(&latest, 30);

    let mut earliest = reader(&topic, "earliest");
    earliest.start();
    await_exactly(&earliest, 130);
    let mut timed = reader(&topic, &between.to_string());
    timed.start();
    await_exactly(&timed, 30);

    latest.kill();
    feed(&mut feeder, &topic, 20);
    latest.start();
    await_exactly(&latest, 50);
    await_exactly(&earliest, 150);
    await_exactly(&timed, 50);
}
