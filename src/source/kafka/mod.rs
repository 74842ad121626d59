//! Kafka by librdkafka: one `BaseConsumer` on its own OS thread.
//!
//! It assigns partitions itself, at positions that come from the store; the group's committed offsets are
//! written for lag tools and never read. Records that the broker no longer has are a counted gap.

mod assign;
mod client;
mod letters;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use regex::Regex;
use tokio_util::sync::CancellationToken;

pub use self::client::KafkaSourceError;
use self::client::{Context, Told, client_config};
use self::letters::{Letters, Outcome};
use super::{
    BYTES_MAX, Careful, Delivery, Finite, Outlet, OutletClosed, PartitionStatus, ROWS_MAX,
    WallClock,
};
use crate::config::KafkaSource;
use crate::detect::Position;
use crate::ingest::{Ingest, PartitionIndex, Resume};
use crate::model::{EventTime, RawRecord};

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(50);

/// How long a question to the broker may take.
const ASK: Duration = Duration::from_secs(5);

/// Milliseconds between two advisory commits of the group's offsets.
const ADVISORY_MS: i64 = 5_000;

/// Milliseconds between two tries while no broker answers.
const RETRY_MS: i64 = 1_000;

/// A topic and partition.
pub type TopicPartition = (String, i32);

/// Positions that are stored, for the advisory commit; filled by stage 2.
pub type StoredPositions = Arc<Mutex<BTreeMap<TopicPartition, u64>>>;

/// One partition that is read.
#[derive(Debug)]
struct Open {
    topic: String,
    partition: i32,
    index: PartitionIndex,
    next: u64,
    last_arrived: Option<EventTime>,
    stopped: Option<String>,
}

/// What a Kafka source needs to know from outside.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Name of the source.
    pub name: String,
    /// Its settings.
    pub config: KafkaSource,
    /// Milliseconds between two cuts.
    pub commit_interval_ms: u64,
    /// Seconds between two looks for new topics and partitions.
    pub metadata_refresh_seconds: u64,
    /// Reads the wall clock.
    pub clock: WallClock,
    /// For a stream that ends; `None` reads for ever.
    pub finite: Option<Arc<Finite>>,
}

/// A Kafka source at work.
pub struct KafkaReader {
    options: KafkaOptions,
    consumer: BaseConsumer<Context>,
    letters: Option<Letters>,
    careful: Careful,
    told: Arc<Mutex<Told>>,
    patterns: Vec<Pattern>,
    ingest: Ingest,
    resume: BTreeMap<TopicPartition, Resume>,
    open: Vec<Open>,
    /// Place in `open` of the last record's partition: records come in runs.
    hint: usize,
    stored: StoredPositions,
    bytes: u64,
    trouble: Option<String>,
    cut_at: EventTime,
    refresh_at: EventTime,
    advise_at: EventTime,
}

impl std::fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaReader")
            .field("options", &self.options.name)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Pattern {
    Exact(String),
    Regex(Regex),
}

impl KafkaReader {
    /// Makes the reader; does not talk to the broker yet.
    pub fn new(
        options: KafkaOptions,
        (ingest, careful): (Ingest, Careful),
        positions: Vec<Position>,
        stored: StoredPositions,
    ) -> Result<Self, KafkaSourceError> {
        let context = Context::default();
        let told = Arc::clone(&context.0);
        let config_error = |source| KafkaSourceError::Config {
            name: options.name.clone(),
            source,
        };
        let client = client_config(&options)?;
        let consumer: BaseConsumer<Context> =
            client.create_with_context(context).map_err(config_error)?;
        let letters = Letters::new(&options)?;
        let patterns = options
            .config
            .topics
            .iter()
            .map(|topic| match Regex::new(topic) {
                Ok(regex) if topic.starts_with('^') => Pattern::Regex(regex),
                _ => Pattern::Exact(topic.clone()),
            })
            .collect();
        let resume = positions
            .into_iter()
            .filter(|it| it.source == options.name)
            .map(|it| {
                (
                    (it.topic, it.partition),
                    Resume {
                        next: it.next,
                        watermark: it.watermark,
                        limiter: it.limiter,
                    },
                )
            })
            .collect();
        Ok(Self {
            consumer,
            letters,
            careful,
            told,
            patterns,
            ingest,
            resume,
            open: Vec::new(),
            hint: 0,
            stored,
            bytes: 0,
            trouble: None,
            cut_at: EventTime::MIN,
            refresh_at: EventTime::MIN,
            advise_at: EventTime::MIN,
            options,
        })
    }

    /// Reads until told to stop. What was read but not handed over is read again at the next start.
    pub fn run(mut self, outlet: &Outlet, stop: &CancellationToken) -> Result<(), OutletClosed> {
        let end = self.read(outlet, stop);
        self.careful.finish();
        end
    }

