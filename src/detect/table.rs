//! A sorted table that remembers which of its rows changed, and how rows become bytes.
//!
//! Every value is written as a version byte and a compact encoding, so that a later release can tell an
//! old row from a new one. Invariant: a row that was changed since the last checkpoint is in the next.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StateRow;

/// First byte of every value; a later form of a row has another one.
const FORMAT: u8 = 1;

/// Why stored state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The row was written by a later release.
    #[error(
        "state row `{kind}` has format {format}, which this release does not read: use the release that wrote it"
    )]
    Format {
        /// Kind of the row.
        kind: String,
        /// Its version byte.
        format: u8,
    },
    /// The row is of a kind that only a later release knows.
    #[error(
        "state row `{kind}` is of a kind that this release does not know: use the release that wrote it"
    )]
    UnknownKind {
        /// Kind of the row.
        kind: String,
    },
    /// The row does not decode.
    #[error("state row `{kind}` is damaged: restore a backup")]
    Damaged {
        /// Kind of the row.
        kind: String,
    },
}

/// A row and whether it waits for the next checkpoint.
#[derive(Debug)]
struct Row<V> {
    value: V,
    dirty: bool,
}

/// A sorted map whose changed rows go into the next checkpoint.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, Row<V>>,
    /// Keys of changed and removed rows; a key may stand twice.
    changed: Vec<K>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            changed: Vec::new(),
        }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|it| &it.value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// Returns a row to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        if !row.dirty {
            row.dirty = true;
            self.changed.push(key.clone());
        }
        Some(&mut row.value)
    }

    /// Returns a row to be changed, made if need be.
    pub(super) fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if !self.rows.contains_key(key) {
            return self.insert(key.clone(), make());
        }
        let row = self.rows.entry(key.clone()).or_insert_with(|| Row {
            value: make(),
            dirty: false,
        });
        if !row.dirty {
            row.dirty = true;
            self.changed.push(key.clone());
        }
        &mut row.value
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> &mut V {
        self.changed.push(key.clone());
        let row = Row { value, dirty: true };
        match self.rows.entry(key) {
            Entry::Occupied(mut place) => {
                place.insert(row);
                &mut place.into_mut().value
            }
            Entry::Vacant(place) => &mut place.insert(row).value,
        }
    }

    /// Changes every row, in the order of the keys.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&K, &mut V)) {
        for (key, row) in &mut self.rows {
            change(key, &mut row.value);
            if !row.dirty {
                row.dirty = true;
                self.changed.push(key.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key)?;
        self.changed.push(key.clone());
        Some(row.value)
    }

    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, row) = self.rows.pop_first()?;
        self.changed.push(key.clone());
        Some((key, row.value))
    }

    pub(super) fn first_key(&self) -> Option<&K> {
        self.rows.first_key_value().map(|(key, _)| key)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, row)| (key, &row.value))
    }

    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.rows.values().map(|row| &row.value)
    }

    /// Lists the keys of the rows that changed since the last flush.
    pub(super) fn changed(&self) -> impl Iterator<Item = &K> {
        self.changed.iter()
    }

    pub(super) fn range<R: std::ops::RangeBounds<K>>(
        &self,
        range: R,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range).map(|(key, row)| (key, &row.value))
    }
}

impl<K: Ord + Clone + Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Table<K, V> {
    /// Adds the changed rows to a checkpoint.
    pub(super) fn flush(&mut self, kind: &'static str, out: &mut Vec<StateRow>) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort();
        changed.dedup();
        for key in changed {
            let row = self.rows.get_mut(&key);
            let value = row.map(|it| {
                it.dirty = false;
                encode_value(&it.value)
            });
            out.push(StateRow {
                kind,
                key: encode(&key),
                value,
            });
        }
    }

    /// Takes a stored row back.
    pub(super) fn restore(
        &mut self,
        kind: &str,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), RestoreError> {
        let key: K = postcard::from_bytes(key).map_err(|_| RestoreError::Damaged {
            kind: kind.to_owned(),
        })?;
        let value = decode_value(kind, value)?;
        self.rows.insert(
            key,
            Row {
                value,
                dirty: false,
            },
        );
        Ok(())
    }
}

/// Encodes without a version byte, for keys.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain data of our own always encodes; an empty row would be refused as damaged when it is read.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// Encodes a value behind its version byte.
pub(super) fn encode_value<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![FORMAT]).unwrap_or_default()
}

/// Decodes a value behind its version byte.
pub(super) fn decode_value<T: DeserializeOwned>(
    kind: &str,
    bytes: &[u8],
) -> Result<T, RestoreError> {
    let damaged = || RestoreError::Damaged {
        kind: kind.to_owned(),
    };
    let (&format, rest) = bytes.split_first().ok_or_else(damaged)?;
    if format != FORMAT {
        return Err(RestoreError::Format {
            kind: kind.to_owned(),
            format,
        });
    }
    postcard::from_bytes(rest).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_row_is_written_once_and_read_back() {
        let mut table: Table<u32, String> = Table::default();
        table.insert(7, "a".to_owned());
        let mut rows = Vec::new();
        table.flush("x", &mut rows);
        table.flush("x", &mut rows);
        assert_eq!(rows.len(), 1);
        let mut back: Table<u32, String> = Table::default();
        back.restore("x", &rows[0].key, rows[0].value.as_ref().unwrap())
            .unwrap();
        assert_eq!(back.get(&7).unwrap(), "a");
    }

    #[test]
    fn a_later_format_is_refused_by_name() {
        let error = decode_value::<u32>("alert", &[9, 1]).unwrap_err();
        assert!(error.to_string().contains("`alert`"), "{error}");
        assert!(decode_value::<u32>("alert", &[]).is_err());
    }
}
