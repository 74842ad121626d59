//! Kind `new`: a signature that no earlier release had, told once.
//!
//! Fast: at the close of the second bucket with events, if it comes at a good rate. Slow: as soon as its
//! events are too many for something that was not seen for so long. Invariant: a signature is told as
//! new at most once.

use std::fmt::Write as _;
use std::sync::Arc;

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::lifecycle::Condition;
use super::name::Name;
use super::words;
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, LevelClass, Severity, SignatureId};

/// Events of a fast new signature where no release explains it: more than one request's retries.
const UNEXPLAINED_EVENTS_MIN: u64 = 10;

/// Seconds of looking that are needed before a slow signature is new without a release.
// A day: jobs that run once a day have then been seen.
const UNEXPLAINED_SECONDS_MIN: i64 = 86_400;

/// Buckets with events that a slow new signature needs: with a release, without one.
const SLOW_BUCKETS_MIN: (u32, u32) = (3, 5);

/// Seconds before an onset in which a deploy marker is named as its likely cause.
const MARKER_SECONDS: i64 = 7_200;

/// How a signature was found to be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Fast,
    Slow,
}

impl World {
    /// Looks at the signatures that had events in the bucket that closes now.
    pub(super) fn look_for_new(&mut self, touched: &[(SignatureId, u64)], at: EventTime) {
        let mut found: Vec<(SignatureId, Condition)> = Vec::new();
        for &(id, events) in touched {
            let Some(pace) = self.decide(id, events, at) else {
                continue;
            };
            if self.link_renamed(id, at) {
                continue;
            }
            if self.blame_host(id, at) {
                self.settle(id, true);
                continue;
            }
            if let Some(condition) = self.new_condition(id, pace) {
                found.push((id, condition));
            }
        }
        self.tell_new(found, at);
    }

    /// Raises what is new, as one storm where it is too much at once.
    pub(super) fn tell_new(&mut self, found: Vec<(SignatureId, Condition)>, at: EventTime) {
        for (id, mut condition) in found {
            let (version, group) = (condition.key.version.clone(), condition.key.group.clone());
            let firing = self.book.firing_on(AlertKind::New, &version, &group);
            if firing >= self.rules.detect.storm_new_max {
                condition.withheld = Some("storm".to_owned());
                self.raise_storm(&condition, firing + 1, at);
            }
            self.settle(id, true);
            self.raise(at, condition);
        }
    }

    fn decide(&mut self, id: SignatureId, events: u64, at: EventTime) -> Option<Pace> {
        let started = self.clock.started?;
        let rules = Arc::clone(&self.rules);
        let detect = &rules.detect;
        let signature = self.catalogue.get(id)?;
        if signature.novelty.decided || !self.alerts_in(&signature.def.channel) {
            return None;
        }
        let explained = self.explains(signature);
        let learned = started.plus_seconds(detect.learn_seconds);
        let renamed = signature.renamed_from.is_some();
        let known = renamed || (signature.first < learned && !explained);
        let old = at.millis_since(signature.first) > detect.new_within_seconds * 1000;
        if known || old {
            self.settle(id, false);
            return None;
        }
        let signature = self.catalogue.get_mut(id)?;
        signature.novelty.buckets += 1;
        signature.novelty.guarded += 1.0 + as_f64(events.max(1)).log2();
        let (events, buckets) = (signature.events, signature.novelty.buckets);
        let since = as_f64(at.millis_since(signature.first).max(1).unsigned_abs()) / 1000.0;
        let before = as_f64(signature.first.millis_since(started).max(0).unsigned_abs()) / 1000.0;
        let events_min = if explained {
            detect.new_events_min
        } else {
            detect.new_events_min.max(UNEXPLAINED_EVENTS_MIN)
        };
        if events < events_min || buckets < 2 {
            return None;
        }
        if as_f64(events) / since >= detect.new_per_second {
            return Some(Pace::Fast);
        }
        // Events of something that was not seen for `before` seconds, against none expected in `since`.
        let evidence = (signature.novelty.guarded - 1.0) * (before / since.max(10.0)).ln_1p();
        let (buckets_min, enough) = if explained {
            (SLOW_BUCKETS_MIN.0, evidence >= detect.new_evidence)
        } else {
            let day = at.millis_since(started) >= UNEXPLAINED_SECONDS_MIN * 1000;
            (
                SLOW_BUCKETS_MIN.1,
                day && evidence >= detect.new_evidence_unexplained,
            )
        };
        (enough && buckets >= buckets_min).then_some(Pace::Slow)
    }

