//! What a test does at the broker: topics, partitions, fast exact producing, deleting, looking.
//!
//! A produced record counts as produced when the broker has acknowledged it; anything else ends the test,
//! since every later count is compared with these.

use super::{PATIENCE, eventually, unique};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One broker address and the clients for it.
pub(crate) struct Kafka {
    config: ClientConfig,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Kafka {
    /// Makes clients for a plain listener.
    pub(crate) fn at(bootstrap: &str) -> Self {
        Self::with(&[("bootstrap.servers", bootstrap)])
    }

    /// Makes clients with any librdkafka properties.
    pub(crate) fn with(properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let admin = config.create().expect("an admin client");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            config,
            admin,
            runtime: runtime.expect("a runtime"),
        }
    }

    /// Creates a topic with a new name, `prefix-…`, that never deletes by time, and returns the name.
    pub(crate) fn new_topic(&self, prefix: &str, partitions: i32) -> String {
        let name = unique(prefix);
        self.create_topic(&name, partitions, &[("retention.ms", "-1")]);
        name
    }

    /// Creates a topic and waits until every partition has a leader.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, properties: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in properties {
            topic = topic.set(key, value);
        }
        let asked = self.admin.create_topics([&topic], &options());
        let answers = self.runtime.block_on(asked).expect("the broker answers");
        for answer in answers {
            answer.unwrap_or_else(|(topic, code)| panic!("topic {topic} was not created: {code}"));
        }
        self.await_leaders(name, partitions);
    }

    /// Grows a topic to `total` partitions and waits until every one has a leader.
    pub(crate) fn add_partitions(&self, name: &str, total: i32) {
        let count = usize::try_from(total).expect("a positive number of partitions");
        let wanted = NewPartitions::new(name, count);
        let asked = self.admin.create_partitions([&wanted], &options());
        let answers = self.runtime.block_on(asked).expect("the broker answers");
        for answer in answers {
            answer.unwrap_or_else(|(topic, code)| panic!("topic {topic} was not grown: {code}"));
        }
        self.await_leaders(name, total);
    }

    /// Deletes all records before the given offset of each partition, as retention does.
    pub(crate) fn delete_records(&self, name: &str, before: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(name, *partition, Offset::Offset(*offset))
                .expect("an offset");
        }
        let asked = self.admin.delete_records(&list, &options());
        let done = self.runtime.block_on(asked).expect("the broker answers");
        for element in done.elements() {
            element
                .error()
                .unwrap_or_else(|error| panic!("records were not deleted: {error}"));
        }
    }

    /// Returns the first offset and the one after the last of a partition.
    pub(crate) fn offsets(&self, name: &str, partition: i32) -> (i64, i64) {
        let consumer = self.consumer();
        eventually("the broker tells the offsets", PATIENCE, || {
            consumer
                .fetch_watermarks(name, partition, Duration::from_secs(5))
                .map_err(|error| error.to_string())
        })
    }

    /// Makes a consumer without a group, for the test's own reading.
    pub(crate) fn consumer(&self) -> BaseConsumer {
        let mut config = self.config.clone();
        config
            .set("group.id", unique("it"))
            .set("enable.auto.commit", "false");
        config.create().expect("a consumer")
    }

    /// Makes a producer.
    pub(crate) fn feeder(&self) -> Feeder {
        let mut config = self.config.clone();
        // Idempotent, so that a broker that stops and starts under load makes no copy of a record.
        for (name, value) in [
            ("enable.idempotence", "true"),
            ("linger.ms", "20"),
            ("batch.size", "262144"),
            ("compression.type", "lz4"),
            ("queue.buffering.max.messages", "200000"),
            ("message.timeout.ms", "120000"),
        ] {
            config.set(name, value);
        }
        let tally = Tally::default();
        let producer = config
            .create_with_context(tally.clone())
            .expect("a producer");
        Feeder {
            producer,
            tally,
            sent: 0,
        }
    }

    fn await_leaders(&self, name: &str, partitions: i32) {
        let consumer = self.consumer();
        let wanted = usize::try_from(partitions).expect("a positive number of partitions");
        eventually(&format!("topic {name} has leaders"), PATIENCE, || {
            let metadata = consumer.fetch_metadata(Some(name), Duration::from_secs(5));
            let metadata = metadata.map_err(|error| error.to_string())?;
            let leaders = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            match leaders.filter(|partition| partition.leader() >= 0).count() {
                count if count == wanted => Ok(()),
                count => Err(format!("{count} of {wanted}")),
            }
        });
    }
}

/// A producer that counts what the broker has acknowledged.
pub(crate) struct Feeder {
    producer: BaseProducer<Tally>,
    tally: Tally,
    sent: u64,
}

impl Feeder {
    /// Hands one record to the producer; waits while its queue is full.
    pub(crate) fn send(&mut self, topic: &str, partition: i32, payload: &[u8], key: &[u8]) {
        let mut record = BaseRecord::to(topic)
            .partition(partition)
            .payload(payload)
            .key(key);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((error, _)) => panic!("a record for {topic}/{partition} was refused: {error}"),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(1_024) {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Hands a record without a value to the producer.
    pub(crate) fn send_tombstone(&mut self, topic: &str, partition: i32) {
        let record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(partition)
            .key(b"gone");
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("room for a tombstone");
        self.sent += 1;
    }

    /// Waits until the broker has acknowledged every record, and returns how many there were so far.
    pub(crate) fn finish(&mut self) -> u64 {
        self.producer
            .flush(PATIENCE * 2)
            .expect("all records leave the queue");
        let failed = self.tally.failed.load(Ordering::Acquire);
        assert_eq!(failed, 0, "records that the broker did not take");
        assert_eq!(
            self.tally.delivered.load(Ordering::Acquire),
            self.sent,
            "acknowledged records"
        );
        self.sent
    }

    /// Returns how many records the broker has acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.tally.delivered.load(Ordering::Acquire)
    }
}

/// Counts delivery reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Tally {}

impl ProducerContext for Tally {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() {
            &self.delivered
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::AcqRel);
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}
