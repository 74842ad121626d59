//! Kind `mix_shift`: the share of one value of a watched field changed within a constant message.
//!
//! Invariant: both sides of a comparison are counts of the same message in the same group.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::World;
use super::buckets::{CountCell, OpenBucket};
use super::channels::as_f64;
use super::lifecycle::Condition;
use super::name::Name;
use super::releases::ReleaseKey;
use super::table::Table;
use super::words;
use crate::model::{
    AlertKey, AlertKind, EventTime, Evidence, SCAN_SECONDS, Severity, SignatureDef,
};
use crate::rules::{MixRule, glob_matches};

/// Minutes of the window that is compared.
const WINDOW: i64 = 10;

/// Part that a minute keeps of the long memory: a half-life of a day.
const KEEP: f64 = 0.999_519;

/// Values of one field that are told apart; the rest is `(other)`.
const VALUES_MAX: usize = 64;

/// Logins come in bursts: a share scatters this much more than independent draws would.
const SPREAD: f64 = 1.5;

/// Seconds without a shift after which it is over.
const OVER_SECONDS: i64 = 1_800;

/// Counts by value of one rule on one release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mix {
    window: VecDeque<(i64, BTreeMap<Name, u64>)>,
    past: BTreeMap<Name, f64>,
    /// Minute up to which `past` has decayed.
    decayed: i64,
}

/// Key of a mix: place of its rule, channel, release.
pub(super) type MixKey = (u32, Name, ReleaseKey);

/// All mixes.
#[derive(Debug, Default)]
pub(super) struct Mixes {
    pub(super) table: Table<MixKey, Mix>,
}

/// A share that differs.
struct Shift {
    value: Name,
    before: f64,
    now: f64,
    events: f64,
    z: f64,
    /// The version that it is compared with, if it is another.
    reference: Option<Name>,
}

impl Mix {
    fn add(&mut self, minute: i64, value: &Name, events: u64) {
        if self.window.back().is_none_or(|(it, _)| *it < minute) {
            self.window.push_back((minute, BTreeMap::new()));
        }
        let Some((_, counts)) = self.window.back_mut() else {
            return;
        };
        let value = if counts.len() < VALUES_MAX || counts.contains_key(value) {
            value.clone()
        } else {
            super::name::OTHER.into()
        };
        *counts.entry(value).or_default() += events;
    }

    /// Moves minutes that left the window into the long memory.
    fn roll(&mut self, minute: i64, learn: bool) {
        while self
            .window
            .front()
            .is_some_and(|(it, _)| *it <= minute - WINDOW)
        {
            let Some((it, counts)) = self.window.pop_front() else {
                return;
            };
            if !learn {
                continue;
            }
            let keep = KEEP.powf(as_f64((it - self.decayed).max(0).unsigned_abs()));
            self.past.values_mut().for_each(|n| *n *= keep);
            self.decayed = it;
            for (value, n) in counts {
                if self.past.len() < VALUES_MAX || self.past.contains_key(&value) {
                    *self.past.entry(value).or_default() += as_f64(n);
                }
            }
        }
    }

    fn now(&self) -> BTreeMap<&Name, f64> {
        let mut sums = BTreeMap::new();
        for (value, n) in self.window.iter().flat_map(|(_, counts)| counts) {
            *sums.entry(value).or_default() += as_f64(*n);
        }
        sums
    }

    /// Finds the value whose share rose most beyond chance.
    fn shift(&self, past: &BTreeMap<Name, f64>, events_min: f64) -> Option<(Name, [f64; 4])> {
        let now = self.now();
        let n_now: f64 = now.values().sum();
        let n_past: f64 = past.values().sum();
        if n_now < events_min || n_past < events_min {
            return None;
        }
        let mut best: Option<(Name, [f64; 4])> = None;
        for (value, x) in now {
            let before = past.get(value).copied().unwrap_or(0.0) / n_past;
            let share = x / n_now;
            let pooled = (x + before * n_past) / (n_now + n_past);
            let variance = SPREAD * pooled * (1.0 - pooled) * (1.0 / n_now + 1.0 / n_past);
            let z = (share - before) / variance.max(1e-12).sqrt();
            if best
                .as_ref()
                .is_none_or(|(_, [b, s, _, _])| share - before > s - b)
            {
                best = Some((value.clone(), [before, share, n_now, z]));
            }
        }
        best
    }
}

impl World {
    /// Counts the values of watched fields in a bucket that closes.
    pub(super) fn count_mixes(&mut self, bucket: &OpenBucket, start: EventTime) {
        let rules = Arc::clone(&self.rules);
        let minute = start.seconds().div_euclid(SCAN_SECONDS);
        for (place, rule) in (0_u32..).zip(&rules.mixes) {
            for (id, cells) in &bucket.signatures {
                let def = self.catalogue.get(*id).map(|it| &it.def);
                let Some(def) = def.filter(|it| applies(rule, it)) else {
                    continue;
                };
                let joined = def
                    .joined
                    .iter()
                    .find(|(field, _)| *field == rule.field)
                    .map(|(_, value)| Name::from(value.as_str()));
                let channel = Name::from(def.channel.as_str());
                for cell in cells {
                    let release = (cell.version.clone(), cell.group.clone());
                    let key = (place, channel.clone(), release);
                    let mix = self.mixes.table.entry(&key, Mix::default);
                    for (value, events) in values(rule, joined.as_ref(), cell) {
                        mix.add(minute, value, events);
                    }
                }
            }
        }
    }

