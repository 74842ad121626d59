//! `fatalmonitor.toml`, the environment and flags become one checked [`Config`].
//!
//! Precedence: flag, then `FATALMONITOR_*`, then the file, then the default. Every problem names the
//! file, the line, the value and what to do. It must never print a secret.

mod effective;
mod lines;
mod secret;
mod source;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::effective::{Effective, Origin};
pub use self::secret::Secret;
pub use self::source::{FileSource, HttpSource, KafkaSource, SourceConfig, SourceKind, Start};
use crate::rules::{RuleProblem, RuleSet};

/// Longest time for which history is kept, in days.
// A hundred years: longer than anybody means, and no sum of times overflows.
const KEEP_DAYS_MAX: f64 = 36_525.0;

/// Where the configuration is looked for when no `--config` is given.
pub const SYSTEM_PATH: &str = "/etc/fatalmonitor/config.toml";

/// Everything that an operator can set, apart from rules.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the dashboard, API and metrics.
    pub listen: SocketAddr,
    /// Address under which people reach the dashboard; links in alerts start with it.
    pub external_url: Option<String>,
    /// Host names, beside the loopback ones and that of `external_url`, under which the server may be asked.
    pub hosts_allowed: Vec<String>,
    /// Folder of the store.
    pub data_dir: PathBuf,
    /// Files or folders of rules; none means the built-in rules.
    pub rules: Vec<PathBuf>,
    /// Where records come from.
    pub source: Vec<SourceConfig>,
    /// Alertmanagers; every one gets every alert.
    pub alertmanager: Vec<AlertmanagerTarget>,
    /// Generic webhooks.
    pub webhook: Vec<WebhookTarget>,
    /// Labels added to every alert, such as `cluster`.
    pub alert_labels: std::collections::BTreeMap<String, String>,
    /// Limits and intervals.
    pub limits: Limits,
}

/// Limits and intervals. All have defaults; each says its unit.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest time in milliseconds between two commits of state and positions.
    pub commit_interval_ms: u64,
    /// Days for which history is kept at 10 seconds (may be a fraction).
    pub keep_10s_days: f64,
    /// Days for which history is kept at 1 minute.
    pub keep_1m_days: f64,
    /// Days for which history is kept at 1 hour.
    pub keep_1h_days: f64,
    /// Seconds between two snapshots of the store, from which a damaged one is repaired; 0 makes none.
    pub snapshot_interval_seconds: u64,
    /// Snapshots that are kept.
    pub snapshots_kept: usize,
    /// Largest size in bytes of the store's database; past it nothing more is read, as on a full disk. None is no limit.
    pub store_bytes_max: Option<u64>,
    /// Seconds between two sendings of an unchanged alert.
    pub alert_resend_seconds: u64,
    /// Seconds for which a quiet partition may hold back the clock of all.
    pub partition_idle_seconds: u64,
    /// Seconds between two looks for new topics and partitions.
    pub metadata_refresh_seconds: u64,
    /// Seconds that a stop may take before it is forced.
    pub shutdown_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One second: a commit of 2,000 rows takes 6-7 ms (DEPENDENCIES.md §3).
            commit_interval_ms: 1000,
            keep_10s_days: 0.25,
            keep_1m_days: 14.0,
            keep_1h_days: 400.0,
            // RELIABILITY.md §2.1: hourly, 2 kept.
            snapshot_interval_seconds: 3600,
            snapshots_kept: 2,
            store_bytes_max: None,
            // Alertmanager loses its alerts at a restart; resending repairs that (UX.md §7).
            alert_resend_seconds: 60,
            // RELIABILITY.md §3, "idle partition".
            partition_idle_seconds: 30,
            metadata_refresh_seconds: 10,
            // Below the 30 s that Kubernetes grants (UX.md §5).
            shutdown_seconds: 25,
        }
    }
}

