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
    table: Table<SignatureId, Signature>,
    by_channel: BTreeMap<String, u32>,
    /// The next number of the rate scan; one that was given is never given again.
    pub(super) next_number: u32,
    by_number: BTreeMap<u32, SignatureId>,
    /// Signatures that go on under the number of an earlier form, by that form.
    later_forms: BTreeMap<SignatureId, Vec<SignatureId>>,
    /// Signatures by what they say, for the recognition of reworded ones.
    by_words: BTreeMap<String, Vec<SignatureId>>,
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
    }

    /// Returns the signature that a fingerprint belongs to, to be changed.
    pub(super) fn get_mut(&mut self, id: SignatureId) -> Option<&mut Signature> {
        if self.table.contains(&id) {
            return self.table.get_mut(&id);
        }
        self.table.get_mut(&self.learned.root(id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SignatureId, &Signature)> {
        self.table.iter()
    }

    pub(super) fn range(
        &self,
        range: std::ops::RangeInclusive<SignatureId>,
    ) -> impl Iterator<Item = &SignatureId> {
        self.table.range(range).map(|(id, _)| id)
    }

    /// Returns the signature with a number of the rate scan.
    pub(super) fn by_number(&self, number: u32) -> Option<SignatureId> {
        self.by_number.get(&number).copied()
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
        if let Some(root) = self.forced(def, cell.first, rules) {
            return Some(root);
        }
        let alone = learn::is_alone(def, rules);
        if !alone && let Some(root) = self.learned.fit(def, cell.first) {
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
        let words = family::words(&def);
        let renamed_from = self.earlier_form(&words, &def);
        let earlier = renamed_from.and_then(|id| self.table.get(&id));
        let number = earlier.map_or(self.next_number, |it| it.number);
        match renamed_from {
            None => {
                self.next_number += 1;
                self.by_number.insert(number, def.id);
            }
            Some(earlier) => self.later_forms.entry(earlier).or_default().push(def.id),
        }
        *self.by_channel.entry(def.channel.clone()).or_default() += 1;
        self.by_words.entry(words).or_default().push(def.id);
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
            rate: HourRate::default(),
            recent: Recent::default(),
            novelty,
            last_live: 0,
            back: None,
            first_sample: None,
            samples: Vec::new(),
            def,
        };
        self.table.insert(signature.def.id, signature);
    }

    /// Finds the signature that said the same before, in other punctuation or from a file that moved.
    fn earlier_form(&self, words: &str, def: &SignatureDef) -> Option<SignatureId> {
        self.by_words
            .get(words)?
            .iter()
            .filter_map(|id| self.table.get(id))
            .filter(|it| it.renamed_from.is_none() && family::is_same_problem(&it.def, def))
            .map(|it| (it.number, it.def.id))
            .min()
            .map(|(_, id)| id)
    }

    /// Takes a signature out; those that are its later forms go on as forms of `heir`.
    pub(super) fn take(&mut self, id: SignatureId, heir: SignatureId) -> Option<Signature> {
        let gone = self.table.remove(&id)?;
        if let Some(count) = self.by_channel.get_mut(&gone.def.channel) {
            *count = count.saturating_sub(1);
        }
        self.forget_words(&gone.def);
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
                self.later_forms.entry(heir).or_default().push(later);
            }
        }
        Some(gone)
    }

    /// Gives a signature another template.
    pub(super) fn retitle(&mut self, id: SignatureId, template: &str) {
        let Some(def) = self.get(id).map(|it| it.def.clone()) else {
            return;
        };
        if def.template == template {
            return;
        }
        self.forget_words(&def);
        let def = SignatureDef {
            template: template.to_owned(),
            ..def
        };
        let words = family::words(&def);
        self.by_words.entry(words).or_default().push(id);
        if let Some(it) = self.get_mut(id) {
            it.def = def;
        }
    }

    fn forget_words(&mut self, def: &SignatureDef) {
        let words = family::words(def);
        if let Some(ids) = self.by_words.get_mut(&words) {
            ids.retain(|it| *it != def.id);
            if ids.is_empty() {
                self.by_words.remove(&words);
            }
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("signature", out);
        self.learned.flush(out);
    }

    pub(super) const fn table(&mut self) -> &mut Table<SignatureId, Signature> {
        &mut self.table
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
            self.by_words
                .entry(family::words(&it.def))
                .or_default()
                .push(*id);
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
