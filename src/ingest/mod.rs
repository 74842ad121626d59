//! Stage 1: records become counts. Decode, cap, fingerprint, combine; one [`Ingest`] a worker thread.
//!
//! Pure: time comes from records, bytes come from the caller, and what it found leaves as a
//! [`CountBatch`]. Nothing that a record holds can stop it. Invariant: every record that is read is
//! counted, capped or rejected with a reason, and the batch says how many of each.

mod combine;
pub mod decode;
pub mod fingerprint;
mod identify;
mod limiter;
mod partition;
pub mod rule_tests;

use std::borrow::Cow;
use std::sync::Arc;

use rapidhash::RapidHashMap;

use self::combine::{Outcome, Place};
use self::decode::{Decoder, Dialect};
use self::identify::Identifier;
use self::limiter::Limiter;
use self::partition::Partition;
use crate::model::{
    CountBatch, Decoded, EventTime, LimiterRow, LogEvent, RawRecord, Rejection, SourceRange,
    Symbols,
};
use crate::rules::{DropRule, RuleSet, glob_matches};

/// Most events that one record may claim to stand for.
// The decoder of plain lines has the same bound: a claim is text, and text is hostile.
const REPEAT_MAX: u32 = 1_000_000;

/// Names that a worker keeps before it starts its table afresh at a cut.
const NAMES_MAX: usize = 200_000;

/// What tells how late a record is and whether its time can be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time at which the log took the record in.
    Arrival,
    /// The record's own time: replay and demo, where the past is played as if it were now.
    Record,
}

/// Where a partition goes on.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// Position of the next record.
    pub next: u64,
    /// Watermark so far.
    pub watermark: Option<EventTime>,
    /// State of the caps.
    pub limiter: Vec<LimiterRow>,
}

/// Stage 1 of one worker thread.
#[derive(Debug)]
pub struct Ingest {
    decoder: Decoder,
    work: Work,
}

/// Everything but the decoder, so that an event borrowed from the decoder can be worked on.
#[derive(Debug)]
struct Work {
    rules: Arc<RuleSet>,
    clock: Clock,
    identifier: Identifier,
    names: Symbols,
    captured: Vec<(u32, bool)>,
    caps: RapidHashMap<u32, u32>,
    partitions: Vec<Partition>,
}

/// Number of a partition within one [`Ingest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionIndex(usize);

impl Ingest {
    /// Makes a worker for one source.
    pub fn new(rules: Arc<RuleSet>, dialect: Dialect, clock: Clock) -> Self {
        let decoder = Decoder::new(Arc::clone(&rules), dialect);
        let mut work = Work {
            identifier: Identifier::new(Arc::clone(&rules)),
            rules,
            clock,
            names: Symbols::default(),
            captured: Vec::new(),
            caps: RapidHashMap::default(),
            partitions: Vec::new(),
        };
        work.start_names();
        Self { decoder, work }
    }

    /// Takes up a partition where it was left.
    pub fn open(
        &mut self,
        source: &str,
        topic: &str,
        partition: i32,
        resume: &Resume,
    ) -> PartitionIndex {
        let names = &mut self.work.names;
        let limiter = Limiter::restore(&resume.limiter, |name| names.intern(name));
        let (from, to) = (resume.next, resume.next);
        let range = SourceRange {
            source: source.to_owned(),
            topic: topic.to_owned(),
            partition,
            from,
            to,
            gap: 0,
        };
        self.work
            .partitions
            .push(Partition::new(range, resume, limiter));
        PartitionIndex(self.work.partitions.len() - 1)
    }

    /// Notes that the source no longer has the records before `next`: they are a gap, never silence.
    pub fn skip_to(&mut self, index: PartitionIndex, next: u64) {
        if let Some(it) = self.work.partitions.get_mut(index.0)
            && next > it.range.to
        {
            it.range.gap += next - it.range.to;
            it.range.to = next;
        }
    }

    /// Moves over a place that holds no record, such as a blank line.
    pub fn step_over(&mut self, index: PartitionIndex, next: u64) {
        if let Some(it) = self.work.partitions.get_mut(index.0) {
            it.range.to = it.range.to.max(next);
        }
    }

    /// Steps over one record that cannot be worked on, and counts it.
    pub fn quarantine(&mut self, index: PartitionIndex, record: &RawRecord<'_>) {
        let Some(partition) = self.work.partitions.get_mut(index.0) else {
            return;
        };
        partition.start_record(record);
        partition.quarantine(record);
    }

