//! The rules that look at single positions: skeletons, one hole, two holes.
//!
//! They must never merge on one alternation alone: a column is variable when the weights of its
//! distinct values reach 1.

use super::Rule;
use super::table::{Change, Table};
use super::token::{Token, Weight, is_mask, mix};

/// Evidence that opens a position, in hundred-thousandths: one half more where a single word is all
/// that the message says.
const EVIDENCE_MIN: Weight = 100_000;
const EVIDENCE_OF_ONE_WORD_MIN: Weight = 150_000;
/// Positions of one template that the two-hole rule looks at.
const PAIRS_FROM_MAX: usize = 14;
/// Values that an explanation names.
const NAMED_MAX: usize = 8;

/// Characters of values in an explanation.
const EVIDENCE_CHARS_MAX: usize = 400;

/// A template listed under a key: the templates under one key differ only in the holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: u64,
    first: usize,
    second: usize,
    template: usize,
}

/// A: templates that are equal but for identifier-like and known values.
pub(super) fn skeleton(table: &mut Table) -> bool {
    let mut entries = Vec::new();
    for (n, template) in table.templates.iter().enumerate() {
        let (mut key, mut words) = (3_u64, 0);
        for (i, &token) in template.tokens.iter().enumerate() {
            let word = table.tokens.is_word(token);
            let hole = is_mask(token)
                || (word && i > 0 && table.tokens.weight(&template.tokens, i) >= 500);
            key = mix(key, if hole { 7 } else { table.tokens.hash(token) });
            words += u32::from(word && !hole);
        }
        if words >= 2 {
            entries.push(Entry {
                key,
                first: template.len(),
                second: 0,
                template: n,
            });
        }
    }
    entries.sort_unstable();
    let mut changes = Vec::new();
    for group in entries.chunk_by(|a, b| (a.key, a.first) == (b.key, b.first)) {
        if group.len() > 1 {
            open_columns(table, group, &mut changes);
        }
    }
    learn(table, &changes);
    table.apply(changes)
}

/// Opens each position at which the templates of a skeleton differ.
fn open_columns(table: &mut Table, group: &[Entry], changes: &mut Vec<Change>) {
    let Some(len) = group.first().map(|entry| entry.first) else {
        return;
    };
    for i in 0..len {
        let values = values(table, group, i);
        if values.len() < 2 {
            continue;
        }
        let evidence = explain(table, i, &values);
        let reason = table.reason(Rule::Skeleton, evidence);
        open(table, group, i, reason, changes);
    }
}

