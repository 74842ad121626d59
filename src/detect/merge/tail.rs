//! Rule D: texts of any length between an anchor and a boundary.
//!
//! It must never take a text for a value because it is rare: it is one when it turns up behind
//! several prefixes that themselves alternate, or when many texts alternate behind one prefix.

use super::Rule;
use super::table::{Change, Outline, Table, Template};
use super::token::{Token, Tokens, Weight, is_mask, mix};
use std::collections::{BTreeMap, BTreeSet};

/// Words behind which a free text often follows.
const LEADS: [&str; 9] = [
    "error",
    "reason",
    "exception",
    "because",
    "with",
    "got",
    "after",
    "by",
    "of",
];
/// Prefixes that a text must alternate behind to be a known value.
const PREFIXES_MIN: usize = 2;
/// Ends that are tried behind one anchor, besides the end of the line.
const ENDS_MAX: usize = 3;

/// Characters of a text in an explanation.
const TEXT_CHARS_MAX: usize = 60;
/// Known texts in all, and those that start with one token.
const PHRASES_MAX: usize = 4_096;
const PHRASES_OF_TOKEN_MAX: usize = 64;

/// A text between an anchor and a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: u64,
    text: u64,
    prefix: u64,
    template: usize,
    start: usize,
    end: usize,
}

/// Texts that are known to be values, by their hash, with their tokens.
pub(super) type Phrases = BTreeMap<u64, Vec<Token>>;

/// Applies the rule once; says whether anything changed.
pub(super) fn tails(table: &mut Table, phrases: &mut Phrases) -> bool {
    let entries = entries(table);
    find_phrases(table, &entries, phrases);
    let cuts = cuts(table, &entries, phrases);
    let mut changed = table.apply(cuts);
    // What is known is also a value inside other templates that keep enough words.
    changed |= replace_phrases(table, phrases);
    changed
}

fn entries(table: &Table) -> Vec<Entry> {
    let mut out = Vec::new();
    for (n, template) in table.templates.iter().enumerate() {
        let outline = Outline::of(template, &table.tokens);
        for start in 2..template.len() {
            for end in ends(&table.tokens, template, start) {
                let text = text_hash(&table.tokens, template, start, end);
                let prefix = outline.front(start);
                let key = mix(prefix, outline.back(end));
                out.push(Entry {
                    key,
                    text,
                    prefix,
                    template: n,
                    start,
                    end,
                });
            }
        }
    }
    out.sort_unstable();
    out
}

/// Returns the hash of a text, whatever stands before its first token.
fn text_hash(tokens: &Tokens, template: &Template, start: usize, end: usize) -> u64 {
    let first = tokens.hash(tokens.bare(template.at(start)));
    template
        .slice(start + 1, end)
        .iter()
        .fold(mix(5, first), |h, &t| mix(h, tokens.hash(t)))
}

/// Returns where a text that starts at `start` may end; nothing when no anchor stands before it.
fn ends(tokens: &Tokens, template: &Template, start: usize) -> Vec<usize> {
    let anchor = tokens.bare_text(template.at(start - 1));
    let mark = matches!(anchor, ":" | "\"" | "'" | "(" | "=");
    if !mark && !LEADS.iter().any(|lead| lead.eq_ignore_ascii_case(anchor)) {
        return Vec::new();
    }
    let words_min = if mark { 2 } else { 3 };
    let opens = matches!(tokens.bare_text(template.at(start)), "\"" | "'" | "(");
    if template.words(0, start) < words_min || opens {
        return Vec::new();
    }
    if is_quote(anchor) && !is_opening(tokens, template, start - 1) {
        return Vec::new();
    }
    if anchor == "(" || is_quote(anchor) {
        return closer(tokens, template, start, anchor)
            .into_iter()
            .collect();
    }
    let boundary = |i: usize| match tokens.text(template.at(i)) {
        "." | ";" => true,
        "," => i + 1 < template.len() && tokens.has_blank(template.at(i + 1)),
        _ => false,
    };
    let mut ends: Vec<usize> = (start + 1..template.len())
        .filter(|&i| boundary(i))
        .take(ENDS_MAX)
        .collect();
    ends.push(template.len());
    if anchor == "=" {
        // The value of a key does not reach beyond the next key.
        let key = (start..template.len()).find(|&i| tokens.text(template.at(i)) == "=");
        ends.retain(|&end| key.is_none_or(|key| end < key));
    }
    ends
}

fn is_quote(text: &str) -> bool {
    matches!(text, "\"" | "'")
}

/// Says whether the quote at `i` opens a text: a blank or an opening mark stands before it.
fn is_opening(tokens: &Tokens, template: &Template, i: usize) -> bool {
    let Some(before) = i.checked_sub(1).map(|i| tokens.text(template.at(i))) else {
        return true;
    };
    tokens.has_blank(template.at(i)) || matches!(before.trim_start(), "(" | "[" | "{" | "=" | ":")
}

fn closer(tokens: &Tokens, template: &Template, start: usize, open: &str) -> Option<usize> {
    let close = if open == "(" { ")" } else { open };
    let mut depth = 1;
    for i in start..template.len() {
        let text = tokens.bare_text(template.at(i));
        if text == open && (open != close || is_opening(tokens, template, i)) {
            depth += 1;
        } else if text == close {
            depth -= 1;
        }
        if depth == 0 {
            return (i > start).then_some(i);
        }
    }
    None
}

fn by_key(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries
        .chunk_by(|a, b| a.key == b.key)
        .filter(|group| texts(group) > 1)
}

fn texts(group: &[Entry]) -> usize {
    group.chunk_by(|a, b| a.text == b.text).count()
}

