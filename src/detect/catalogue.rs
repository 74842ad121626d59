//! Every signature that was seen: when, where, how often, on which hosts, with a few examples.
//!
//! It only counts; what a count means is decided elsewhere. It holds a bounded number of signatures;
//! past the bound events go to one `(other)` signature of their channel. Invariant: the events of all
//! signatures together are the events of all counted rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::buckets::CountCell;
use super::family;
use super::name::{Name, OTHER};
use super::recent::{HourRate, Recent};
use super::table::Table;
use super::tally::{FacetTally, HostTally, Minutes, ratio};
use crate::model::{EventTime, Level, LevelClass, SCAN_SECONDS, Sample, SignatureDef, SignatureId};

/// Signatures that one channel may have.
// RELIABILITY.md §3, "cardinality attack".
const CHANNEL_SIGNATURES_MAX: u32 = 20_000;

/// Signatures in all.
const SIGNATURES_MAX: usize = 200_000;

/// Pairs of version and group that one signature tells apart.
const CELLS_MAX: usize = 256;

/// Newest examples that are kept beside the first.
const SAMPLES_MAX: usize = 5;

/// Facets of one signature.
const FACETS_MAX: usize = 8;

/// Minutes by which the places of a signature are weighed.
const CELL_MINUTES: i64 = 20;

/// Counts of one signature on one version and group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) version: Name,
    pub(super) group: Name,
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) events: u64,
    /// Events by minute of the last twenty minutes.
    pub(super) minutes: Minutes,
}

/// How far a signature is from being told as new.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Novelty {
    /// Told, or known for long enough.
    pub(super) decided: bool,
    /// Told as new.
    pub(super) told: bool,
    /// Distinct buckets with events.
    pub(super) buckets: u32,
    /// Events, each bucket on a log scale: one request's retries are not a trend.
    pub(super) guarded: f64,
}

/// Everything that is known of one signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Signature {
    /// Its number in the rate scan; a renamed signature goes on under the number of its earlier form.
    pub(super) number: u32,
    /// The earlier form of the same message, if it was reworded or its file moved.
    pub(super) renamed_from: Option<SignatureId>,
    pub(super) def: SignatureDef,
    /// Service of its events; `*` for several.
    pub(super) service: Name,
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) first_version: Name,
    pub(super) first_group: Name,
    pub(super) events: u64,
    pub(super) cells: Vec<Cell>,
    pub(super) hosts: HostTally,
    pub(super) facets: BTreeMap<Name, FacetTally>,
    pub(super) minutes: Minutes,
    pub(super) rate: HourRate,
    pub(super) recent: Recent,
    pub(super) novelty: Novelty,
    /// Minutes with any record that had closed at its last event.
    pub(super) last_live: i64,
    /// Last event before a long absence, first one after it, events before it.
    pub(super) back: Option<(EventTime, EventTime, u64)>,
    pub(super) first_sample: Option<Sample>,
    pub(super) samples: Vec<Sample>,
}

/// All signatures.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    table: Table<SignatureId, Signature>,
    by_channel: BTreeMap<String, u32>,
    next_number: u32,
    by_number: BTreeMap<u32, SignatureId>,
    /// Signatures by what they say, for the recognition of reworded ones.
    by_words: BTreeMap<String, Vec<SignatureId>>,
}

impl Catalogue {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn contains(&self, id: SignatureId) -> bool {
        self.table.contains(&id)
    }

    pub(super) fn get(&self, id: SignatureId) -> Option<&Signature> {
        self.table.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SignatureId) -> Option<&mut Signature> {
        self.table.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SignatureId, &Signature)> {
        self.table.iter()
    }

    pub(super) fn range(
        &self,
        range: std::ops::RangeInclusive<SignatureId>,
    ) -> impl Iterator<Item = &SignatureId> {
        self.table.range(range).map(|(id, _)| id)
    }

    /// Returns the signature with a number of the rate scan.
    pub(super) fn by_number(&self, number: u32) -> Option<SignatureId> {
        self.by_number.get(&number).copied()
    }

