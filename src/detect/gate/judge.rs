//! The rules of the gate: what each alert, and each error that was not told yet, does to the verdict.
//!
//! Invariant: an alert that fires about the release is either a reason or, with the cause why not, a note.

use super::super::catalogue::Signature;
use super::super::channels::as_f64;
use super::super::past::{PastError, SignatureMinute};
use super::super::releases::shown;
use super::super::words;
use super::look::{Look, Since};
use super::{Effect, GateReason, GateRule};
use crate::model::{Alert, AlertKind, EventTime, LevelClass, Severity, SignatureId};

/// Seconds of the past in which the events of a problem are counted.
const EVENTS_SECONDS: i64 = 86_400;

/// Seconds that a change takes to reach all hosts.
const ROLLOUT_SECONDS: i64 = 180;

/// Events that would have come without a fix, before none proves it.
// Rule of three: none where 3 are expected has a chance of 5 %.
const PROOF_EVENTS: f64 = 3.0;

/// Seconds in which an error that was not told yet matters, and events that it needs.
// Two are one request and its retry.
const UNDECIDED: (i64, u64) = (600, 3);

/// Events of one problem on the release, before and after its latest change.
#[derive(Default)]
struct Events {
    before: u64,
    since: u64,
    elsewhere: u64,
    groups: Vec<String>,
    other_groups: Vec<String>,
    first_before: Option<EventTime>,
    first: Option<EventTime>,
    last: Option<EventTime>,
    judged_from: Option<EventTime>,
}

