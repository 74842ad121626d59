//! What the rules say of merges: texts that are always one signature, and texts that never are.
//!
//! They hold for what was learned before as well: once rules change, what they forbid is taken apart and what they want
//! is put together at the next start. Invariant: counts of the past stay where they were counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::World;
use super::super::buckets::CountCell;
use super::super::catalogue::Catalogue;
use super::group::{Alias, Cause};
use super::{ALIASES_MAX, Learned, context, is_alone};
use crate::model::{EventTime, SignatureDef, SignatureId};
use crate::rules::SignatureRules;

/// The first signature that each `[[signature.merge]]` found in each channel.
pub(super) type Holders = BTreeMap<(usize, String), SignatureId>;

impl World {
    /// Makes what was learned agree with the rules: called once after a start, when they may have changed.
    pub fn enforce_signature_rules(&mut self) {
        let rules = Arc::clone(&self.rules);
        let Some(at) = self.clock.closed else { return };
        let minute = at.seconds().div_euclid(60);
        for id in self.catalogue.forbidden(&rules.signatures) {
            self.catalogue.release(id, &rules.signatures, minute);
        }
        self.catalogue.index_forced(&rules.signatures);
        for (younger, older) in self.catalogue.wanted(&rules.signatures) {
            self.absorb((younger, older), |_| Cause::Rule, at);
        }
    }
}

impl Catalogue {
    /// Finds the signature that the rules want a new one to be one with.
    pub(in crate::detect) fn forced(
        &mut self,
        def: &SignatureDef,
        at: EventTime,
        rules: &SignatureRules,
    ) -> Option<SignatureId> {
        let rule = rules.merge_of(&def.channel, &def.template)?;
        let key = (rule, def.channel.clone());
        let Some(holder) = self.learned.holders.get(&key).copied() else {
            self.learned.holders.insert(key, def.id);
            return None;
        };
        let root = self.learned.root(holder);
        let own = self.get(root)?.def.clone();
        self.learned.force(def, &own, at).then_some(root)
    }

    /// Finds again which signature holds which rule's texts, the oldest first.
    pub(in crate::detect) fn index_forced(&mut self, rules: &SignatureRules) {
        self.learned.holders.clear();
        if rules.is_empty() {
            return;
        }
        for (channel, template, root, _) in self.texts() {
            if let Some(rule) = rules.merge_of(&channel, &template) {
                let key = (rule, channel);
                self.learned.holders.entry(key).or_insert(root);
            }
        }
    }

    /// Lists channel, own template, signature and id of every fingerprint, by the age of the signature.
    fn texts(&self) -> Vec<(String, String, SignatureId, SignatureId)> {
        let mut order: Vec<(EventTime, SignatureId)> =
            self.iter().map(|(id, it)| (it.first, *id)).collect();
        order.sort_unstable();
        let mut texts = Vec::new();
        for (_, root) in order {
            let Some(signature) = self.get(root) else {
                continue;
            };
            let channel = &signature.def.channel;
            let group = self.learned.group(root);
            let own = group.map_or(signature.def.template.as_str(), |it| &it.own);
            texts.push((channel.clone(), own.to_owned(), root, root));
            for (id, alias) in self.learned.members(root) {
                texts.push((channel.clone(), alias.template.to_string(), root, id));
            }
        }
        texts
    }

    /// Lists the aliases that the rules do not allow any more.
    fn forbidden(&self, rules: &SignatureRules) -> Vec<SignatureId> {
        let texts = if self.learned.len() == 0 {
            Vec::new()
        } else {
            self.texts()
        };
        let mut found = Vec::new();
        for group in texts.chunk_by(|a, b| a.2 == b.2) {
            let rule_of: Vec<Option<usize>> = group
                .iter()
                .map(|it| rules.merge_of(&it.0, &it.1))
                .collect();
            let split =
                |it: &(String, String, SignatureId, SignatureId)| rules.is_split(&it.0, &it.1);
            let all = group.first().is_some_and(split);
            for (at, member) in group.iter().enumerate().skip(1) {
                let by_rule = self
                    .learned
                    .alias(member.3)
                    .is_some_and(|it| it.cause == Cause::Rule);
                let rule = rule_of.get(at).copied().flatten();
                let others = rule_of.iter().enumerate().filter(|(it, _)| *it != at);
                let held = rule.is_some() && others.map(|(_, it)| *it).any(|it| it == rule);
                if all || split(member) || (by_rule && !held) {
                    found.push(member.3);
                }
            }
        }
        found
    }

    /// Lists the signatures that the rules want to be one with an older one.
    fn wanted(&self, rules: &SignatureRules) -> BTreeSet<(SignatureId, SignatureId)> {
        if rules.is_empty() {
            return BTreeSet::new();
        }
        self.texts()
            .into_iter()
            .filter_map(|(channel, template, root, _)| {
                let rule = rules.merge_of(&channel, &template)?;
                let holder = *self.learned.holders.get(&(rule, channel))?;
                (holder != root).then_some((root, holder))
            })
            .collect()
    }

    /// Makes an alias a signature of its own again; what it counted as an alias stays with the other.
    fn release(&mut self, id: SignatureId, rules: &SignatureRules, minute: i64) {
        let Some(alias) = self.learned.remove(id) else {
            return;
        };
        let Some(other) = self.get(alias.to) else {
            return;
        };
        let def = SignatureDef {
            id,
            template: alias.template.to_string(),
            ..other.def.clone()
        };
        let cell = CountCell {
            version: other.first_version.clone(),
            group: other.first_group.clone(),
            service: other.service.clone(),
            events: 0,
            first: alias.first,
            last: alias.first,
            hosts: Vec::new(),
            facets: Vec::new(),
        };
        if !is_alone(&def, rules) {
            self.learned.add(&def, minute);
        }
        self.unsay(&def, alias.to);
        self.insert(def, &cell);
        if let Some(it) = self.get_mut(id) {
            // It is no news: it was seen before.
            it.novelty.decided = true;
        }
        if self.learned.members(alias.to).next().is_none() {
            self.alone(alias.to, rules, minute);
        }
    }

    /// Gives a signature that lost its last alias its own template back.
    fn alone(&mut self, id: SignatureId, rules: &SignatureRules, minute: i64) {
        let Some(group) = self.learned.groups.remove(&id) else {
            return;
        };
        self.retitle(id, &group.own);
        let Some(def) = self.get(id).map(|it| it.def.clone()) else {
            return;
        };
        if let Some(context) = self.learned.contexts.get_mut(&context::key(&def)) {
            context.forget(id);
        }
        if !is_alone(&def, rules) {
            self.learned.add(&def, minute);
        }
    }
}

impl Learned {
    /// Makes a new fingerprint an alias because a rule says so; returns whether there was room.
    fn force(&mut self, def: &SignatureDef, older: &SignatureDef, at: EventTime) -> bool {
        if self.aliases.len() >= ALIASES_MAX {
            return false;
        }
        self.gather(older);
        self.insert(
            def.id,
            Alias {
                to: older.id,
                cause: Cause::Rule,
                at,
                first: at,
                template: def.template.as_str().into(),
            },
        );
        true
    }
}
