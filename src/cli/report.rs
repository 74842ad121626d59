//! The report of a replay or demo: what was said when, and how that compares with what people noticed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::output::{Rows, escape};
use crate::detect::World;
use crate::model::{Alert, AlertState, AlertTransition, EventTime, Rejection, Totals};
use crate::scenario::Scenario;
use crate::scenario::report::{Report as Judgement, SymptomResult};

/// One transition to firing, as ARCHITECTURE.md §"Interfaces" says.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    at: EventTime,
    kind: &'static str,
    severity: &'static str,
    signature: Option<String>,
    template: Option<&'a str>,
    channel: Option<&'a str>,
    service: Option<&'a str>,
    version: Option<&'a str>,
    group: Option<&'a str>,
    host: Option<&'a str>,
    count: u64,
    ratio: Option<f64>,
    started_at: EventTime,
    resolved_at: Option<EventTime>,
    summary: &'a str,
}

/// Makes the report of a run.
pub(super) fn report(
    world: &World,
    transitions: &[AlertTransition],
    judged: Option<&Judgement>,
    seconds: f64,
) -> Value {
    // The last state of each alert tells when it was over.
    let resolved: BTreeMap<&str, EventTime> = transitions
        .iter()
        .filter(|it| it.to == AlertState::Resolved)
        .map(|it| (it.alert.id.0.as_str(), it.at))
        .collect();
    let alerts: Vec<Entry<'_>> = transitions
        .iter()
        .filter(|it| it.to == AlertState::Firing)
        .map(|it| {
            entry(
                it.at,
                &it.alert,
                resolved.get(it.alert.id.0.as_str()).copied(),
            )
        })
        .collect();
    let mut value = json!({
        "schema": "fatalmonitor/replay/v1",
        "alerts": alerts,
        "symptoms": judged.map(|it| &it.symptoms),
        "accounting": accounting(&world.accounting().total),
        "signatures": world.counts().signatures,
        "elapsed_seconds": seconds,
    });
    if let (Some(judged), Some(object)) = (judged, value.as_object_mut()) {
        object.insert("controls".to_owned(), json!(judged.controls));
        object.insert("firings".to_owned(), json!(judged.firings));
    }
    value
}

fn entry(at: EventTime, alert: &Alert, resolved_at: Option<EventTime>) -> Entry<'_> {
    fn given(text: &str) -> Option<&str> {
        (!text.is_empty()).then_some(text)
    }
    Entry {
        id: &alert.id.0,
        at,
        kind: alert.key.kind.name(),
        severity: alert.severity.name(),
        signature: alert.key.signature.map(|it| it.to_string()),
        template: given(&alert.template),
        channel: given(&alert.key.channel),
        service: given(&alert.key.service),
        version: given(&alert.key.version),
        group: given(&alert.key.group),
        host: alert.key.host.as_deref(),
        count: alert.evidence.count,
        ratio: alert.evidence.ratio,
        started_at: alert.started_at,
        resolved_at,
        summary: &alert.summary,
    }
}

fn accounting(totals: &Totals) -> Value {
    let rejected: BTreeMap<&str, u64> = Rejection::ALL
        .iter()
        .zip(&totals.rejected)
        .map(|(reason, &n)| (reason.name(), n))
        .filter(|it| it.1 > 0)
        .collect();
    json!({"read": totals.read, "counted": totals.counted, "capped": totals.capped, "rejected": rejected})
}

/// Says why records were rejected, most frequent reason first.
pub(super) fn reasons(totals: &Totals) -> String {
    let mut found: Vec<(u64, &str)> = Rejection::ALL
        .iter()
        .zip(&totals.rejected)
        .map(|(reason, &n)| (n, reason.name()))
        .filter(|it| it.0 > 0)
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let words: Vec<String> = found
        .iter()
        .map(|(n, reason)| format!("{n} {reason}"))
        .collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(" ({})", words.join(", ")),
    }
}

/// Judges the alert log against what the scenario dates.
pub(super) fn judge(scenario: &Scenario, transitions: &[AlertTransition]) -> Judgement {
    Judgement::new(scenario, transitions)
}

/// Tells whether every dated symptom that is not merely hoped for was said in time.
pub(super) fn all_in_time(judged: &Judgement) -> bool {
    let dated = |it: &&SymptomResult| !it.soft && it.must_alert_by.is_some();
    judged.symptoms.iter().filter(dated).all(|it| it.in_time)
}

/// The table for people: symptom, when we said it, when people noticed, minutes gained.
pub(super) fn table(judged: &Judgement) -> Rows {
    Rows {
        headings: vec![
            "symptom",
            "kind",
            "we said it",
            "people noticed",
            "minutes gained",
            "deadline",
            "in time",
        ],
        rows: judged
            .symptoms
            .iter()
            .map(|it| {
                let time = |at: Option<EventTime>| at.map_or_else(|| "-".to_owned(), short);
                vec![
                    it.id.clone(),
                    it.kind
                        .map_or_else(|| "-".to_owned(), |it| it.name().to_owned()),
                    time(it.said_at),
                    time(it.human_noticed),
                    it.lead_minutes
                        .map_or_else(|| "-".to_owned(), |it| format!("{it:.0}")),
                    time(it.must_alert_by),
                    match (it.in_time, it.soft) {
                        _ if it.must_alert_by.is_none() => "-".to_owned(),
                        (true, _) => "yes".to_owned(),
                        (false, true) => "no (hoped for)".to_owned(),
                        (false, false) => "NO".to_owned(),
                    },
                ]
            })
            .collect(),
    }
}

/// `Jan 19 23:18`, as timelines write it.
fn short(at: EventTime) -> String {
    let text = at.to_string();
    escape(text.get(5..16).unwrap_or(&text)).replace('T', " ")
}

/// The table of a replay without dated symptoms: what was said.
pub(super) fn alerts(transitions: &[AlertTransition]) -> Rows {
    Rows {
        headings: vec![
            "at", "state", "severity", "kind", "version", "group", "channel", "host", "summary",
        ],
        rows: transitions
            .iter()
            .map(|it| {
                let key = &it.alert.key;
                let state = if it.to == AlertState::Firing {
                    "firing"
                } else {
                    "resolved"
                };
                let text = |text: &str| {
                    if text.is_empty() {
                        "-".to_owned()
                    } else {
                        text.to_owned()
                    }
                };
                vec![
                    it.at.to_string(),
                    state.to_owned(),
                    it.alert.severity.name().to_owned(),
                    key.kind.name().to_owned(),
                    text(&key.version),
                    text(&key.group),
                    text(&key.channel),
                    text(key.host.as_deref().unwrap_or_default()),
                    it.alert.summary.clone(),
                ]
            })
            .collect(),
    }
}
