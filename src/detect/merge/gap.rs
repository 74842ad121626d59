//! Rule E: one to four tokens between the same words, that is names with blanks.
//!
//! It must never act on lower-case prose alone: one of the middles has to look like a name.

use super::Rule;
use super::table::{Change, Table, Template};
use super::token::{Token, Weight, is_mask, mix};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name, in tokens.
const TOKENS_MAX: usize = 4;
/// Fewest different middles.
const MIDDLES_MIN: usize = 3;
/// A name-like or known middle, and any other.
const NAME: Weight = 250;
const OTHER: Weight = 50;

/// Characters of a text in an explanation.
const TEXT_CHARS_MAX: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: u64,
    middle: u64,
    template: usize,
    start: usize,
    end: usize,
}

/// Applies the rule once; says whether anything changed.
pub(super) fn gaps(table: &mut Table) -> bool {
    let mut entries = Vec::new();
    for (n, template) in table.templates.iter().enumerate() {
        for start in 1..template.len() {
            middles(table, template, n, start, &mut entries);
        }
    }
    entries.sort_unstable();
    let mut best: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
    for group in entries.chunk_by(|a, b| a.key == b.key) {
        if !is_variable(table, group) {
            continue;
        }
        let reason = explain(table, group);
        for entry in group {
            let len = entry.end - entry.start;
            let masked = table
                .templates
                .get(entry.template)
                .is_none_or(|t| is_mask(t.at(entry.start)));
            if len == 1 && masked {
                continue;
            }
            let slot = best.entry(entry.template).or_insert((usize::MAX, 0, 0));
            if (len, entry.start) < (slot.0, slot.1) {
                *slot = (len, entry.start, reason);
            }
        }
    }
    let change = |(template, (len, start, reason))| Change {
        template,
        start,
        end: start + len,
        reason,
    };
    table.apply(best.into_iter().map(change).collect())
}

fn middles(table: &Table, template: &Template, n: usize, start: usize, out: &mut Vec<Entry>) {
    let tokens = &table.tokens;
    let len = template.len();
    let before = template.at(start - 1);
    let words = template.words(0, start);
    if !tokens.has_blank(template.at(start))
        || is_mask(before)
        || !tokens.is_word(before)
        || words < 1
    {
        return;
    }
    let mut push = |end: usize, back: u64| {
        let middle = template
            .slice(start, end)
            .iter()
            .fold(17, |h, &t| mix(h, tokens.hash(t)));
        let key = mix(template.front(start), back);
        out.push(Entry {
            key,
            middle,
            template: n,
            start,
            end,
        });
    };
    if words >= 3 && len - start <= TOKENS_MAX {
        push(len, 19);
    }
    for end in start + 1..len.min(start + TOKENS_MAX + 1) {
        let after = template.at(end);
        if is_mask(after) || !tokens.has_blank(after) || !tokens.is_word(after) {
            continue;
        }
        if words + template.words(end, len) >= 3 {
            push(end, template.back(end));
        }
    }
}

/// Says whether the middles of one key alternate as names do.
fn is_variable(table: &Table, group: &[Entry]) -> bool {
    let distinct: Vec<&[Token]> = group
        .chunk_by(|a, b| a.middle == b.middle)
        .filter_map(|same| same.first())
        .filter_map(|e| {
            table
                .templates
                .get(e.template)
                .map(|t| t.slice(e.start, e.end))
        })
        .collect();
    if distinct.len() < MIDDLES_MIN || distinct.iter().all(|m| m.len() < 2) {
        return false;
    }
    let firsts: BTreeSet<_> = distinct.iter().filter_map(|m| m.first()).collect();
    let lasts: BTreeSet<_> = distinct.iter().filter_map(|m| m.last()).collect();
    let mut names = 0;
    let evidence: Weight = distinct
        .iter()
        .map(|middle| {
            let (weight, name) = weight(table, middle);
            names += u32::from(name);
            weight
        })
        .sum();
    firsts.len() >= 2 && lasts.len() >= 2 && names >= 1 && evidence >= 1000
}

/// Returns how likely a middle is a name, and whether it is one of several tokens.
fn weight(table: &Table, middle: &[Token]) -> (Weight, bool) {
    let tokens = &table.tokens;
    let upper = |t: Token| {
        tokens
            .bare_text(t)
            .chars()
            .next()
            .is_some_and(char::is_uppercase)
    };
    if let [only] = middle {
        let lower = tokens.bare_text(*only).chars().all(|c| !c.is_uppercase());
        let weight = if is_mask(*only) {
            500
        } else if tokens.is_known(*only) || !lower {
            NAME
        } else {
            OTHER
        };
        return (weight, false);
    }
    let name = middle.iter().any(|&t| is_mask(t))
        || middle
            .iter()
            .filter(|&&t| tokens.is_word(t))
            .all(|&t| upper(t));
    (if name { NAME } else { OTHER }, name)
}

fn explain(table: &mut Table, group: &[Entry]) -> usize {
    let mut names = BTreeSet::new();
    for entry in group {
        let text = table.texts(entry.template, entry.start, entry.end);
        names.insert(text.chars().take(TEXT_CHARS_MAX).collect::<String>());
    }
    let count = names.len();
    let shown: Vec<String> = names.into_iter().take(8).collect();
    let at = group.first().map_or(0, |entry| entry.start + 1);
    table.reason(
        Rule::Gap,
        format!("position {at} had {count} names: {}", shown.join(" | ")),
    )
}
