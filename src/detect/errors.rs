//! Kind `regressed` for the errors of a whole release: all records of level ERROR and above of one version in
//! one group, per unit of exposure, against the reference version in the same group and the other groups at the same minute.
//!
//! It says that a deploy is bad before its single errors are told apart. Invariant: a release is compared
//! only with releases of its own group that were deployed earlier.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::lifecycle::Condition;
use super::name::Name;
use super::releases::ReleaseKey;
use super::table::Table;
use super::words;
use crate::model::{
    AlertKey, AlertKind, EventTime, Evidence, LevelClass, SCAN_SECONDS, Severity, SignatureId,
};

/// Windows that are looked at, in minutes.
const WINDOWS: [i64; 4] = [1, 2, 5, 15];

/// Minutes that are kept.
const KEPT: i64 = 15;

/// Part that a minute keeps of the long memory: a half-life of a day.
const KEEP: f64 = 0.999_519;

/// Retries and their kin: counts of errors scatter this much more than Poisson counts.
const SPREAD: f64 = 2.5;

/// Weight of "the other groups are as usual" in events.
const CONTROL_WEIGHT: f64 = 10.0;

/// Seconds without the rise after which it is over.
const OVER_SECONDS: i64 = 900;

/// Ratio and errors a minute from which somebody has to look at once.
const CRITICAL: (f64, f64) = (10.0, 60.0);

/// Errors and exposure of one release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorRate {
    /// Minute, errors, exposure.
    window: VecDeque<(i64, u64, f64)>,
    errors: f64,
    exposure: f64,
}

/// All releases' errors.
#[derive(Debug, Default)]
pub(super) struct ErrorRates {
    pub(super) table: Table<ReleaseKey, ErrorRate>,
}

/// What one minute saw of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MinuteRecords {
    pub(super) errors: u64,
    pub(super) others: u64,
}

/// A rise of the errors of a release.
struct Rise {
    minutes: i64,
    errors: u64,
    expected: f64,
    evidence: f64,
    /// How the other groups do, as a ratio to their own usual rate; `None` if there are none.
    control: Option<f64>,
    reference: Name,
}

impl ErrorRate {
    fn push(&mut self, minute: i64, errors: u64, exposure: f64) {
        self.window.push_back((minute, errors, exposure));
    }

    /// Moves minutes that left the window into the long memory.
    fn roll(&mut self, minute: i64) {
        while self
            .window
            .front()
            .is_some_and(|(it, _, _)| *it <= minute - KEPT)
        {
            let Some((_, errors, exposure)) = self.window.pop_front() else {
                return;
            };
            let expected = self.per_exposure() * exposure;
            let count = as_f64(errors);
            if self.exposure > 0.0 && count > 5.0 * expected + 10.0 {
                // A bad minute must not become the next normal.
                continue;
            }
            self.errors = self.errors * KEEP + count;
            self.exposure = self.exposure * KEEP + exposure;
        }
    }

    /// Returns errors per unit of exposure in the long memory, with half an event added for what was never seen.
    fn per_exposure(&self) -> f64 {
        if self.exposure > 0.0 {
            (self.errors + 0.5) / self.exposure
        } else {
            0.0
        }
    }

    fn sum(&self, minute: i64, minutes: i64) -> (u64, f64) {
        self.window
            .iter()
            .filter(|(it, _, _)| *it <= minute && *it > minute - minutes)
            .fold((0, 0.0), |(n, e), (_, errors, exposure)| {
                (n + errors, e + exposure)
            })
    }
}

impl World {
    /// Takes the errors and the exposure of the minute that closes.
    pub(super) fn count_errors(
        &mut self,
        minute: i64,
        seen: &BTreeMap<ReleaseKey, MinuteRecords>,
        exposure: &[(ReleaseKey, f64)],
    ) {
        let mut by_group: BTreeMap<&Name, (f64, u64)> = BTreeMap::new();
        for ((_, group), it) in exposure {
            by_group.entry(group).or_default().0 += it;
        }
        for ((_, group), it) in seen {
            by_group.entry(group).or_default().1 += it.others;
        }
        for (key, it) in seen {
            // Within a group the split by version follows this very minute's records: an estimate over
            // several minutes would lag behind a switch and make the new version look worse than it is.
            let (total, others) = by_group.get(&key.1).copied().unwrap_or_default();
            let share = super::tally::ratio(it.others, others);
            let rate = self.errors.table.entry(key, ErrorRate::default);
            rate.push(minute, it.errors, total * share);
        }
    }

