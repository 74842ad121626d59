//! Counts of the buckets that are still open: everything that detection sees passes through here.
//!
//! Rows are only added up, and a bucket is looked at once, when it closes; so neither the order of arrival
//! nor the cut of batches can be seen later. Invariant: adding rows in any order gives equal buckets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::model::{EventTime, Level, Sample, SignatureDef, SignatureId};

/// Events by name, sorted by the name.
pub(super) type NameCounts = Vec<(Name, u64)>;

/// Adds events to a sorted list of counts.
pub(super) fn add_count(counts: &mut NameCounts, name: &Name, events: u64) {
    match counts.binary_search_by(|(it, _)| it.cmp(name)) {
        Ok(place) => {
            if let Some((_, n)) = counts.get_mut(place) {
                *n += events;
            }
        }
        Err(place) => {
            if counts.is_empty() {
                // Most lists have one entry.
                counts.reserve_exact(1);
            }
            counts.insert(place, (name.clone(), events));
        }
    }
}

/// Events of one signature in one bucket, version, group and service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CountCell {
    pub(super) version: Name,
    pub(super) group: Name,
    pub(super) service: Name,
    pub(super) events: u64,
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) hosts: NameCounts,
    /// Facet name, value, events; sorted.
    pub(super) facets: Vec<(Name, Name, u64)>,
}

impl CountCell {
    fn same_place(&self, other: &Self) -> bool {
        self.version == other.version && self.group == other.group && self.service == other.service
    }

    fn place(&self) -> (&Name, &Name, &Name) {
        (&self.version, &self.group, &self.service)
    }

    fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (host, events) in &other.hosts {
            add_count(&mut self.hosts, host, *events);
        }
        for facet in &other.facets {
            self.add_facet(facet);
        }
    }

    /// Adds events with one value of a facet.
    pub(super) fn add_facet(&mut self, facet: &(Name, Name, u64)) {
        let found = self
            .facets
            .binary_search_by(|it| (&it.0, &it.1).cmp(&(&facet.0, &facet.1)));
        match found {
            Ok(place) => {
                if let Some(mine) = self.facets.get_mut(place) {
                    mine.2 += facet.2;
                }
            }
            Err(place) => self.facets.insert(place, facet.clone()),
        }
    }
}

/// Records of one channel in one bucket, version, group, service and level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChannelCell {
    pub(super) version: Name,
    pub(super) group: Name,
    pub(super) service: Name,
    pub(super) level: Level,
    pub(super) counted: u64,
    pub(super) capped: u64,
    pub(super) rejected: u64,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) hosts: NameCounts,
}

impl ChannelCell {
    fn same_place(&self, other: &Self) -> bool {
        self.place() == other.place()
    }

    fn place(&self) -> (&Name, &Name, &Name, Level) {
        (&self.version, &self.group, &self.service, self.level)
    }

    fn merge(&mut self, other: &Self) {
        self.counted += other.counted;
        self.capped += other.capped;
        self.rejected += other.rejected;
        self.events += other.events;
        self.bytes += other.bytes;
        for (host, events) in &other.hosts {
            add_count(&mut self.hosts, host, *events);
        }
    }
}

/// One bucket of event time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenBucket {
    pub(super) signatures: BTreeMap<SignatureId, Vec<CountCell>>,
    pub(super) channels: BTreeMap<Name, Vec<ChannelCell>>,
    /// Definitions of signatures that the catalogue did not know when they came in.
    pub(super) defs: BTreeMap<SignatureId, SignatureDef>,
    pub(super) samples: Vec<(SignatureId, Sample)>,
}

impl OpenBucket {
    /// Adds a row of a signature.
    pub(super) fn add_count(&mut self, signature: SignatureId, cell: CountCell) {
        let cells = self.signatures.entry(signature).or_default();
        match cells.iter_mut().find(|it| it.same_place(&cell)) {
            Some(mine) => mine.merge(&cell),
            None => cells.push(cell),
        }
    }

    /// Adds a row of a channel.
    pub(super) fn add_channel(&mut self, channel: &Name, cell: ChannelCell) {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.clone(), Vec::new());
        }
        let Some(cells) = self.channels.get_mut(channel) else {
            return;
        };
        match cells.iter_mut().find(|it| it.same_place(&cell)) {
            Some(mine) => mine.merge(&cell),
            None => cells.push(cell),
        }
    }

    /// Keeps a definition; of two that differ in the level, the more severe one.
    pub(super) fn define(&mut self, def: &SignatureDef) {
        match self.defs.get_mut(&def.id) {
            Some(mine) if mine.level < def.level => mine.level = def.level,
            Some(_) => {}
            None => {
                self.defs.insert(def.id, def.clone());
            }
        }
    }

    /// Puts every list into its one order, so that equal counts are equal buckets.
    pub(super) fn sort(&mut self) {
        for cells in self.signatures.values_mut() {
            cells.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        for cells in self.channels.values_mut() {
            cells.sort_by(|a, b| a.place().cmp(&b.place()));
        }
        self.samples.sort_by(|a, b| {
            (a.0, a.1.at, &a.1.host, &a.1.message).cmp(&(b.0, b.1.at, &b.1.host, &b.1.message))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(version: &str, host: &str, events: u64, at: i64) -> CountCell {
        CountCell {
            version: version.into(),
            group: "group0".into(),
            service: "s".into(),
            events,
            first: EventTime::from_seconds(at),
            last: EventTime::from_seconds(at),
            hosts: vec![(host.into(), events)],
            facets: vec![("wiki".into(), host.into(), events)],
        }
    }

    #[test]
    fn rows_in_any_order_give_equal_buckets() {
        let rows = [
            cell("2", "b", 3, 5),
            cell("1", "a", 1, 4),
            cell("2", "a", 2, 3),
        ];
        let fill = |order: &[usize]| {
            let mut bucket = OpenBucket::default();
            for &place in order {
                bucket.add_count(SignatureId(1), rows[place].clone());
            }
            bucket.sort();
            bucket
        };
        let expected = fill(&[0, 1, 2]);
        assert_eq!(expected.signatures[&SignatureId(1)][1].events, 5);
        for order in [[2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            assert_eq!(fill(&order), expected);
        }
    }
}