    fn read(&mut self, outlet: &Outlet, stop: &CancellationToken) -> Result<(), OutletClosed> {
        while !stop.is_cancelled() {
            let now = (self.options.clock)();
            if now >= self.refresh_at {
                self.refresh(now, outlet)?;
            }
            match self.poll() {
                Polled::Record | Polled::Nothing => {}
                Polled::OutOfRange => self.repair(),
                // One problem at a time: what follows from a broker that is away need not be said too.
                Polled::Error(_) if self.trouble.is_some() => {}
                Polled::Error(problem) => self.tell(Some(problem), outlet)?,
            }
            if self.bytes >= BYTES_MAX || self.ingest.rows() >= ROWS_MAX || now >= self.cut_at {
                self.hand_over(now, outlet)?;
            }
            if self.is_over() {
                self.hand_over(now, outlet)?;
                let source = self.options.name.clone();
                return outlet
                    .blocking_send(Delivery::Ended { source })
                    .map_err(|_| OutletClosed);
            }
            if now >= self.advise_at {
                self.advise();
                self.advise_at = now.plus_millis(ADVISORY_MS);
            }
        }
        self.hand_over((self.options.clock)(), outlet)?;
        self.advise();
        Ok(())
    }

    /// Tells whether a stream that ends was read to its end.
    fn is_over(&self) -> bool {
        let Some(ends) = self.options.finite.as_ref().and_then(|it| it.ends.get()) else {
            return false;
        };
        !self.open.is_empty()
            && self.open.iter().all(|it| {
                ends.get(&(it.topic.clone(), it.partition))
                    .is_none_or(|&end| it.next >= end)
            })
    }

    fn poll(&mut self) -> Polled {
        match self.consumer.poll(POLL) {
            None => Polled::Nothing,
            Some(Ok(message)) => {
                let is_its =
                    |it: &Open| it.partition == message.partition() && it.topic == message.topic();
                if !self.open.get(self.hint).is_some_and(is_its) {
                    self.hint = self.open.iter().position(is_its).unwrap_or(usize::MAX);
                }
                if let Some(open) = self.open.get_mut(self.hint) {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    if offset < open.next {
                        return Polled::Nothing;
                    }
                    let arrived = message
                        .timestamp()
                        .to_millis()
                        .map_or_else(self.options.clock, EventTime::from_millis);
                    let record = RawRecord {
                        offset,
                        next_offset: offset + 1,
                        payload: message.payload(),
                        arrived,
                    };
                    open.next = offset + 1;
                    open.last_arrived = open.last_arrived.max(Some(arrived));
                    let bytes = record.payload.map_or(64, <[u8]>::len) as u64;
                    self.bytes += bytes;
                    if let Some(finite) = &self.options.finite {
                        finite
                            .read_bytes
                            .fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
                    }
                    let place = (open.index, open.topic.as_str(), open.partition);
                    let rejected = self.careful.work(&mut self.ingest, place, &record);
                    if let (Some(reason), Some(letters)) = (rejected, &mut self.letters) {
                        letters.bury(&message, reason.name());
                    }
                }
                Polled::Record
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::PartitionEOF) => Polled::Nothing,
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    Polled::OutOfRange
                }
                _ => Polled::Error(format!(
                    "source `{}` cannot read from {}: {error}",
                    self.options.name, self.options.config.brokers
                )),
            },
        }
    }

    /// Says that something is wrong, or that it is over; each only once.
    fn tell(&mut self, problem: Option<String>, outlet: &Outlet) -> Result<(), OutletClosed> {
        if problem == self.trouble {
            return Ok(());
        }
        let credentials = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.error
                .take()
                .is_some_and(|(_, credentials)| credentials)
        };
        let fatal = problem.is_some() && credentials && self.open.is_empty();
        self.trouble.clone_from(&problem);
        let source = self.options.name.clone();
        outlet
            .blocking_send(Delivery::Trouble {
                source,
                problem,
                fatal,
            })
            .map_err(|_| OutletClosed)
    }

    fn hand_over(&mut self, now: EventTime, outlet: &Outlet) -> Result<(), OutletClosed> {
        self.cut_at =
            now.plus_millis(i64::try_from(self.options.commit_interval_ms).unwrap_or(1000));
        self.bytes = 0;
        if let Some(Outcome { delivered, lost }) = self.letters.as_mut().and_then(Letters::settle) {
            outlet
                .blocking_send(Delivery::Letters { delivered, lost })
                .map_err(|_| OutletClosed)?;
        }
        let places = self.careful.cut();
        if !places.is_empty() {
            outlet
                .blocking_send(Delivery::SteppedOver { places })
                .map_err(|_| OutletClosed)?;
        }
        let batches = self.ingest.cut();
        let partitions = self.statuses();
        outlet
            .blocking_send(Delivery::Counts {
                source: self.options.name.clone(),
                batches,
                partitions,
                rows: Vec::new(),
                stored: None,
            })
            .map_err(|_| OutletClosed)
    }

    fn statuses(&self) -> Vec<PartitionStatus> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.open
            .iter()
            .map(|open| {
                let key = (open.topic.clone(), open.partition);
                let end = told.ends.get(&key).and_then(|&it| u64::try_from(it).ok());
                PartitionStatus {
                    topic: key.0,
                    partition: key.1,
                    next: open.next,
                    end: end.map(|it| it.max(open.next)),
                    at_end: end.is_some_and(|it| open.next >= it),
                    last_arrived: open.last_arrived,
                    stopped: open.stopped.clone(),
                }
            })
            .collect()
    }

    /// Writes the stored positions to the group, for lag tools.
    fn advise(&self) {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), &next) in
            &*self.stored.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let offset = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            if list
                .add_partition_offset(topic, *partition, offset)
                .is_err()
            {
                return;
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "advisory commit refused");
        }
    }
}

enum Polled {
    Record,
    Nothing,
    OutOfRange,
    Error(String),
}
