//! Every signature that was seen: when, where, how often, on which hosts, with a few examples.
//!
//! It only counts; what a count means is decided elsewhere. It holds a bounded number of signatures;
//! past the bound events go to one `(other)` signature of their channel. Invariant: the events of all
//! signatures together are the events of all counted rows.

use std::collections::BTreeMap;

use super::StateRow;
use super::buckets::CountCell;
use super::family;
use super::learn::{self, Learned};
use super::name::OTHER;
use super::recent::{HourRate, Recent};
pub(super) use super::signature::{Cell, Novelty, Signature, single};
use super::table::Table;
use super::tally::{HostTally, Minutes};
use crate::model::{Level, SCAN_SECONDS, SignatureDef, SignatureId};
use crate::rules::SignatureRules;

/// Signatures that one channel may have.
// RELIABILITY.md §3, "cardinality attack".
const CHANNEL_SIGNATURES_MAX: u32 = 20_000;

/// Signatures in all.
const SIGNATURES_MAX: usize = 200_000;

/// All signatures.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// Boxed: a tree of large values wastes a third of its memory.
    table: Table<SignatureId, Box<Signature>>,
    by_channel: BTreeMap<String, u32>,
    /// The next number of the rate scan; one that was given is never given again.
    pub(super) next_number: u32,
    by_number: BTreeMap<u32, SignatureId>,
    /// Signatures that go on under the number of an earlier form, by that form.
    later_forms: BTreeMap<SignatureId, Vec<SignatureId>>,
    /// Signatures by what they say, for the recognition of reworded ones.
    by_words: BTreeMap<u128, Vec<SignatureId>>,
    /// Which fingerprints are known by the id of another one.
    pub(super) learned: Learned,
}

impl Catalogue {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Tells whether a fingerprint is known, by its own id or as an alias.
    pub(super) fn contains(&self, id: SignatureId) -> bool {
        self.is_own(id) || self.learned.is_alias(id)
    }

    /// Tells whether a signature has this id.
    pub(super) fn is_own(&self, id: SignatureId) -> bool {
        self.table.contains(&id)
    }

    /// Returns the signature that a fingerprint belongs to.
    pub(super) fn get(&self, id: SignatureId) -> Option<&Signature> {
        let own = self.table.get(&id);
        own.or_else(|| self.table.get(&self.learned.root(id)))
            .map(AsRef::as_ref)
    }

