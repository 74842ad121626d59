//! A context: the signatures that may be merged with each other, and which of them wait to be compared.
//!
//! Invariant: signatures of two contexts differ in more than their text, so they are never compared.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::merge::Pattern;
use crate::model::{SignatureDef, SignatureId};

/// Signatures of one context that are compared with each other; past it a new one is only itself or fits what was learned.
// A comparison of so many takes a good second, and comes ever more seldom as a context grows.
pub(super) const SINGLES_MAX: usize = 8_192;

/// A context is compared again when it has grown by one part in so many, or after as many minutes.
const GROWTH_PART: usize = 16;

/// What is known of one context.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// Signatures without aliases.
    pub(super) singles: BTreeSet<SignatureId>,
    /// Signatures with aliases.
    pub(super) groups: BTreeSet<SignatureId>,
    /// First word, signature and learned template, sorted by the first two.
    pub(super) patterns: Vec<(Box<str>, SignatureId, Pattern)>,
}

/// Signatures of one context that were not compared yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Minute since which the first of them waits.
    since: i64,
    pub(super) ids: Vec<SignatureId>,
}

impl Waiting {
    pub(super) const fn since(minute: i64) -> Self {
        Self {
            since: minute,
            ids: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, id: SignatureId) {
        if let Err(place) = self.ids.binary_search(&id) {
            self.ids.insert(place, id);
        }
    }

    /// Tells whether the growth of a context of this size is worth a comparison.
    pub(super) fn is_due(&self, size: usize, minute: i64) -> bool {
        let patience = i64::try_from(size / GROWTH_PART).unwrap_or(i64::MAX);
        self.ids.len() * GROWTH_PART >= size || minute - self.since >= patience
    }
}

impl Context {
    pub(super) fn add(&mut self, id: SignatureId) {
        self.singles.insert(id);
    }

    /// Returns how many texts of each signature with aliases are compared: fewer where there are many such signatures.
    pub(super) fn texts_max(&self) -> usize {
        (SINGLES_MAX / self.groups.len().max(1)).clamp(4, super::COMPARED_MAX)
    }

    /// Forgets a signature that became an alias.
    pub(super) fn forget(&mut self, id: SignatureId) {
        self.singles.remove(&id);
        self.groups.remove(&id);
        self.patterns.retain(|(_, root, _)| *root != id);
    }

    /// Takes the learned templates of a signature in place of the earlier ones.
    pub(super) fn learn(&mut self, root: SignatureId, patterns: Vec<Pattern>) {
        self.patterns.retain(|(_, it, _)| *it != root);
        for pattern in patterns {
            let key = (pattern.first_word(), root);
            let place = self
                .patterns
                .partition_point(|(word, id, _)| (&**word, *id) < key);
            self.patterns
                .insert(place, (key.0.into(), root, pattern.clone()));
        }
    }

    /// Finds the signature whose learned template a text fits: the longest template, then the smallest id.
    pub(super) fn fit(&self, text: &str) -> Option<SignatureId> {
        let word = text.split(' ').next().unwrap_or_default();
        let with = |word: &str| {
            let from = self.patterns.partition_point(|(it, _, _)| **it < *word);
            let patterns = self.patterns.get(from..).unwrap_or_default();
            let count = patterns.partition_point(|(it, _, _)| **it == *word);
            patterns.get(..count).unwrap_or_default()
        };
        let led = if word.is_empty() { &[] } else { with(word) };
        led.iter()
            .chain(with(""))
            .filter(|(_, _, pattern)| pattern.fits(text))
            .max_by_key(|(_, root, pattern)| (pattern.weight(), std::cmp::Reverse(*root)))
            .map(|(_, root, _)| *root)
    }
}

/// Returns the name of a signature's context.
pub(super) fn key(def: &SignatureDef) -> u128 {
    name(def, def.frame.as_deref().unwrap_or_default())
}

/// Returns the name of what contexts share that differ only in the frame.
pub(super) fn place(def: &SignatureDef) -> u128 {
    name(def, "*")
}

fn name(def: &SignatureDef, frame: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(&def.channel);
    part(def.level.class().name());
    part(def.exception.as_deref().unwrap_or_default());
    part(frame);
    for (name, value) in &def.joined {
        part(name);
        part(value);
    }
    let mut bytes = [0_u8; 16];
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}
