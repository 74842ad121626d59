//! Sums the events of one source partition into the rows of a [`CountBatch`].
//!
//! Hot path: after warm-up an event costs look-ups in maps with small keys and no allocation. Invariant:
//! the sums do not depend on the order of the events within the batch.

use rapidhash::RapidHashMap;

use crate::model::{
    BUCKET_SECONDS, ChannelRow, CountBatch, CountRow, EventTime, Level, SignatureDef, Symbols,
};

/// The parts of an event that say where it is counted; numbers are the worker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Channel.
    pub channel: u32,
    /// Version.
    pub version: u32,
    /// Group.
    pub group: u32,
    /// Service.
    pub service: u32,
    /// Host.
    pub host: u32,
    /// Level.
    pub level: Level,
    /// Event time.
    pub at: EventTime,
}

/// What became of a record of a known channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Counted in full.
    Counted,
    /// Past the cap.
    Capped,
    /// Rejected.
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CountKey {
    signature: u32,
    version: u32,
    group: u32,
    service: u32,
    bucket: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ChannelKey {
    channel: u32,
    version: u32,
    group: u32,
    service: u32,
    level: Level,
    bucket: i64,
}

#[derive(Clone, Copy, Debug)]
struct CountSum {
    events: u64,
    first: EventTime,
    last: EventTime,
}

#[derive(Clone, Copy, Debug, Default)]
struct ChannelSum {
    counted: u64,
    capped: u64,
    rejected: u64,
    events: u64,
    bytes: u64,
}

/// Sums of one source partition since the last cut.
#[derive(Debug, Default)]
pub(super) struct Combiner {
    count_index: RapidHashMap<CountKey, u32>,
    counts: Vec<(CountKey, CountSum)>,
    count_hosts: RapidHashMap<(u32, u32), u64>,
    count_facets: RapidHashMap<(u32, u32, u32), u64>,
    channel_index: RapidHashMap<ChannelKey, u32>,
    channels: Vec<(ChannelKey, ChannelSum)>,
    channel_hosts: RapidHashMap<(u32, u32), u64>,
}

impl Combiner {
    /// Adds a record to its channel's sums.
    pub(super) fn add_channel(
        &mut self,
        place: Place,
        outcome: Outcome,
        events: u32,
        bytes: usize,
    ) {
        let key = ChannelKey {
            channel: place.channel,
            version: place.version,
            group: place.group,
            service: place.service,
            level: place.level,
            bucket: place.at.floor(BUCKET_SECONDS).millis(),
        };
        let next = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        let row = *self.channel_index.entry(key).or_insert(next);
        if row == next {
            self.channels.push((key, ChannelSum::default()));
        }
        let Some((_, sum)) = self.channels.get_mut(row as usize) else {
            return;
        };
        match outcome {
            Outcome::Counted => sum.counted += 1,
            Outcome::Capped => sum.capped += 1,
            Outcome::Rejected => sum.rejected += 1,
        }
        sum.bytes += bytes as u64;
        if outcome != Outcome::Rejected {
            sum.events += u64::from(events);
            *self.channel_hosts.entry((row, place.host)).or_insert(0) += 1;
        }
    }

    /// Adds an event to its signature's sums and returns the row, for [`Combiner::add_facet`].
    pub(super) fn add_count(&mut self, signature: u32, place: Place, events: u32) -> u32 {
        let key = CountKey {
            signature,
            version: place.version,
            group: place.group,
            service: place.service,
            bucket: place.at.floor(BUCKET_SECONDS).millis(),
        };
        let next = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
        let row = *self.count_index.entry(key).or_insert(next);
        if row == next {
            self.counts.push((
                key,
                CountSum {
                    events: 0,
                    first: place.at,
                    last: place.at,
                },
            ));
        }
        if let Some((_, sum)) = self.counts.get_mut(row as usize) {
            sum.events += u64::from(events);
            sum.first = sum.first.min(place.at);
            sum.last = sum.last.max(place.at);
        }
        *self.count_hosts.entry((row, place.host)).or_insert(0) += u64::from(events);
        row
    }

    /// Adds a facet value to a row.
    pub(super) fn add_facet(&mut self, row: u32, name: u32, value: u32, events: u32) {
        *self.count_facets.entry((row, name, value)).or_insert(0) += u64::from(events);
    }

    /// Returns how many rows a cut would hand over; a bound on its memory.
    pub(super) fn rows(&self) -> usize {
        self.counts.len() + self.channels.len() + self.count_hosts.len() + self.channel_hosts.len()
    }

    /// Moves the sums into a batch, with names and signature definitions, and starts afresh.
    pub(super) fn cut(
        &mut self,
        batch: &mut CountBatch,
        names: &Symbols,
        definitions: &[SignatureDef],
    ) {
        let mut table = Table::default();
        batch.counts = self.take_counts(&mut table, names, definitions);
        batch.channels = self.take_channels(&mut table, names);
        batch.strings = table.strings;
        batch.signatures = table.signatures;
    }

    fn take_counts(
        &mut self,
        table: &mut Table,
        names: &Symbols,
        definitions: &[SignatureDef],
    ) -> Vec<CountRow> {
        let mut rows: Vec<CountRow> = self
            .counts
            .drain(..)
            .map(|(key, sum)| CountRow {
                signature: table.signature(key.signature, definitions),
                version: table.string(key.version, names),
                group: table.string(key.group, names),
                service: table.string(key.service, names),
                bucket: EventTime::from_millis(key.bucket),
                events: sum.events,
                first: sum.first,
                last: sum.last,
                hosts: Vec::new(),
                facets: Vec::new(),
            })
            .collect();
        self.count_index.clear();
        // The order of these drains is that of a hash map; it is undone by the sorts below.
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every list is sorted before it leaves"
        )]
        for ((row, host), events) in self.count_hosts.drain() {
            if let Some(row) = rows.get_mut(row as usize) {
                row.hosts.push((host, events));
            }
        }
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every list is sorted before it leaves"
        )]
        for ((row, name, value), events) in self.count_facets.drain() {
            if let Some(row) = rows.get_mut(row as usize) {
                row.facets.push((name, value, events));
            }
        }
        for row in &mut rows {
            row.hosts.sort_by_key(|&(host, _)| names.name(host));
            row.facets
                .sort_by_key(|&(name, value, _)| (names.name(name), names.name(value)));
            for (host, _) in &mut row.hosts {
                *host = table.string(*host, names);
            }
            for (name, value, _) in &mut row.facets {
                *name = table.string(*name, names);
                *value = table.string(*value, names);
            }
        }
        rows
    }

    fn take_channels(&mut self, table: &mut Table, names: &Symbols) -> Vec<ChannelRow> {
        let mut rows: Vec<ChannelRow> = self
            .channels
            .drain(..)
            .map(|(key, sum)| ChannelRow {
                channel: table.string(key.channel, names),
                version: table.string(key.version, names),
                group: table.string(key.group, names),
                service: table.string(key.service, names),
                level: key.level,
                bucket: EventTime::from_millis(key.bucket),
                counted: sum.counted,
                capped: sum.capped,
                rejected: sum.rejected,
                events: sum.events,
                bytes: sum.bytes,
                hosts: Vec::new(),
            })
            .collect();
        self.channel_index.clear();
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every list is sorted before it leaves"
        )]
        for ((row, host), records) in self.channel_hosts.drain() {
            if let Some(row) = rows.get_mut(row as usize) {
                row.hosts.push((host, records));
            }
        }
        for row in &mut rows {
            row.hosts.sort_by_key(|&(host, _)| names.name(host));
            for (host, _) in &mut row.hosts {
                *host = table.string(*host, names);
            }
        }
        rows
    }
}

/// The batch's own tables, filled as rows refer to them.
#[derive(Default)]
struct Table {
    string_of: RapidHashMap<u32, u32>,
    strings: Vec<String>,
    signature_of: RapidHashMap<u32, u32>,
    signatures: Vec<SignatureDef>,
}

impl Table {
    fn string(&mut self, number: u32, names: &Symbols) -> u32 {
        let next = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        let index = *self.string_of.entry(number).or_insert(next);
        if index == next {
            self.strings.push(names.name(number).to_owned());
        }
        index
    }

    fn signature(&mut self, number: u32, definitions: &[SignatureDef]) -> u32 {
        let next = u32::try_from(self.signatures.len()).unwrap_or(u32::MAX);
        let index = *self.signature_of.entry(number).or_insert(next);
        if index == next
            && let Some(definition) = definitions.get(number as usize)
        {
            self.signatures.push(definition.clone());
        }
        index
    }
}
