//! The form of planned effects, fixes, rollouts and timelines for the document.

use utoipa::ToSchema;

use super::DeployMarker;

/// A planned effect.
#[derive(ToSchema)]
pub(in crate::api) struct PlannedEffect {
    /// Name of its marker.
    marker: String,
    /// From when on it counts.
    #[schema(format = DateTime)]
    at: String,
    /// The group it concerns; `*` for all.
    group: String,
    /// Change number or ticket, if given.
    r#ref: Option<String>,
    /// The channel that may rise, if declared.
    channel: Option<String>,
    /// The message that may rise, if declared.
    template: Option<String>,
    /// Events per minute of one signature past which it is an alert all the same.
    rate_max_per_min: f64,
    /// Events per minute of the loudest signature that it covers.
    rate_per_min: f64,
    /// Signatures with recent events that it covers.
    signatures: usize,
    /// `waiting`, `quiet`, `within` or `past`.
    state: String,
}

/// What became of a fix.
#[derive(ToSchema)]
pub(in crate::api) struct FixReport {
    /// `fatalmonitor/fix/v1`.
    schema: String,
    /// The marker.
    marker: DeployMarker,
    /// Until when it is judged.
    #[schema(format = DateTime)]
    until: String,
    /// Hosts that run its version now.
    hosts_running: u64,
    /// The whole in one sentence.
    summary: String,
    /// The problems, worst first.
    targets: Vec<FixTarget>,
    /// What began after it.
    new: Vec<FixNew>,
}

/// One problem that a fix was to end.
#[derive(ToSchema)]
pub(in crate::api) struct FixTarget {
    /// Signature.
    signature: String,
    /// Channel.
    channel: String,
    /// Template.
    template: String,
    /// Whether the marker names it; else it fired when the fix came.
    named: bool,
    /// `still`, `unproven` or `gone`.
    state: String,
    /// Events per minute in the two hours before.
    before_per_min: f64,
    /// Events since the fix had reached all hosts.
    events_since: u64,
    /// Events that would have come since the last one, at the rate of before.
    expected_since: f64,
    /// Seconds after the marker at which the last event came; null if there was none.
    last_after_seconds: Option<i64>,
    /// Hosts with an event in the last minutes, where it still shows now.
    hosts_still: u64,
    /// One sentence.
    text: String,
}

/// An error that began after a fix.
#[derive(ToSchema)]
pub(in crate::api) struct FixNew {
    /// Signature.
    signature: String,
    /// Severity with which it was told.
    severity: String,
    /// Template.
    template: String,
    /// First event.
    #[schema(format = DateTime)]
    first_seen: String,
}

/// Observed beside announced.
#[derive(ToSchema)]
pub(in crate::api) struct Rollouts {
    /// `fatalmonitor/rollouts/v1`.
    schema: String,
    /// As of when.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Versions that run now, the one with most records first.
    live: Vec<LiveVersion>,
    /// What is unusual about them, in words.
    warnings: Vec<String>,
    /// Announcements by group, latest first.
    announced: Vec<Announced>,
}

/// A version that runs somewhere now.
#[derive(ToSchema)]
pub(in crate::api) struct LiveVersion {
    /// Version.
    version: String,
    /// Where.
    groups: Vec<LiveGroup>,
    /// Hosts that wrote under it in the last ten minutes.
    hosts: u64,
    /// Whether no group has it as its main version.
    stale: bool,
    /// Hosts that still run it though it is stale, at most 20.
    stale_hosts: Vec<String>,
}

/// A version in one group.
#[derive(ToSchema)]
pub(in crate::api) struct LiveGroup {
    /// Group; `-` if unknown.
    group: String,
    /// Records in the last ten minutes.
    records: u64,
    /// Share of the group's records, 0 to 1.
    share: f64,
}

/// An announcement for one group, beside what was observed.
#[derive(ToSchema)]
pub(in crate::api) struct Announced {
    /// Name of the marker.
    marker: String,
    /// What happened.
    kind: String,
    /// When it was announced to have taken effect.
    #[schema(format = DateTime)]
    announced_at: String,
    /// Version.
    version: String,
    /// Group.
    group: String,
    /// `observed`, `waiting` or `contradicted`.
    followed: String,
    /// First minute in which half of the group's records came from it.
    #[schema(format = DateTime)]
    observed_at: Option<String>,
    /// First minute in which nearly all of them did.
    #[schema(format = DateTime)]
    complete_at: Option<String>,
    /// The same in words.
    text: String,
}

/// A timeline.
#[derive(ToSchema)]
pub(in crate::api) struct Timeline {
    /// `fatalmonitor/timeline/v1`.
    schema: String,
    /// Start.
    #[schema(format = DateTime)]
    from: String,
    /// End, exclusive.
    #[schema(format = DateTime)]
    to: String,
    /// Entries left out because there were too many.
    left_out: usize,
    /// Entries, in the order of time.
    entries: Vec<TimelineEntry>,
}

/// One line of a timeline.
#[derive(ToSchema)]
pub(in crate::api) struct TimelineEntry {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// `deploy`, `planned`, `first_seen`, `alert`, `cap`, `silence`, `fix` or `over`.
    told: String,
    /// Severity of the alert, if it is about one.
    severity: Option<String>,
    /// One sentence.
    text: String,
    /// Signature, if it is about one.
    signature: Option<String>,
    /// Alert, if it is about one.
    alert: Option<String>,
    /// Marker, if it is about one.
    marker: Option<String>,
}