    /// Compares every release with its reference, at the close of every minute.
    pub(super) fn look_for_error_rises(&mut self, minute: i64, at: EventTime) {
        let told = self.told_signatures(at);
        let rises: Vec<(ReleaseKey, Rise)> = self
            .errors
            .table
            .iter()
            .filter(|_| self.is_learned(at))
            .filter_map(|(key, _)| Some((key.clone(), self.error_rise(&told, key, minute)?)))
            .collect();
        for (key, rise) in rises {
            let condition = self.rise_condition(&key, &rise, at);
            self.raise(at, condition);
        }
        self.errors.table.update_all(|_, rate| rate.roll(minute));
    }

    fn error_rise(&self, told: &[&Signature], key: &ReleaseKey, minute: i64) -> Option<Rise> {
        let detect = &self.rules.detect;
        let reference = self.releases.reference(&key.0, &key.1)?;
        let mine = self.errors.table.get(key)?;
        let theirs = self.errors.table.get(&(reference.clone(), key.1.clone()))?;
        let per_exposure = theirs.per_exposure();
        let shape = (theirs.errors + 0.5).max(1.0);
        let mut best: Option<Rise> = None;
        for minutes in WINDOWS {
            let (errors, exposure) = mine.sum(minute, minutes);
            let errors = errors.saturating_sub(told_errors(told, key, minute, minutes));
            let control = self.control(key, minute, minutes);
            let expected = per_exposure * exposure * control.unwrap_or(1.0).max(1.0);
            let x = as_f64(errors);
            if errors < detect.errors_events_min
                || expected <= 0.0
                || x < detect.errors_ratio_min * expected
            {
                continue;
            }
            let evidence = likelihood_ratio(x, expected, shape) / SPREAD;
            if evidence >= detect.errors_evidence
                && best.as_ref().is_none_or(|it| evidence > it.evidence)
            {
                best = Some(Rise {
                    minutes,
                    errors,
                    expected,
                    evidence,
                    control,
                    reference: reference.clone(),
                });
            }
        }
        best
    }

    /// Lists the signatures whose errors are (or were a moment ago) told one by one, as new or as a host's.
    fn told_signatures(&self, at: EventTime) -> Vec<&Signature> {
        let since = at.plus_seconds(-2 * KEPT * SCAN_SECONDS);
        let ids: BTreeSet<SignatureId> = self
            .book
            .all()
            .filter(|it| matches!(it.key.kind, AlertKind::New | AlertKind::BadHost))
            .filter(|it| it.resolved_at.is_none_or(|end| end >= since))
            .filter_map(|it| Some(self.catalogue.learned.root(it.key.signature?)))
            .collect();
        ids.into_iter()
            .filter_map(|id| self.catalogue.get(id))
            .filter(|it| it.class() == LevelClass::Error)
            .collect()
    }

    /// Returns how the references of the other groups do against their own usual rate at the same minutes.
    fn control(&self, key: &ReleaseKey, minute: i64, minutes: i64) -> Option<f64> {
        let mut errors = 0.0;
        let mut expected = 0.0;
        for (other, rate) in self.errors.table.iter() {
            if other.1 != key.1 && other.0 != key.0 {
                let (n, exposure) = rate.sum(minute, minutes);
                errors += as_f64(n);
                expected += rate.per_exposure() * exposure;
            }
        }
        (expected > 0.0).then(|| (CONTROL_WEIGHT + errors) / (CONTROL_WEIGHT + expected))
    }

