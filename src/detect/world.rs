//! The whole of stage 2: batches of counts go in, event time moves on, alerts and views come out.
//!
//! It must never look at a bucket before it closes, so that neither partitioning nor the cut of batches nor
//! the order of arrival within `disorder_max` shows in the alert log. Invariant: what was taken by
//! [`World::apply`] and the watermarks given to [`World::advance`] decide everything.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::accounting::{Accounting, Ledger, PairSums, PartitionAccount};
use super::buckets::{ChannelCell, CountCell, OpenBucket};
use super::catalogue::{Catalogue, other_def};
use super::chain::{Applied, Chain};
use super::channels::Channels;
use super::errors::ErrorRates;
use super::exposure::Exposure;
use super::gate::Gates;
use super::history::History;
use super::hosts::Hosts;
use super::learn::Merged;
use super::lifecycle::Book;
use super::mix::Mixes;
use super::name::{Name, Names};
use super::rates::{OpenMinute, detector};
use super::releases::Releases;
use super::scan::Detector;
use super::table::Table;
use super::{Position, view};
use crate::model::{
    AlertTransition, BUCKET_SECONDS, CountBatch, CountRow, EventTime, SignatureDef, SignatureId,
    Totals,
};
use crate::rules::RuleSet;

/// Rows of signatures in open buckets; past it new signatures of a bucket are counted as `(other)`.
// A million rows of about 300 bytes are 300 MB: the memory budget of a lagging partition.
const OPEN_ROWS_MAX: usize = 1_000_000;

/// Names of each sort that are told apart.
const NAMES_MAX: [(Sort, usize); 6] = [
    (Sort::Channel, 10_000),
    (Sort::Version, 2_000),
    (Sort::Group, 500),
    (Sort::Service, 500),
    (Sort::Host, 50_000),
    (Sort::Facet, 100_000),
];

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Channel,
    Version,
    Group,
    Service,
    Host,
    Facet,
}

/// How far event time has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// Start of the first bucket that closed.
    pub(super) started: Option<EventTime>,
    /// End of the last bucket that closed.
    pub(super) closed: Option<EventTime>,
    /// End of the last bucket that closed with anything in it.
    pub(super) last_data: Option<EventTime>,
    /// Latest event time seen.
    pub(super) seen: Option<EventTime>,
    /// Minutes that closed with anything in them: what was silent as a whole teaches nothing.
    pub(super) live_minutes: i64,
}

/// Sizes of what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Signatures.
    pub signatures: usize,
    /// Texts that are known by another one's id.
    pub aliases: usize,
    /// Series of the rate scan.
    pub series: usize,
    /// Channels.
    pub channels: usize,
    /// Hosts.
    pub hosts: usize,
    /// Buckets that are still open.
    pub open_buckets: usize,
    /// Rows in them.
    pub open_rows: usize,
    /// Alerts that could not fire because too many did.
    pub alerts_refused: u64,
}

/// Stage 2: everything that is known, as of the last closed bucket.
#[derive(Debug)]
pub struct World {
    pub(super) rules: Arc<RuleSet>,
    names: Vec<Names>,
    pub(super) chain: Chain,
    pub(super) ledger: Ledger,
    pub(super) open: Table<EventTime, OpenBucket>,
    pub(super) open_rows: usize,
    pub(super) minute: OpenMinute,
    pub(super) clock: Clock,
    pub(super) catalogue: Catalogue,
    pub(super) channels: Channels,
    pub(super) hosts: Hosts,
    pub(super) releases: Releases,
    pub(super) exposure: Exposure,
    pub(super) errors: ErrorRates,
    pub(super) mixes: Mixes,
    pub(super) scan: Detector,
    pub(super) scan_dirty: bool,
    pub(super) book: Book,
    pub(super) history: History,
    pub(super) gates: Gates,
    /// Signatures that were merged since the last checkpoint.
    pub(super) merged: Vec<Merged>,
}

