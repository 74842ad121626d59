//! The librdkafka client: its settings, and what it tells beside records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::{KafkaOptions, TopicPartition};

/// Why a Kafka source cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KafkaSourceError {
    /// librdkafka refuses a property.
    #[error("source `{name}`: {source}")]
    Config {
        /// Name of the source.
        name: String,
        /// What librdkafka says; it names the property.
        source: KafkaError,
    },
    /// A secret cannot be fetched.
    #[error("source `{name}`: {problem}")]
    Secret {
        /// Name of the source.
        name: String,
        /// Which file or variable.
        problem: String,
    },
}

/// What librdkafka tells beside records.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Last stable end of each partition, from the statistics.
    pub(super) ends: BTreeMap<TopicPartition, i64>,
    /// Last client error, and whether it is one of credentials.
    pub(super) error: Option<(String, bool)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Context(pub(super) Arc<Mutex<Told>>);

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, stats) in statistics.topics.into_iter().collect::<BTreeMap<_, _>>() {
            for (partition, stats) in stats.partitions.into_iter().collect::<BTreeMap<_, _>>() {
                if partition >= 0 && stats.ls_offset >= 0 {
                    told.ends
                        .insert((topic.clone(), partition), stats.ls_offset);
                }
            }
        }
    }

    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::debug!(message, "librdkafka"),
            _ => tracing::trace!(message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let credentials = matches!(
            code,
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::SSL
            )
        );
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.error = Some((reason.to_owned(), credentials));
    }
}

impl ConsumerContext for Context {}

/// Settings that users may change, and those that exactness owns, over librdkafka's own defaults.
pub(super) fn client_config(options: &KafkaOptions) -> Result<ClientConfig, KafkaSourceError> {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "fatalmonitor")
        .set("group.id", "fatalmonitor")
        .set("allow.auto.create.topics", "false")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", "16384")
        .set("statistics.interval.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("fetch.wait.max.ms", "100");
    set_properties(&mut config, options)?;
    config
        .set("bootstrap.servers", &options.config.brokers)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    Ok(config)
}

/// Settings of the producer of dead letters; each is given up after `timeout`.
pub(super) fn producer_config(
    options: &KafkaOptions,
    timeout: Duration,
) -> Result<ClientConfig, KafkaSourceError> {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "fatalmonitor")
        .set("linger.ms", "50")
        .set("queue.buffering.max.kbytes", "16384");
    set_properties(&mut config, options)?;
    let millis = timeout.as_millis().to_string();
    config
        .set("bootstrap.servers", &options.config.brokers)
        .set("allow.auto.create.topics", "false")
        // A topic that is not there is said within the time of one letter.
        .set("topic.metadata.propagation.max.ms", &millis)
        .set("message.timeout.ms", &millis)
        .set("enable.idempotence", "true");
    Ok(config)
}

fn set_properties(
    config: &mut ClientConfig,
    options: &KafkaOptions,
) -> Result<(), KafkaSourceError> {
    let properties =
        options
            .config
            .resolved_properties()
            .map_err(|problem| KafkaSourceError::Secret {
                name: options.name.clone(),
                problem,
            })?;
    for (name, value) in properties {
        config.set(name, value);
    }
    Ok(())
}
