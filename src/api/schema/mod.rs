//! Shapes of answers that are made in pure layers, described for the `OpenAPI` document.
//!
//! The views themselves may not know of `OpenAPI`. Invariant: a real answer has exactly these fields; a test
//! compares them.
#![expect(
    dead_code,
    reason = "these structures are read by the OpenAPI derive only"
)]
#![expect(clippy::struct_field_names, reason = "the names are those of the JSON")]

mod doctor;
pub(super) mod gate;
mod status;
pub(super) mod story;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ApiError;
use crate::detect::view;

pub(super) use doctor::Doctor;
pub(super) use status::{
    Freshness, PartitionStatus, RulesStatus, StageLatency, StoreStatus, TargetStatus,
};

/// How severe the application says an event is; `-` if it names none.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Level {
    #[serde(rename = "-")]
    Unknown,
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// What a person should think of a signature now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignatureState {
    New,
    Spike,
    Regressed,
    Resurfaced,
    Known,
    Quiet,
    Muted,
}

impl SignatureState {
    /// Reads a name; the empty one is none.
    pub(super) fn parse(name: &str, known: &str) -> Result<Option<view::SignatureState>, ApiError> {
        let parsed: Option<Self> = super::extract::choice("state", Some(name), known)?;
        Ok(parsed.map(|it| match it {
            Self::New => view::SignatureState::New,
            Self::Spike => view::SignatureState::Spike,
            Self::Regressed => view::SignatureState::Regressed,
            Self::Resurfaced => view::SignatureState::Resurfaced,
            Self::Known => view::SignatureState::Known,
            Self::Quiet => view::SignatureState::Quiet,
            Self::Muted => view::SignatureState::Muted,
        }))
    }
}

/// Counts of one signature on one version and group.
#[derive(ToSchema)]
pub(super) struct ReleaseCount {
    /// Version; `unknown` if the records name none.
    version: String,
    /// Group; `-` if unknown.
    group: String,
    /// First event there.
    #[schema(format = DateTime)]
    first_seen: String,
    /// Last event there.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Events there.
    events: u64,
}

/// A value and its events.
#[derive(ToSchema)]
pub(super) struct ValueCount {
    /// Value, such as a host name.
    value: String,
    /// Events with it.
    events: u64,
}

/// Hosts of a signature.
#[derive(ToSchema)]
pub(super) struct Hosts {
    /// Number of distinct hosts.
    distinct: u64,
    /// Whether `distinct` is exact (up to 4,096) or estimated.
    exact: bool,
    /// Hosts with most events, most first, at most 10.
    top: Vec<ValueCount>,
}

/// Values of a facet such as `wiki`.
#[derive(ToSchema)]
pub(super) struct Facet {
    /// Facet name.
    name: String,
    /// Values with most events, most first, at most 10.
    top: Vec<ValueCount>,
    /// Events of all other values.
    other_events: u64,
}

/// A text that was merged into a signature.
#[derive(ToSchema)]
pub(super) struct MergedText {
    /// Its own id, which still leads to the signature.
    id: String,
    /// Its own template.
    template: String,
    /// Since when it belongs to the signature.
    #[schema(format = DateTime)]
    since: String,
    /// Why, such as "merged because position 4 had 11 values: …".
    why: String,
}

/// The earlier form of a signature.
#[derive(ToSchema)]
pub(super) struct RenamedFrom {
    /// Its id.
    id: String,
    /// Its template.
    template: String,
}

/// Why several texts are one signature.
#[derive(ToSchema)]
pub(super) struct Merge {
    /// The template of the text whose id the signature has: the oldest.
    own_template: String,
    /// How many other texts belong to it, of those that are kept one by one.
    merged: u64,
    /// The reasons, in words.
    reasons: Vec<String>,
    /// Some of the merged texts, the earliest first, at most 20.
    texts: Vec<MergedText>,
}

/// One redacted example.
#[derive(ToSchema)]
pub(super) struct Sample {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Host.
    host: String,
    /// Version.
    version: String,
    /// Message.
    message: String,
    /// Stack trace; empty if none.
    trace: String,
    /// URL; empty if none.
    url: String,
    /// Request id; empty if none.
    request_id: String,
}