    fn rise_condition(&self, key: &ReleaseKey, rise: &Rise, at: EventTime) -> Condition {
        let (version, group) = key;
        let ratio = as_f64(rise.errors) / rise.expected;
        let minutes = as_f64(rise.minutes.unsigned_abs());
        let per_min = as_f64(rise.errors) / minutes;
        let half_width = 1.645 * (SPREAD / as_f64(rise.errors)).sqrt();
        let severity = if ratio >= CRITICAL.0 && per_min >= CRITICAL.1 {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let alert = AlertKey {
            kind: AlertKind::Regressed,
            service: self.rules.fields.service_default.clone(),
            group: group.to_string(),
            version: version.to_string(),
            channel: "*".to_owned(),
            signature: None,
            host: None,
        };
        Condition {
            severity,
            started_at: at.plus_seconds(-SCAN_SECONDS * rise.minutes),
            last_at: at,
            resolve_after: OVER_SECONDS,
            template: String::new(),
            summary: words::summary(&format!(
                "Errors in {} are {} those of {} in the same group: {} against {}; consider a revert",
                words::place(version, group),
                words::times(ratio),
                rise.reference,
                words::per_min(per_min),
                words::per_min(rise.expected / minutes),
            )),
            description: format!(
                "{} errors in {} min where {} would come at the rate of {} in the same group \
                 (exposure from {}).{}{}",
                words::count(rise.errors),
                rise.minutes,
                words::number(rise.expected),
                rise.reference,
                self.exposure.state.source.name(),
                self.rise_context(key, rise, at),
                self.top_errors(key, at),
            ),
            evidence: Evidence {
                count: rise.errors,
                ratio: Some(ratio),
                ratio_low: Some(ratio * (-half_width).exp()),
                ratio_high: Some(ratio * half_width.exp()),
                rate_per_min: Some(per_min),
                expected_per_min: Some(rise.expected / minutes),
                exposure_source: Some(self.exposure.state.source.name().to_owned()),
                ..Evidence::default()
            },
            withheld: self.planned(&alert, "", per_min),
            key: alert,
        }
    }

    /// Says how the other groups do, and when the release was deployed.
    fn rise_context(&self, (version, group): &ReleaseKey, rise: &Rise, at: EventTime) -> String {
        let control = rise.control.map_or_else(String::new, |it| {
            let how = if it < 1.5 {
                "unchanged, so it is this release and not the world"
            } else {
                "up as well"
            };
            format!(
                " The other groups on other versions are at {} of their usual rate in the same minutes: {how}.",
                words::times(it)
            )
        });
        let marker = self
            .releases
            .marker_before(at, 7_200, group)
            .filter(|it| it.version.as_deref() == Some(version.as_str()))
            .map_or_else(String::new, |it| {
                format!(
                    " It was deployed {} ago (`{}`).",
                    words::duration(at.millis_since(it.at) / 1000),
                    it.id
                )
            });
        control + &marker
    }

    /// Names the three loudest errors of a release over the last minutes.
    fn top_errors(&self, key: &ReleaseKey, at: EventTime) -> String {
        let mut top: Vec<(u64, &str, &str)> = self
            .catalogue
            .iter()
            .filter(|(_, it)| it.class() == LevelClass::Error)
            .filter_map(|(_, it)| {
                let events = it
                    .recent_places(at)
                    .find(|(version, group, _)| (*version, *group) == (&key.0, &key.1))
                    .map(|(_, _, events)| events)?;
                (events > 0).then_some((events, it.def.channel.as_str(), it.def.template.as_str()))
            })
            .collect();
        top.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
        let parts: Vec<String> = top
            .iter()
            .take(3)
            .map(|(events, channel, template)| {
                format!(
                    "{} [{channel}] {}",
                    words::count(*events),
                    words::clip(template, 100)
                )
            })
            .collect();
        if parts.is_empty() {
            return String::new();
        }
        format!(" Top: {}.", parts.join("; "))
    }
}

/// Returns how many errors of a release in the last minutes are told one by one.
fn told_errors(told: &[&Signature], key: &ReleaseKey, minute: i64, minutes: i64) -> u64 {
    told.iter()
        .flat_map(|it| &it.cells)
        .filter(|it| (&it.version, &it.group) == (&key.0, &key.1))
        .map(|it| it.minutes.sum(minute, minutes))
        .sum()
}

/// Returns the two-sample log likelihood ratio of `x` events where `expected` rest on `shape` events.
fn likelihood_ratio(x: f64, expected: f64, shape: f64) -> f64 {
    // DETECTION_METHOD.md §2, with a* = shape.
    if x <= expected {
        return 0.0;
    }
    let r = expected / shape;
    x * (x * (1.0 + r) / ((x + shape) * r)).ln() + shape * (shape * (1.0 + r) / (x + shape)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_reference_says_less_than_a_thick_one() {
        let thin = likelihood_ratio(30.0, 5.0, 5.0);
        let thick = likelihood_ratio(30.0, 5.0, 5_000.0);
        assert!(thin < thick);
        assert!((thick - (30.0 * 6.0_f64.ln() - 25.0)).abs() < 0.2);
        assert!(likelihood_ratio(4.0, 5.0, 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_bad_minute_does_not_become_the_next_normal() {
        let mut rate = ErrorRate::default();
        for minute in 0..100 {
            rate.push(minute, 2, 100.0);
            rate.roll(minute);
        }
        let before = rate.per_exposure();
        for minute in 100..130 {
            rate.push(minute, 5_000, 100.0);
            rate.roll(minute);
        }
        assert!(rate.per_exposure() <= before * 1.01);
    }
}
