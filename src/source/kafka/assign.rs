//! Which partitions are read, and from where.

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::PoisonError;

use super::{ASK, KafkaReader, Open, POLL, Pattern, RETRY_MS, TopicPartition};
use crate::config::Start;
use crate::ingest::Resume;
use crate::model::EventTime;
use crate::source::{Outlet, OutletClosed};

impl KafkaReader {
    /// Looks for topics and partitions, and takes up new ones.
    pub(super) fn refresh(&mut self, now: EventTime, outlet: &Outlet) -> Result<(), OutletClosed> {
        self.refresh_at = now.plus_millis(RETRY_MS);
        let found = match self.consumer.fetch_metadata(None, ASK) {
            Ok(metadata) => metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none() && self.wants(topic.name()))
                .flat_map(|topic| {
                    topic
                        .partitions()
                        .iter()
                        .map(|it| (topic.name().to_owned(), it.id()))
                })
                .collect::<Vec<TopicPartition>>(),
            Err(error) => {
                // librdkafka says why only while it is polled (a wrong password would look like a time-out).
                self.consumer.poll(POLL);
                let problem = self.unreachable(&error);
                return self.tell(Some(problem), outlet);
            }
        };
        let missing = self.missing(&found);
        let mut fresh = Vec::new();
        for key in found {
            if !self
                .open
                .iter()
                .any(|it| it.topic == key.0 && it.partition == key.1)
            {
                match self.begin(&key) {
                    Ok(resume) => fresh.push((key, resume)),
                    Err(error) => return self.tell(Some(self.unreachable(&error)), outlet),
                }
            }
        }
        if !fresh.is_empty() {
            for ((topic, partition), (resume, low)) in fresh {
                let index = self
                    .ingest
                    .open(&self.options.name, &topic, partition, &resume);
                self.ingest.skip_to(index, low);
                let next = resume.next.max(low);
                self.open.push(Open {
                    topic,
                    partition,
                    index,
                    next,
                    last_arrived: None,
                    stopped: None,
                });
            }
            self.reassign();
            tracing::info!(
                source = self.options.name,
                partitions = self.open.len(),
                "partitions assigned"
            );
        }
        self.refresh_at =
            now.plus_seconds(i64::try_from(self.options.metadata_refresh_seconds).unwrap_or(10));
        if missing.is_some() {
            self.refresh_at = now.plus_millis(RETRY_MS);
        }
        self.tell(missing, outlet)
    }

    fn wants(&self, topic: &str) -> bool {
        if self.options.config.deadletter_topic.as_deref() == Some(topic) {
            return false;
        }
        self.patterns.iter().any(|it| match it {
            Pattern::Exact(name) => name == topic,
            Pattern::Regex(regex) => regex.is_match(topic),
        })
    }

    fn missing(&self, found: &[TopicPartition]) -> Option<String> {
        let absent: Vec<&str> = self
            .options
            .config
            .topics
            .iter()
            .zip(&self.patterns)
            .filter(|(_, pattern)| {
                !found.iter().any(|(topic, _)| match pattern {
                    Pattern::Exact(name) => name == topic,
                    Pattern::Regex(regex) => regex.is_match(topic),
                })
            })
            .map(|(name, _)| name.as_str())
            .collect();
        (!absent.is_empty()).then(|| {
            format!(
                "source `{}`: no topic matches `{}` on {}: check the name, and that this user may describe it",
                self.options.name,
                absent.join("`, `"),
                self.options.config.brokers
            )
        })
    }

    fn unreachable(&self, error: &KafkaError) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = told
            .error
            .as_ref()
            .map_or_else(|| error.to_string(), |(reason, _)| reason.clone());
        format!(
            "source `{}` cannot reach Kafka at {}: {reason}: check `brokers`, the network and the credentials",
            self.options.name, self.options.config.brokers
        )
    }

    /// Decides where a partition is taken up; also returns the oldest position that the broker still has.
    fn begin(&self, key: &TopicPartition) -> Result<(Resume, u64), KafkaError> {
        let (topic, partition) = key;
        let (low, high) = self.consumer.fetch_watermarks(topic, *partition, ASK)?;
        let (low, high) = (
            u64::try_from(low).unwrap_or_default(),
            u64::try_from(high).unwrap_or_default(),
        );
        if let Some(resume) = self.resume.get(key) {
            return Ok((resume.clone(), low));
        }
        // A partition that appears while we run is read from its beginning: nothing in it is old.
        let start = if self.open.is_empty() {
            self.options.config.start
        } else {
            Start::Earliest
        };
        let next = match start {
            Start::Earliest => low,
            Start::Latest => high,
            Start::At(at) => {
                let mut wanted = TopicPartitionList::new();
                wanted.add_partition_offset(topic, *partition, Offset::Offset(at.millis()))?;
                match self
                    .consumer
                    .offsets_for_times(wanted, ASK)?
                    .find_partition(topic, *partition)
                    .map(|it| it.offset())
                {
                    Some(Offset::Offset(offset)) => u64::try_from(offset).unwrap_or(high),
                    _ => high,
                }
            }
        };
        Ok((
            Resume {
                next,
                ..Resume::default()
            },
            low.min(next),
        ))
    }

    /// Tells librdkafka to read every open partition from where we are.
    fn reassign(&self) {
        let mut list = TopicPartitionList::new();
        for open in &self.open {
            let offset = Offset::Offset(i64::try_from(open.next).unwrap_or(i64::MAX));
            if open.stopped.is_none()
                && let Err(error) = list.add_partition_offset(&open.topic, open.partition, offset)
            {
                tracing::error!(topic = open.topic, partition = open.partition, %error, "partition cannot be assigned");
            }
        }
        if let Err(error) = self.consumer.assign(&list) {
            tracing::error!(source = self.options.name, %error, "partitions cannot be assigned");
        }
    }

    /// A position lies outside what the broker has: before it, that is a gap; after it, the topic was cut or made anew.
    pub(super) fn repair(&mut self) {
        for open in &mut self.open {
            let (topic, partition) = (&open.topic, open.partition);
            let Ok((low, high)) = self.consumer.fetch_watermarks(topic, partition, ASK) else {
                continue;
            };
            let (low, high) = (
                u64::try_from(low).unwrap_or_default(),
                u64::try_from(high).unwrap_or_default(),
            );
            if open.next < low {
                tracing::error!(
                    topic,
                    partition,
                    lost = low - open.next,
                    "records were deleted before they were read"
                );
                self.ingest.skip_to(open.index, low);
                open.next = low;
            } else if open.next > high {
                let why = format!(
                    "the stored position {} lies after the end {high}: the topic was cut or made anew",
                    open.next
                );
                tracing::error!(topic, partition, why, "partition stopped");
                open.stopped = Some(why);
            }
        }
        self.reassign();
    }
}
