//! The form of gate decisions for the document.

use utoipa::ToSchema;

/// A decision of the gate.
#[derive(ToSchema)]
pub(in crate::api) struct GateDecision {
    /// `fatalmonitor/gate/v1`.
    schema: String,
    /// Address of the page that shows it as it was; null if it is not kept.
    permalink: Option<String>,
    /// Name under which it is kept; empty if it is not.
    id: String,
    /// `pass`, `fail` or `inconclusive`.
    verdict: String,
    /// Version that was asked about.
    version: String,
    /// Group that was asked about; `*` for all.
    group: String,
    /// Event time as of which it was decided.
    #[schema(format = DateTime)]
    at: String,
    /// Whether that lay in the past when it was asked.
    is_past: bool,
    /// Wall-clock time of the question; null if it is not kept.
    #[schema(format = DateTime)]
    asked_at: Option<String>,
    /// The verdict in one sentence.
    summary: String,
    /// How much was seen.
    exposure: GateExposure,
    /// The release in each group that is looked at.
    groups: Vec<GateGroup>,
    /// The reasons, gravest first; then what is worth knowing.
    reasons: Vec<GateReason>,
    /// What the next stages have to expect.
    forecast: Vec<GateForecast>,
}

/// How much was seen, and what that is enough for.
#[derive(ToSchema)]
pub(in crate::api) struct GateExposure {
    /// Records of the release since its latest change.
    records: u64,
    /// Records that are needed.
    records_min: u64,
    /// Records a minute over the last quarter of an hour.
    records_per_min: f64,
    /// Share of records below which a problem that never showed lies, with 95 % certainty; null without any record.
    share_bound: Option<f64>,
    /// Seconds until enough is seen at this rate; null if it is enough, or nothing comes.
    seconds_left: Option<i64>,
}

/// The release in one group.
#[derive(ToSchema)]
pub(in crate::api) struct GateGroup {
    /// Group; `-` if unknown.
    group: String,
    /// From when on it is judged: its first record, or its latest announced change.
    #[schema(format = DateTime)]
    since: String,
    /// Name of the marker of that change, if it was announced.
    marker: Option<String>,
    /// Records since then.
    records: u64,
    /// Whether it had a record in the last ten minutes.
    running: bool,
}

/// One reason, or one thing worth knowing.
#[derive(ToSchema)]
pub(in crate::api) struct GateReason {
    /// `fail`, `blind` (also where a warning speaks against it), `inconclusive` or `note`.
    effect: String,
    /// The rule, such as `open_alert`, `too_little_exposure`, `silent_channel`, `capped_channel`, `earlier_stage`, `lag`.
    rule: String,
    /// One sentence with its numbers.
    text: String,
    /// Kind of the alert, if it is about one.
    kind: Option<String>,
    /// Severity of that alert.
    severity: Option<String>,
    /// Id of that alert.
    alert: Option<String>,
    /// Signature, if it is about one.
    signature: Option<String>,
    /// Template of that signature; empty if none.
    template: String,
    /// Channel; empty if it is not about one.
    channel: String,
    /// Groups in which it shows.
    groups: Vec<String>,
    /// Events on the release since its latest change, within the last day.
    events: u64,
    /// Events per minute over that time.
    rate_per_min: Option<f64>,
    /// When it began.
    #[schema(format = DateTime)]
    first_seen: Option<String>,
    /// End of the last minute with an event.
    #[schema(format = DateTime)]
    last_seen: Option<String>,
}

/// What the next stage has to expect of one open error.
#[derive(ToSchema)]
pub(in crate::api) struct GateForecast {
    /// Signature.
    signature: String,
    /// Its template.
    template: String,
    /// Groups in which it shows.
    from_groups: Vec<String>,
    /// Events per minute there.
    rate_per_min: f64,
    /// The group that comes next.
    to_group: String,
    /// Times the traffic of the groups in which it shows.
    traffic_ratio: f64,
    /// Lower end of the 90 % interval, events per minute.
    low_per_min: f64,
    /// Expected events per minute.
    expected_per_min: f64,
    /// Upper end of the 90 % interval, events per minute.
    high_per_min: f64,
    /// The same in words.
    text: String,
}
