//! What stage 2 shows: plain read-only structures for the API, the command line and reports.
//!
//! Everything here is already redacted and sorted; nothing refers back into the state.

use serde::Serialize;

use crate::model::{Alert, EventTime, Level, SignatureId};

/// What a person should think of a signature now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// First seen on the running release.
    New,
    /// Far above its baseline.
    Spike,
    /// Higher on the new version than on the reference.
    Regressed,
    /// Back after a long absence.
    Resurfaced,
    /// As usual.
    Known,
    /// Not seen in the last hour.
    Quiet,
    /// A person quieted it.
    Muted,
}

/// Counts of one signature on one version and group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReleaseCount {
    /// Version; `unknown` if the records name none.
    pub version: String,
    /// Group; `-` if unknown.
    pub group: String,
    /// First event there.
    pub first_seen: EventTime,
    /// Last event there.
    pub last_seen: EventTime,
    /// Events there.
    pub events: u64,
}

/// A value and its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// Value, such as a host name.
    pub value: String,
    /// Events with it.
    pub events: u64,
}

/// Hosts of a signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostsView {
    /// Number of distinct hosts.
    pub distinct: u64,
    /// Whether `distinct` is exact (up to 4,096) or estimated.
    pub exact: bool,
    /// Hosts with most events, most first, at most 10.
    pub top: Vec<ValueCount>,
}

/// Values of a facet such as `wiki`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FacetView {
    /// Facet name.
    pub name: String,
    /// Values with most events, most first, at most 10.
    pub top: Vec<ValueCount>,
    /// Events of all other values.
    pub other_events: u64,
}

/// One redacted example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SampleView {
    /// When.
    pub at: EventTime,
    /// Host.
    pub host: String,
    /// Version.
    pub version: String,
    /// Message.
    pub message: String,
    /// Stack trace; empty if none.
    pub trace: String,
    /// URL; empty if none.
    pub url: String,
    /// Request id; empty if none.
    pub request_id: String,
}

/// One row of the error list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignatureSummary {
    /// Id.
    pub id: SignatureId,
    /// Channel.
    pub channel: String,
    /// Level.
    pub level: Level,
    /// Service.
    pub service: String,
    /// Template.
    pub template: String,
    /// Exception class, if any.
    pub exception: Option<String>,
    /// What to think of it.
    pub state: SignatureState,
    /// "Needs attention" score; the list's default order, highest first.
    pub score: f64,
    /// Events in the range asked for.
    pub count: u64,
    /// Events in all.
    pub total: u64,
    /// Events per minute over the last 5 minutes.
    pub rate_per_min: f64,
    /// Expected events per minute; `None` where there is no baseline yet.
    pub expected_per_min: Option<f64>,
    /// Events per minute for the last 60 minutes, oldest first.
    pub spark: Vec<u32>,
    /// First event.
    pub first_seen: EventTime,
    /// Version of the first event.
    pub first_version: String,
    /// Last event.
    pub last_seen: EventTime,
    /// Versions on which it was seen, newest first.
    pub versions: Vec<String>,
    /// Number of distinct hosts.
    pub hosts: u64,
    /// The host's name where one has at least 90 % of the events.
    pub main_host: Option<String>,
    /// Who looks after it, by the rules.
    pub owner: Option<String>,
    /// Link to its ticket, by the rules.
    pub ticket: Option<String>,
    /// Why the rules call it noise, if they do.
    pub noise: Option<String>,
}

/// A text that was merged into a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedText {
    /// Its own id, which still leads to the signature.
    pub id: SignatureId,
    /// Its own template.
    pub template: String,
    /// Since when it belongs to the signature.
    pub since: EventTime,
    /// Why.
    pub why: String,
}

/// The earlier form of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RenamedFrom {
    /// Its id.
    pub id: SignatureId,
    /// Its template.
    pub template: String,
}

/// Why several texts are one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergeView {
    /// The template of the text whose id the signature has: the oldest.
    pub own_template: String,
    /// How many other texts belong to it, of those that are kept one by one.
    pub merged: u64,
    /// The reasons, in words.
    pub reasons: Vec<String>,
    /// Some of the merged texts, the earliest first, at most 20.
    pub texts: Vec<MergedText>,
}

/// The page of one signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignatureDetail {
    /// The id that was asked for, if it became an alias of this signature.
    pub alias: Option<SignatureId>,
    /// The signature that it is a new wording of, or was before its file moved.
    pub renamed_from: Option<RenamedFrom>,
    /// Why several texts are this signature, if they are.
    pub merge: Option<MergeView>,
    /// The row of the list.
    pub summary: SignatureSummary,
    /// One sentence with its numbers.
    pub verdict: String,
    /// Top in-app frame, if any.
    pub frame: Option<String>,
    /// Context fields joined to its identity.
    pub joined: Vec<(String, String)>,
    /// Counts by version and group, newest release first.
    pub releases: Vec<ReleaseCount>,
    /// Hosts.
    pub hosts: HostsView,
    /// Facets.
    pub facets: Vec<FacetView>,
    /// First example, then the newest ones.
    pub samples: Vec<SampleView>,
    /// Alerts about it, newest first.
    pub alerts: Vec<Alert>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelView {
    /// Channel.
    pub channel: String,
    /// Records read.
    pub read: u64,
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records per minute over the last 5 minutes.
    pub rate_per_min: f64,
    /// Expected records per minute; `None` where there is no baseline yet.
    pub expected_per_min: Option<f64>,
    /// Bytes a day at the rate of the last 10 minutes.
    pub bytes_per_day: f64,
    /// Last record.
    pub last_seen: EventTime,
    /// Whether its cap is engaged now.
    pub capped_now: bool,
    /// Whether it has gone silent.
    pub silent: bool,
    /// Records per minute for the last 60 minutes, oldest first.
    pub spark: Vec<u32>,
    /// Share of the records by level, in the last hour or so, most first.
    pub levels: Vec<ValueCount>,
}