    /// Returns the signature that a fingerprint belongs to, to be changed.
    pub(super) fn get_mut(&mut self, id: SignatureId) -> Option<&mut Signature> {
        if self.table.contains(&id) {
            return self.table.get_mut(&id).map(AsMut::as_mut);
        }
        let root = self.learned.root(id);
        self.table.get_mut(&root).map(AsMut::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SignatureId, &Signature)> {
        self.table.iter().map(|(id, it)| (id, it.as_ref()))
    }

    pub(super) fn range(
        &self,
        range: std::ops::RangeInclusive<SignatureId>,
    ) -> impl Iterator<Item = &SignatureId> {
        self.table.range(range).map(|(id, _)| id)
    }

    /// Finds the signature that takes the events of `id`: itself, made from its definition if it is new, the one that
    /// it is an alias of or fits, or `(other)`.
    pub(super) fn admit(
        &mut self,
        id: SignatureId,
        def: Option<&SignatureDef>,
        cell: &CountCell,
        rules: &SignatureRules,
    ) -> Option<SignatureId> {
        if self.table.contains(&id) {
            return Some(id);
        }
        if let Some(alias) = self.learned.alias(id) {
            return Some(alias.to);
        }
        let def = def?;
        let alone = learn::is_alone(def, rules);
        let found = match self.forced(def, cell.first, rules) {
            None if !alone => self.learned.fit(def, cell.first),
            found => found,
        };
        if let Some(root) = found {
            let own = self.get(root).map(|it| it.def.clone());
            if self.learned.is_alias(id)
                && let Some(own) = own
            {
                self.say(&own, &def.template, root);
            }
            return Some(root);
        }
        let in_channel = self.by_channel.get(&def.channel).copied().unwrap_or(0);
        if in_channel < CHANNEL_SIGNATURES_MAX && self.table.len() < SIGNATURES_MAX {
            self.insert(def.clone(), cell);
            let minute = cell.first.seconds().div_euclid(SCAN_SECONDS);
            if !alone {
                self.learned.add(def, minute);
            }
            return Some(id);
        }
        let other = other_def(&def.channel);
        let id = other.id;
        if !self.table.contains(&id) {
            self.insert(other, cell);
        }
        Some(id)
    }

    pub(super) fn insert(&mut self, def: SignatureDef, cell: &CountCell) {
        let renamed_from = self.earlier_form(&def);
        let earlier = renamed_from.and_then(|id| self.table.get(&id));
        let number = earlier.map_or(self.next_number, |it| it.number);
        let rate = earlier.map_or_else(HourRate::default, |it| it.rate.clone());
        match renamed_from {
            None => {
                self.next_number += 1;
                self.by_number.insert(number, def.id);
            }
            Some(earlier) => self.add_form(earlier, def.id),
        }
        *self.by_channel.entry(def.channel.clone()).or_default() += 1;
        self.say(&def, &def.template, def.id);
        let novelty = Novelty {
            // The overflow of a channel is no error of its own.
            decided: def.template.starts_with(OTHER),
            ..Novelty::default()
        };
        let signature = Signature {
            number,
            renamed_from,
            service: cell.service.clone(),
            first: cell.first,
            last: cell.last,
            first_version: cell.version.clone(),
            first_group: cell.group.clone(),
            events: 0,
            cells: Vec::new(),
            hosts: HostTally::default(),
            facets: BTreeMap::new(),
            minutes: Minutes::default(),
            // A renamed signature goes on from the usual rate of its earlier form.
            rate,
            recent: Recent::default(),
            novelty,
            last_live: 0,
            back: None,
            first_sample: None,
            samples: Vec::new(),
            def,
        };
        self.table.insert(signature.def.id, Box::new(signature));
    }

    /// Finds the signature that said the same before, in other punctuation or from a file that moved.
    fn earlier_form(&self, def: &SignatureDef) -> Option<SignatureId> {
        let said = self.by_words.get(&family::key(def, &def.template));
        let fits = self.learned.fits_elsewhere(def);
        said.into_iter()
            .flatten()
            .copied()
            .chain(fits)
            .filter_map(|id| self.table.get(&id))
            .filter(|it| it.renamed_from.is_none() && family::is_same_problem(&it.def, def))
            .map(|it| (it.number, it.def.id))
            .min()
            .map(|(_, id)| id)
    }

    /// Notes that a signature says a text.
    fn say(&mut self, def: &SignatureDef, template: &str, id: SignatureId) {
        let ids = self.by_words.entry(family::key(def, template)).or_default();
        if !ids.contains(&id) {
            ids.reserve_exact(1);
            ids.push(id);
        }
    }

    /// Forgets that a signature says a text, which is another one's again.
    pub(super) fn unsay(&mut self, def: &SignatureDef, id: SignatureId) {
        let key = family::key(def, &def.template);
        if let Some(ids) = self.by_words.get_mut(&key) {
            ids.retain(|it| *it != id);
        }
    }

    /// Lets another signature say what one has said: its own text and those of its aliases.
    fn hand_over_words(&mut self, gone: &SignatureDef, heir: SignatureId) {
        let own = self.learned.group(gone.id).map(|it| it.own.clone());
        let mut texts = vec![own.unwrap_or_else(|| gone.template.as_str().into())];
        texts.extend(
            self.learned
                .members(gone.id)
                .map(|it| it.1.template.clone()),
        );
        for text in texts {
            let key = family::key(gone, &text);
            if let Some(ids) = self.by_words.get_mut(&key) {
                ids.retain(|it| *it != gone.id);
            }
            if let Some(def) = self.table.get(&heir).map(|it| it.def.clone()) {
                self.say(&def, &text, heir);
            }
        }
    }

    /// Takes a signature out; those that are its later forms go on as forms of `heir`.
    pub(super) fn take(&mut self, id: SignatureId, heir: SignatureId) -> Option<Signature> {
        let gone = self.table.remove(&id)?;
        if let Some(count) = self.by_channel.get_mut(&gone.def.channel) {
            *count = count.saturating_sub(1);
        }
        self.hand_over_words(&gone.def, heir);
        let number = self.table.get(&heir).map(|it| it.number);
        let owner = self.by_number.get(&gone.number) == Some(&id);
        if owner && number == Some(gone.number) {
            self.by_number.insert(gone.number, heir);
        } else if owner {
            self.by_number.remove(&gone.number);
        }
        for later in self.later_forms.remove(&id).unwrap_or_default() {
            let Some(it) = self.table.get_mut(&later) else {
                continue;
            };
            if later == heir {
                it.renamed_from = None;
            } else if let Some(number) = number {
                it.renamed_from = Some(heir);
                it.number = number;
                self.add_form(heir, later);
            }
        }
        Some(*gone)
    }

    /// Gives a signature another template.
    pub(super) fn retitle(&mut self, id: SignatureId, template: &str) {
        let same = self.get(id).is_none_or(|it| it.def.template == template);
        if !same && let Some(it) = self.get_mut(id) {
            template.clone_into(&mut it.def.template);
        }
    }

    /// Links a signature to the one that it is a new wording of; returns the numbers of both in the rate scan.
    pub(super) fn rename(&mut self, id: SignatureId, earlier: SignatureId) -> Option<(u32, u32)> {
        let from = self.table.get(&earlier)?;
        let (root, number, rate) = (
            from.renamed_from.unwrap_or(earlier),
            from.number,
            from.rate.clone(),
        );
        let it = self.table.get_mut(&id)?;
        if it.renamed_from.is_some() || root == id {
            return None;
        }
        let own = std::mem::replace(&mut it.number, number);
        it.renamed_from = Some(root);
        it.rate.absorb(&rate);
        it.novelty.decided = true;
        self.by_number.remove(&own);
        let mut later = self.later_forms.remove(&id).unwrap_or_default();
        for form in &later {
            if let Some(it) = self.table.get_mut(form) {
                it.renamed_from = Some(root);
                it.number = number;
            }
        }
        later.push(id);
        for form in later {
            self.add_form(root, form);
        }
        Some((own, number))
    }

    /// Notes a later form of a signature.
    fn add_form(&mut self, earlier: SignatureId, id: SignatureId) {
        let forms = self.later_forms.entry(earlier).or_default();
        if let Err(place) = forms.binary_search(&id) {
            forms.insert(place, id);
        }
    }

    /// Lists the forms of the signature with a number of the rate scan, the earliest first.
    pub(super) fn forms(&self, number: u32) -> impl Iterator<Item = SignatureId> {
        let root = self.by_number.get(&number).copied();
        let later = root.and_then(|it| self.later_forms.get(&it));
        root.into_iter().chain(later.into_iter().flatten().copied())
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("signature", out);
        self.learned.flush(out);
    }

    pub(super) const fn table(&mut self) -> &mut Table<SignatureId, Box<Signature>> {
        &mut self.table
    }

    /// Lists what every signature and its aliases say.
    fn all_words(&self) -> Vec<(u128, SignatureId)> {
        let mut words = Vec::new();
        for (id, it) in self.table.iter() {
            let own = self.learned.group(*id).map(|it| &*it.own);
            let own = own.unwrap_or(&it.def.template);
            words.push((family::key(&it.def, own), *id));
            for (_, alias) in self.learned.members(*id) {
                words.push((family::key(&it.def, &alias.template), *id));
            }
        }
        words
    }

    /// Rebuilds what follows from the rows, after they were read back.
    pub(super) fn reindex(&mut self, rules: &SignatureRules) {
        self.by_number.clear();
        self.by_words.clear();
        self.later_forms.clear();
        for (id, it) in self.table.iter() {
            match it.renamed_from {
                None => {
                    self.by_number.insert(it.number, *id);
                }
                Some(earlier) => self.later_forms.entry(earlier).or_default().push(*id),
            }
        }
        for forms in self.later_forms.values_mut() {
            forms.sort_unstable();
        }
        let last = self.by_number.last_key_value();
        self.next_number = self
            .next_number
            .max(last.map_or(0, |(number, _)| number + 1));
        self.by_channel.clear();
        for signature in self.table.values() {
            *self
                .by_channel
                .entry(signature.def.channel.clone())
                .or_default() += 1;
        }
        let defs = self.table.values().map(|it| &it.def);
        self.learned.reindex(defs, rules);
        for (key, id) in self.all_words() {
            let ids = self.by_words.entry(key).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        self.index_forced(rules);
    }
}

/// Returns the signature that takes what a full channel cannot tell apart.
pub(super) fn other_def(channel: &str) -> SignatureDef {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"fatalmonitor/other/v1");
    hasher.update(channel.as_bytes());
    let mut bytes = [0_u8; 16];
    hasher.finalize_xof().fill(&mut bytes);
    SignatureDef {
        id: SignatureId(u128::from_be_bytes(bytes)),
        channel: channel.to_owned(),
        level: Level::Unknown,
        template: format!("{OTHER}: signatures past the limit of this channel"),
        exception: None,
        frame: None,
        joined: Vec::new(),
    }
}
