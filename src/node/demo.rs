//! The demo: librdkafka's in-process Kafka cluster, a scenario produced into it, and the same pipeline on it.
//!
//! The cluster keeps only a few MiB a partition, so the producer never runs further ahead of the reader
//! than a fraction of that. The scenario's clock is the clock: what is played lies in the past.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use tokio_util::sync::CancellationToken;

use super::clock;
use crate::model::EventTime;
use crate::scenario::{Scenario, StreamOptions};
use crate::source::Finite;

/// Topic of the demo.
pub const TOPIC: &str = "mediawiki";

/// Partitions of that topic.
pub const PARTITIONS: i32 = 4;

/// Bytes that may be produced but not yet read. The in-process cluster keeps 5 MiB a partition.
const AHEAD_MAX: u64 = 4 << 20;

/// How long the producer waits for the reader or for the time to come.
const WAIT: Duration = Duration::from_millis(2);

/// A cluster in this process, with the demo's topic.
pub struct DemoCluster {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl std::fmt::Debug for DemoCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoCluster").finish_non_exhaustive()
    }
}

impl DemoCluster {
    /// Starts the cluster.
    pub fn start() -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("cannot start the in-process Kafka cluster")?;
        cluster
            .create_topic(TOPIC, PARTITIONS, 1)
            .context("cannot make the demo's topic")?;
        Ok(Self { cluster })
    }

    /// Returns the address for clients.
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

/// How the scenario is played.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Event time from which on it is played at `speed`; before it, as fast as possible.
    pub from: EventTime,
    /// How many times faster than real time; `None` is as fast as possible.
    pub speed: Option<f64>,
}

/// How far the producer is, in event time (milliseconds).
pub type Played = Arc<AtomicI64>;

/// Produces a scenario into the cluster, and says at the end where each partition ends.
pub fn produce(
    scenario: &Scenario,
    options: &StreamOptions,
    brokers: &str,
    (pace, finite, played): (&Pace, &Finite, &Played),
    stop: &CancellationToken,
) -> anyhow::Result<u64> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "2")
        .set("queue.buffering.max.messages", "200000")
        .set("message.timeout.ms", "60000")
        .create()
        .context("cannot make the demo's producer")?;
    let mut stream = scenario.stream(options);
    let mut payload = Vec::with_capacity(4096);
    let mut counts = BTreeMap::new();
    let (mut records, mut bytes) = (0_u64, 0_u64);
    let started = clock::instant();
    let mut visible_since = None;
    while let Some(item) = stream.next_into(&mut payload) {
        if stop.is_cancelled() {
            return Ok(records);
        }
        while bytes.saturating_sub(finite.read_bytes.load(Ordering::Relaxed)) > AHEAD_MAX
            && !stop.is_cancelled()
        {
            producer.poll(WAIT);
        }
        if let Some(speed) = pace.speed.filter(|_| item.at > pace.from) {
            // The clock of the visible part starts when its first event is due, not when the program started.
            let since = *visible_since.get_or_insert_with(|| started.elapsed());
            #[expect(clippy::cast_precision_loss, reason = "a wait, not a count")]
            let due = Duration::from_secs_f64(
                (item.at.millis_since(pace.from) as f64 / 1000.0 / speed).max(0.0),
            );
            while started.elapsed() < since + due && !stop.is_cancelled() {
                producer.poll(WAIT);
            }
        }
        let partition = i32::try_from(item.key % PARTITIONS.cast_unsigned()).unwrap_or(0);
        send(&producer, partition, item.at, &payload)?;
        *counts.entry((TOPIC.to_owned(), partition)).or_insert(0) += 1;
        records += 1;
        bytes += payload.len() as u64;
        if records.is_multiple_of(256) {
            producer.poll(Duration::ZERO);
            played.store(item.at.millis(), Ordering::Relaxed);
        }
    }
    producer
        .flush(Duration::from_mins(1))
        .context("the in-process cluster did not take everything")?;
    played.store(scenario.to().millis(), Ordering::Relaxed);
    // Set once: there is one producer.
    finite.ends.set(counts).ok();
    Ok(records)
}

fn send(
    producer: &BaseProducer,
    partition: i32,
    at: EventTime,
    payload: &[u8],
) -> anyhow::Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(TOPIC)
        .partition(partition)
        .payload(payload)
        .timestamp(at.millis());
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(WAIT);
                record = back;
            }
            Err((error, _)) => return Err(error).context("the demo's producer failed"),
        }
    }
}