/// Returns the distinct tokens that the templates of a group have at one position.
fn values(table: &Table, group: &[Entry], i: usize) -> Vec<Token> {
    let mut values: Vec<Token> = group
        .iter()
        .filter_map(|entry| table.templates.get(entry.template))
        .map(|template| table.tokens.bare(template.at(i)))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn open(table: &Table, group: &[Entry], i: usize, reason: usize, changes: &mut Vec<Change>) {
    for entry in group {
        let masked = table
            .templates
            .get(entry.template)
            .is_none_or(|t| is_mask(t.at(i)));
        if !masked {
            changes.push(Change {
                template: entry.template,
                start: i,
                end: i + 1,
                reason,
            });
        }
    }
}

/// Says why a position became variable: how many values it had, and some of them.
fn explain(table: &Table, i: usize, values: &[Token]) -> String {
    let mut names: Vec<&str> = values.iter().map(|&v| table.tokens.text(v)).collect();
    names.sort_unstable();
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    names.truncate(NAMED_MAX);
    let shown: String = names.join(", ").chars().take(EVIDENCE_CHARS_MAX).collect();
    format!(
        "position {} had {} values: {shown}{more}",
        i + 1,
        values.len()
    )
}

/// Remembers the values of columns that became variable.
fn learn(table: &mut Table, changes: &[Change]) -> bool {
    let mut new = false;
    for change in changes.iter().filter(|change| change.start > 0) {
        let Some(token) = table
            .templates
            .get(change.template)
            .map(|t| t.at(change.start))
        else {
            continue;
        };
        if table.tokens.is_word(token) {
            new |= table.tokens.learn(token);
        }
    }
    new
}

/// Returns what a long identical context adds to a weight, in hundredths.
fn boosted(weight: Weight, words: u32, i: usize) -> Weight {
    if i == 0 || weight <= 150 {
        return weight * 100;
    }
    weight * (100 + 12 * words.saturating_sub(3).min(6))
}

/// B: templates that are equal but for one position.
pub(super) fn one_hole(table: &mut Table) -> (bool, bool) {
    let mut entries = Vec::new();
    for (n, template) in table.templates.iter().enumerate() {
        for (i, &token) in template.tokens.iter().enumerate() {
            if !is_mask(token) && !table.tokens.is_word(token) {
                continue;
            }
            let words = template.words(0, i) + template.words(i + 1, template.len());
            if words >= 2 || (words == 1 && i > 0) {
                let key = mix(template.front(i), template.back(i + 1));
                entries.push(Entry {
                    key,
                    first: i,
                    second: 0,
                    template: n,
                });
            }
        }
    }
    entries.sort_unstable();
    let mut changes = Vec::new();
    for group in entries.chunk_by(|a, b| (a.key, a.first) == (b.key, b.first)) {
        let Some(first) = group.first().filter(|_| group.len() > 1) else {
            continue;
        };
        if evidence(table, group, first.first) < evidence_min(table, *first) {
            continue;
        }
        let evidence = explain(table, first.first, &values(table, group, first.first));
        let reason = table.reason(Rule::OneHole, evidence);
        open(table, group, first.first, reason, &mut changes);
    }
    let learned = learn(table, &changes);
    (table.apply(changes), learned)
}

/// Returns the evidence that a group of templates equal but for one position needs.
fn evidence_min(table: &Table, entry: Entry) -> Weight {
    let words = table.templates.get(entry.template).map_or(0, |template| {
        template.words(0, entry.first) + template.words(entry.first + 1, template.len())
    });
    if words < 2 {
        EVIDENCE_OF_ONE_WORD_MIN
    } else {
        EVIDENCE_MIN
    }
}

/// Returns the evidence of a column in hundred-thousandths.
fn evidence(table: &Table, group: &[Entry], i: usize) -> Weight {
    group
        .iter()
        .filter_map(|entry| table.templates.get(entry.template))
        .map(|template| {
            let words = template.words(0, i) + template.words(i + 1, template.len());
            let weight = table.tokens.weight(&template.tokens, i);
            if is_mask(template.at(i)) {
                weight * 100
            } else {
                boosted(weight, words, i)
            }
        })
        .fold(0, Weight::saturating_add)
}

/// C: long templates that are equal but for two positions.
pub(super) fn two_holes(table: &mut Table) -> bool {
    let mut entries = Vec::new();
    for n in 0..table.templates.len() {
        pairs(table, n, &mut entries);
    }
    entries.sort_unstable();
    let mut changes = Vec::new();
    for group in entries.chunk_by(|a, b| (a.key, a.first, a.second) == (b.key, b.first, b.second)) {
        if group.len() > 1 && two_columns(table, group) {
            let Some(entry) = group.first() else { continue };
            for i in [entry.first, entry.second] {
                let evidence = explain(table, i, &values(table, group, i));
                let reason = table.reason(Rule::TwoHoles, evidence);
                open(table, group, i, reason, &mut changes);
            }
        }
    }
    learn(table, &changes);
    table.apply(changes)
}

fn pairs(table: &Table, n: usize, entries: &mut Vec<Entry>) {
    let Some(template) = table.templates.get(n) else {
        return;
    };
    if template.words(0, template.len()) < 5 {
        return;
    }
    let holes: Vec<usize> = (0..template.len())
        .filter(|&i| {
            let token = template.at(i);
            let word = i > 0 && table.tokens.is_word(token);
            is_mask(token) || (word && table.tokens.weight(&template.tokens, i) >= 190)
        })
        .take(PAIRS_FROM_MAX)
        .collect();
    for (a, &first) in holes.iter().enumerate() {
        let middle_from = first + 1;
        let mut state = mix(template.front(first), 11);
        let mut done = middle_from;
        for &second in holes.iter().skip(a + 1) {
            for &token in template.slice(done, second) {
                state = mix(state, table.tokens.hash(token));
            }
            done = second;
            let words = template.words(0, first)
                + template.words(middle_from, second)
                + template.words(second + 1, template.len());
            if words >= 3 {
                let key = mix(mix(state, 13), template.back(second + 1));
                entries.push(Entry {
                    key,
                    first,
                    second,
                    template: n,
                });
            }
        }
    }
}

/// Says whether both columns of a group have enough evidence.
fn two_columns(table: &Table, group: &[Entry]) -> bool {
    let Some(entry) = group.first() else {
        return false;
    };
    let Some(template) = table.templates.get(entry.template) else {
        return false;
    };
    let words = template.words(0, entry.first)
        + template.words(entry.first + 1, entry.second)
        + template.words(entry.second + 1, template.len());
    let need = if words < 5 { 800 } else { 600 };
    let (a, b) = (
        column(table, group, entry.first),
        column(table, group, entry.second),
    );
    a.min(b) >= need && a + b >= 1400
}

/// Returns the evidence of the distinct values at one position, nothing for a single one.
fn column(table: &Table, group: &[Entry], i: usize) -> Weight {
    let mut weights: Vec<(Token, Weight)> = group
        .iter()
        .filter_map(|entry| table.templates.get(entry.template))
        .map(|t| {
            (
                table.tokens.bare(t.at(i)),
                table.tokens.weight(&t.tokens, i),
            )
        })
        .collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    weights.dedup_by_key(|(token, _)| *token);
    if weights.len() < 2 {
        return 0;
    }
    weights.iter().map(|(_, weight)| weight).sum()
}
