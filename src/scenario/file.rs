//! A scenario file as written: TOML in, plain structs out.
//!
//! Unknown keys are refused. Nothing here is checked against anything else; `Scenario::parse` does that.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{AlertKind, EventTime, Expected, MarkerKind, Severity};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
    /// From when people look on; alerts count from here.
    pub(crate) show_from: EventTime,
    /// Where the facts come from, in words.
    #[serde(default, rename = "sources")]
    pub(crate) _sources: Vec<String>,
    #[serde(default)]
    pub(crate) shape: Shape,
    /// Rules beside the built-in ones.
    #[serde(default)]
    pub(crate) rules: String,
    /// Warning and critical alerts from `show_from` on that are bearable.
    pub(crate) firings_max: Option<u64>,
    pub(crate) versions: Vec<String>,
    pub(crate) initial_version: String,
    /// Language codes in the order of traffic.
    pub(crate) languages: String,
    pub(crate) curve: Curve,
    pub(crate) shares: BTreeMap<String, f64>,
    pub(crate) pool: Vec<Pool>,
    pub(crate) wikis: Vec<Wikis>,
    #[serde(default)]
    pub(crate) section: Vec<Section>,
    #[serde(default)]
    pub(crate) values: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) deployment: Vec<Deployment>,
    #[serde(default)]
    pub(crate) quiet: Vec<Quiet>,
    pub(crate) emitter: Vec<EmitterText>,
    #[serde(default)]
    pub(crate) symptom: Vec<Symptom>,
    #[serde(default)]
    pub(crate) control: Vec<Control>,
}

/// How records look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Today's `MediaWiki` JSON, which names the version.
    #[default]
    Today,
    /// Text lines of January 2016, which do not.
    Jan2016,
}

/// The course of a day.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Curve {
    pub(crate) peak_to_trough: f64,
    pub(crate) peak_hour: f64,
}

/// Hosts of one role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) servergroup: String,
    /// `mw1017-1025` or a single name.
    pub(crate) hosts: Vec<String>,
    /// Work of one host in relation to an application server.
    #[serde(default = "one")]
    pub(crate) weight: f64,
}

const fn one() -> f64 {
    1.0
}

/// Wikis of one group: named ones, or a family of languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wikis {
    pub(crate) group: String,
    /// Deployed together with these; the group if it is not given.
    pub(crate) unit: Option<String>,
    /// `name` or `name=server`.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) weights: Vec<f64>,
    pub(crate) family: Option<Family>,
}

/// A project in many languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    pub(crate) suffix: String,
    pub(crate) domain: String,
    pub(crate) count: usize,
    #[serde(default)]
    pub(crate) skip: Vec<String>,
    /// Weight of all of them together.
    pub(crate) weight: f64,
}

/// A database section and the wikis on it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) wikis: Vec<String>,
}

/// A change of what runs, and the marker that tells of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    /// When the first host changes.
    pub(crate) at: EventTime,
    /// When people said that it happened; `at` if it is not given.
    pub(crate) announced: Option<EventTime>,
    pub(crate) kind: MarkerKind,
    pub(crate) version: Option<String>,
    /// What is switched; empty if no version changes.
    #[serde(default)]
    pub(crate) units: Vec<String>,
    /// How long until the last host has changed.
    #[serde(default)]
    pub(crate) minutes: f64,
    pub(crate) group: Option<String>,
    pub(crate) host: Option<String>,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
    pub(crate) expected: Option<Expected>,
    #[serde(default = "yes")]
    pub(crate) marker: bool,
}

const fn yes() -> bool {
    true
}

/// A channel or host that writes nothing for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quiet {
    pub(crate) channel: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
}

/// Something that writes records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub(crate) struct EmitterText {
    pub(crate) id: String,
    /// Names of pools, or of single hosts.
    pub(crate) hosts: Vec<String>,
    /// Events a minute; for a regular one, of each host.
    #[serde(default)]
    pub(crate) rate_per_min: f64,
    /// What the rates of the real thing are multiplied by.
    #[serde(default = "one")]
    pub(crate) scale: f64,
    /// Whether the rate follows the day.
    #[serde(default)]
    pub(crate) curve: bool,
    /// Every host once a minute.
    #[serde(default)]
    pub(crate) regular: bool,
    /// Only from hosts that run one of these; empty means any.
    #[serde(default)]
    pub(crate) versions: Vec<String>,
    /// These hosts run `versions` whatever was deployed.
    #[serde(default)]
    pub(crate) stale: bool,
    /// All lines at each occurrence, with one request id.
    #[serde(default)]
    pub(crate) together: bool,
    /// A job, not a request.
    #[serde(default)]
    pub(crate) job: bool,
    /// Stretches with their rates; empty means always, everywhere, `rate_per_min`.
    #[serde(default)]
    pub(crate) windows: Vec<WindowText>,
    pub(crate) line: Vec<LineText>,
}

