//! Two signatures become one: counts, baseline, history, alerts, mutes and links of the younger go to the older.
//!
//! It must never make an alert fire: what fires about the younger goes on under the id by which people know it, or ends
//! with the reason. Invariant: no event is lost or counted twice.

use super::super::World;
use super::super::catalogue::{Catalogue, Signature};
use super::group::{Alias, Cause, Group};
use super::{Learned, Merged, context};
use crate::model::{AlertKind, EventTime, SignatureDef, SignatureId};

/// Examples that are handed over, the first apart.
type Samples = Vec<crate::model::Sample>;

impl World {
    /// Makes a signature an alias of another one; returns whether they were two.
    pub(in crate::detect) fn absorb(
        &mut self,
        (younger, older): (SignatureId, SignatureId),
        cause: impl FnOnce(&mut Group) -> Cause,
        at: EventTime,
    ) -> bool {
        let younger = self.catalogue.learned.root(younger);
        let older = self.catalogue.learned.root(older);
        if younger == older || !self.catalogue.can_absorb(younger, older) {
            return false;
        }
        let known = self
            .catalogue
            .get(older)
            .map(|it| (it.first, it.novelty.decided && !it.novelty.told));
        self.absorb_series(younger, older, at);
        let Some(first) = self.catalogue.absorb((younger, older), cause, at) else {
            return false;
        };
        self.history.absorb(younger, older);
        let (first, known) = known.unwrap_or((first, false));
        let within = self.rules.detect.new_within_seconds * 1000;
        let is_news = |kind: AlertKind, fired_at: EventTime| {
            kind != AlertKind::New || (!known && fired_at.millis_since(first) <= within)
        };
        let words = format!(
            "Withdrawn: these lines are one signature with {}, known since {}. ",
            older.short(),
            super::super::words::time(first)
        );
        self.book.adopt((younger, older), at, &words, is_news);
        self.merged.push(Merged { younger, older });
        true
    }

    /// Adds the rate of one to that of the other.
    fn absorb_series(&mut self, younger: SignatureId, older: SignatureId, at: EventTime) {
        let number = |id| {
            let it = self.catalogue.get(id)?;
            // A renamed signature has no series of its own.
            Some((it.number, it.renamed_from.is_none()))
        };
        let (Some((theirs, own)), Some((mine, _))) = (number(younger), number(older)) else {
            return;
        };
        if theirs == mine || !own {
            return;
        }
        let mut firings = Vec::new();
        self.scan.absorb(mine, theirs, &mut firings);
        self.exposure.state.estimate.absorb(mine, theirs);
        self.scan_dirty = true;
        for firing in firings {
            self.act_on(&firing, at);
        }
        self.minute.renumber(theirs, mine);
    }
}

impl Catalogue {
    fn can_absorb(&self, younger: SignatureId, older: SignatureId) -> bool {
        self.is_own(younger) && self.is_own(older) && self.learned.has_room()
    }

    /// Puts two signatures together; returns the first event of the one that is gone.
    fn absorb(
        &mut self,
        (younger, older): (SignatureId, SignatureId),
        cause: impl FnOnce(&mut Group) -> Cause,
        at: EventTime,
    ) -> Option<EventTime> {
        let gone = self.take(younger, older)?;
        let first = gone.first;
        let kept = self.get_mut(older)?;
        let own = kept.def.clone();
        let theirs = gone.def.clone();
        kept.absorb(gone);
        self.learned.absorb((&theirs, first), &own, cause, at);
        Some(first)
    }
}

impl Learned {
    /// Makes one signature an alias of another, with all of its own aliases.
    fn absorb(
        &mut self,
        (younger, first): (&SignatureDef, EventTime),
        older: &SignatureDef,
        cause: impl FnOnce(&mut Group) -> Cause,
        at: EventTime,
    ) {
        let theirs = self.groups.remove(&younger.id);
        self.gather(older);
        let Some(group) = self.groups.get_mut(&older.id) else {
            return;
        };
        let cause = cause(group);
        let mut moved = Vec::new();
        if let Some(theirs) = &theirs {
            group.fitting += theirs.fitting;
            for (_, id) in self.members.remove(&younger.id).unwrap_or_default() {
                if let Some(alias) = self.aliases.get_mut(&id) {
                    alias.to = older.id;
                    alias.cause = group.adopt(theirs, alias.cause);
                    moved.push((alias.at, id));
                }
            }
        }
        let list = self.members.entry(older.id).or_default();
        list.extend(moved);
        list.sort_unstable();
        self.context_of(younger).forget(younger.id);
        let template = theirs.map_or_else(|| younger.template.as_str().into(), |it| it.own);
        self.insert(
            younger.id,
            Alias {
                to: older.id,
                cause,
                at,
                first,
                template,
            },
        );
    }

    /// Returns the group of a signature that has or gets aliases.
    pub(super) fn gather(&mut self, def: &SignatureDef) -> &mut Group {
        let context = self.context_of(def);
        context.singles.remove(&def.id);
        context.groups.insert(def.id);
        self.groups.entry(&def.id, || Group {
            own: def.template.as_str().into(),
            ..Group::default()
        })
    }

    fn context_of(&mut self, def: &SignatureDef) -> &mut context::Context {
        self.contexts.entry(context::key(def)).or_default()
    }
}

impl Signature {
    /// Takes everything that is known of another signature over.
    fn absorb(&mut self, other: Self) {
        if self.service != other.service {
            self.service = "*".into();
        }
        if (other.first, &other.first_version, &other.first_group)
            < (self.first, &self.first_version, &self.first_group)
        {
            self.first_version = other.first_version;
            self.first_group = other.first_group;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.events += other.events;
        for cell in other.cells {
            self.absorb_cell(cell);
        }
        self.hosts.absorb(&other.hosts);
        for (name, tally) in &other.facets {
            if self.has_room_for(name) {
                self.facets.entry(name.clone()).or_default().absorb(tally);
            }
        }
        self.minutes.absorb(&other.minutes);
        self.rate.absorb(&other.rate);
        self.recent.absorb(&other.recent);
        // What was known before stays known, whatever was said of a text of it.
        let known = self.novelty.decided && !self.novelty.told;
        self.novelty.told |= !known && other.novelty.told;
        self.novelty.decided |= other.novelty.decided;
        self.novelty.buckets = self.novelty.buckets.max(other.novelty.buckets);
        self.novelty.guarded += other.novelty.guarded;
        self.last_live = self.last_live.max(other.last_live);
        // One that went on all the time was never away.
        self.back = self.back.zip(other.back).map(|(mine, theirs)| {
            (
                mine.0.max(theirs.0),
                mine.1.min(theirs.1),
                mine.2 + theirs.2,
            )
        });
        let samples: Samples = other
            .first_sample
            .into_iter()
            .chain(other.samples)
            .collect();
        for sample in &samples {
            self.keep_sample(sample);
        }
    }
}