impl World {
    /// Makes a world that has seen nothing.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            scan: detector(&rules.detect),
            rules,
            names: NAMES_MAX.iter().map(|(_, max)| Names::new(*max)).collect(),
            chain: Chain::default(),
            ledger: Ledger::default(),
            open: Table::default(),
            open_rows: 0,
            minute: OpenMinute::default(),
            clock: Clock::default(),
            catalogue: Catalogue::default(),
            channels: Channels::default(),
            hosts: Hosts::default(),
            releases: Releases::default(),
            exposure: Exposure::new(),
            errors: ErrorRates::default(),
            mixes: Mixes::default(),
            scan_dirty: false,
            book: Book::default(),
            history: History::default(),
            gates: Gates::default(),
            merged: Vec::new(),
        }
    }

    /// Takes a batch: counts it into the buckets that are still open, or as history where they closed already.
    pub fn apply(&mut self, batch: &CountBatch) -> Applied {
        let applied = self.chain.accept(batch);
        if matches!(applied, Applied::Duplicate | Applied::Overlap) {
            return applied;
        }
        self.clock.seen = self.clock.seen.max(batch.watermark);
        for row in &batch.counts {
            self.take_count(batch, row);
        }
        for row in &batch.channels {
            self.take_channel(batch, row);
        }
        for sample in &batch.samples {
            let Some(def) = batch.signatures.get(sample.signature as usize) else {
                continue;
            };
            let start = sample.at.floor(BUCKET_SECONDS);
            if self.is_open(start) {
                let bucket = self.open.entry(&start, OpenBucket::default);
                bucket.samples.push((def.id, sample.clone()));
            } else if let Some(signature) = self.catalogue.get_mut(def.id) {
                signature.keep_sample(sample);
            }
        }
        for marker in &batch.markers {
            self.releases.mark(marker.clone());
        }
        for record in &batch.exposures {
            let key = (
                self.name(Sort::Version, &record.version),
                self.name(Sort::Group, &record.group),
            );
            self.exposure.give(key, record);
        }
        applied
    }

    fn take_count(&mut self, batch: &CountBatch, row: &CountRow) {
        let Some(def) = batch.signatures.get(row.signature as usize) else {
            return;
        };
        let cell = self.count_cell(batch, row);
        let start = row.bucket.floor(BUCKET_SECONDS);
        if !self.is_open(start) {
            self.count_late(def, &cell, start);
            return;
        }
        let known = self.catalogue.contains(def.id);
        let full = self.open_rows >= OPEN_ROWS_MAX;
        let bucket = self.open.entry(&start, OpenBucket::default);
        let mut id = def.id;
        if full && !bucket.signatures.contains_key(&id) {
            let other = other_def(&def.channel);
            id = other.id;
            bucket.define(&other);
        } else if !known {
            bucket.define(def);
        }
        if !bucket.signatures.contains_key(&id) {
            self.open_rows += 1;
        }
        bucket.add_count(id, cell);
    }

    fn count_cell(&mut self, batch: &CountBatch, row: &CountRow) -> CountCell {
        let mut cell = CountCell {
            version: self.name(Sort::Version, batch.string(row.version)),
            group: self.name(Sort::Group, batch.string(row.group)),
            service: self.name(Sort::Service, batch.string(row.service)),
            events: row.events,
            first: row.first,
            last: row.last,
            hosts: Vec::with_capacity(row.hosts.len()),
            facets: Vec::with_capacity(row.facets.len()),
        };
        for (host, events) in &row.hosts {
            let host = self.name(Sort::Host, batch.string(*host));
            super::buckets::add_count(&mut cell.hosts, &host, *events);
        }
        for (name, value, events) in &row.facets {
            let name = self.name(Sort::Facet, batch.string(*name));
            let value = self.name(Sort::Facet, batch.string(*value));
            cell.add_facet(&(name, value, *events));
        }
        cell
    }

    fn take_channel(&mut self, batch: &CountBatch, row: &crate::model::ChannelRow) {
        let channel = self.name(Sort::Channel, batch.string(row.channel));
        let mut cell = ChannelCell {
            version: self.name(Sort::Version, batch.string(row.version)),
            group: self.name(Sort::Group, batch.string(row.group)),
            service: self.name(Sort::Service, batch.string(row.service)),
            level: row.level,
            counted: row.counted,
            capped: row.capped,
            rejected: row.rejected,
            events: row.events,
            bytes: row.bytes,
            hosts: Vec::with_capacity(row.hosts.len()),
        };
        for (host, records) in &row.hosts {
            let host = self.name(Sort::Host, batch.string(*host));
            super::buckets::add_count(&mut cell.hosts, &host, *records);
        }
        let sums = PairSums {
            counted: row.counted,
            capped: row.capped,
            rejected: row.rejected,
            events: row.events,
            bytes: row.bytes,
        };
        self.ledger.add(&channel, &cell.version, sums);
        let start = row.bucket.floor(BUCKET_SECONDS);
        if self.is_open(start) {
            let bucket = self.open.entry(&start, OpenBucket::default);
            bucket.add_channel(&channel, cell);
        } else {
            self.count_late_channel(&channel, cell, start);
        }
    }

    fn is_open(&self, start: EventTime) -> bool {
        self.clock.closed.is_none_or(|closed| start >= closed)
    }

    /// Adds events of a bucket that closed already: to the catalogue and the history, and to nothing that decides.
    fn count_late(&mut self, def: &SignatureDef, cell: &CountCell, start: EventTime) {
        let rules = Arc::clone(&self.rules);
        let Some(id) = self
            .catalogue
            .admit(def.id, Some(def), cell, &rules.signatures)
        else {
            return;
        };
        if let Some(signature) = self.catalogue.get_mut(id) {
            signature.count(cell, start);
        }
        self.history.signature(id, cell, start);
    }

    fn count_late_channel(&mut self, channel: &Name, cell: ChannelCell, start: EventTime) {
        self.history.channel(channel, &cell, start);
        let learning = !self.is_learned(start);
        let key = (cell.version.clone(), cell.group.clone());
        let records = cell.counted + cell.capped;
        if records > 0 {
            self.releases
                .count(&key, start, (records, &cell.hosts), learning);
        }
        self.channels.count(channel, &[cell], start);
    }

    /// Returns the shared form of a name of one sort.
    pub(super) fn name(&mut self, sort: Sort, text: &str) -> Name {
        match self.names.get_mut(sort as usize) {
            Some(names) => names.intern(text),
            None => Name::from(text),
        }
    }

    /// Tells whether enough was seen for anything but `new` on an announced release to be said.
    pub(super) fn is_learned(&self, at: EventTime) -> bool {
        self.clock.started.is_some_and(|started| {
            at.millis_since(started) >= self.rules.detect.learn_seconds * 1000
        })
    }

    /// Tells whether the rules want alerts about a channel.
    pub(super) fn alerts_in(&self, channel: &str) -> bool {
        self.rules.channel(channel).is_none_or(|it| it.alert)
    }

    /// Raises a problem.
    pub(super) fn raise(&mut self, at: EventTime, condition: super::lifecycle::Condition) {
        let id = condition.key.signature.map(|it| it.to_string());
        let known = self.rules.known(
            &condition.key.channel,
            &condition.template,
            id.as_deref().unwrap_or_default(),
        );
        self.book.raise(at, condition, known);
    }

    /// Returns the event time up to which all partitions are complete: the least watermark of those that are
    /// not idle; `None` while one has not begun or all are idle.
    pub fn watermark(&self) -> Option<EventTime> {
        self.chain.watermark()
    }

    /// Marks a source partition as having nothing to read at present, or as being read (again). A partition
    /// that is not known yet becomes known, so that the watermark waits for it.
    pub fn set_idle(&mut self, source: &str, topic: &str, partition: i32, idle: bool) {
        let key = (source.to_owned(), topic.to_owned(), partition);
        self.chain.set_idle(&key, idle);
    }

    /// Returns the time up to which buckets are closed: what views and alerts speak of.
    pub const fn clock(&self) -> Option<EventTime> {
        self.clock.closed
    }

    /// Returns the transitions since the last call, for the notifier.
    pub fn take_transitions(&mut self) -> Vec<AlertTransition> {
        self.book.take_notify()
    }

    /// Lists where each source partition goes on.
    pub fn positions(&self) -> Vec<Position> {
        self.chain.positions()
    }

    /// Returns where every record went.
    pub fn accounting(&self) -> Accounting {
        let mut total = Totals::default();
        let mut gap_records = 0;
        let mut partitions = Vec::new();
        for ((source, topic, partition), it) in self.chain.iter() {
            total.add(&it.totals);
            gap_records += it.gap_records;
            partitions.push(PartitionAccount {
                source: source.clone(),
                topic: topic.clone(),
                partition: *partition,
                next: it.next.unwrap_or_default(),
                totals: it.totals.clone(),
                gaps: it.gaps,
                gap_records: it.gap_records,
                duplicates: it.duplicates,
                overlaps: it.overlaps,
                idle: it.idle,
            });
        }
        Accounting {
            total,
            gap_records,
            partitions,
            channels: self.ledger.rows(),
        }
    }

    /// Returns the bytes that the rate scan holds, apart from signatures and aliases.
    pub fn scan_bytes(&self) -> usize {
        self.scan.bytes()
    }

    /// Returns how much is held.
    pub fn counts(&self) -> Counts {
        Counts {
            signatures: self.catalogue.len(),
            aliases: self.catalogue.learned.len(),
            series: self.scan.len(),
            channels: self.channels.table.len(),
            hosts: self.hosts.table.len(),
            open_buckets: self.open.len(),
            open_rows: self.open_rows,
            alerts_refused: self.book.refused,
        }
    }

    /// Lists the channels, loudest first.
    pub fn channels(&self) -> Vec<view::ChannelView> {
        let now = self.clock.closed.unwrap_or_default();
        let mut views: Vec<view::ChannelView> = self
            .channels
            .table
            .iter()
            .map(|(name, it)| it.view(name, now))
            .collect();
        views.sort_by(|a, b| {
            b.silent
                .cmp(&a.silent)
                .then_with(|| b.rate_per_min.total_cmp(&a.rate_per_min))
                .then_with(|| a.channel.cmp(&b.channel))
        });
        views
    }

    /// Returns the id that takes the events of a signature in a closing bucket.
    pub(super) fn admitted(
        &mut self,
        id: SignatureId,
        bucket: &OpenBucket,
        cell: &CountCell,
    ) -> Option<SignatureId> {
        self.catalogue
            .admit(id, bucket.defs.get(&id), cell, &self.rules.signatures)
    }
}
