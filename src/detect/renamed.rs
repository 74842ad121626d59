//! Renamed, not new: a message that was reworded dies with the old version as its new wording is born with the next.
//!
//! It must never hide a new error behind an unrelated one that goes: the two texts have to be alike word by word, the
//! old one has to be missing where it was to be expected, and the rates have to be like. Invariant: what is linked
//! shares one number in the rate scan, so that its baseline goes on.

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::family;
use super::name::Name;
use super::view::RenamedFrom;
use super::words;
use crate::model::{AlertId, AlertKind, EventTime, SignatureId};

/// Events of the old wording that were to be expected on the new version before its absence says anything.
// None where 5 are expected has a chance of 0.7 %.
const EXPECTED_MIN: f64 = 5.0;

/// Share of the expected events that stragglers of the old wording may have on the new version.
const STRAGGLERS_MAX: f64 = 0.05;

/// How much the rates of the two wordings may differ, as a ratio.
const RATIO_MAX: f64 = 3.0;

/// Seconds for which an alert about something new may turn out to be about a new wording.
const SECOND_LOOK_SECONDS: i64 = 7_200;

impl World {
    /// Links a new signature to the one that it is a new wording of, if it is one.
    pub(super) fn link_renamed(&mut self, id: SignatureId, at: EventTime) -> bool {
        let Some(earlier) = self.earlier_wording(id) else {
            return false;
        };
        let Some((own, number)) = self.catalogue.rename(id, earlier) else {
            return false;
        };
        let mut firings = Vec::new();
        self.scan.absorb(number, own, &mut firings);
        self.exposure.state.estimate.absorb(number, own);
        self.minute.renumber(own, number);
        self.scan_dirty = true;
        for firing in firings {
            self.act_on(&firing, at);
        }
        true
    }

    /// Looks again at what fires as new: when more was seen it may turn out to be a new wording.
    pub(super) fn look_for_renamed(&mut self, at: EventTime) {
        let young: Vec<(AlertId, SignatureId)> = self
            .book
            .firing()
            .into_iter()
            .filter(|it| it.key.kind == AlertKind::New)
            .filter(|it| at.millis_since(it.fired_at) <= SECOND_LOOK_SECONDS * 1000)
            .filter_map(|it| Some((it.id.clone(), it.key.signature?)))
            .collect();
        for (alert, id) in young {
            let id = self.resolve(id);
            self.link_renamed(id, at);
            let signature = self.catalogue.get(id);
            let Some(earlier) = signature.and_then(|it| self.renamed_from(it)) else {
                continue;
            };
            let words = format!(
                "Withdrawn: a new wording of `{}`, which the new version no longer says. ",
                words::clip(&earlier.template, 200)
            );
            self.book.withdraw(&alert, &words, at);
        }
    }

    /// Returns the earlier form of a signature, if it has one.
    pub(super) fn renamed_from(&self, signature: &Signature) -> Option<RenamedFrom> {
        let id = self.resolve(signature.renamed_from?);
        let template = self.catalogue.get(id)?.def.template.clone();
        Some(RenamedFrom { id, template })
    }

    /// Finds the signature that a new one is a new wording of.
    fn earlier_wording(&self, id: SignatureId) -> Option<SignatureId> {
        let born = self.catalogue.get(id)?;
        if born.renamed_from.is_some() || !self.explains(born) {
            return None;
        }
        let (version, group) = (&born.first_version, &born.first_group);
        let reference = self.releases.reference(version, group)?;
        let mut best: Option<(u64, SignatureId)> = None;
        for (other, it) in self.catalogue.iter() {
            if *other == id || !family::is_alike(&it.def, &born.def) {
                continue;
            }
            let Some(events) = self.replaced(it, born, (&reference, version, group)) else {
                continue;
            };
            if best.is_none_or(|(most, _)| events > most) {
                best = Some((events, *other));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Returns the events of the old wording on the reference, if the new one took its place on the version.
    fn replaced(
        &self,
        old: &Signature,
        new: &Signature,
        (reference, version, group): (&Name, &Name, &Name),
    ) -> Option<u64> {
        let records = |version: &Name| {
            let release = self.releases.table.get(&(version.clone(), group.clone()));
            release.map_or(0.0, |it| as_f64(it.events))
        };
        let (before, now) = (records(reference), records(version));
        let was = events_on(old, reference, group);
        let is = events_on(new, version, group);
        if before <= 0.0 || now <= 0.0 || was == 0 || is == 0 {
            return None;
        }
        let expected = as_f64(was) / before * now;
        let stragglers = as_f64(events_on(old, version, group));
        let ratio = as_f64(is) / expected.max(f64::MIN_POSITIVE);
        let like = (1.0 / RATIO_MAX..=RATIO_MAX).contains(&ratio);
        (expected >= EXPECTED_MIN && stragglers <= STRAGGLERS_MAX * expected && like).then_some(was)
    }
}

fn events_on(signature: &Signature, version: &Name, group: &Name) -> u64 {
    signature
        .cells
        .iter()
        .filter(|it| it.version == *version && it.group == *group)
        .map(|it| it.events)
        .sum()
}