    /// Finds the signature that takes the events of `id`: itself, made from its definition if it is new, or `(other)`.
    pub(super) fn admit(
        &mut self,
        id: SignatureId,
        def: Option<&SignatureDef>,
        cell: &CountCell,
    ) -> Option<SignatureId> {
        if self.table.contains(&id) {
            return Some(id);
        }
        let def = def?;
        let in_channel = self.by_channel.get(&def.channel).copied().unwrap_or(0);
        if in_channel < CHANNEL_SIGNATURES_MAX && self.table.len() < SIGNATURES_MAX {
            self.insert(def.clone(), cell);
            return Some(id);
        }
        let other = other_def(&def.channel);
        let id = other.id;
        if !self.table.contains(&id) {
            self.insert(other, cell);
        }
        Some(id)
    }

    fn insert(&mut self, def: SignatureDef, cell: &CountCell) {
        let words = family::words(&def);
        let renamed_from = self.earlier_form(&words, &def);
        let earlier = renamed_from.and_then(|id| self.table.get(&id));
        let number = earlier.map_or(self.next_number, |it| it.number);
        if renamed_from.is_none() {
            self.next_number += 1;
            self.by_number.insert(number, def.id);
        }
        *self.by_channel.entry(def.channel.clone()).or_default() += 1;
        self.by_words.entry(words).or_default().push(def.id);
        let novelty = Novelty {
            // The overflow of a channel is no error of its own.
            decided: def.template.starts_with(OTHER),
            ..Novelty::default()
        };
        let signature = Signature {
            number,
            renamed_from,
            service: cell.service.clone(),
            first: cell.first,
            last: cell.last,
            first_version: cell.version.clone(),
            first_group: cell.group.clone(),
            events: 0,
            cells: Vec::new(),
            hosts: HostTally::default(),
            facets: BTreeMap::new(),
            minutes: Minutes::default(),
            rate: HourRate::default(),
            recent: Recent::default(),
            novelty,
            last_live: 0,
            back: None,
            first_sample: None,
            samples: Vec::new(),
            def,
        };
        self.table.insert(signature.def.id, signature);
    }

    /// Finds the signature that said the same before, in other punctuation or from a file that moved.
    fn earlier_form(&self, words: &str, def: &SignatureDef) -> Option<SignatureId> {
        self.by_words
            .get(words)?
            .iter()
            .filter_map(|id| self.table.get(id))
            .filter(|it| it.renamed_from.is_none() && family::is_same_problem(&it.def, def))
            .map(|it| (it.number, it.def.id))
            .min()
            .map(|(_, id)| id)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("signature", out);
    }

    pub(super) const fn table(&mut self) -> &mut Table<SignatureId, Signature> {
        &mut self.table
    }

    /// Rebuilds what follows from the rows, after they were read back.
    pub(super) fn reindex(&mut self) {
        self.by_number.clear();
        self.by_words.clear();
        for (id, it) in self.table.iter() {
            if it.renamed_from.is_none() {
                self.by_number.insert(it.number, *id);
            }
            self.by_words
                .entry(family::words(&it.def))
                .or_default()
                .push(*id);
        }
        self.next_number = self
            .by_number
            .last_key_value()
            .map_or(0, |(number, _)| number + 1);
        self.by_channel.clear();
        for signature in self.table.values() {
            *self
                .by_channel
                .entry(signature.def.channel.clone())
                .or_default() += 1;
        }
    }
}

impl Signature {
    pub(super) fn class(&self) -> LevelClass {
        self.def.level.class()
    }

    /// Counts the events of one closed (or late) bucket on one version, group and service.
    pub(super) fn count(&mut self, cell: &CountCell, bucket: EventTime) {
        if self.service != cell.service {
            self.service = "*".into();
        }
        if (cell.first, &cell.version, &cell.group)
            < (self.first, &self.first_version, &self.first_group)
        {
            self.first_version = cell.version.clone();
            self.first_group = cell.group.clone();
        }
        self.first = self.first.min(cell.first);
        self.last = self.last.max(cell.last);
        self.events += cell.events;
        self.count_place(cell, bucket);
        for (host, events) in &cell.hosts {
            self.hosts.add(host, *events);
        }
        for (name, value, events) in &cell.facets {
            if self.facets.len() < FACETS_MAX || self.facets.contains_key(name) {
                let tally = self.facets.entry(name.clone()).or_default();
                tally.add(value, *events);
            }
        }
        self.minutes
            .add(bucket.seconds().div_euclid(SCAN_SECONDS), cell.events);
        self.rate
            .add(bucket.seconds().div_euclid(3600), cell.events);
    }