/// What an alert is about.
#[derive(ToSchema)]
pub(super) struct AlertKey {
    /// `new`, `spike`, `regressed`, `resurfaced`, `silent_channel`, `silent_host`, `flood`, `capped`, `bad_host`, `mix_shift`, `storm`, `data_gap` or `gate_failed`.
    kind: String,
    /// Service; empty if it does not apply.
    service: String,
    /// Group; `*` means several.
    group: String,
    /// Version; `*` means several.
    version: String,
    /// Channel; `*` means several.
    channel: String,
    /// Signature, if it is about one.
    signature: Option<String>,
    /// Host, if it is about one.
    host: Option<String>,
}

/// The numbers behind an alert, as far as they apply.
#[derive(ToSchema)]
pub(super) struct Evidence {
    /// Events since the alert started.
    count: u64,
    /// Rate now against the expected one.
    ratio: Option<f64>,
    /// Lower end of the 90 % interval of the ratio.
    ratio_low: Option<f64>,
    /// Upper end of the 90 % interval of the ratio.
    ratio_high: Option<f64>,
    /// Events per minute now.
    rate_per_min: Option<f64>,
    /// Events per minute expected.
    expected_per_min: Option<f64>,
    /// Hosts it comes from.
    hosts: u64,
    /// Share of the top host, 0 to 1.
    top_host_share: Option<f64>,
    /// Where the exposure comes from: `requests`, `logs` or `hosts`.
    exposure_source: Option<String>,
}

/// One problem that is or was being told.
#[derive(ToSchema)]
pub(super) struct Alert {
    /// Id, 16 hex digits, the same on every node.
    id: String,
    /// What, where.
    key: AlertKey,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// `firing` or `resolved`.
    state: String,
    /// First event of the problem.
    #[schema(format = DateTime)]
    started_at: String,
    /// Close of the bucket that decided it.
    #[schema(format = DateTime)]
    fired_at: String,
    /// Close of the bucket in which it was over.
    #[schema(format = DateTime)]
    resolved_at: Option<String>,
    /// Last time the condition held.
    #[schema(format = DateTime)]
    last_at: String,
    /// Template of the signature; empty if it is not about one.
    template: String,
    /// One sentence.
    summary: String,
    /// The numbers in words.
    description: String,
    /// The numbers.
    evidence: Evidence,
    /// Its mute, if a person quieted it.
    muted: Option<String>,
    /// Why it is held back though firing (`storm`, `planned`, `noise`).
    withheld: Option<String>,
    /// Who looks after it by the rules, when it began to fire.
    owner: Option<String>,
    /// Link to its ticket by the rules, when it began to fire.
    ticket: Option<String>,
}

/// Counts over time.
#[derive(ToSchema)]
pub(super) struct History {
    /// Start of the first bucket.
    #[schema(format = DateTime)]
    from: String,
    /// End of the last bucket.
    #[schema(format = DateTime)]
    to: String,
    /// Bucket length.
    step_seconds: i64,
    /// Series, sorted by name.
    series: Vec<HistorySeries>,
}

/// One series of counts over time.
#[derive(ToSchema)]
pub(super) struct HistorySeries {
    /// Version or group; `total` if it is not split.
    name: String,
    /// Events in each bucket, oldest first.
    counts: Vec<u64>,
}

/// One channel.
#[derive(ToSchema)]
pub(super) struct Channel {
    /// Channel.
    channel: String,
    /// Records read.
    read: u64,
    /// Records counted in full.
    counted: u64,
    /// Records past the cap.
    capped: u64,
    /// Records rejected.
    rejected: u64,
    /// Bytes.
    bytes: u64,
    /// Records per minute over the last 5 minutes.
    rate_per_min: f64,
    /// Expected records per minute; null where there is no baseline yet.
    expected_per_min: Option<f64>,
    /// Bytes a day at the rate of the last 10 minutes.
    bytes_per_day: f64,
    /// Last record.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Whether its cap is engaged now.
    capped_now: bool,
    /// Whether it has gone silent.
    silent: bool,
    /// Records per minute for the last 60 minutes, oldest first.
    spark: Vec<u32>,
    /// Records by level, most first.
    levels: Vec<ValueCount>,
}

