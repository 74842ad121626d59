//! The dead-letter topic: a copy of every record that could not be decoded, with where it came from and why.
//!
//! Letters are raw bytes unless the configuration asks for redacted ones: the topic is for sending records
//! again once their producer or the rules are put right. It must never hold up reading for longer than
//! [`LETTER_TIMEOUT`]. Invariant: before counts are handed over, every letter about them was taken by the
//! broker or counted as lost, so after a crash a letter may come twice, but never not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::client::producer_config;
use super::{KafkaOptions, KafkaSourceError};
use crate::ingest::fingerprint::redact::redact;

/// How long a broker may take to accept a letter; past it the letter is lost, which is counted and said.
// 10 s: the time that every other request of ours gets (RELIABILITY.md §1, socket and transaction time-outs).
pub(super) const LETTER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long we wait for room among the letters that are on their way.
const ROOM: Duration = Duration::from_millis(100);

/// What became of letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Taken by the broker.
    pub(super) delivered: u64,
    /// Given up.
    pub(super) lost: u64,
}

/// Counts the broker's answers.
#[derive(Clone, Debug, Default)]
struct Tally {
    delivered: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl ClientContext for Tally {}

impl ProducerContext for Tally {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let sum = if result.is_ok() {
            &self.delivered
        } else {
            &self.lost
        };
        sum.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way to the dead-letter topic.
pub(super) struct Letters {
    producer: BaseProducer<Tally>,
    tally: Tally,
    source: String,
    topic: String,
    is_redacted: bool,
    waiting: bool,
}

impl Letters {
    /// Makes the producer, if a dead-letter topic is configured.
    pub(super) fn new(options: &KafkaOptions) -> Result<Option<Self>, KafkaSourceError> {
        let Some(topic) = &options.config.deadletter_topic else {
            return Ok(None);
        };
        let tally = Tally::default();
        let producer = producer_config(options, LETTER_TIMEOUT)?
            .create_with_context(tally.clone())
            .map_err(|source| KafkaSourceError::Config {
                name: options.name.clone(),
                source,
            })?;
        Ok(Some(Self {
            producer,
            tally,
            source: options.name.clone(),
            topic: topic.clone(),
            is_redacted: options.config.deadletter_redacted,
            waiting: false,
        }))
    }

    /// Copies a record to the topic.
    pub(super) fn bury(&mut self, message: &BorrowedMessage<'_>, reason: &str) {
        let bytes = message.payload().unwrap_or_default();
        let mut text = String::new();
        let payload = if self.is_redacted {
            redact(&String::from_utf8_lossy(bytes), &mut text);
            text.as_bytes()
        } else {
            bytes
        };
        let key = message.key().unwrap_or_default();
        let mut record = BaseRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .headers(self.headers(message, reason));
        self.waiting = true;
        // Ends at the latest when the letters that take up the room are given up.
        while let Err((error, back)) = self.producer.send(record) {
            if !matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            ) {
                tracing::debug!(%error, offset = message.offset(), "a dead letter could not be sent");
                self.tally.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.producer.poll(ROOM);
            record = back;
        }
    }

    fn headers(&self, message: &BorrowedMessage<'_>, reason: &str) -> OwnedHeaders {
        let (partition, offset) = (
            message.partition().to_string(),
            message.offset().to_string(),
        );
        let all = [
            ("fatalmonitor.reason", reason),
            ("fatalmonitor.source", &self.source),
            ("fatalmonitor.topic", message.topic()),
            ("fatalmonitor.partition", &partition),
            ("fatalmonitor.offset", &offset),
            (
                "fatalmonitor.bytes",
                if self.is_redacted { "redacted" } else { "raw" },
            ),
        ];
        all.into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            })
    }

    /// Waits until the broker has answered for every letter; returns what became of them since the last call.
    pub(super) fn settle(&mut self) -> Option<Outcome> {
        if !std::mem::take(&mut self.waiting) {
            return None;
        }
        // Each letter ends within its own time-out; the rest is for the reports to come in.
        if let Err(error) = self.producer.flush(LETTER_TIMEOUT * 2) {
            tracing::warn!(topic = self.topic, %error, "dead letters are still on their way");
            self.waiting = true;
        }
        let outcome = Outcome {
            delivered: self.tally.delivered.swap(0, Ordering::Relaxed),
            lost: self.tally.lost.swap(0, Ordering::Relaxed),
        };
        if outcome.lost > 0 {
            tracing::error!(
                topic = self.topic,
                lost = outcome.lost,
                "dead letters were not taken: check that the topic is there and that this user may write it; the records are counted all the same"
            );
        }
        Some(outcome)
    }
}
