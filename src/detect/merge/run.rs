//! One comparison of all live templates of a channel: every rule, until nothing changes.
//!
//! It must never remember anything from one comparison to the next: the result depends on the set
//! of templates alone.

use super::table::Table;
use super::tail::Phrases;
use super::{Reason, Rule, cover, flat, gap, holes, tail};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of all rules; three or four are usual.
const ROUNDS_MAX: usize = 8;

/// The result of the rules over one set of templates.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Final template to the members that have it.
    pub(super) groups: BTreeMap<String, Vec<usize>>,
    reasons: Vec<Reason>,
    /// The number of the reason for each member.
    why: Vec<Option<usize>>,
}

impl Run {
    pub(super) fn over<'a>(templates: impl Iterator<Item = &'a str>, tokens_max: usize) -> Self {
        let mut table = Table::new();
        let mut own: Vec<&str> = Vec::new();
        let mut place: Vec<Option<usize>> = Vec::new();
        let mut flats: Vec<String> = Vec::new();
        for template in templates {
            let flat = flat::flat(template);
            let short = table.tokens.split(&flat).len() <= tokens_max;
            place.push(short.then_some(flats.len()));
            if short {
                table.push(&flat);
                flats.push(flat);
            }
            own.push(template);
        }
        rounds(&mut table);
        let mut run = Self {
            reasons: std::mem::take(&mut table.reasons),
            ..Self::default()
        };
        let mut finals: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (member, (template, slot)) in own.iter().zip(&place).enumerate() {
            let found = slot
                .and_then(|at| table.of.get(at))
                .and_then(|&t| table.templates.get(t));
            let text = found.map_or_else(|| (*template).to_owned(), |t| table.text(t));
            finals.entry(text).or_default().push(member);
            run.why
                .push(slot.and_then(|at| table.why.get(at).copied().flatten()));
        }
        let shown = unflattened(finals, &own, &place, &flats);
        let free = free(&shown, &own);
        run.cover(&shown, &free);
        run
    }

    /// Lets templates join more general ones.
    fn cover(&mut self, shown: &BTreeMap<String, Vec<usize>>, free: &BTreeSet<&str>) {
        let templates: BTreeSet<&str> = shown.keys().map(String::as_str).collect();
        let covers = cover::covers(&templates, free);
        for (template, members) in shown {
            let to = covers.get(template.as_str()).copied();
            if let Some(general) = to {
                let evidence = format!("covered by: {general}");
                self.reasons.push(Reason {
                    rule: Rule::Cover,
                    evidence,
                });
                for &member in members {
                    if let Some(why) = self.why.get_mut(member) {
                        *why = Some(self.reasons.len() - 1);
                    }
                }
            }
            let key = to.unwrap_or(template.as_str()).to_owned();
            self.groups.entry(key).or_default().extend(members);
        }
    }

    pub(super) fn why(&self, member: usize) -> Option<&Reason> {
        self.why
            .get(member)
            .copied()
            .flatten()
            .and_then(|at| self.reasons.get(at))
    }
}

/// Returns the templates that have already stood for texts of several lengths.
fn free<'a>(shown: &'a BTreeMap<String, Vec<usize>>, own: &[&str]) -> BTreeSet<&'a str> {
    let parts = |member: &usize| own.get(*member).map_or(0, |it| it.split(' ').count());
    shown
        .iter()
        .filter(|(_, members)| {
            let lengths: BTreeSet<usize> = members.iter().map(parts).collect();
            lengths.len() > 1
        })
        .map(|(text, _)| text.as_str())
        .collect()
}

/// Applies all rules until nothing changes.
fn rounds(table: &mut Table) {
    let mut phrases = Phrases::new();
    for _ in 0..ROUNDS_MAX {
        let mut changed = holes::skeleton(table);
        let (opened, learned) = holes::one_hole(table);
        changed |= opened | learned;
        changed |= holes::two_holes(table);
        changed |= tail::tails(table, &mut phrases);
        changed |= gap::gaps(table);
        if !changed {
            break;
        }
    }
}

/// Shows the structures of a template again where nothing alternated inside them.
fn unflattened(
    finals: BTreeMap<String, Vec<usize>>,
    own: &[&str],
    place: &[Option<usize>],
    flats: &[String],
) -> BTreeMap<String, Vec<usize>> {
    let mut shown: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (template, members) in finals {
        let single = match members.as_slice() {
            [only] => place.get(*only).copied().flatten().and_then(|at| {
                let same = flats.get(at).is_some_and(|flat| *flat == template);
                same.then(|| own.get(*only).copied()).flatten()
            }),
            _ => None,
        };
        let key = single.map_or(template, str::to_owned);
        shown.entry(key).or_default().extend(members);
    }
    shown
}
