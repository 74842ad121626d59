//! The names that clients gave to their posts, and what became of each, so that a repetition is not counted again.
//!
//! They are stored in the same transaction as the counts, so they hold over our restart. Invariant: at most
//! [`KEYS_MAX`] are remembered, each for [`KEEP_SECONDS`] at most, in memory and in the store alike.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::detect::StateRow;
use crate::model::EventTime;

/// Kind of the stored rows; kinds that begin with `source/` belong to sources, not to the detector.
const KIND: &str = "source/key";

/// Keys that are remembered.
const KEYS_MAX: usize = 10_000;

/// Seconds for which a key is remembered.
// 24 h: RELIABILITY.md §2.1.
const KEEP_SECONDS: i64 = 86_400;

/// A stored row: kind, key, value.
pub type Row = (String, Vec<u8>, Vec<u8>);

/// Version of a stored value.
const VERSION: u8 = 1;

/// What became of the lines of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Lines read.
    pub read: u64,
    /// Lines counted in full.
    pub counted: u64,
    /// Lines past a cap.
    pub capped: u64,
    /// Lines rejected.
    pub rejected: u64,
}

/// The keys of one source.
#[derive(Debug)]
pub(super) struct Keys {
    source: String,
    known: HashMap<String, Sums>,
    /// In the order in which they came.
    order: VecDeque<(EventTime, String)>,
    changed: Vec<StateRow>,
}

impl Keys {
    /// Takes up the stored keys of a source; a row that cannot be read is left out.
    pub(super) fn restore(source: &str, rows: &[Row]) -> Self {
        let mut found: Vec<(EventTime, String, Sums)> = rows
            .iter()
            .filter(|it| it.0 == KIND)
            .filter_map(|(_, key, value)| {
                let key = key.strip_prefix(source.as_bytes())?.strip_prefix(&[0])?;
                let (at, sums) = decode(value)?;
                Some((at, String::from_utf8(key.to_vec()).ok()?, sums))
            })
            .collect();
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Self {
            source: source.to_owned(),
            order: found.iter().map(|it| (it.0, it.1.clone())).collect(),
            known: found.into_iter().map(|it| (it.1, it.2)).collect(),
            changed: Vec::new(),
        }
    }

    /// Returns what became of an earlier post of this name.
    pub(super) fn get(&self, key: &str) -> Option<Sums> {
        self.known.get(key).copied()
    }

    /// Remembers a post, and forgets the ones that are too old or too many.
    pub(super) fn remember(&mut self, key: &str, at: EventTime, sums: Sums) {
        self.known.insert(key.to_owned(), sums);
        self.order.push_back((at, key.to_owned()));
        self.change(key, Some(encode(at, sums)));
        let oldest = at.plus_seconds(-KEEP_SECONDS);
        while self.order.len() > KEYS_MAX || self.order.front().is_some_and(|it| it.0 < oldest) {
            if let Some((_, key)) = self.order.pop_front() {
                self.known.remove(&key);
                self.change(&key, None);
            }
        }
    }

    /// Returns the rows to store with the counts.
    pub(super) fn take_changed(&mut self) -> Vec<StateRow> {
        std::mem::take(&mut self.changed)
    }

    fn change(&mut self, key: &str, value: Option<Vec<u8>>) {
        let key = [self.source.as_bytes(), &[0], key.as_bytes()].concat();
        self.changed.push(StateRow {
            kind: KIND,
            key,
            value,
        });
    }
}

fn encode(at: EventTime, sums: Sums) -> Vec<u8> {
    // Numbers always fit; an empty value would be read as none.
    postcard::to_extend(&(at.millis(), sums), vec![VERSION]).unwrap_or_default()
}

fn decode(value: &[u8]) -> Option<(EventTime, Sums)> {
    let (&version, rest) = value.split_first()?;
    let (millis, sums) = postcard::from_bytes(rest).ok()?;
    (version == VERSION).then(|| (EventTime::from_millis(millis), sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: Sums = Sums {
        read: 300,
        counted: 200,
        capped: 99,
        rejected: 1,
    };

    fn stored(rows: Vec<StateRow>) -> Vec<Row> {
        let kept = rows.into_iter().filter_map(|it| {
            let value = it.value?;
            Some((it.kind.to_owned(), it.key, value))
        });
        kept.collect()
    }

    #[test]
    fn a_key_is_known_after_a_restart_to_its_own_source_alone() {
        let mut keys = Keys::restore("posts", &[]);
        keys.remember("k", EventTime::from_seconds(5), SUMS);
        let rows = stored(keys.take_changed());
        assert_eq!(Keys::restore("posts", &rows).get("k"), Some(SUMS));
        assert_eq!(Keys::restore("post", &rows).get("k"), None);
        assert_eq!(Keys::restore("posts", &rows).get("other"), None);
    }

    #[test]
    fn keys_that_are_too_old_or_too_many_are_forgotten_in_the_store_too() {
        let mut keys = Keys::restore("posts", &[]);
        keys.remember("old", EventTime::from_seconds(5), SUMS);
        keys.take_changed();
        let later = EventTime::from_seconds(6 + KEEP_SECONDS);
        keys.remember("new", later, SUMS);
        let changed = keys.take_changed();
        assert_eq!(changed.len(), 2);
        assert_eq!(
            (&*changed[1].key, &changed[1].value),
            (&b"posts\0old"[..], &None)
        );
        for n in 0..2 * KEYS_MAX {
            keys.remember(&n.to_string(), later, SUMS);
        }
        assert_eq!((keys.known.len(), keys.order.len()), (KEYS_MAX, KEYS_MAX));
        assert_eq!(keys.get("new"), None);
    }

    #[test]
    fn a_key_that_the_first_release_stored_is_read() {
        let at = EventTime::from_millis(1_453_252_803_000);
        let golden = [1, 240, 230, 239, 201, 203, 84, 172, 2, 200, 1, 99, 1];
        assert_eq!(encode(at, SUMS), golden);
        assert_eq!(decode(&golden), Some((at, SUMS)));
    }
}