/// One Alertmanager.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerTarget {
    /// Base address, such as `http://127.0.0.1:9093`.
    pub url: String,
    /// User for basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// Password for basic authentication: `file:PATH` or `env:NAME`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Bearer token: `file:PATH` or `env:NAME`.
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// File with the certificate authority to trust.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// One webhook.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookTarget {
    /// Address to post to.
    pub url: String,
    /// Bearer token: `file:PATH` or `env:NAME`.
    #[serde(default)]
    pub bearer_token: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9477)),
            external_url: None,
            hosts_allowed: Vec::new(),
            data_dir: PathBuf::from("fatalmonitor-data"),
            rules: Vec::new(),
            source: Vec::new(),
            alertmanager: Vec::new(),
            webhook: Vec::new(),
            alert_labels: std::collections::BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {what} {path}: {source}")]
    Read {
        /// What the file is for.
        what: &'static str,
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong; every problem has its own line.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl Config {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(
            &path.display().to_string(),
            &read(path, "configuration file")?,
        )
    }

    /// Reads configuration text; `name` stands in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            ConfigError::Invalid(vec![RuleProblem::from_toml(name, text, &error).to_string()])
        })?;
        match config.check(name) {
            Ok(()) => Ok(config),
            Err(ConfigError::Invalid(problems)) => Err(ConfigError::Invalid(
                problems
                    .iter()
                    .map(|it| lines::with_line(name, text, it))
                    .collect(),
            )),
            Err(error) => Err(error),
        }
    }

    /// Checks what the types cannot; returns every problem.
    pub fn check(&self, name: &str) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for source in &self.source {
            if names.contains(&source.name.as_str()) {
                problems.push(format!(
                    "{name}: two [[source]] are called `{}`: give each its own name",
                    source.name
                ));
            }
            names.push(&source.name);
            source.check(name, &mut problems);
        }
        for url in self
            .alertmanager
            .iter()
            .map(|it| &it.url)
            .chain(self.webhook.iter().map(|it| &it.url))
        {
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                problems.push(format!(
                    "{name}: url = \"{url}\" must start with http:// or https://"
                ));
            }
        }
        if !self.listen.ip().is_loopback() {
            problems.push(format!(
                "{name}: listen = \"{}\" is reachable from other machines and there is no authentication yet: listen on 127.0.0.1 and put a proxy with authentication in front",
                self.listen
            ));
        }
        if !(50..=60_000).contains(&self.limits.commit_interval_ms) {
            problems.push(format!(
                "{name}: limits.commit_interval_ms = {} is outside 50..=60000",
                self.limits.commit_interval_ms
            ));
        }
        for (key, days) in [
            ("keep_10s_days", self.limits.keep_10s_days),
            ("keep_1m_days", self.limits.keep_1m_days),
            ("keep_1h_days", self.limits.keep_1h_days),
        ] {
            if !(days > 0.0 && days <= KEEP_DAYS_MAX) {
                problems.push(format!(
                    "{name}: limits.{key} = {days} is no number of days above 0 and up to {KEEP_DAYS_MAX}"
                ));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// Reads the rules that this configuration names, or returns the built-in ones.
    pub fn read_rules(&self) -> Result<RuleSet, ConfigError> {
        read_rules(&self.rules)
    }
}

/// Reads rules from files and folders; with no path at all, returns the built-in rules.
pub fn read_rules(paths: &[PathBuf]) -> Result<RuleSet, ConfigError> {
    if paths.is_empty() {
        return Ok(RuleSet::built_in());
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|source| ConfigError::Read {
                what: "rules folder",
                path: path.display().to_string(),
                source,
            })?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(|it| it.ok().map(|it| it.path()))
                .filter(|it| it.extension().is_some_and(|it| it == "toml"))
                .collect();
            inside.sort();
            if inside.is_empty() {
                return Err(ConfigError::Invalid(vec![format!(
                    "the rules folder {} holds no .toml file: put one there, or leave `rules` out for the built-in ones",
                    path.display()
                )]));
            }
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    let mut texts = Vec::new();
    for path in &files {
        texts.push((path.display().to_string(), read(path, "rules file")?));
    }
    let texts: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    RuleSet::parse(&texts).map_err(|problems| {
        ConfigError::Invalid(problems.iter().map(ToString::to_string).collect())
    })
}

fn read(path: &Path, what: &'static str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        what,
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_kafka_property_is_refused_with_the_option_to_use() {
        let text = "[[source]]\nname = \"a\"\nkind = \"kafka\"\nbrokers = \"b:9092\"\ntopics = [\"t\"]\n[source.properties]\n\"auto.offset.reset\" = \"latest\"\n";
        let error = Config::parse("f.toml", text).unwrap_err().to_string();
        assert!(
            error.contains("auto.offset.reset") && error.contains("`start`"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = Config::parse("f.toml", "listn = \"127.0.0.1:1\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("f.toml:1") && error.contains("`listen`"),
            "{error}"
        );
    }

    #[test]
    fn an_open_address_is_refused_with_the_reason() {
        let error = Config::parse("f.toml", "listen = \"0.0.0.0:9477\"\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("no authentication"), "{error}");
    }

    #[test]
    fn secrets_are_masked_in_debug_and_when_shown() {
        let text = "[[alertmanager]]\nurl = \"http://a\"\npassword = \"hunter2\"\n";
        let config = Config::parse("f.toml", text).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
    }
}
