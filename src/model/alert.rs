//! Alerts: what we tell people, its identity and its life.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EventTime, SignatureId};

/// What an alert is about. The names are a contract (ARCHITECTURE.md, "Interfaces").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A signature never seen on an earlier release.
    New,
    /// A known signature far above its baseline.
    Spike,
    /// A known signature with a higher rate per unit of exposure on a new version than on the reference of the same group.
    Regressed,
    /// A signature that is back after a long absence.
    Resurfaced,
    /// A channel that stopped.
    SilentChannel,
    /// A host that stopped.
    SilentHost,
    /// A channel far above its budget.
    Flood,
    /// A channel over its cap.
    Capped,
    /// Errors that come from one host: the host, not the code.
    BadHost,
    /// The share of one value of a chosen field changed.
    MixShift,
    /// Many new errors at once, said as one.
    Storm,
    /// Records that the source no longer had when we came to read them.
    DataGap,
    /// A deploy gate that failed.
    GateFailed,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::New,
        Self::Spike,
        Self::Regressed,
        Self::Resurfaced,
        Self::SilentChannel,
        Self::SilentHost,
        Self::Flood,
        Self::Capped,
        Self::BadHost,
        Self::MixShift,
        Self::Storm,
        Self::DataGap,
        Self::GateFailed,
    ];

    /// Returns the name used in JSON, metrics and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Spike => "spike",
            Self::Regressed => "regressed",
            Self::Resurfaced => "resurfaced",
            Self::SilentChannel => "silent_channel",
            Self::SilentHost => "silent_host",
            Self::Flood => "flood",
            Self::Capped => "capped",
            Self::BadHost => "bad_host",
            Self::MixShift => "mix_shift",
            Self::Storm => "storm",
            Self::DataGap => "data_gap",
            Self::GateFailed => "gate_failed",
        }
    }

    /// Returns the Alertmanager `alertname`.
    pub const fn alertname(self) -> &'static str {
        match self {
            Self::New => "FatalmonitorNewError",
            Self::Spike => "FatalmonitorErrorSpike",
            Self::Regressed => "FatalmonitorErrorRegressed",
            Self::Resurfaced => "FatalmonitorErrorResurfaced",
            Self::SilentChannel => "FatalmonitorChannelSilent",
            Self::SilentHost => "FatalmonitorHostSilent",
            Self::Flood => "FatalmonitorChannelFlood",
            Self::Capped => "FatalmonitorChannelCapped",
            Self::BadHost => "FatalmonitorHostOutlier",
            Self::MixShift => "FatalmonitorMixShift",
            Self::Storm => "FatalmonitorErrorStorm",
            Self::DataGap => "FatalmonitorDataGap",
            Self::GateFailed => "FatalmonitorGateFailed",
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Listed, nobody is woken.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Returns the name used in labels and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where an alert is in its life; Alertmanager's words. Evidence that does not suffice yet is no alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Said.
    Firing,
    /// Over.
    Resolved,
}

/// Identity of a problem over time. Empty text or `None` means "does not apply"; `*` means several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// What it is about.
    pub kind: AlertKind,
    /// Service.
    pub service: String,
    /// Rollout group, or `*`.
    pub group: String,
    /// Version, or `*`.
    pub version: String,
    /// Channel, or `*`.
    pub channel: String,
    /// Signature, if it is about one.
    pub signature: Option<SignatureId>,
    /// Host, if it is about one.
    pub host: Option<String>,
}

/// Id of one alert instance: 16 lower-case hex digits, the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub String);

impl AlertId {
    /// Makes the id of the alert with this key that started at this time.
    pub fn of(key: &AlertKey, started_at: EventTime) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"fatalmonitor/alert/v1");
        let signature = key.signature.map(|it| it.to_string()).unwrap_or_default();
        let started = started_at.millis().to_string();
        for part in [
            key.kind.name(),
            &key.service,
            &key.group,
            &key.version,
            &key.channel,
            &signature,
            key.host.as_deref().unwrap_or_default(),
            &started,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hex = hasher.finalize().to_hex();
        Self(hex.chars().take(16).collect())
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The numbers behind an alert, as far as they apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Events since the alert started.
    pub count: u64,
    /// Rate now against the expected one; `None` where nothing was expected.
    pub ratio: Option<f64>,
    /// Lower end of the 90 % interval of the ratio.
    pub ratio_low: Option<f64>,
    /// Upper end of the 90 % interval of the ratio.
    pub ratio_high: Option<f64>,
    /// Events per minute now.
    pub rate_per_min: Option<f64>,
    /// Events per minute expected.
    pub expected_per_min: Option<f64>,
    /// Hosts it comes from.
    pub hosts: u64,
    /// Share of the top host, 0 to 1.
    pub top_host_share: Option<f64>,
    /// Where the exposure behind the rate comes from: `requests`, `logs` or `hosts`.
    pub exposure_source: Option<String>,
}

/// One problem that is or was being told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Id of this instance.
    pub id: AlertId,
    /// What, where.
    pub key: AlertKey,
    /// How urgent.
    pub severity: Severity,
    /// Where it is in its life.
    pub state: AlertState,
    /// First event of the problem.
    pub started_at: EventTime,
    /// Close of the bucket that decided it.
    pub fired_at: EventTime,
    /// Close of the bucket in which it was over.
    pub resolved_at: Option<EventTime>,
    /// Last time the condition held.
    pub last_at: EventTime,
    /// Template of the signature; empty if it is not about one. Redacted.
    pub template: String,
    /// One sentence, at most 200 characters. Redacted.
    pub summary: String,
    /// The numbers in words: baseline, exposure, first seen, hosts, likely cause. Redacted.
    pub description: String,
    /// The numbers.
    pub evidence: Evidence,
    /// Its mute, if a person quieted it: until when, and why.
    pub muted: Option<String>,
    /// Why it is held back though firing (`storm`, `planned`, `noise`), if it is.
    pub withheld: Option<String>,
    /// Who looks after it by the rules, when it began to fire.
    pub owner: Option<String>,
    /// Link to its ticket by the rules, when it began to fire.
    pub ticket: Option<String>,
}

/// A change in the life of an alert. The sequence of these is the alert log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertTransition {
    /// Place in the alert log, from 1 on.
    pub seq: u64,
    /// Close of the bucket that decided it, event time.
    pub at: EventTime,
    /// The state it went into.
    pub to: AlertState,
    /// The alert after the change.
    pub alert: Alert,
}