    /// Works on one record; tells why, if it could not be decoded.
    pub fn record(&mut self, index: PartitionIndex, record: &RawRecord<'_>) -> Option<Rejection> {
        let partition = self.work.partitions.get_mut(index.0)?;
        partition.start_record(record);
        if record.payload.is_none() {
            partition.reject(Rejection::Tombstone, record);
            return None;
        }
        let mut undecodable = None;
        let work = &mut self.work;
        self.decoder.decode(record, &mut |found| match found {
            Ok(Decoded::Event(event)) => work.event(index, record, &unfolded(event)),
            Ok(Decoded::Marker(marker)) => {
                if let Some(it) = work.partitions.get_mut(index.0) {
                    it.totals.control += 1;
                    it.markers.push(marker);
                }
            }
            Ok(Decoded::Exposure(exposure)) => {
                if let Some(it) = work.partitions.get_mut(index.0) {
                    it.totals.control += 1;
                    it.exposures.push(exposure);
                }
            }
            Err(reason) => {
                undecodable = Some(reason);
                if let Some(it) = work.partitions.get_mut(index.0) {
                    it.reject(reason, record);
                }
            }
        });
        undecodable
    }

    /// Returns how many rows wait to be cut over all partitions: a bound on memory.
    pub fn rows(&self) -> usize {
        self.work
            .partitions
            .iter()
            .map(|it| it.combiner.rows())
            .sum()
    }

    /// Hands over what each partition has counted since the last cut; partitions without news give nothing.
    pub fn cut(&mut self) -> Vec<CountBatch> {
        let work = &mut self.work;
        let mut batches = Vec::new();
        for partition in &mut work.partitions {
            if partition.range.from != partition.range.to {
                batches.push(partition.cut(&work.names, work.identifier.definitions()));
            }
        }
        work.shrink();
        batches
    }
}

impl Work {
    fn event(&mut self, index: PartitionIndex, record: &RawRecord<'_>, event: &LogEvent<'_>) {
        let Some(partition) = self.partitions.get_mut(index.0) else {
            return;
        };
        let channel = if event.channel.is_empty() {
            "-"
        } else {
            &*event.channel
        };
        let service = if event.service.is_empty() {
            &self.rules.fields.service_default
        } else {
            &*event.service
        };
        let mut flags = event.flags;
        let time = match partition.place_in_time(self.clock, event.time, record.arrived, &mut flags)
        {
            Ok(time) => time,
            Err(reason) => {
                // The bucket of the watermark: its own time cannot be trusted, and the channel's sum must not lose it.
                let at = partition.watermark.unwrap_or(record.arrived);
                let place = self.names.place(channel, service, event, at);
                partition.reject(reason, record);
                partition
                    .combiner
                    .add_channel(place, Outcome::Rejected, 1, bytes_of(record));
                return;
            }
        };
        let place = self.names.place(channel, service, event, time);
        if self
            .rules
            .drops
            .iter()
            .any(|it| is_dropped(it, channel, event))
        {
            partition.reject(Rejection::Filtered, record);
            partition
                .combiner
                .add_channel(place, Outcome::Rejected, 1, bytes_of(record));
            return;
        }
        partition.totals.read += 1;
        let rules = &self.rules;
        let cap = *self
            .caps
            .entry(place.channel)
            .or_insert_with(|| rules.caps.events_per_second(channel));
        if !partition.limiter.admit(place.channel, time.seconds(), cap) {
            partition.totals.capped += 1;
            partition
                .combiner
                .add_channel(place, Outcome::Capped, event.repeat, bytes_of(record));
            return;
        }
        partition.totals.counted += 1;
        partition.note(flags, record.arrived, time);
        partition
            .combiner
            .add_channel(place, Outcome::Counted, event.repeat, bytes_of(record));
        self.count(index, place, event);
    }

    /// Counts an event under its signature.
    fn count(&mut self, index: PartitionIndex, place: Place, event: &LogEvent<'_>) {
        let Some(partition) = self.partitions.get_mut(index.0) else {
            return;
        };
        let signature = self
            .identifier
            .signature(self.names.name(place.channel), event);
        let row = partition.combiner.add_count(signature, place, event.repeat);
        for (field, value) in &event.context {
            if let Some(&(name, true)) = self.captured.get(usize::from(*field)) {
                partition
                    .combiner
                    .add_facet(row, name, self.names.intern(value), event.repeat);
            }
        }
        if self.identifier.wants_sample(signature, place.at) {
            partition.samples.push(identify::sample(event, place.at));
            partition.sample_signatures.push(signature);
        }
    }