impl Look<'_> {
    /// Lists what the alerts, and the errors that were not told yet, say of the release.
    pub(super) fn reasons(&self) -> Result<Vec<GateReason>, PastError> {
        let mut reasons = Vec::new();
        for alert in &self.alerts {
            reasons.extend(self.judge(alert)?);
        }
        reasons.extend(self.undecided()?);
        Ok(reasons)
    }

    fn judge(&self, alert: &Alert) -> Result<Option<GateReason>, PastError> {
        let about = |effect, rule, text: String| {
            Some(GateReason {
                kind: Some(alert.key.kind.name().to_owned()),
                severity: Some(alert.severity),
                alert: Some(alert.id.clone()),
                signature: alert.key.signature,
                template: alert.template.clone(),
                channel: alert.key.channel.clone(),
                first_seen: Some(alert.started_at),
                ..GateReason::new(effect, rule, words::clip(&text, 400))
            })
        };
        match alert.key.kind {
            AlertKind::SilentChannel => {
                let text = format!(
                    "channel {} is silent since {}: what it would have said is missing",
                    alert.key.channel,
                    words::time(alert.started_at)
                );
                return Ok(about(Effect::Blind, GateRule::SilentChannel, text));
            }
            AlertKind::DataGap => {
                return Ok(about(
                    Effect::Inconclusive,
                    GateRule::DataGap,
                    alert.summary.clone(),
                ));
            }
            AlertKind::Capped => {
                let text = self.capped(&alert.key.channel);
                return Ok(
                    text.and_then(|it| about(Effect::Inconclusive, GateRule::CappedChannel, it))
                );
            }
            AlertKind::GateFailed | AlertKind::SilentHost => return Ok(None),
            _ => {}
        }
        if alert.key.version != *self.version || alert.withheld.as_deref() == Some("storm") {
            return Ok(None);
        }
        let here = alert.key.group == "*" || self.covers(&alert.key.group);
        let excuse = match alert {
            it if it.key.kind == AlertKind::BadHost => Some(GateRule::BadHost),
            it if it.withheld.is_some() => Some(GateRule::Planned),
            it if is_muted(it) => Some(GateRule::Muted),
            it if it.severity < Severity::Warning => Some(GateRule::Minor),
            _ => None,
        };
        if let Some(rule) = excuse {
            return Ok(about(Effect::Note, rule, alert.summary.clone()).filter(|_| here));
        }
        // What only this release has speaks against it wherever it shows; a rise only where it was found.
        let is_new = matches!(alert.key.kind, AlertKind::New | AlertKind::Resurfaced);
        let Some(id) = alert.key.signature.filter(|_| here || is_new) else {
            let (effect, rule) = if here {
                (Effect::Fail, GateRule::OpenAlert)
            } else {
                (Effect::Inconclusive, GateRule::EarlierStage)
            };
            return Ok(about(effect, rule, alert.summary.clone()));
        };
        let from = alert
            .started_at
            .max(self.at().plus_seconds(-EVENTS_SECONDS));
        let events = self.events(id, from)?;
        let (effect, rule, text) = self.judge_events(alert, &events);
        Ok(about(effect, rule, text).map(|it| events.into_reason(it, self.at())))
    }

    fn judge_events(&self, alert: &Alert, events: &Events) -> (Effect, GateRule, String) {
        let what = format!("[{}] {}", alert.key.channel, alert.template);
        let kind = kind_words(alert.key.kind);
        if events.since > 0 {
            let text = format!(
                "{kind} in {}: {} events, {}, the last at {}: {what}",
                events.groups.join(", "),
                words::count(events.since),
                words::per_min(events.rate(self.at())),
                events.last.map_or_else(String::new, words::time),
            );
            return (Effect::Fail, GateRule::OpenAlert, text);
        }
        if events.before > 0 {
            return self.judge_fix(events, &what);
        }
        if events.elsewhere > 0 || !(alert.key.group == "*" || self.covers(&alert.key.group)) {
            let text = format!(
                "{kind} is open in another stage ({}): {what}",
                if events.other_groups.is_empty() {
                    alert.key.group.clone()
                } else {
                    events.other_groups.join(", ")
                }
            );
            return (Effect::Inconclusive, GateRule::EarlierStage, text);
        }
        // It began within the minute that is not whole yet.
        (Effect::Fail, GateRule::OpenAlert, format!("{kind}: {what}"))
    }

    /// Weighs a problem that has not shown since the latest change.
    fn judge_fix(&self, events: &Events, what: &str) -> (Effect, GateRule, String) {
        let expected = events.expected_since(self.at());
        let ago = events
            .judged_from
            .map_or(0, |it| self.at().millis_since(it) / 1000);
        if expected >= PROOF_EVENTS {
            let text = format!(
                "gone since the latest change: none in {} where {} would have come: {what}",
                words::duration(ago),
                words::number(expected)
            );
            return (Effect::Note, GateRule::Fixed, text);
        }
        let text = format!(
            "none since the latest change, but only {} would have come in {}: {what}",
            words::number(expected),
            words::duration(ago)
        );
        (Effect::Inconclusive, GateRule::FixUnproven, text)
    }

    /// Counts the events of a signature on the version from some moment on.
    fn events(&self, id: SignatureId, from: EventTime) -> Result<Events, PastError> {
        let minutes = self.past.signature_minutes(id, from.floor(60), self.at())?;
        let mut events = Events::default();
        for it in minutes.iter().filter(|it| it.version == *self.version) {
            if !self.covers(&it.group) {
                events.elsewhere += it.events;
                note(&mut events.other_groups, &it.group);
                continue;
            }
            let judged = self.since(&it.group).map(judged_from);
            events.judged_from = events.judged_from.max(judged);
            events.add(it, judged);
        }
        Ok(events)
    }

    /// Says what a cap hides of the version, if it hides anything.
    fn capped(&self, channel: &str) -> Option<String> {
        let (mut records, mut capped) = (0, 0);
        for it in &self.recent {
            if it.version == *self.version && it.channel == channel && self.covers(&it.group) {
                records += it.records;
                capped += it.capped;
            }
        }
        (capped > 0).then(|| {
            format!(
                "channel {channel} is over its cap: {} of the last {} records of this release are counted without detail",
                words::count(capped),
                words::count(records)
            )
        })
    }

    /// Lists errors that only this version has, with too few events to be told.
    fn undecided(&self) -> Result<Vec<GateReason>, PastError> {
        let since = self.at().plus_seconds(-UNDECIDED.0);
        let mut reasons = Vec::new();
        for (id, signature) in self.world.catalogue.iter() {
            let told = self.alerts.iter().any(|it| it.key.signature == Some(*id));
            if told || !self.is_fresh(signature, since) {
                continue;
            }
            let events = self.events(*id, since)?;
            if events.since + events.before < UNDECIDED.1 {
                continue;
            }
            let text = format!(
                "{} first seen {}, {} events, not told yet: [{}] {}",
                signature.def.level.name(),
                words::time(signature.first),
                events.since + events.before,
                signature.def.channel,
                signature.def.template
            );
            let reason = GateReason {
                signature: Some(*id),
                template: signature.def.template.clone(),
                channel: signature.def.channel.clone(),
                first_seen: Some(signature.first),
                ..GateReason::new(
                    Effect::Inconclusive,
                    GateRule::Undecided,
                    words::clip(&text, 400),
                )
            };
            reasons.push(events.into_reason(reason, self.at()));
        }
        Ok(reasons)
    }

    /// Tells whether an error began lately, on this version.
    fn is_fresh(&self, signature: &Signature, since: EventTime) -> bool {
        signature.class() == LevelClass::Error
            && signature.first >= since
            && signature.first < self.at()
            && signature.renamed_from.is_none()
            && signature.first_version == self.version
            && self.world.alerts_in(&signature.def.channel)
            && self.world.explains(signature)
    }
}

