//! The distinct templates of a run and which fingerprint has which.
//!
//! It must never let the order of fingerprints reach a result: a change is computed for all
//! templates first and applied to all of them at once.

use super::token::{MASK, Token, Tokens, is_mask, mix};
use super::{Reason, Rule};
use std::collections::HashMap;

/// One template with what the rules ask of it again and again.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) tokens: Vec<Token>,
    /// Number of constant words before each position, and in all.
    words: Vec<u32>,
    /// Hash of the tokens before each position.
    front: Vec<u64>,
    /// Hash of the tokens from each position on.
    back: Vec<u64>,
}

impl Template {
    fn new(tokens: Vec<Token>, table: &Tokens) -> Self {
        let len = tokens.len();
        let (mut words, mut front) = (Vec::with_capacity(len + 1), Vec::with_capacity(len + 1));
        let (mut count, mut state) = (0, 1);
        words.push(0);
        front.push(1);
        for &token in &tokens {
            count += u32::from(table.is_word(token));
            state = mix(state, table.hash(token));
            words.push(count);
            front.push(state);
        }
        let mut back = vec![2; len + 1];
        let mut state = 2;
        for (slot, &token) in back.iter_mut().rev().skip(1).zip(tokens.iter().rev()) {
            state = mix(state, table.hash(token));
            *slot = state;
        }
        Self {
            tokens,
            words,
            front,
            back,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the number of constant words from `start` to `end`.
    pub(super) fn words(&self, start: usize, end: usize) -> u32 {
        let at = |i: usize| self.words.get(i).copied().unwrap_or_default();
        at(end.min(self.len())) - at(start.min(self.len()))
    }

    pub(super) fn front(&self, end: usize) -> u64 {
        self.front.get(end).copied().unwrap_or_default()
    }

    pub(super) fn back(&self, start: usize) -> u64 {
        self.back.get(start).copied().unwrap_or_default()
    }

    pub(super) fn at(&self, i: usize) -> Token {
        self.tokens.get(i).copied().unwrap_or(MASK)
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &[Token] {
        self.tokens.get(start..end).unwrap_or_default()
    }
}

/// The context of each position with identifier-like and known values as masks.
#[derive(Debug)]
pub(super) struct Outline {
    front: Vec<u64>,
    back: Vec<u64>,
}

impl Outline {
    pub(super) fn of(template: &Template, tokens: &Tokens) -> Self {
        let hole = |i: usize, token: Token| {
            is_mask(token)
                || (i > 0 && tokens.is_word(token) && tokens.weight(&template.tokens, i) >= 500)
        };
        let hashes: Vec<u64> = template
            .tokens
            .iter()
            .enumerate()
            .map(|(i, &t)| if hole(i, t) { 7 } else { tokens.hash(t) })
            .collect();
        let mut front = vec![1];
        let mut state = 1;
        for &hash in &hashes {
            state = mix(state, hash);
            front.push(state);
        }
        let mut back = vec![2];
        state = 2;
        for &hash in hashes.iter().rev() {
            state = mix(state, hash);
            back.push(state);
        }
        back.reverse();
        Self { front, back }
    }

    pub(super) fn front(&self, end: usize) -> u64 {
        self.front.get(end).copied().unwrap_or_default()
    }

    pub(super) fn back(&self, start: usize) -> u64 {
        self.back.get(start).copied().unwrap_or_default()
    }
}

/// What a rule wants to change in one template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) template: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of the reason in the run's list.
    pub(super) reason: usize,
}

/// The state of one run over all live fingerprints.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) tokens: Tokens,
    pub(super) templates: Vec<Template>,
    /// The template of each fingerprint.
    pub(super) of: Vec<usize>,
    /// The last reason for which the template of a fingerprint changed.
    pub(super) why: Vec<Option<usize>>,
    pub(super) reasons: Vec<Reason>,
    by_tokens: HashMap<Vec<Token>, usize>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            tokens: Tokens::new(),
            templates: Vec::new(),
            of: Vec::new(),
            why: Vec::new(),
            reasons: Vec::new(),
            by_tokens: HashMap::new(),
        }
    }

    /// Adds a fingerprint by its flat template.
    pub(super) fn push(&mut self, text: &str) {
        let tokens = self.tokens.split(text);
        let at = self.template(tokens);
        self.of.push(at);
        self.why.push(None);
    }

    fn template(&mut self, tokens: Vec<Token>) -> usize {
        if let Some(&at) = self.by_tokens.get(&tokens) {
            return at;
        }
        let at = self.templates.len();
        self.by_tokens.insert(tokens.clone(), at);
        self.templates.push(Template::new(tokens, &self.tokens));
        at
    }

    /// Returns the text of a template.
    pub(super) fn text(&self, template: &Template) -> String {
        template
            .tokens
            .iter()
            .map(|&t| self.tokens.text(t))
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// Returns the text of a stretch of a template, without blanks around it.
    pub(super) fn texts(&self, template: usize, start: usize, end: usize) -> String {
        let tokens = self
            .templates
            .get(template)
            .map(|t| t.slice(start, end))
            .unwrap_or_default();
        tokens
            .iter()
            .map(|&t| self.tokens.text(t))
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// Notes a reason and returns its number.
    pub(super) fn reason(&mut self, rule: Rule, evidence: String) -> usize {
        self.reasons.push(Reason { rule, evidence });
        self.reasons.len() - 1
    }

    /// Makes masks of the stretches that a rule found; says whether anything changed.
    ///
    /// Stretches of one template must not overlap, but for single positions.
    pub(super) fn apply(&mut self, mut changes: Vec<Change>) -> bool {
        changes.sort_unstable();
        let mut moved: HashMap<usize, (usize, usize)> = HashMap::new();
        for group in changes.chunk_by(|a, b| a.template == b.template) {
            let Some(first) = group.first() else { continue };
            let Some(template) = self.templates.get(first.template) else {
                continue;
            };
            let mut tokens = Vec::with_capacity(template.len());
            let mut i = 0;
            for change in group {
                if change.start < i {
                    continue;
                }
                tokens.extend_from_slice(template.slice(i, change.start));
                tokens.push(self.tokens.mask_for(template.at(change.start)));
                i = change.end;
            }
            tokens.extend_from_slice(template.slice(i, template.len()));
            let tokens = self.join(tokens);
            let to = self.template(tokens);
            if to != first.template {
                moved.insert(first.template, (to, first.reason));
            }
        }
        self.relabel(&moved)
    }

    fn relabel(&mut self, moved: &HashMap<usize, (usize, usize)>) -> bool {
        for (at, why) in self.of.iter_mut().zip(&mut self.why) {
            if let Some(&(to, reason)) = moved.get(at) {
                *at = to;
                *why = Some(reason);
            }
        }
        self.compact();
        !moved.is_empty()
    }

    /// Drops templates that no fingerprint has any more.
    fn compact(&mut self) {
        let mut live = vec![false; self.templates.len()];
        for &at in &self.of {
            if let Some(slot) = live.get_mut(at) {
                *slot = true;
            }
        }
        let mut new_index = vec![0; self.templates.len()];
        let mut kept = Vec::with_capacity(self.templates.len());
        for (n, template) in std::mem::take(&mut self.templates).into_iter().enumerate() {
            if live.get(n) == Some(&true) {
                if let Some(slot) = new_index.get_mut(n) {
                    *slot = kept.len();
                }
                kept.push(template);
            } else {
                self.by_tokens.remove(&template.tokens);
            }
        }
        #[expect(clippy::iter_over_hash_type, reason = "each value is mapped by itself")]
        for template_index in self.by_tokens.values_mut() {
            *template_index = new_index.get(*template_index).copied().unwrap_or_default();
        }
        for at in &mut self.of {
            *at = new_index.get(*at).copied().unwrap_or_default();
        }
        self.templates = kept;
    }

    /// Joins masks between which only separators stand.
    pub(super) fn join(&self, tokens: Vec<Token>) -> Vec<Token> {
        let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
        let mut since: Option<usize> = None;
        for token in tokens {
            if is_mask(token) {
                if let Some(last) = since {
                    let gap = out.get(last + 1..).unwrap_or_default();
                    let dot = gap.len() == 1
                        && !self.tokens.has_blank(token)
                        && gap.iter().all(|&t| self.tokens.text(t) == ".");
                    if dot || gap.iter().all(|&t| self.tokens.is_separator(t)) {
                        out.truncate(last + 1);
                        continue;
                    }
                }
                since = Some(out.len());
            }
            out.push(token);
        }
        out
    }
}
