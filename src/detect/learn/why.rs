//! Why lines are one signature, in words: for its page, the API and the command line.
//!
//! Invariant: every merge that is in force has a sentence.

use super::super::World;
use super::super::merge::Rule;
use super::super::view::{MergeView, MergedText};
use super::group::{Alias, Cause, Group};
use crate::model::SignatureId;

/// Merged texts that are listed.
const TEXTS_SHOWN: usize = 20;

impl World {
    /// Returns the signature that an id belongs to today: itself, or the one that it became an alias of.
    pub fn resolve(&self, id: SignatureId) -> SignatureId {
        self.catalogue.learned.root(id)
    }

    /// Explains the merges of a signature; `None` if nothing was merged into it.
    pub(in crate::detect) fn merges_of(&self, root: SignatureId) -> Option<MergeView> {
        let learned = &self.catalogue.learned;
        let group = learned.group(root)?;
        let mut merged = 0;
        let mut texts = Vec::new();
        let mut by_rule = false;
        for (id, alias) in learned.members(root) {
            merged += 1;
            by_rule |= alias.cause == Cause::Rule;
            if texts.len() < TEXTS_SHOWN {
                texts.push(MergedText {
                    id,
                    template: alias.template.to_string(),
                    since: alias.at,
                    why: why(group, alias),
                });
            }
        }
        let mut reasons: Vec<String> = group
            .reasons
            .iter()
            .map(|it| sentence(it.rule, &it.evidence))
            .collect();
        if by_rule {
            reasons.push("a rule, [[signature.merge]], makes them one".to_owned());
        }
        if group.fitting > 0 {
            reasons.push("later texts fitted what had been learned".to_owned());
        }
        Some(MergeView {
            own_template: group.own.to_string(),
            merged,
            reasons,
            texts,
        })
    }
}

fn why(group: &Group, alias: &Alias) -> String {
    match alias.cause {
        Cause::Fits => "fits what had been learned when it was first seen".to_owned(),
        Cause::Rule => "made one by a rule, [[signature.merge]]".to_owned(),
        Cause::Learned(place) => group.reasons.get(usize::from(place)).map_or_else(
            || "learned".to_owned(),
            |it| sentence(it.rule, &it.evidence),
        ),
    }
}

/// Puts a reason into a sentence; the evidence names position, number of values and some of them.
fn sentence(rule: Rule, evidence: &str) -> String {
    match rule {
        Rule::Cover => format!("merged because it is {evidence}"),
        Rule::Structure => format!("merged because they are {evidence}"),
        _ => format!("merged because {evidence}"),
    }
}