impl Events {
    fn add(&mut self, it: &SignatureMinute, judged: Option<EventTime>) {
        let end = it.at.plus_seconds(60);
        self.last = self.last.max(Some(end));
        if judged.is_some_and(|from| it.at < from) {
            self.before += it.events;
            note(&mut self.groups, &it.group);
            self.first_before = self.first_before.or(Some(it.at));
            return;
        }
        self.since += it.events;
        self.first = self.first.or(Some(it.at));
        note(&mut self.groups, &it.group);
    }

    /// Returns events per minute since the latest change, from the first of them on.
    fn rate(&self, at: EventTime) -> f64 {
        as_f64(self.since) / minutes(self.first, Some(at))
    }

    /// Returns the events that would have come since the latest change at the rate of before.
    fn expected_since(&self, at: EventTime) -> f64 {
        let rate = as_f64(self.before) / minutes(self.first_before, self.judged_from);
        let passed = self.judged_from.map_or(0, |it| at.millis_since(it).max(0));
        rate * as_f64(passed.unsigned_abs()) / 60_000.0
    }

    fn into_reason(self, reason: GateReason, at: EventTime) -> GateReason {
        let rate = (self.since > 0).then(|| self.rate(at));
        let groups = if self.groups.is_empty() {
            self.other_groups
        } else {
            self.groups
        };
        GateReason {
            groups,
            events: self.since,
            rate_per_min: rate,
            last_seen: self.last,
            ..reason
        }
    }
}

/// Returns from when on an event speaks against the release as it is now.
fn judged_from(since: &Since) -> EventTime {
    if since.is_change {
        since.at.plus_seconds(ROLLOUT_SECONDS)
    } else {
        since.first.floor(60)
    }
}

/// Returns the minutes of a range, at least one.
fn minutes(from: Option<EventTime>, to: Option<EventTime>) -> f64 {
    let millis = from.zip(to).map_or(0, |(from, to)| to.millis_since(from));
    as_f64(millis.max(60_000).unsigned_abs()) / 60_000.0
}

fn note(groups: &mut Vec<String>, group: &str) {
    let group = shown(group, "-");
    if let Err(place) = groups.binary_search(&group) {
        groups.insert(place, group);
    }
}

/// Tells whether a person said that nobody needs to be told; that somebody is on it is not enough.
fn is_muted(alert: &Alert) -> bool {
    alert
        .muted
        .as_deref()
        .is_some_and(|it| !it.starts_with("acknowledged"))
}

const fn kind_words(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::New => "new error",
        AlertKind::Spike => "far above its usual rate",
        AlertKind::Regressed => "higher than on the reference version",
        AlertKind::Resurfaced => "back after a long absence",
        AlertKind::MixShift => "mix of values shifted",
        AlertKind::Storm => "storm of new errors",
        _ => "open alert",
    }
}