    /// Tells whether a signature began on a release that was deployed after we began to look, and only there.
    pub(super) fn explains(&self, signature: &Signature) -> bool {
        self.clock.started.is_some_and(|started| {
            self.releases.is_later(&signature.first_version, started)
                && signature.cells.iter().all(|it| {
                    self.releases
                        .order(&it.version, &signature.first_version)
                        .is_ge()
                })
        })
    }

    pub(super) fn settle(&mut self, id: SignatureId, told: bool) {
        if let Some(signature) = self.catalogue.get_mut(id) {
            signature.novelty.decided = true;
            signature.novelty.told |= told;
        }
    }

    /// Writes the alert about a new signature that comes slowly.
    pub(super) fn slow_new_condition(&self, id: SignatureId) -> Option<Condition> {
        self.new_condition(id, Pace::Slow)
    }

    fn new_condition(&self, id: SignatureId, pace: Pace) -> Option<Condition> {
        let signature = self.catalogue.get(id)?;
        let explained = self.explains(signature);
        let version = if explained {
            signature.first_version.clone()
        } else {
            signature.version()
        };
        let group = signature.group(explained.then_some(&version));
        let severity = match (signature.class(), pace) {
            (LevelClass::Error, Pace::Fast) => Severity::Critical,
            (LevelClass::Error, Pace::Slow) => Severity::Warning,
            _ => Severity::Info,
        };
        let key = AlertKey {
            kind: AlertKind::New,
            service: signature.service.to_string(),
            group: group.to_string(),
            version: version.to_string(),
            channel: signature.def.channel.clone(),
            signature: Some(id),
            host: None,
        };
        Some(self.about_signature(key, severity, signature))
    }

    /// Fills in what every alert about a signature says.
    pub(super) fn about_signature(
        &self,
        key: AlertKey,
        severity: Severity,
        signature: &Signature,
    ) -> Condition {
        let now = self.clock.closed.unwrap_or(signature.last);
        let minute = super::channels::minute_before(now);
        let recent = as_f64(signature.minutes.sum(minute, 5));
        let minutes =
            as_f64(now.millis_since(signature.first).max(10_000).unsigned_abs()) / 60_000.0;
        let evidence = Evidence {
            count: signature.events,
            rate_per_min: Some(recent / minutes.clamp(1.0 / 6.0, 5.0)),
            hosts: signature.hosts.distinct(),
            top_host_share: signature
                .hosts
                .main(signature.events)
                .map(|(_, share)| share),
            exposure_source: Some(self.exposure.state.source.name().to_owned()),
            ..Evidence::default()
        };
        Condition {
            severity,
            started_at: signature.first,
            last_at: signature.last,
            resolve_after: self.resolve_after_all(signature),
            template: signature.def.template.clone(),
            summary: new_summary(&key, signature),
            description: self.new_description(signature, &evidence),
            evidence,
            withheld: self.planned(&key, &signature.def.template, recent / 5.0),
            key,
        }
    }

    /// Says what is known of a new signature: since when, where, how often, and what was never seen before.
    pub(super) fn new_description(&self, signature: &Signature, evidence: &Evidence) -> String {
        let mut text = format!(
            "First seen {} in {}",
            words::time(signature.first),
            words::place(&signature.first_version, &signature.first_group),
        );
        if let Some((host, _)) = signature.hosts.main(signature.events)
            && signature.hosts.distinct() == 1
        {
            add(&mut text, format_args!(", only on host {host}"));
        }
        for (name, facet) in &signature.facets {
            if let (1, Some(value)) = facet.main() {
                add(&mut text, format_args!(", only with {name}={value}"));
            }
        }
        text.push_str(". ");
        if self.explains(signature)
            && let Some(reference) = self
                .releases
                .reference(&signature.first_version, &signature.first_group)
        {
            let seen = self.records_on(&reference);
            add(
                &mut text,
                format_args!(
                    "Not seen on {reference} in {} records. ",
                    words::count(seen)
                ),
            );
        }
        add(
            &mut text,
            format_args!(
                "{} events since, {} now, from {}",
                words::count(signature.events),
                words::per_min(evidence.rate_per_min.unwrap_or_default()),
                hosts_words(signature),
            ),
        );
        text.push_str(&places_words(signature));
        self.add_origin(&mut text, signature);
        text.push('.');
        text
    }

