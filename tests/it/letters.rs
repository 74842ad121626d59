//! The dead-letter topic on a real broker: every undecodable record is there, as it was, with its reason and origin.

use crate::load::{config, options, read};
use crate::services::http;
use crate::services::kafka::Kafka;
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually, kafka_address};
use fatalmonitor::model::Rejection;
use fatalmonitor::scenario::load::{LoadOptions, load};
use rdkafka::consumer::Consumer;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// Origin of a record: partition and offset.
type Place = (String, String);

/// What is buried for one origin: reason, bytes, and how often.
type Buried = BTreeMap<Place, (String, Vec<u8>, u64)>;

/// Feeds a load in which a third is broken, and returns the topic, how many records it has, and the broken ones.
fn feed(kafka: &Kafka, records: u64) -> (String, u64, Buried) {
    let topic = kafka.new_topic("letters", 3);
    let mut feeder = kafka.feeder();
    let mut load = load(LoadOptions {
        broken_share: 0.3,
        broken: vec![Rejection::Syntax, Rejection::Depth, Rejection::NotObject],
        ..options(records, 3)
    });
    let (mut payload, mut broken, mut offsets) = (Vec::new(), Buried::new(), [0_u64; 3]);
    let mut before = load.expected().rejected;
    while let Some(item) = load.next_into(&mut payload) {
        let partition = i32::try_from(item.partition).expect("small");
        feeder.send(&topic, partition, &payload, b"key");
        let offset = &mut offsets[item.partition as usize];
        let now = load.expected().rejected;
        if let Some((reason, _)) = now.iter().find(|it| before.get(it.0) != Some(it.1)) {
            let place = (partition.to_string(), offset.to_string());
            broken.insert(place, (reason.name().to_owned(), payload.clone(), 1));
        }
        before = now;
        *offset += 1;
    }
    feeder.finish();
    (topic, records, broken)
}

/// Everything in a dead-letter topic of one partition that came from `origin`.
fn buried(kafka: &Kafka, letters: &str, origin: &str) -> Buried {
    let consumer = kafka.consumer();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(letters, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&list).expect("assigned");
    let (_, end) = kafka.offsets(letters, 0);
    let (mut found, mut next) = (Buried::new(), 0);
    while next < end {
        let message = consumer
            .poll(Duration::from_secs(30))
            .expect("a letter")
            .expect("no error");
        next = message.offset() + 1;
        let header = |name: &str| {
            let headers = message.headers().expect("headers");
            let header = headers.iter().find(|it| it.key == name);
            let value = header.and_then(|it| it.value).unwrap_or_default();
            String::from_utf8(value.to_vec()).expect("text")
        };
        assert_eq!(header("fatalmonitor.topic"), origin);
        assert_eq!(header("fatalmonitor.source"), "test");
        assert_eq!(message.key(), Some(b"key".as_slice()));
        let place = (
            header("fatalmonitor.partition"),
            header("fatalmonitor.offset"),
        );
        let payload = message.payload().unwrap_or_default().to_vec();
        let entry = found
            .entry(place)
            .or_insert((header("fatalmonitor.reason"), payload, 0));
        entry.2 += 1;
    }
    found
}

fn reader(topic: &str, letters: &str, more: &str) -> Process {
    Process::fatalmonitor(&format!(
        "{}deadletter_topic = \"{letters}\"\n",
        config(&kafka_address(), topic, more)
    ))
}

fn await_read(process: &Process, records: u64) {
    eventually("everything is read", PATIENCE * 3, || match read(process) {
        found if found >= records => Ok(()),
        found => Err(found.to_string()),
    });
}

#[test]
#[ignore = "needs Kafka: make test"]
fn every_undecodable_record_is_buried_once_as_it_was_with_reason_and_origin() {
    let kafka = Kafka::at(&kafka_address());
    let (topic, records, broken) = feed(&kafka, 6_000);
    let letters = kafka.new_topic("graves", 1);
    let mut process = reader(&topic, &letters, "");
    process.start();
    await_read(&process, records);
    assert!(buried(&kafka, &letters, &topic) == broken, "letters differ");
    let metrics = http::get(&process.url("/metrics")).expect("metrics").text();
    let wanted = format!(
        "fatalmonitor_dead_letters_total{{outcome=\"delivered\"}} {}",
        broken.len()
    );
    assert!(metrics.contains(&wanted), "{wanted} is not in {metrics}");
}

#[test]
#[ignore = "needs Kafka: make test"]
fn no_dead_letter_is_lost_over_kill_9_and_none_is_made_up() {
    let kafka = Kafka::at(&kafka_address());
    let (topic, records, broken) = feed(&kafka, 100_000);
    let letters = kafka.new_topic("graves", 1);
    let mut process = reader(&topic, &letters, "[limits]\ncommit_interval_ms = 50\n");
    for kill in 0..6_u64 {
        process.spawn();
        // A moment somewhere between the opening of the store and the end of the reading.
        std::thread::sleep(Duration::from_millis(150 + kill * 97));
        process.kill();
    }
    process.start();
    await_read(&process, records);
    let found = buried(&kafka, &letters, &topic);
    let letters_in_all: u64 = found.values().map(|it| it.2).sum();
    println!(
        "{} broken records, {letters_in_all} letters after 6 kills",
        broken.len()
    );
    let once: Buried = found
        .into_iter()
        .map(|(place, (reason, bytes, _))| (place, (reason, bytes, 1)))
        .collect();
    assert!(once == broken, "a letter is lost, changed or made up");
}

#[test]
#[ignore = "needs Kafka: make test"]
fn a_dead_letter_topic_that_is_not_there_is_said_and_stops_nothing() {
    let kafka = Kafka::at(&kafka_address());
    let (topic, records, broken) = feed(&kafka, 300);
    let mut process = reader(&topic, "no-such-graves", "");
    process.start();
    await_read(&process, records);
    let metrics = http::get(&process.url("/metrics")).expect("metrics").text();
    let wanted = format!(
        "fatalmonitor_dead_letters_total{{outcome=\"lost\"}} {}",
        broken.len()
    );
    assert!(metrics.contains(&wanted), "{wanted} is not in {metrics}");
    assert!(process.log().contains("dead letters were not taken"));
}

#[test]
#[ignore = "needs Kafka: make test"]
fn redacted_dead_letters_hold_no_secret() {
    let kafka = Kafka::at(&kafka_address());
    let topic = kafka.new_topic("letters", 1);
    let mut feeder = kafka.feeder();
    feeder.send(&topic, 0, b"{\"message\": \"password=hunter2\", ", b"key");
    feeder.finish();
    let letters = kafka.new_topic("graves", 1);
    let mut process = Process::fatalmonitor(&format!(
        "{}deadletter_topic = \"{letters}\"\ndeadletter_redacted = true\n",
        config(&kafka_address(), &topic, "")
    ));
    process.start();
    await_read(&process, 1);
    let found = buried(&kafka, &letters, &topic);
    let (_, bytes, _) = &found[&("0".to_owned(), "0".to_owned())];
    let text = String::from_utf8_lossy(bytes);
    assert!(
        text.contains("message") && !text.contains("hunter2"),
        "{text}"
    );
}
