//! What is known of one signature: when, where, how often, on which hosts, with a few examples.
//!
//! It only counts, within bounds. Invariant: the events of its places together are its events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::buckets::CountCell;
use super::name::Name;
use super::recent::{HourRate, Recent};
use super::tally::{FacetTally, HostTally, Minutes, ratio};
use crate::model::{EventTime, LevelClass, SCAN_SECONDS, Sample, SignatureDef, SignatureId};

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
            if self.has_room_for(name) {
                let tally = self.facets.entry(name.clone()).or_default();
                tally.add(value, *events);
            }
        }
        self.minutes
            .add(bucket.seconds().div_euclid(SCAN_SECONDS), cell.events);
        self.rate
            .add(bucket.seconds().div_euclid(3600), cell.events);
    }

    /// Tells whether a facet is counted.
    pub(super) fn has_room_for(&self, facet: &Name) -> bool {
        self.facets.len() < FACETS_MAX || self.facets.contains_key(facet)
    }

    fn count_place(&mut self, cell: &CountCell, bucket: EventTime) {
        let minute = bucket.seconds().div_euclid(SCAN_SECONDS);
        let same = |it: &&mut Cell| it.version == cell.version && it.group == cell.group;
        if let Some(mine) = self.cells.iter_mut().find(same) {
            mine.first = mine.first.min(cell.first);
            mine.last = mine.last.max(cell.last);
            mine.events += cell.events;
            mine.minutes.add(minute, cell.events);
            mine.minutes.keep(CELL_MINUTES);
            return;
        }
        let mut minutes = Minutes::default();
        minutes.add(minute, cell.events);
        self.absorb_cell(Cell {
            version: cell.version.clone(),
            group: cell.group.clone(),
            first: cell.first,
            last: cell.last,
            events: cell.events,
            minutes,
        });
    }

    /// Adds the counts of one version and group.
    pub(super) fn absorb_cell(&mut self, cell: Cell) {
        let found = self
            .cells
            .iter()
            .position(|it| it.version == cell.version && it.group == cell.group);
        if found.is_none() && self.cells.len() < CELLS_MAX {
            self.cells.reserve_exact(1);
            self.cells.push(cell);
            return;
        }
        // Past the limit the last place takes the rest.
        let place = found.unwrap_or(self.cells.len() - 1);
        let Some(mine) = self.cells.get_mut(place) else {
            return;
        };
        mine.first = mine.first.min(cell.first);
        mine.last = mine.last.max(cell.last);
        mine.events += cell.events;
        mine.minutes.absorb(&cell.minutes);
        mine.minutes.keep(CELL_MINUTES);
    }

    /// Keeps an example: the first ever and the newest few of the others.
    pub(super) fn keep_sample(&mut self, sample: &Sample) {
        match &mut self.first_sample {
            None => self.first_sample = Some(sample.clone()),
            Some(first) if first == sample => {}
            Some(first) if order(sample) < order(first) => {
                let newer = std::mem::replace(first, sample.clone());
                self.keep_newest(newer);
            }
            Some(_) => self.keep_newest(sample.clone()),
        }
    }

    fn keep_newest(&mut self, sample: Sample) {
        let newer = |it: &Sample| order(it) > order(&sample);
        let place = self.samples.partition_point(newer);
        if place < SAMPLES_MAX && self.samples.get(place) != Some(&sample) {
            // Most signatures have few examples: room for four would be wasted on each.
            self.samples.truncate(SAMPLES_MAX - 1);
            self.samples.reserve_exact(1);
            self.samples.insert(place, sample);
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

/// Returns what examples are sorted by.
fn order(it: &Sample) -> (EventTime, &str, &str) {
    (it.at, &it.host, &it.message)
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
