//! Kinds `spike` and `regressed` of single signatures: what the rate scan says, put into words and weighed.
//!
//! The scan sees numbers only; here they get their names back. Invariant: a signature whose new or bad-host
//! alert fires gets no second alert for the same events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::World;
use super::catalogue::Signature;
use super::channels::{as_f64, minute_before};
use super::errors::MinuteRecords;
use super::lifecycle::Condition;
use super::name::Name;
use super::releases::ReleaseKey;
use super::scan::{CellCount, CellExposure, Detector, Firing, Kind, Params, SELF_EXPOSURE_DRIFT};
use super::words;
use crate::model::{
    AlertId, AlertKey, AlertKind, EventTime, Evidence, LevelClass, Severity, SignatureId,
};
use crate::rules::DetectRules;

/// Ratio and rate a minute from which a rise of errors is urgent.
const CRITICAL: (f64, f64) = (10.0, 60.0);

/// Events a minute from which a rise below WARNING is more than information.
const INFO_RATE_MIN: f64 = 10.0;

/// Seconds after which an alert of the scan is over if the scan itself does not end it.
// The scan renews or ends within its ring of 60 minutes.
const OVER_SECONDS: i64 = 2 * 3600;

/// Part of its rate that a rise has to have kept to be told.
const OVER_SHARE: f64 = 0.3;

/// Events below which a rise of one version may just be the signature's usual events that moved there.
const FEW_EVENTS: f64 = 20.0;

/// Counts of the minute that is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenMinute {
    /// Events by signature, version and group, as numbers of the scan.
    pub(super) counts: BTreeMap<(u32, u32, u32), u64>,
    pub(super) releases: BTreeMap<ReleaseKey, MinuteRecords>,
}

impl OpenMinute {
    /// Gives the counts of one number to another.
    pub(super) fn renumber(&mut self, from: u32, to: u32) {
        let keys: Vec<_> = self
            .counts
            .range((from, 0, 0)..=(from, u32::MAX, u32::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            if let Some(events) = self.counts.remove(&key) {
                *self.counts.entry((to, key.1, key.2)).or_default() += events;
            }
        }
    }

    /// Returns the counts in the scan's form.
    pub(super) fn cells(&self) -> Vec<CellCount> {
        self.counts
            .iter()
            .map(|(&(signature, version, group), &n)| CellCount {
                signature,
                version,
                group,
                count: u32::try_from(n).unwrap_or(u32::MAX),
            })
            .collect()
    }
}

/// Makes the scan as the rules want it.
pub(super) fn detector(rules: &DetectRules) -> Detector {
    Detector::new(Params {
        exposure_drift: SELF_EXPOSURE_DRIFT,
        ..params(rules)
    })
}

/// Returns the parameters of the scan that the rules decide.
pub(super) fn params(rules: &DetectRules) -> Params {
    Params {
        spike: rules.scan_threshold,
        spike_page: rules.scan_page,
        ..Params::default()
    }
}

impl World {
    /// Gives the closed minute to the scan and acts on what it says.
    pub(super) fn scan_minute(
        &mut self,
        minute: i64,
        cells: &[CellCount],
        exposure: &[(ReleaseKey, f64)],
        at: EventTime,
    ) {
        let exposure: Vec<CellExposure> = exposure
            .iter()
            .filter_map(|((version, group), it)| {
                Some(CellExposure {
                    version: self.releases.versions.get(version)?.number,
                    group: *self.releases.groups.get(group)?,
                    exposure: *it,
                })
            })
            .collect();
        let mut firings = Vec::new();
        self.scan.minute(minute, &exposure, cells, &mut firings);
        for firing in firings {
            self.act_on(&firing, at);
        }
    }

    pub(super) fn act_on(&mut self, firing: &Firing, at: EventTime) {
        let Some(version) = self.releases.version_by_number(firing.version) else {
            return;
        };
        let Some(id) = self.form(firing.signature, &version, at) else {
            return;
        };
        match firing.kind {
            // Signatures come and go; what people are told of is a channel or a host that stops.
            Kind::Silent => {}
            Kind::Resolved => self.end_rise(id, &version, firing, at),
            Kind::New => self.scan_found_new(id, &version, firing, at),
            Kind::Spike | Kind::Regressed => self.tell_rise(id, &version, firing, at),
        }
    }

    /// Returns the form of a renamed signature that has the recent events on a version; of equal ones the earliest.
    fn form(&self, number: u32, version: &Name, at: EventTime) -> Option<SignatureId> {
        let recent = |id: SignatureId| {
            let signature = self.catalogue.get(id)?;
            let on = signature.recent_places(at).filter(|it| it.0 == version);
            Some(on.map(|it| it.2).sum::<u64>())
        };
        let forms = self.catalogue.forms(number);
        forms
            .enumerate()
            .max_by_key(|(place, id)| (recent(*id), std::cmp::Reverse(*place)))
            .map(|(_, id)| id)
    }

