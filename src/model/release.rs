//! What is deployed where: markers posted by a deploy tool, and the traffic that a release serves.

use serde::{Deserialize, Serialize};

use super::EventTime;

/// What a deploy marker says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkerKind {
    /// A version went out to a group.
    Deploy,
    /// A group went back to an earlier version.
    Revert,
    /// The code changed under the same version string.
    Hotfix,
    /// Configuration changed.
    Config,
    /// Planned work with a declared effect.
    Maintenance,
    /// One host was repaired.
    HostFix,
}

impl MarkerKind {
    /// Returns the name used in JSON and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Revert => "revert",
            Self::Hotfix => "hotfix",
            Self::Config => "config",
            Self::Maintenance => "maintenance",
            Self::HostFix => "host_fix",
        }
    }
}

/// "Release R began at T", posted by the deploy tool; the JSON form has `"type":"deploy_marker"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeployMarker {
    /// Name of the marker, unique; a repeated one replaces the earlier.
    pub id: String,
    /// When it took effect.
    pub at: EventTime,
    /// What happened.
    pub kind: MarkerKind,
    /// The version that now runs, if it names one.
    #[serde(default)]
    pub version: Option<String>,
    /// The group it concerns; absent or `all` means every group.
    #[serde(default)]
    pub group: Option<String>,
    /// The host it concerns, for `host_fix`.
    #[serde(default)]
    pub host: Option<String>,
    /// A change number, commit or ticket.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    /// A declared effect: what may rise, and how far.
    #[serde(default)]
    pub expected: Option<Expected>,
}

/// A declared effect of planned work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The channel that may rise.
    #[serde(default)]
    pub channel: Option<String>,
    /// The message or template that may rise.
    #[serde(default)]
    pub template: Option<String>,
    /// The rate in events per minute past which it is an alert all the same.
    pub rate_max_per_min: f64,
}

/// Traffic that a release served in one minute; the JSON form has `"type":"exposure"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExposureRecord {
    /// Start of the minute.
    #[serde(deserialize_with = "time_or_seconds")]
    pub t: EventTime,
    /// The version that served it.
    pub version: String,
    /// The group that served it.
    pub group: String,
    /// Requests served, or any other unit that is proportional to them.
    pub exposure: f64,
}

/// Reads RFC 3339 text or seconds since the Unix epoch.
fn time_or_seconds<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<EventTime, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Seconds(i64),
        Text(EventTime),
    }
    if !deserializer.is_human_readable() {
        return EventTime::deserialize(deserializer);
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Seconds(seconds) => EventTime::from_seconds(seconds),
        Either::Text(at) => at,
    })
}