fn find_phrases(table: &Table, entries: &[Entry], phrases: &mut Phrases) {
    let mut behind: Vec<(u64, u64, Entry)> = by_key(entries)
        .flatten()
        .map(|e| (e.text, e.prefix, *e))
        .collect();
    behind.sort_unstable();
    for group in behind.chunk_by(|a, b| a.0 == b.0) {
        let prefixes = group.chunk_by(|a, b| a.1 == b.1).count();
        let Some((text, _, entry)) = group.first() else {
            continue;
        };
        let Some(template) = table.templates.get(entry.template) else {
            continue;
        };
        let words = template.words(entry.start, entry.end);
        if prefixes < PREFIXES_MIN
            || words < 1
            || phrases.contains_key(text)
            || phrases.len() >= PHRASES_MAX
        {
            continue;
        }
        let mut tokens = template.slice(entry.start, entry.end).to_vec();
        if let Some(first) = tokens.first_mut() {
            *first = table.tokens.bare(*first);
        }
        if letters(&table.tokens, &tokens) >= 6 {
            phrases.insert(*text, tokens);
        }
    }
}

fn letters(tokens: &Tokens, text: &[Token]) -> u32 {
    text.iter().map(|&t| tokens.letters(t)).sum()
}

/// Returns the shortest cut of each template whose texts have enough evidence.
fn cuts(table: &mut Table, entries: &[Entry], phrases: &Phrases) -> Vec<Change> {
    let mut best: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
    for group in by_key(entries) {
        let texts = group
            .chunk_by(|a, b| a.text == b.text)
            .filter_map(|same| same.first());
        let evidence: Weight = texts.map(|entry| weight(table, entry, phrases)).sum();
        if evidence < 1000 {
            continue;
        }
        let reason = explain(table, group);
        for entry in group {
            let bare_mask = entry.end == entry.start + 1
                && table
                    .templates
                    .get(entry.template)
                    .is_none_or(|t| is_mask(t.at(entry.start)));
            if bare_mask {
                continue;
            }
            let len = entry.end - entry.start;
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
    best.into_iter().map(change).collect()
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
        Rule::Tail,
        format!(
            "the text from position {at} had {count} values: {}",
            shown.join(" | ")
        ),
    )
}

/// Returns how likely a text is a value, in thousandths.
fn weight(table: &Table, entry: &Entry, phrases: &Phrases) -> Weight {
    let Some(template) = table.templates.get(entry.template) else {
        return 0;
    };
    let tokens = &table.tokens;
    let text = template.slice(entry.start, entry.end);
    let [first, rest @ ..] = text else { return 0 };
    let colon = rest.first().is_some_and(|&t| tokens.text(t) == ":") && text.len() >= 3;
    if phrases.contains_key(&entry.text) || (colon && is_exception(tokens.bare_text(*first))) {
        return 500;
    }
    if rest.is_empty() && is_mask(*first) {
        return 500;
    }
    if template.words(entry.start, entry.end) == 0 {
        return 250;
    }
    match tokens.bare_text(template.at(entry.start - 1)) {
        "\"" | "'" if text.len() > 1 => 500,
        "\"" | "'" => 200,
        "(" => 150,
        _ => 50,
    }
}

fn is_exception(word: &str) -> bool {
    ["Exception", "Error", "Throwable", "Fault"]
        .iter()
        .any(|end| word.ends_with(end))
}

/// Known texts by their first token, the longest first.
type Index<'p> = BTreeMap<Token, Vec<&'p [Token]>>;

fn index<'p>(tokens: &Tokens, phrases: &'p Phrases) -> Index<'p> {
    let mut by_first = Index::new();
    for phrase in phrases.values() {
        let [first, _, ..] = phrase.as_slice() else {
            continue;
        };
        if letters(tokens, phrase) >= 8 {
            by_first.entry(*first).or_default().push(phrase);
        }
    }
    for list in by_first.values_mut() {
        let hashes = |phrase: &[Token]| phrase.iter().map(|&t| tokens.hash(t)).collect::<Vec<_>>();
        list.sort_by_key(|phrase| (usize::MAX - phrase.len(), hashes(phrase)));
        list.truncate(PHRASES_OF_TOKEN_MAX);
    }
    by_first
}

/// Returns where known texts stand in a template that keeps at least two words beside them.
fn known_in(tokens: &Tokens, template: &Template, index: &Index<'_>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut words = template.words(0, template.len());
    let mut i = 0;
    while i < template.len() {
        let list = index
            .get(&tokens.bare(template.at(i)))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let phrase = list.iter().find(|phrase| {
            let end = i + phrase.len();
            template.slice(i + 1, end) == phrase.get(1..).unwrap_or_default()
                && words >= template.words(i, end) + 2
        });
        let end = i + phrase.map_or(1, |phrase| phrase.len());
        if phrase.is_some() {
            words -= template.words(i, end);
            found.push((i, end));
        }
        i = end;
    }
    found
}

/// Makes masks of known texts wherever they stand.
fn replace_phrases(table: &mut Table, phrases: &Phrases) -> bool {
    let index = index(&table.tokens, phrases);
    let mut changes = Vec::new();
    for n in 0..table.templates.len() {
        let Some(template) = table.templates.get(n) else {
            continue;
        };
        for (start, end) in known_in(&table.tokens, template, &index) {
            let text = table.texts(n, start, end);
            let place = start + 1;
            let evidence =
                format!("the text at position {place} is a value of other messages: {text}");
            let reason = table.reason(Rule::Tail, evidence);
            changes.push(Change {
                template: n,
                start,
                end,
                reason,
            });
        }
    }
    table.apply(changes)
}
