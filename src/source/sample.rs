//! A few of the newest records of some topics, for `fatalmonitor init`. Commits nothing, joins no group.

use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use regex::Regex;

/// How long a question to the broker may take.
const ASK: Duration = Duration::from_secs(10);

/// Polls without a record after which the sample is taken as it is.
const QUIET_POLLS: u32 = 30;

/// What was sampled.
#[derive(Debug, Default)]
pub struct Sampled {
    /// Topics that matched, sorted.
    pub topics: Vec<String>,
    /// Their partitions.
    pub partitions: usize,
    /// Records.
    pub records: Vec<Vec<u8>>,
}

/// Why nothing could be sampled.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A topic is no regular expression.
    #[error("topic \"{0}\" is not a regular expression: {1}")]
    Regex(String, regex::Error),
    /// No broker answered.
    #[error(
        "cannot reach Kafka at {brokers}: {source}: check the address, the network and the credentials (--property)"
    )]
    Unreachable {
        /// Address.
        brokers: String,
        /// What librdkafka says.
        source: rdkafka::error::KafkaError,
    },
    /// No topic matches.
    #[error("no topic on {brokers} matches `{wanted}`; it has: {found}")]
    NoTopic {
        /// Address.
        brokers: String,
        /// What was wanted.
        wanted: String,
        /// Topics that are there, at most 20.
        found: String,
    },
    /// The broker failed while we read.
    #[error("cannot read a sample")]
    Read(#[from] rdkafka::error::KafkaError),
}

/// Reads about `wanted` of the newest records of the topics that match.
pub fn sample(
    brokers: &str,
    topics: &[String],
    properties: &[(String, String)],
    wanted: usize,
) -> Result<Sampled, SampleError> {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "fatalmonitor-init")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .set_log_level(RDKafkaLogLevel::Emerg);
    let consumer: BaseConsumer = config.create()?;
    let metadata =
        consumer
            .fetch_metadata(None, ASK)
            .map_err(|source| SampleError::Unreachable {
                brokers: brokers.to_owned(),
                source,
            })?;
    let mut list = TopicPartitionList::new();
    let mut sampled = Sampled::default();
    let mut found = Vec::new();
    for topic in metadata.topics() {
        found.push(topic.name().to_owned());
        if wants(topics, topic.name())? {
            sampled.topics.push(topic.name().to_owned());
            sampled.partitions += topic.partitions().len();
        }
    }
    if sampled.topics.is_empty() {
        found.sort();
        found.truncate(20);
        return Err(SampleError::NoTopic {
            brokers: brokers.to_owned(),
            wanted: topics.join("`, `"),
            found: found.join(", "),
        });
    }
    sampled.topics.sort();
    let each = i64::try_from(wanted / sampled.partitions.max(1) + 1).unwrap_or(i64::MAX);
    for topic in metadata
        .topics()
        .iter()
        .filter(|it| sampled.topics.iter().any(|name| name == it.name()))
    {
        for partition in topic.partitions() {
            let (low, high) = consumer.fetch_watermarks(topic.name(), partition.id(), ASK)?;
            list.add_partition_offset(
                topic.name(),
                partition.id(),
                Offset::Offset(low.max(high - each)),
            )?;
        }
    }
    consumer.assign(&list)?;
    let mut quiet = 0;
    while sampled.records.len() < wanted && quiet < QUIET_POLLS {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                quiet = 0;
                sampled
                    .records
                    .extend(message.payload().map(<[u8]>::to_vec));
            }
            Some(Err(error)) => return Err(error.into()),
            None => quiet += 1,
        }
    }
    Ok(sampled)
}

fn wants(topics: &[String], name: &str) -> Result<bool, SampleError> {
    for topic in topics {
        let matches = if topic.starts_with('^') {
            Regex::new(topic)
                .map_err(|error| SampleError::Regex(topic.clone(), error))?
                .is_match(name)
        } else {
            topic == name
        };
        if matches {
            return Ok(true);
        }
    }
    Ok(false)
}