    fn end_rise(&mut self, id: SignatureId, version: &Name, firing: &Firing, at: EventTime) {
        if !matches!(firing.ends, Some(Kind::Spike | Kind::Regressed | Kind::New)) {
            return;
        }
        let over: Vec<AlertId> = self
            .book
            .about(id)
            .into_iter()
            .filter(|it| matches!(it.key.kind, AlertKind::Spike | AlertKind::Regressed))
            .filter(|it| it.key.version == **version)
            .map(|it| it.id.clone())
            .collect();
        for alert in over {
            self.book.resolve(&alert, at);
        }
    }

    fn scan_found_new(&mut self, id: SignatureId, version: &Name, firing: &Firing, at: EventTime) {
        let Some(signature) = self.catalogue.get(id) else {
            return;
        };
        if !self.is_learned(at) || !self.alerts_in(&signature.def.channel) {
            return;
        }
        if signature.novelty.decided {
            self.tell_rise(id, version, firing, at);
            return;
        }
        if !self.explains(signature) || signature.novelty.buckets < 3 {
            return;
        }
        if self.link_renamed(id, at) {
            return;
        }
        if self.blame_host(id, at) {
            self.settle(id, true);
        } else if let Some(condition) = self.slow_new_condition(id) {
            self.tell_new(vec![(id, condition)], at);
        }
    }

    fn tell_rise(&mut self, id: SignatureId, version: &Name, firing: &Firing, at: EventTime) {
        let Some(signature) = self.catalogue.get(id) else {
            return;
        };
        let told = self.book.about(id).into_iter().any(|it| {
            matches!(
                it.key.kind,
                AlertKind::New | AlertKind::BadHost | AlertKind::Resurfaced
            )
        });
        if told || !self.is_learned(at) || !self.alerts_in(&signature.def.channel) {
            return;
        }
        let capped = self
            .channels
            .table
            .get(&Name::from(signature.def.channel.as_str()))
            .and_then(|it| it.capped_last)
            .is_some_and(|last| at.millis_since(last) < 600_000);
        // Counts of single signatures are partial there; the channel itself is told.
        if capped || firing.count < as_f64(self.rules.detect.rise_events_min) {
            return;
        }
        // The rate of the window, if it still holds, over the minutes that are remembered by place.
        let window = f64::from(firing.window_minutes.max(1));
        let held = firing.count / window * window.min(20.0);
        let recent: u64 = signature
            .recent_places(at)
            .filter(|(it, _, _)| *it == version)
            .map(|(_, _, n)| n)
            .sum();
        if as_f64(recent) < OVER_SHARE * held {
            return;
        }
        let group = signature.recent_group(version, at);
        let later = self
            .clock
            .started
            .is_some_and(|it| self.releases.is_later(version, it));
        // A few odd wikis that stayed behind have rates of their own, and wikis that move take theirs along.
        let odd = self
            .releases
            .is_marginal(&(version.clone(), group), minute_before(at));
        if !later && (odd || is_usual_elsewhere(signature, firing, at)) {
            return;
        }
        let condition = self.rise_of(id, signature, (version, firing), at);
        self.raise(at, condition);
        self.blame_host(id, at);
    }

    /// Finds what a version's rate was compared with: its reference in the group, or in any group if it is in several.
    fn compared_with(&self, version: &Name, group: &Name) -> Option<Name> {
        let anywhere = || {
            self.releases
                .groups
                .iter()
                .find_map(|(it, _)| self.releases.reference(version, it))
        };
        let here = self.releases.reference(version, group);
        here.or_else(|| (**group == *"*").then(anywhere).flatten())
    }

