//! Where records come from: `[[source]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::model::EventTime;

/// librdkafka properties that exactness owns, and what to use instead.
const OWNED: [(&str, &str); 9] = [
    ("auto.offset.reset", "use `start` in the [[source]]"),
    (
        "enable.auto.commit",
        "positions are stored with the counts; nothing to set",
    ),
    (
        "enable.auto.offset.store",
        "positions are stored with the counts; nothing to set",
    ),
    (
        "isolation.level",
        "records of aborted transactions are never counted; nothing to set",
    ),
    (
        "group.protocol",
        "one node assigns the partitions itself; nothing to set",
    ),
    (
        "transactional.id",
        "one node writes no transaction; nothing to set",
    ),
    ("bootstrap.servers", "use `brokers` in the [[source]]"),
    ("metadata.broker.list", "use `brokers` in the [[source]]"),
    (
        "enable.partition.eof",
        "it is needed to know that a partition is read to its end; nothing to set",
    ),
];

/// Properties that hold secrets: they may be given as `file:PATH` or `env:NAME` and are never shown.
const SECRET: [&str; 4] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.key.pem",
];

/// One source of records.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SourceConfig {
    /// Name, unique: positions are stored under it.
    pub name: String,
    /// Dialect of the records: `auto`, `mediawiki`, `ecs`, `otlp-json`, `gelf` or `plain`.
    #[serde(default = "auto")]
    pub dialect: String,
    /// What kind of source it is, and its own settings.
    #[serde(flatten)]
    pub kind: SourceKind,
}

fn auto() -> String {
    "auto".to_owned()
}

/// The kinds of source.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceKind {
    /// Apache Kafka.
    Kafka(KafkaSource),
    /// Files, a folder, or `-` for standard input.
    File(FileSource),
    /// `POST /api/v1/ingest`.
    Http(HttpSource),
}

/// A Kafka cluster and its topics.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Topics; one that begins with `^` is a regular expression over all topics.
    pub topics: Vec<String>,
    /// Where to begin with a partition that has no stored position.
    #[serde(default)]
    pub start: Start,
    /// Topic to which undecodable records are copied, at least once each.
    #[serde(default)]
    pub deadletter_topic: Option<String>,
    /// Whether secrets are removed from those copies; then they cannot be sent again as they were.
    // No: RELIABILITY.md §3, "undecodable", wants the raw bytes, for sending them again.
    #[serde(default)]
    pub deadletter_redacted: bool,
    /// Any property of librdkafka, such as `security.protocol`, `sasl.username` or `ssl.ca.location`.
    #[serde(default, serialize_with = "without_secrets")]
    pub properties: BTreeMap<String, String>,
}

/// Files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// Files or folders; `-` is standard input. `.gz` and `.zst` are unpacked; a file that is packed only after
    /// it was read is another file, so do not follow a folder in which that happens.
    pub paths: Vec<PathBuf>,
    /// Whether to go on reading what is appended.
    #[serde(default)]
    pub follow: bool,
}

/// Records posted to the API.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {}

/// Where to begin with a partition that has no stored position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// At the next record.
    #[default]
    Latest,
    /// At the first record that was appended at or after a time.
    At(EventTime),
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Earliest => serializer.serialize_str("earliest"),
            Self::Latest => serializer.serialize_str("latest"),
            Self::At(at) => serializer.collect_str(at),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" | "stored" => Ok(Self::Latest),
            _ => EventTime::parse_rfc3339(&text).map(Self::At).ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "start = \"{text}\" is none of `earliest`, `latest`, or a time such as 2016-01-19T22:00:00Z"
                ))
            }),
        }
    }
}

impl SourceConfig {
    pub(super) fn check(&self, file: &str, problems: &mut Vec<String>) {
        if self.name.is_empty() {
            problems.push(format!("{file}: a [[source]] has an empty name"));
        }
        match &self.kind {
            SourceKind::Kafka(kafka) => kafka.check(file, &self.name, problems),
            SourceKind::File(it) if it.paths.is_empty() => {
                problems.push(format!(
                    "{file}: source `{}` names no file in `paths`",
                    self.name
                ));
            }
            SourceKind::File(_) | SourceKind::Http(_) => {}
        }
    }
}

impl KafkaSource {
    fn check(&self, file: &str, source: &str, problems: &mut Vec<String>) {
        if self.brokers.is_empty() || self.topics.is_empty() {
            problems.push(format!(
                "{file}: source `{source}` needs `brokers` and at least one entry in `topics`"
            ));
        }
        for topic in self.topics.iter().filter(|it| it.starts_with('^')) {
            if let Err(error) = regex::Regex::new(topic) {
                problems.push(format!("{file}: source `{source}`: topic \"{topic}\" is not a regular expression: {error}"));
            }
        }
        for (name, instead) in OWNED {
            if self.properties.contains_key(name) {
                problems.push(format!(
                    "{file}: source `{source}`: `{name}` may not be set: {instead}"
                ));
            }
        }
    }

    /// Returns the properties with their secrets fetched.
    pub fn resolved_properties(&self) -> Result<Vec<(String, String)>, String> {
        let mut properties = Vec::new();
        for (name, value) in &self.properties {
            let value = if SECRET.contains(&name.as_str()) {
                Secret::new(value.clone()).resolve()?
            } else {
                value.clone()
            };
            properties.push((name.clone(), value));
        }
        Ok(properties)
    }
}

fn without_secrets<S: serde::Serializer>(
    properties: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(properties.iter().map(|(name, value)| {
        let hidden = SECRET.contains(&name.as_str())
            && !value.starts_with("file:")
            && !value.starts_with("env:");
        (name, if hidden { "<secret>" } else { value.as_str() })
    }))
}
