//! What was said to people, and whether it is what a symptom asks for or a control forbids.

use std::collections::BTreeMap;

use crate::model::{Alert, AlertKind, AlertState, AlertTransition, EventTime};
use crate::rules::glob_matches;
use crate::scenario::{Control, Symptom};

/// An alert as it was said at one moment, and until when it was kept up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) seq: u64,
    pub(super) at: EventTime,
    pub(super) until: EventTime,
    pub(super) alert: &'a Alert,
}

/// Lists what was said, in the order of the log.
pub(super) fn said_in(log: &[AlertTransition]) -> Vec<Said<'_>> {
    let mut open: BTreeMap<&str, EventTime> = BTreeMap::new();
    let mut said: Vec<Said<'_>> = Vec::new();
    // From the end: what comes later in the log tells until when an alert was kept up.
    for step in log.iter().rev() {
        let id = step.alert.id.0.as_str();
        match step.to {
            AlertState::Resolved => {
                open.insert(id, step.at);
            }
            AlertState::Firing if step.alert.withheld.is_none() => said.push(Said {
                seq: step.seq,
                at: step.at,
                until: open.get(id).copied().unwrap_or(EventTime::MAX),
                alert: &step.alert,
            }),
            AlertState::Firing => {}
        }
    }
    said.reverse();
    said
}

impl Said<'_> {
    /// Tells whether this is a right way to say a symptom: kind, version, group, channel, text and host.
    pub(super) fn says(&self, symptom: &Symptom) -> bool {
        let key = &self.alert.key;
        symptom.kinds.contains(&key.kind)
            && fits(symptom.version.as_slice(), &key.version, key.kind)
            && fits(&symptom.groups, &key.group, key.kind)
            && self.channel_fits(symptom)
            && self.holds_one_of(&symptom.texts)
            && symptom
                .host
                .as_ref()
                .is_none_or(|host| key.host.as_ref() == Some(host))
    }

    /// Tells whether this alert comes from a symptom, however it is said.
    pub(super) fn concerns(&self, symptom: &Symptom) -> bool {
        let key = &self.alert.key;
        let by_host = symptom
            .host
            .as_ref()
            .is_some_and(|host| key.host.as_ref() == Some(host));
        let by_text = !symptom.texts.is_empty() && self.holds_one_of(&symptom.texts);
        let by_channel = symptom.texts.is_empty() && self.channel_fits(symptom);
        self.at >= symptom.from && (by_host || (symptom.host.is_none() && (by_text || by_channel)))
    }

    /// Tells whether a control speaks of this alert.
    pub(super) fn offends(&self, control: &Control) -> bool {
        let alert = self.alert;
        let key = &alert.key;
        (control.kinds.is_empty() || control.kinds.contains(&key.kind))
            && alert.severity >= control.severity_min
            && control.version.as_ref().is_none_or(|it| *it == key.version)
            && (control.groups.is_empty() || control.groups.contains(&key.group))
            && control
                .evidence_max
                .is_none_or(|max| alert.evidence.count <= max)
            && (control.texts.is_empty() || self.speaks_of_one(&control.texts))
    }

    /// Returns what tells one problem from another.
    pub(super) fn problem(&self) -> (AlertKind, &str, &str, &str, &str) {
        let key = &self.alert.key;
        (
            key.kind,
            &key.channel,
            &key.group,
            key.host.as_deref().unwrap_or_default(),
            &self.alert.template,
        )
    }

    fn channel_fits(&self, symptom: &Symptom) -> bool {
        let key = &self.alert.key;
        symptom.channels.is_empty()
            || key.channel == "*"
            || (key.channel.is_empty() && is_of_host(key.kind))
            || symptom
                .channels
                .iter()
                .any(|it| glob_matches(it, &key.channel))
    }

    /// Tells whether the alert holds one of the texts: its template, or its sentences if it is not about one signature.
    fn holds_one_of(&self, texts: &[String]) -> bool {
        let alert = self.alert;
        if texts.is_empty() {
            return true;
        }
        if alert.template.is_empty() {
            // An alert about a host may name no text at all.
            return is_of_host(alert.key.kind) || self.speaks_of_one(texts);
        }
        texts.iter().any(|it| contains(&alert.template, it))
    }

    /// Tells whether one of the texts stands anywhere in what people read first.
    fn speaks_of_one(&self, texts: &[String]) -> bool {
        let alert = self.alert;
        let inside = |it: &String| contains(&alert.template, it) || contains(&alert.summary, it);
        texts.iter().any(inside)
    }
}

/// Tells whether a version or group is one of those asked for. `*` is right where several were asked for;
/// alerts about a whole channel or host need not name one.
fn fits(wanted: &[String], actual: &str, kind: AlertKind) -> bool {
    let is_whole = is_of_channel(kind) || is_of_host(kind);
    wanted.is_empty()
        || wanted.iter().any(|it| it == actual)
        || (actual == "*" && (wanted.len() > 1 || is_whole))
        || (actual.is_empty() && is_whole)
}

const fn is_of_channel(kind: AlertKind) -> bool {
    matches!(
        kind,
        AlertKind::SilentChannel | AlertKind::Flood | AlertKind::Capped
    )
}

const fn is_of_host(kind: AlertKind) -> bool {
    matches!(kind, AlertKind::SilentHost | AlertKind::BadHost)
}

/// Tells whether a text holds another, whatever the case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}