    fn rise_of(
        &self,
        id: SignatureId,
        signature: &Signature,
        (version, firing): (&Name, &Firing),
        at: EventTime,
    ) -> Condition {
        let group = signature.recent_group(version, at);
        let reference = self.compared_with(version, &group);
        let (kind, word) = match reference {
            Some(_) => (AlertKind::Regressed, "Regressed"),
            None => (AlertKind::Spike, "Spike"),
        };
        let against = reference.map_or_else(
            || "its usual rate".to_owned(),
            |it| format!("{it} in the same group"),
        );
        let minutes = f64::from(firing.window_minutes.max(1));
        let per_min = firing.count / minutes;
        let key = AlertKey {
            kind,
            service: signature.service.to_string(),
            group: group.to_string(),
            version: version.to_string(),
            channel: signature.def.channel.clone(),
            signature: Some(id),
            host: None,
        };
        Condition {
            severity: self.rise_severity(signature, firing, &key, per_min),
            started_at: at.plus_seconds(-60 * i64::from(firing.window_minutes.clamp(1, 1440))),
            last_at: at,
            resolve_after: OVER_SECONDS,
            template: signature.def.template.clone(),
            summary: words::summary(&format!(
                "{word} in {}: {} against {}, {} {against}: [{}] {}",
                words::place(version, &group),
                words::per_min(per_min),
                words::per_min(firing.expected / minutes),
                words::times(firing.ratio),
                signature.def.channel,
                signature.def.template,
            )),
            description: self.rise_description(signature, firing, &against),
            evidence: self.rise_evidence(signature, firing),
            withheld: self.planned(&key, &signature.def.template, per_min),
            key,
        }
    }

    fn rise_description(&self, signature: &Signature, firing: &Firing, against: &str) -> String {
        format!(
            "{} events in {} where {} were expected from {against}: {} (90 % interval {} to {}), evidence {} nats, \
             exposure from {}. First seen {} on {}, {} events in all, from {}.",
            words::number(firing.count),
            words::duration(i64::from(firing.window_minutes) * 60),
            words::number(firing.expected),
            words::times(firing.ratio),
            words::times(firing.ratio_low),
            words::times(firing.ratio_high),
            words::number(firing.score),
            self.exposure.state.source.name(),
            words::time(signature.first),
            super::releases::shown(&signature.first_version, "an unknown version"),
            words::count(signature.events),
            super::novelty::hosts_words(signature),
        )
    }

    fn rise_evidence(&self, signature: &Signature, firing: &Firing) -> Evidence {
        let minutes = f64::from(firing.window_minutes.max(1));
        Evidence {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of events"
            )]
            count: firing.count.max(0.0).round() as u64,
            ratio: finite(firing.ratio),
            ratio_low: finite(firing.ratio_low),
            ratio_high: finite(firing.ratio_high),
            rate_per_min: Some(firing.count / minutes),
            expected_per_min: Some(firing.expected / minutes),
            hosts: signature.hosts.distinct(),
            top_host_share: signature.recent.main().map(|(_, _, share, _)| share),
            exposure_source: Some(self.exposure.state.source.name().to_owned()),
        }
    }

    /// Tells whether this rise was told on the same version within a day, at this rate or a higher one: its tail is no news.
    fn was_told_louder(&self, key: &AlertKey, per_min: f64) -> bool {
        let Some(now) = self.clock.closed else {
            return false;
        };
        let since = now.plus_seconds(-86_400);
        self.book
            .all()
            .filter(|it| matches!(it.key.kind, AlertKind::Spike | AlertKind::Regressed))
            .filter(|it| it.key.signature == key.signature && it.key.version == key.version)
            .filter(|it| it.resolved_at.is_some_and(|at| at >= since))
            .any(|it| it.evidence.rate_per_min.is_some_and(|rate| rate >= per_min))
    }

    fn rise_severity(
        &self,
        signature: &Signature,
        firing: &Firing,
        key: &AlertKey,
        per_min: f64,
    ) -> Severity {
        let loud = firing.page && firing.ratio >= self.rules.detect.scan_page_ratio;
        let error = signature.class() == LevelClass::Error;
        // Told already: as new on this very version, as a part of a release's errors, or as a mix of values.
        let known = signature.novelty.told && *signature.first_version == *key.version;
        let release = AlertKey {
            channel: "*".to_owned(),
            signature: None,
            ..key.clone()
        };
        let part = error && self.book.find(&release).is_some();
        let mix = self
            .rules
            .mixes
            .iter()
            .any(|rule| super::mix::applies(rule, &signature.def));
        if !loud || known || part || mix || self.was_told_louder(key, per_min) {
            return Severity::Info;
        }
        if !error {
            let much = per_min >= INFO_RATE_MIN && firing.ratio_low >= 3.0;
            return if much {
                Severity::Warning
            } else {
                Severity::Info
            };
        }
        if firing.ratio_low >= CRITICAL.0 && per_min >= CRITICAL.1 {
            Severity::Critical
        } else {
            Severity::Warning
        }
    }
}

/// Tells whether a rise of few events is no more than what the signature usually has over all versions and groups.
fn is_usual_elsewhere(signature: &Signature, firing: &Firing, at: EventTime) -> bool {
    let hour = at.plus_millis(-1).seconds().div_euclid(3600);
    let usual = signature.rate.expected(hour).unwrap_or(0.0);
    let window = f64::from(firing.window_minutes.max(1));
    firing.count < FEW_EVENTS && firing.count < 3.0 * usual * window
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