    /// Says what happened before it began: a release that went out, a marker.
    fn add_origin(&self, text: &mut String, signature: &Signature) {
        let release = (
            signature.first_version.clone(),
            signature.first_group.clone(),
        );
        if let Some(release) = self.releases.table.get(&release)
            && self.explains(signature)
        {
            let after = signature.first.millis_since(release.first) / 1000;
            add(
                text,
                format_args!(
                    ". It began {} after {} was first seen there",
                    words::duration(after),
                    signature.first_version
                ),
            );
        }
        if let Some(marker) =
            self.releases
                .marker_before(signature.first, MARKER_SECONDS, &signature.first_group)
        {
            let after = signature.first.millis_since(marker.at) / 1000;
            add(
                text,
                format_args!(
                    ", {} after {} `{}`{}",
                    words::duration(after),
                    marker.kind.name(),
                    marker.id,
                    marker
                        .version
                        .as_deref()
                        .map_or_else(String::new, |it| format!(" ({it})")),
                ),
            );
        }
    }

    /// Returns the records seen on a version over all groups.
    pub(super) fn records_on(&self, version: &Name) -> u64 {
        self.releases
            .table
            .iter()
            .filter(|((it, _), _)| it == version)
            .map(|(_, it)| it.events)
            .sum()
    }

    /// Returns the seconds without an event after which a signature's alert is over: the longest over its
    /// releases, so that what goes on seldom in one group is not over when a loud group stops.
    fn resolve_after_all(&self, signature: &Signature) -> i64 {
        signature
            .cells
            .iter()
            .map(|it| self.resolve_after(it.events, it.first, it.last))
            .max()
            .unwrap_or(self.rules.detect.resolve_after_seconds)
    }

    /// Returns the seconds without an event after which a signature's alert is over: longer for what comes seldom.
    pub(super) fn resolve_after(&self, events: u64, first: EventTime, last: EventTime) -> i64 {
        let span = last.millis_since(first) / 1000;
        let gap = span / i64::try_from(events.max(1)).unwrap_or(i64::MAX);
        // Twenty mean gaps: a Poisson stream pauses that long once in e^20.
        (gap * 20)
            .min(4 * 3600)
            .max(self.rules.detect.resolve_after_seconds)
    }
}

/// Says in one line that something is new.
fn new_summary(key: &AlertKey, signature: &Signature) -> String {
    let class = signature
        .def
        .exception
        .as_ref()
        .map_or_else(String::new, |it| format!("{it}: "));
    words::summary(&format!(
        "New {} in {} ({} events, {}): [{}] {class}{}",
        signature.def.level.name(),
        words::place(&key.version, &key.group),
        words::count(signature.events),
        hosts_words(signature),
        key.channel,
        signature.def.template,
    ))
}

/// Says how many hosts, or which one.
pub(super) fn hosts_words(signature: &Signature) -> String {
    match (
        signature.hosts.distinct(),
        signature.hosts.main(signature.events),
    ) {
        (1, Some((host, _))) => format!("host {host}"),
        (n, Some((host, share))) if share >= 0.5 => {
            format!(
                "{} hosts, {} on {host}",
                words::count(n),
                words::percent(share)
            )
        }
        (n, _) => format!("{} hosts", words::count(n)),
    }
}

/// Says on which groups a signature was seen, if on several.
fn places_words(signature: &Signature) -> String {
    if signature.cells.len() < 2 {
        return String::new();
    }
    let mut cells: Vec<_> = signature.cells.iter().collect();
    cells.sort_by(|a, b| {
        b.events
            .cmp(&a.events)
            .then_with(|| (&a.version, &a.group).cmp(&(&b.version, &b.group)))
    });
    let parts: Vec<String> = cells
        .iter()
        .take(4)
        .map(|it| {
            format!(
                "{} in {}",
                words::count(it.events),
                words::place(&it.version, &it.group)
            )
        })
        .collect();
    format!(": {}", parts.join(", "))
}

/// Adds to a text; writing to a `String` cannot fail.
fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(more);
}