/// A release that was seen in the stream or announced.
#[derive(ToSchema)]
pub(super) struct Release {
    /// Version.
    version: String,
    /// Group.
    group: String,
    /// First event seen from it.
    #[schema(format = DateTime)]
    first_seen: Option<String>,
    /// Last event seen from it.
    #[schema(format = DateTime)]
    last_seen: Option<String>,
    /// Events seen from it.
    events: u64,
    /// Hosts seen on it.
    hosts: u64,
    /// Latest announcement, if any.
    #[schema(format = DateTime)]
    announced_at: Option<String>,
    /// Name of that announcement.
    marker: Option<String>,
    /// Whether it is the reference that others are compared with.
    reference: bool,
}

/// A deploy marker: "release R began at T".
#[derive(ToSchema)]
pub(super) struct DeployMarker {
    /// Name, unique; a repeated one replaces the earlier.
    id: String,
    /// When it took effect.
    #[schema(format = DateTime)]
    at: String,
    /// `deploy`, `revert`, `hotfix`, `config`, `maintenance` or `host_fix`.
    kind: String,
    /// The version that now runs, if it names one.
    version: Option<String>,
    /// The group it concerns; null or `all` means every group.
    group: Option<String>,
    /// The host it concerns, for `host_fix`.
    host: Option<String>,
    /// A change number, commit or ticket.
    r#ref: Option<String>,
    /// A declared effect.
    expected: Option<Expected>,
}

/// A declared effect of planned work.
#[derive(ToSchema)]
pub(super) struct Expected {
    /// The channel that may rise.
    channel: Option<String>,
    /// The message or template that may rise.
    template: Option<String>,
    /// The rate in events per minute past which it is an alert all the same.
    rate_max_per_min: f64,
}

/// Traffic that a release served in one minute.
#[derive(ToSchema)]
pub(super) struct ExposureRecord {
    /// Start of the minute: RFC 3339, or seconds since 1970.
    t: String,
    /// Version that served it.
    version: String,
    /// Group that served it.
    group: String,
    /// Requests served, or any unit that is proportional to them.
    exposure: f64,
}

/// One line of "new since".
#[derive(ToSchema)]
pub(super) struct NewEntry {
    /// Signature.
    id: String,
    /// Channel.
    channel: String,
    /// Level.
    level: Level,
    /// Template.
    template: String,
    /// First version that had it, within the question.
    version: String,
    /// Groups in which it was seen on that side.
    groups: Vec<String>,
    /// First event on that side.
    #[schema(format = DateTime)]
    first_seen: String,
    /// Last event on that side.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Events on that side.
    events: u64,
    /// Number of hosts.
    hosts: u64,
    /// The signature that it is a new wording of; null but in `renamed`.
    renamed_from: Option<String>,
    /// The template of that signature.
    renamed_from_template: Option<String>,
    /// Rate per unit of exposure against the baseline's; null for `new` and `gone`.
    ratio: Option<f64>,
    /// Lower end of its 90 % interval.
    ratio_low: Option<f64>,
    /// Upper end of its 90 % interval.
    ratio_high: Option<f64>,
}

/// Answer to "new errors since version X".
#[derive(ToSchema)]
pub(super) struct NewSince {
    /// `fatalmonitor/new/v1`.
    schema: String,
    /// The version or marker asked for.
    since: String,
    /// The last version looked at, if asked for.
    until: Option<String>,
    /// The group asked for; `*` for all.
    group: String,
    /// Versions on the new side.
    versions: Vec<String>,
    /// Versions on the baseline side.
    baseline: Vec<String>,
    /// Events seen on the new side.
    events_new: u64,
    /// Events seen on the baseline side.
    events_baseline: u64,
    /// Exposure of the new side.
    exposure_new: f64,
    /// Exposure of the baseline side.
    exposure_baseline: f64,
    /// Where the exposure comes from: `requests`, `logs` or `hosts`.
    exposure_source: String,
    /// Whether there is enough data to say that nothing is new.
    enough_data: bool,
    /// Signatures that first appear on the new side.
    new: Vec<NewEntry>,
    /// Signatures that first appear on the new side as new wordings of earlier ones.
    renamed: Vec<NewEntry>,
    /// Signatures with a higher rate on the new side.
    worse: Vec<NewEntry>,
    /// Signatures that the new side no longer has.
    gone: Vec<NewEntry>,
}
