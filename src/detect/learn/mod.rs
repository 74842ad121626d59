//! Learned merges in the live catalogue: which fingerprints are one signature, why, and since when.
//!
//! Fingerprints are compared with the others of their own context (channel, class of level, exception, frame, joined
//! fields) at the end of a minute of event time, and a later one that fits what was learned belongs to it from its first
//! event on. It must never change the id that people know, never take a merge back by itself and never hold more than
//! its limits. Invariant: what is merged depends on which fingerprints closed in which minute, and on nothing else.

mod absorb;
mod context;
mod force;
mod group;
mod tick;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::context::{Context, Waiting};
pub(super) use self::group::{Alias, Cause, Group};
use super::StateRow;
use super::merge::{Pattern, canonical, prepared};
use super::name::OTHER;
use super::table::{RestoreError, Table};
use crate::model::{EventTime, SignatureDef, SignatureId};
use crate::rules::SignatureRules;

/// Aliases that are kept one by one; past it nothing more is merged, and what fits is looked up anew in each bucket.
// 200,000: as many as there may be signatures.
const ALIASES_MAX: usize = 200_000;

/// Aliases of one signature that were never a signature of their own and are kept one by one.
const FITTING_MAX: usize = 4_096;

/// Texts of one signature that take part in comparisons: evidence is long reached by then.
// SIGNATURE_METHOD.md §3 keeps 64 for each key; half of it gives the same merges on the labelled logs.
const COMPARED_MAX: usize = 32;

/// Longest template that is compared, in bytes; a longer one is only itself.
const TEMPLATE_BYTES_MAX: usize = 1_024;

/// Kinds of the state rows.
pub(super) const ALIAS: &str = "alias";
pub(super) const GROUP: &str = "alias_group";
pub(super) const WAITING: &str = "alias_waiting";

/// Everything that was learned.
#[derive(Debug, Default)]
pub(super) struct Learned {
    aliases: Table<SignatureId, Alias>,
    groups: Table<SignatureId, Group>,
    waiting: Table<u128, Waiting>,
    /// Aliases by the signature that they belong to, by time and id.
    members: BTreeMap<SignatureId, Vec<(EventTime, SignatureId)>>,
    contexts: BTreeMap<u128, Context>,
    holders: force::Holders,
    /// Contexts that differ only in the frame, by what they share.
    places: BTreeMap<u128, BTreeSet<u128>>,
}

impl Learned {
    /// Returns the signature that a fingerprint belongs to; itself if it was not merged.
    pub(super) fn root(&self, id: SignatureId) -> SignatureId {
        self.aliases.get(&id).map_or(id, |it| it.to)
    }

    pub(super) fn alias(&self, id: SignatureId) -> Option<&Alias> {
        self.aliases.get(&id)
    }

    pub(super) fn is_alias(&self, id: SignatureId) -> bool {
        self.aliases.contains(&id)
    }

    pub(super) fn group(&self, root: SignatureId) -> Option<&Group> {
        self.groups.get(&root)
    }

    pub(super) fn len(&self) -> usize {
        self.aliases.len()
    }

    /// Lists the aliases within a range of ids.
    pub(super) fn range(
        &self,
        range: std::ops::RangeInclusive<SignatureId>,
    ) -> impl Iterator<Item = &SignatureId> {
        self.aliases.range(range).map(|(id, _)| id)
    }

    /// Lists the aliases of a signature, earliest first.
    pub(super) fn members(&self, root: SignatureId) -> impl Iterator<Item = (SignatureId, &Alias)> {
        self.members
            .get(&root)
            .into_iter()
            .flatten()
            .filter_map(|(_, id)| Some((*id, self.aliases.get(id)?)))
    }

    /// Finds the learned template that a new fingerprint is one of, and makes it an alias.
    pub(super) fn fit(&mut self, def: &SignatureDef, at: EventTime) -> Option<SignatureId> {
        let context = self.contexts.get(&context::key(def))?;
        if context.patterns.is_empty() {
            return None;
        }
        let root = context.fit(&prepared(&def.template))?;
        let group = self.groups.get_mut(&root)?;
        group.fitting += 1;
        let kept = self.members.get(&root).map_or(0, Vec::len);
        if kept < FITTING_MAX && self.aliases.len() < ALIASES_MAX {
            self.insert(
                def.id,
                Alias {
                    to: root,
                    cause: Cause::Fits,
                    at,
                    first: at,
                    template: def.template.as_str().into(),
                },
            );
        }
        Some(root)
    }