/// A release that was seen in the stream or announced.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReleaseView {
    /// Version.
    pub version: String,
    /// Group.
    pub group: String,
    /// First event seen from it.
    pub first_seen: Option<EventTime>,
    /// Last event seen from it.
    pub last_seen: Option<EventTime>,
    /// Events seen from it.
    pub events: u64,
    /// Hosts seen on it.
    pub hosts: u64,
    /// Latest announcement, if any.
    pub announced_at: Option<EventTime>,
    /// Name of that announcement.
    pub marker: Option<String>,
    /// Whether it is the reference that others are compared with.
    pub reference: bool,
}

/// One line of `new --since`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewEntry {
    /// Id.
    pub id: SignatureId,
    /// Channel.
    pub channel: String,
    /// Level.
    pub level: Level,
    /// Template.
    pub template: String,
    /// First version that had it, within the question.
    pub version: String,
    /// Groups in which it was seen on that side.
    pub groups: Vec<String>,
    /// First event on that side.
    pub first_seen: EventTime,
    /// Last event on that side.
    pub last_seen: EventTime,
    /// Events on that side.
    pub events: u64,
    /// Number of hosts.
    pub hosts: u64,
    /// The signature that it is a new wording of; `None` but for `renamed`.
    pub renamed_from: Option<SignatureId>,
    /// The template of that signature.
    pub renamed_from_template: Option<String>,
    /// Rate per unit of exposure against the baseline's; `None` for `new` and `gone`.
    pub ratio: Option<f64>,
    /// Lower end of its 90 % interval.
    pub ratio_low: Option<f64>,
    /// Upper end of its 90 % interval.
    pub ratio_high: Option<f64>,
}

/// Answer to "new errors since version X".
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewSince {
    /// Schema name and version.
    pub schema: &'static str,
    /// The version or marker asked for.
    pub since: String,
    /// The last version looked at, if asked for.
    pub until: Option<String>,
    /// The group asked for; `*` for all.
    pub group: String,
    /// Versions on the new side.
    pub versions: Vec<String>,
    /// Versions on the baseline side.
    pub baseline: Vec<String>,
    /// Events seen on the new side.
    pub events_new: u64,
    /// Events seen on the baseline side.
    pub events_baseline: u64,
    /// Exposure of the new side.
    pub exposure_new: f64,
    /// Exposure of the baseline side.
    pub exposure_baseline: f64,
    /// Where the exposure comes from: `requests`, `logs` or `hosts`.
    pub exposure_source: String,
    /// Whether there is enough data to say that nothing is new.
    pub enough_data: bool,
    /// Signatures that first appear on the new side.
    pub new: Vec<NewEntry>,
    /// Signatures that first appear on the new side as new wordings of earlier ones.
    pub renamed: Vec<NewEntry>,
    /// Signatures with a higher rate on the new side.
    pub worse: Vec<NewEntry>,
    /// Signatures that the new side no longer has.
    pub gone: Vec<NewEntry>,
}

/// A position of a signature's text that varies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VaryingView {
    /// Signature.
    pub signature: SignatureId,
    /// Its template.
    pub template: String,
    /// Position among the words of the template, from 1 on.
    pub position: usize,
    /// What stands there: a mask such as `<num>`, or `<*>` where no mask knows the values.
    pub kind: String,
    /// Whether it was learned from many texts, and not masked by what it looks like.
    pub learned: bool,
    /// Example values, redacted, at most 5.
    pub values: Vec<String>,
    /// The placeholder that the application could write instead.
    pub placeholder: String,
    /// What to do.
    pub advice: String,
}

/// How many texts a channel uses to say how many things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelDoctor {
    /// Channel.
    pub channel: String,
    /// Events counted in full.
    pub events: u64,
    /// Distinct texts, estimated from how many of the kept examples differ.
    pub distinct_texts_estimated: u64,
    /// Distinct texts after masking, of those that are kept one by one.
    pub fingerprints: u64,
    /// Signatures after merging.
    pub signatures: u64,
    /// What varies in its signatures with most texts.
    pub varying: Vec<VaryingView>,
}

/// What the cardinality doctor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorView {
    /// Schema name and version.
    pub schema: &'static str,
    /// Channels, those with most texts first.
    pub channels: Vec<ChannelDoctor>,
}