/// A stretch of time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowText {
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
    /// Empty means every group.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Only these wikis.
    #[serde(default)]
    pub(crate) wikis: Vec<String>,
    pub(crate) rate_per_min: f64,
}

/// One kind of record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineText {
    pub(crate) channel: String,
    pub(crate) level: String,
    #[serde(default = "one")]
    pub(crate) weight: f64,
    /// Message with `{parameters}`; empty for an exception, whose text is made from its parts.
    #[serde(default)]
    pub(crate) text: String,
    /// Whether the application logs the parameters apart, so that the template travels along.
    #[serde(default)]
    pub(crate) psr: bool,
    /// Share of records that come folded as "message repeated N times".
    #[serde(default)]
    pub(crate) repeat_share: f64,
    #[serde(default)]
    pub(crate) context: BTreeMap<String, toml::Value>,
    /// File below the code's root.
    #[serde(default)]
    pub(crate) path: String,
    /// Where it stands from the last version on.
    pub(crate) path_moved: Option<String>,
    #[serde(default)]
    pub(crate) line: u32,
    pub(crate) exception: Option<ExceptionText>,
}

/// An exception.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExceptionText {
    pub(crate) class: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) frames: Vec<String>,
}

/// A problem that is to be told, and when people told it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Name, such as `S1_load_or_create`.
    pub id: String,
    /// Ticket, if it has one.
    #[serde(default)]
    pub task: Option<String>,
    /// What was wrong, in a few words.
    pub title: String,
    /// Kinds of alert that say it; empty if nothing is to be said.
    pub kinds: Vec<AlertKind>,
    /// Version that it is blamed on.
    #[serde(default)]
    pub version: Option<String>,
    /// Groups that it may be said for; empty means any.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Channels (or globs) that it may be said for; empty means any.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Constant parts of its texts, one of which has to stand in the alert; empty means any.
    #[serde(default)]
    pub texts: Vec<String>,
    /// Host that it is blamed on.
    #[serde(default)]
    pub host: Option<String>,
    /// When it began.
    pub from: EventTime,
    /// From when on the deadline counts, if that is not `from`: an alert that still fires then is in time.
    #[serde(default)]
    pub due_from: Option<EventTime>,
    /// When it ended.
    pub to: EventTime,
    /// The deadline.
    #[serde(default)]
    pub must_alert_by: Option<EventTime>,
    /// When people noticed.
    #[serde(default)]
    pub human_noticed: Option<EventTime>,
    /// Whether it is hoped for, but not required.
    #[serde(default)]
    pub soft: bool,
}

/// Something that must not be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Name.
    pub id: String,
    /// Why an alert would be wrong.
    pub why: String,
    /// Kinds it speaks of; empty means any.
    #[serde(default)]
    pub kinds: Vec<AlertKind>,
    /// Version; absent means any.
    #[serde(default)]
    pub version: Option<String>,
    /// Groups; empty means any.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Constant parts of texts; empty means any.
    #[serde(default)]
    pub texts: Vec<String>,
    /// From when on; absent means from when people look on.
    #[serde(default)]
    pub from: Option<EventTime>,
    /// Until when; absent means to the end.
    #[serde(default)]
    pub to: Option<EventTime>,
    /// Only alerts at least this urgent.
    #[serde(default = "info")]
    pub severity_min: Severity,
    /// Only alerts that rest on at most this many events.
    #[serde(default)]
    pub evidence_max: Option<u64>,
    /// Alerts of this sort that are bearable.
    #[serde(default)]
    pub firings_max: usize,
    /// If given, alerts are counted apart by problem (kind, channel, group, host, text) and each may come this often.
    #[serde(default)]
    pub per_problem_max: Option<usize>,
}

const fn info() -> Severity {
    Severity::Info
}