    fn count_place(&mut self, cell: &CountCell, bucket: EventTime) {
        let found = self
            .cells
            .iter()
            .position(|it| it.version == cell.version && it.group == cell.group);
        if found.is_none() && self.cells.len() < CELLS_MAX {
            self.cells.push(Cell {
                version: cell.version.clone(),
                group: cell.group.clone(),
                first: cell.first,
                last: cell.last,
                events: 0,
                minutes: Minutes::default(),
            });
        }
        // Past the limit the last place takes the rest.
        let place = found.unwrap_or(self.cells.len() - 1);
        let Some(mine) = self.cells.get_mut(place) else {
            return;
        };
        mine.first = mine.first.min(cell.first);
        mine.last = mine.last.max(cell.last);
        mine.events += cell.events;
        let minute = bucket.seconds().div_euclid(SCAN_SECONDS);
        mine.minutes.add(minute, cell.events);
        mine.minutes.keep(CELL_MINUTES);
    }

    /// Keeps an example: the first ever and the newest few.
    pub(super) fn keep_sample(&mut self, sample: &Sample) {
        fn order(it: &Sample) -> (EventTime, &str, &str) {
            (it.at, &it.host, &it.message)
        }
        if self
            .first_sample
            .as_ref()
            .is_none_or(|first| order(sample) < order(first))
        {
            self.first_sample = Some(sample.clone());
        }
        let place = self.samples.partition_point(|it| order(it) > order(sample));
        if self.samples.get(place) != Some(sample) {
            self.samples.insert(place, sample.clone());
            self.samples.truncate(SAMPLES_MAX);
        }
    }

    /// Returns the single group of its events, or `*`.
    pub(super) fn group(&self, version: Option<&Name>) -> Name {
        single(
            self.cells
                .iter()
                .filter(|it| version.is_none_or(|version| it.version == *version))
                .map(|it| &it.group),
        )
    }

    /// Returns the group with nearly all of the recent events on a version, or `*`.
    pub(super) fn recent_group(&self, version: &Name, at: EventTime) -> Name {
        let counts: Vec<(&Name, u64)> = self
            .recent_places(at)
            .filter(|(it, _, _)| *it == version)
            .map(|(_, group, n)| (group, n))
            .collect();
        let total: u64 = counts.iter().map(|(_, n)| n).sum();
        counts
            .iter()
            .find(|(_, n)| *n > 0 && ratio(*n, total) >= 0.9)
            .map_or_else(|| self.group(Some(version)), |(group, _)| (*group).clone())
    }

    /// Lists where its recent events are: version, group, events of the last twenty minutes.
    pub(super) fn recent_places(&self, at: EventTime) -> impl Iterator<Item = (&Name, &Name, u64)> {
        let minute = super::channels::minute_before(at);
        self.cells
            .iter()
            .map(move |it| (&it.version, &it.group, it.minutes.sum(minute, CELL_MINUTES)))
    }

    /// Returns when its present activity began: the first minute with events after the last pause of a minute or more, within the hour.
    pub(super) fn onset(&self, at: EventTime) -> EventTime {
        let minute = super::channels::minute_before(at);
        self.minutes
            .onset(minute)
            .map_or(self.first, |it| EventTime::from_seconds(it * SCAN_SECONDS))
            .max(self.first)
    }

    /// Returns the single version of its events, or `*`.
    pub(super) fn version(&self) -> Name {
        single(self.cells.iter().map(|it| &it.version))
    }
}

/// Returns the only one of some names, or `*` if they differ.
pub(super) fn single<'a>(names: impl Iterator<Item = &'a Name>) -> Name {
    let mut only: Option<&Name> = None;
    for name in names {
        if only.is_some_and(|it| it != name) {
            return "*".into();
        }
        only = Some(name);
    }
    only.map_or_else(|| "*".into(), Clone::clone)
}

/// Returns the signature that takes what a full channel cannot tell apart.
pub(super) fn other_def(channel: &str) -> SignatureDef {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"fatalmonitor/other/v1");
    hasher.update(channel.as_bytes());
    let mut bytes = [0_u8; 16];
    hasher.finalize_xof().fill(&mut bytes);
    SignatureDef {
        id: SignatureId(u128::from_be_bytes(bytes)),
        channel: channel.to_owned(),
        level: Level::Unknown,
        template: format!("{OTHER}: signatures past the limit of this channel"),
        exception: None,
        frame: None,
        joined: Vec::new(),
    }
}