    fn start_names(&mut self) {
        let fields = &self.rules.fields;
        self.captured = fields
            .captured_names()
            .map(|name| {
                (
                    self.names.intern(name),
                    fields.facets.iter().any(|it| it == name),
                )
            })
            .collect();
    }

    /// Starts tables afresh that hostile input has blown up; only right after a cut, when nothing refers to them.
    fn shrink(&mut self) {
        self.identifier.shrink();
        if self.names.len() <= NAMES_MAX {
            return;
        }
        let old = std::mem::take(&mut self.names);
        self.caps.clear();
        self.start_names();
        for partition in &mut self.partitions {
            let names = &mut self.names;
            partition
                .limiter
                .renumber(|number| names.intern(old.name(number)));
        }
    }
}

trait PlaceNames {
    fn place(&mut self, channel: &str, service: &str, event: &LogEvent<'_>, at: EventTime)
    -> Place;
}

impl PlaceNames for Symbols {
    fn place(
        &mut self,
        channel: &str,
        service: &str,
        event: &LogEvent<'_>,
        at: EventTime,
    ) -> Place {
        Place {
            channel: self.intern(bounded(channel)),
            version: self.intern(bounded(&event.version)),
            group: self.intern(bounded(&event.group)),
            service: self.intern(bounded(service)),
            host: self.intern(bounded(&event.host)),
            level: event.level,
            at,
        }
    }
}

/// Longest name of a channel, version, group, service, host or facet value, in bytes.
const NAME_MAX: usize = 128;

fn bounded(name: &str) -> &str {
    if name.len() <= NAME_MAX {
        return name;
    }
    name.get(..name.floor_char_boundary(NAME_MAX))
        .unwrap_or_default()
}

/// Unfolds rsyslog's "message repeated N times: [ … ]" where it stands in the message of a structured record.
fn unfolded(mut event: LogEvent<'_>) -> LogEvent<'_> {
    let (times, inner) = fingerprint::prefix::repeated(&event.message);
    if times > 1 && event.repeat == 1 {
        event.repeat = u32::try_from(times).unwrap_or(REPEAT_MAX).min(REPEAT_MAX);
        event.message = Cow::Owned(inner.to_owned());
    }
    event
}

fn bytes_of(record: &RawRecord<'_>) -> usize {
    record.payload.map_or(0, <[u8]>::len)
}

fn is_dropped(rule: &DropRule, channel: &str, event: &LogEvent<'_>) -> bool {
    glob_matches(&rule.channel, channel)
        && rule.level_max.is_none_or(|it| event.level <= it)
        && rule
            .contains
            .as_ref()
            .is_none_or(|it| event.message.contains(it.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_message_in_json_counts_as_often_as_it_says_under_the_same_signature() {
        let mut ingest = Ingest::new(
            Arc::new(RuleSet::built_in()),
            Dialect::Mediawiki,
            Clock::Record,
        );
        let index = ingest.open("s", "t", 0, &Resume::default());
        for (offset, message) in (0_u64..).zip([
            "disk 7 is full",
            "message repeated 12 times: [ disk 9 is full]",
        ]) {
            let text = format!(
                "{{\"@timestamp\":\"2016-01-20T01:20:03Z\",\"channel\":\"a\",\"level\":\"ERROR\",\"host\":\"h\",\"message\":\"{message}\"}}"
            );
            let payload = Some(text.as_bytes());
            let arrived = EventTime::from_seconds(1_453_252_803);
            ingest.record(
                index,
                &RawRecord {
                    offset,
                    next_offset: offset + 1,
                    payload,
                    arrived,
                },
            );
        }
        let batches = ingest.cut();
        assert_eq!(
            batches[0].signatures.len(),
            1,
            "{:?}",
            batches[0].signatures
        );
        assert_eq!(
            batches[0].counts.iter().map(|it| it.events).sum::<u64>(),
            13
        );
        assert_eq!((batches[0].totals.read, batches[0].totals.counted), (2, 2));
    }
}