    /// Finds a signature from another place in the code whose learned template a text fits: its file may have moved.
    pub(super) fn fits_elsewhere(&self, def: &SignatureDef) -> Vec<SignatureId> {
        if def.frame.is_none() {
            return Vec::new();
        }
        let text = prepared(&def.template);
        self.places
            .get(&context::place(def))
            .into_iter()
            .flatten()
            .filter_map(|key| self.contexts.get(key)?.fit(&text))
            .collect()
    }

    /// Takes a new signature that is to be compared at the next tick.
    pub(super) fn add(&mut self, def: &SignatureDef, minute: i64) {
        let key = context::key(def);
        let context = self.contexts.entry(key).or_default();
        if context.singles.len() >= context::SINGLES_MAX {
            return;
        }
        context.add(def.id);
        let waiting = self.waiting.entry(&key, || Waiting::since(minute));
        waiting.add(def.id);
    }

    fn insert(&mut self, id: SignatureId, alias: Alias) {
        let list = self.members.entry(alias.to).or_default();
        let entry = (alias.at, id);
        if let Err(place) = list.binary_search(&entry) {
            list.insert(place, entry);
        }
        self.aliases.insert(id, alias);
    }

    /// Takes an alias back; returns it.
    fn remove(&mut self, id: SignatureId) -> Option<Alias> {
        let alias = self.aliases.remove(&id)?;
        if let Some(list) = self.members.get_mut(&alias.to) {
            list.retain(|(_, it)| *it != id);
            if list.is_empty() {
                self.members.remove(&alias.to);
            }
        }
        Some(alias)
    }

    /// Tells whether one more signature may become an alias.
    fn has_room(&self) -> bool {
        self.aliases.len() < ALIASES_MAX
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.aliases.flush(ALIAS, out);
        self.groups.flush(GROUP, out);
        self.waiting.flush(WAITING, out);
    }

    pub(super) fn restore(
        &mut self,
        kind: &str,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), RestoreError> {
        match kind {
            ALIAS => self.aliases.restore(kind, key, value),
            GROUP => self.groups.restore(kind, key, value),
            _ => self.waiting.restore(kind, key, value),
        }
    }

    /// Rebuilds what follows from the rows and the signatures, after both were read back.
    pub(super) fn reindex<'a>(
        &mut self,
        signatures: impl Iterator<Item = &'a SignatureDef>,
        rules: &SignatureRules,
    ) {
        self.members.clear();
        self.contexts.clear();
        self.places.clear();
        for (id, alias) in self.aliases.iter() {
            let list = self.members.entry(alias.to).or_default();
            list.push((alias.at, *id));
        }
        for list in self.members.values_mut() {
            list.sort_unstable();
        }
        for def in signatures {
            let key = context::key(def);
            if let Some(group) = self.groups.get(&def.id) {
                let context = self.contexts.entry(key).or_default();
                context.groups.insert(def.id);
                let texts = texts(&self.aliases, &self.members, group, def.id);
                context.learn(def.id, patterns(group, &texts));
                let place = self.places.entry(context::place(def)).or_default();
                place.insert(key);
            } else if !is_alone(def, rules) {
                let context = self.contexts.entry(key).or_default();
                if context.singles.len() < context::SINGLES_MAX {
                    context.add(def.id);
                }
            }
        }
    }
}

/// Tells whether a signature is never compared with others.
pub(super) fn is_alone(def: &SignatureDef, rules: &SignatureRules) -> bool {
    def.template.len() > TEMPLATE_BYTES_MAX
        || def.template.starts_with(OTHER)
        || rules.is_split(&def.channel, &def.template)
}

/// Returns the texts of a group that take part in comparisons, its own first.
fn texts(
    aliases: &Table<SignatureId, Alias>,
    members: &BTreeMap<SignatureId, Vec<(EventTime, SignatureId)>>,
    group: &Group,
    root: SignatureId,
) -> Vec<(SignatureId, String)> {
    let others = members
        .get(&root)
        .into_iter()
        .flatten()
        .filter_map(|(_, id)| Some((*id, canonical(&aliases.get(id)?.template))));
    std::iter::once((root, canonical(&group.own)))
        .chain(others.take(COMPARED_MAX))
        .collect()
}

fn patterns(group: &Group, texts: &[(SignatureId, String)]) -> Vec<Pattern> {
    group
        .templates
        .iter()
        .filter_map(|it| Pattern::new(it, texts.iter().map(|(_, text)| text.as_str())))
        .collect()
}

/// A pair of signatures that became one: the one that is gone, the one that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Merged {
    /// The signature whose id is an alias from now on.
    pub younger: SignatureId,
    /// The signature that has its counts from now on.
    pub older: SignatureId,
}
