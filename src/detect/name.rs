//! Shared names: cheap to copy, compared and ordered by their text.
//!
//! It must never order or compare names by where they lie in memory, so that no output depends on the
//! order of arrival. Invariant: a pool never holds more than its stated number of names.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands for every name past a limit.
pub(super) const OTHER: &str = "(other)";

/// A name that is shared by everything that mentions it.
#[derive(Clone)]
pub(super) struct Name(Arc<str>);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return std::cmp::Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Ok(Self::from(text))
    }
}

/// A bounded set of names of one sort (channels, versions, hosts …).
#[derive(Debug)]
pub(super) struct Names {
    set: HashSet<Name>,
    limit: usize,
    other: Name,
}

impl Names {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            set: HashSet::new(),
            limit,
            other: Name::from(OTHER),
        }
    }

    /// Returns the shared form of a name; `(other)` once the pool is full.
    pub(super) fn intern(&mut self, text: &str) -> Name {
        if let Some(known) = self.set.get(text) {
            return known.clone();
        }
        if self.set.len() >= self.limit {
            return self.other.clone();
        }
        let name = Name::from(text);
        self.set.insert(name.clone());
        name
    }
}

/// Returns the order in which people number releases: runs of digits compare as numbers.
pub(super) fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_part, a_next) = split_run(a_rest);
        let (b_part, b_next) = split_run(b_rest);
        if a_part.is_empty() || b_part.is_empty() {
            return a_part.cmp(b_part).then_with(|| a.cmp(b));
        }
        let order = match (number(a_part), number(b_part)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => a_part.cmp(b_part),
        };
        if order.is_ne() {
            return order;
        }
        (a_rest, b_rest) = (a_next, b_next);
    }
}

fn number(part: &str) -> Option<u128> {
    part.parse().ok()
}

/// Splits off the leading run of digits or of anything else.
fn split_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn release_numbers_compare_as_numbers() {
        assert_eq!(
            natural_order("1.27.0-wmf.9", "1.27.0-wmf.10"),
            Ordering::Less
        );
        assert_eq!(natural_order("2016.1.9", "2016.1.10"), Ordering::Less);
        assert_eq!(natural_order("a", "a"), Ordering::Equal);
        assert_eq!(natural_order("a", "a1"), Ordering::Less);
    }

    #[test]
    fn a_full_pool_answers_other() {
        let mut names = Names::new(1);
        assert_eq!(&*names.intern("a"), "a");
        assert_eq!(&*names.intern("b"), OTHER);
        assert_eq!(&*names.intern("a"), "a");
    }
}