    /// Compares each mix with its reference, at the close of every minute.
    pub(super) fn look_for_mix_shifts(&mut self, minute: i64, at: EventTime) {
        let keys: Vec<MixKey> = self
            .mixes
            .table
            .iter()
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let shift = self.mix_shift(&key);
            let shifted = shift.is_some();
            if let Some(shift) = shift
                && self.is_learned(at)
                && let Some(condition) = self.mix_condition(&key, &shift, at)
            {
                self.raise(at, condition);
            }
            if let Some(mix) = self.mixes.table.get_mut(&key) {
                mix.roll(minute, !shifted);
            }
        }
    }

    fn mix_shift(&self, key: &MixKey) -> Option<Shift> {
        let (place, channel, (version, group)) = key;
        let rule = self.rules.mixes.get(*place as usize)?;
        let mix = self.mixes.table.get(key)?;
        let reference = self.releases.reference(version, group);
        let past = match &reference {
            None => &mix.past,
            Some(it) => {
                let other = (*place, channel.clone(), (it.clone(), group.clone()));
                &self.mixes.table.get(&other)?.past
            }
        };
        let events_min = as_f64(self.rules.detect.mix_events_min);
        let (value, [before, now, events, z]) = mix.shift(past, events_min)?;
        let told = now - before >= rule.difference_min && z >= self.rules.detect.mix_z;
        told.then_some(Shift {
            value,
            before,
            now,
            events,
            z,
            reference,
        })
    }

    fn mix_condition(&self, key: &MixKey, shift: &Shift, at: EventTime) -> Option<Condition> {
        let (place, channel, (version, group)) = key;
        let rule = self.rules.mixes.get(*place as usize)?;
        let Shift {
            value,
            before,
            now,
            events,
            z,
            reference,
        } = shift;
        let against = reference
            .as_ref()
            .map_or_else(|| "before".to_owned(), |it| format!("on {it}"));
        let alert = AlertKey {
            kind: AlertKind::MixShift,
            service: self.rules.fields.service_default.clone(),
            group: group.to_string(),
            version: version.to_string(),
            channel: channel.to_string(),
            signature: None,
            host: None,
        };
        let others = self.mix_elsewhere(key, value);
        Some(Condition {
            severity: Severity::Warning,
            started_at: at.plus_seconds(-60),
            last_at: at,
            resolve_after: OVER_SECONDS,
            template: format!("{} {}={value}", rule.message, rule.field),
            summary: words::summary(&format!(
                "In \"{}\" the share of {}={value} rose from {} {against} to {} in {}",
                rule.message,
                rule.field,
                words::percent(*before),
                words::percent(*now),
                words::place(version, group),
            )),
            description: format!(
                "{} of {} events of the last {WINDOW} minutes have {}={value}, against {} {against} \
                 (z = {}).{others}",
                words::percent(*now),
                words::number(*events),
                rule.field,
                words::percent(*before),
                words::number(*z),
            ),
            evidence: Evidence {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a sum of counts"
                )]
                count: (now * events).round() as u64,
                ratio: (*before > 0.0).then(|| now / before),
                ..Evidence::default()
            },
            withheld: self.planned(
                &alert,
                &rule.message,
                *events / as_f64(WINDOW.unsigned_abs()),
            ),
            key: alert,
        })
    }

    /// Says the share of a value on the other releases at the same time.
    fn mix_elsewhere(&self, key: &MixKey, value: &Name) -> String {
        let mut parts = Vec::new();
        for ((place, channel, release), mix) in self.mixes.table.iter() {
            if (place, channel) != (&key.0, &key.1) || *release == key.2 {
                continue;
            }
            let now = mix.now();
            let total: f64 = now.values().sum();
            if total < 30.0 {
                continue;
            }
            parts.push(format!(
                "{} in {}",
                words::percent(now.get(value).copied().unwrap_or(0.0) / total),
                words::place(&release.0, &release.1)
            ));
        }
        if parts.is_empty() {
            return String::new();
        }
        format!(" At the same time: {}.", parts.join(", "))
    }
}

/// Tells whether a rule watches a signature.
pub(super) fn applies(rule: &MixRule, def: &SignatureDef) -> bool {
    glob_matches(&rule.channel, &def.channel) && def.template.starts_with(&rule.message)
}

/// Lists the values of the watched field with their events: the joined one, or those of a facet.
fn values<'a>(
    rule: &'a MixRule,
    joined: Option<&'a Name>,
    cell: &'a CountCell,
) -> impl Iterator<Item = (&'a Name, u64)> {
    let facets = cell
        .facets
        .iter()
        .filter(move |(name, _, _)| joined.is_none() && **name == *rule.field)
        .map(|(_, value, events)| (value, *events));
    joined
        .map(|value| (value, cell.events))
        .into_iter()
        .chain(facets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_doubled_is_found_and_a_steady_one_is_not() {
        let mut mix = Mix::default();
        for minute in 0..200 {
            mix.add(minute, &"need_token".into(), 9);
            mix.add(minute, &"success".into(), 11);
            mix.roll(minute, true);
        }
        let (_, [_, _, _, z]) = mix.shift(&mix.past, 30.0).unwrap();
        assert!(z < 1.0, "{z}");
        for minute in 200..205 {
            mix.add(minute, &"need_token".into(), 60);
            mix.add(minute, &"success".into(), 11);
            mix.roll(minute, false);
        }
        let (value, [before, now, _, z]) = mix.shift(&mix.past, 30.0).unwrap();
        assert_eq!(value.as_str(), "need_token");
        assert!(
            (before - 0.45).abs() < 0.01 && now > 0.6 && z > 6.0,
            "{before} {now} {z}"
        );
    }
}
