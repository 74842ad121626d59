//! What stage 1 knows of one source partition: its stretch, its clock, its sums.

use rapidhash::RapidHashMap;

use super::combine::Combiner;
use super::fingerprint;
use super::limiter::Limiter;
use super::{Clock, Resume};
use crate::model::{
    CountBatch, DeployMarker, EventTime, ExposureRecord, Flag, Flags, RawRecord, RejectedSample,
    Rejection, Sample, SignatureDef, SourceRange, Symbols, Totals,
};

/// How far a record's time may lie after its arrival before it counts as wrong.
// 10 min: RELIABILITY.md §3, "producer clock skew"; Loki's creation_grace_period has the same default.
const FUTURE_MAX_SECONDS: i64 = 600;

/// How far a record may lie behind its partition before only its total is kept.
// 7 d: RELIABILITY.md §3; Loki's reject_old_samples_max_age has the same default.
const AGE_MAX_SECONDS: i64 = 7 * 86_400;

/// How far the record's own clock may jump ahead at once where nothing else tells the time (replay).
const JUMP_MAX_SECONDS: i64 = 86_400;

/// Jumps in a row after which the new time is believed.
const JUMPS_BELIEVED: u32 = 10;

/// Redacted examples of rejected records in one batch.
const REJECTED_SAMPLES_MAX: usize = 8;

/// Bytes of a rejected record that are shown.
const REJECTED_TEXT_MAX: usize = 512;

/// What stage 1 knows of one source partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) range: SourceRange,
    pub(super) totals: Totals,
    pub(super) arrived_max: Option<EventTime>,
    pub(super) watermark: Option<EventTime>,
    /// Whether any record since the start had a time of its own.
    has_times: bool,
    pub(super) jumps: u32,
    pub(super) limiter: Limiter,
    pub(super) combiner: Combiner,
    pub(super) samples: Vec<Sample>,
    pub(super) sample_signatures: Vec<u32>,
    pub(super) rejected: Vec<RejectedSample>,
    pub(super) markers: Vec<DeployMarker>,
    pub(super) exposures: Vec<ExposureRecord>,
    pub(super) latency: RapidHashMap<u64, u64>,
}

impl Partition {
    /// Takes a partition up where it was left.
    pub(super) fn new(range: SourceRange, resume: &Resume, limiter: Limiter) -> Self {
        Self {
            range,
            totals: Totals::default(),
            arrived_max: None,
            watermark: resume.watermark,
            has_times: false,
            jumps: 0,
            limiter,
            combiner: Combiner::default(),
            samples: Vec::new(),
            sample_signatures: Vec::new(),
            rejected: Vec::new(),
            markers: Vec::new(),
            exposures: Vec::new(),
            latency: RapidHashMap::default(),
        }
    }
}

impl Partition {
    pub(super) fn start_record(&mut self, record: &RawRecord<'_>) {
        self.range.to = record.next_offset;
        self.totals.bytes += record.payload.map_or(0, <[u8]>::len) as u64;
        self.arrived_max = self.arrived_max.max(Some(record.arrived));
    }

    pub(super) fn reject(&mut self, reason: Rejection, record: &RawRecord<'_>) {
        self.totals.read += 1;
        if let Some(sum) = self.totals.rejected.get_mut(reason.index()) {
            *sum += 1;
        }
        if reason.intentional() || self.rejected.len() >= REJECTED_SAMPLES_MAX {
            return;
        }
        let bytes = record.payload.unwrap_or_default();
        let shown = bytes.get(..REJECTED_TEXT_MAX).unwrap_or(bytes);
        let mut text = String::new();
        fingerprint::redact::redact(&String::from_utf8_lossy(shown), &mut text);
        self.rejected.push(RejectedSample {
            reason,
            offset: record.offset,
            text,
        });
    }

    /// Counts a record that may not be looked at, not even to redact it.
    pub(super) fn quarantine(&mut self, record: &RawRecord<'_>) {
        let n_bytes = record.payload.map_or(0, <[u8]>::len);
        let nothing = RawRecord {
            payload: None,
            ..*record
        };
        self.reject(Rejection::InternalError, &nothing);
        if let Some(sample) = self.rejected.last_mut()
            && sample.offset == record.offset
        {
            sample.text = format!("{n_bytes} bytes, not shown: they stopped the process");
        }
    }

    pub(super) fn cut(&mut self, names: &Symbols, definitions: &[SignatureDef]) -> CountBatch {
        let mut batch = CountBatch {
            range: self.range.clone(),
            arrived_max: self.arrived_max.take(),
            watermark: self.watermark,
            totals: std::mem::take(&mut self.totals),
            rejected: std::mem::take(&mut self.rejected),
            markers: std::mem::take(&mut self.markers),
            exposures: std::mem::take(&mut self.exposures),
            limiter: self.limiter.rows(|number| names.name(number).to_owned()),
            ..CountBatch::default()
        };
        self.combiner.cut(&mut batch, names, definitions);
        batch.latency_ms = self.latency.drain().collect();
        batch.latency_ms.sort_unstable();
        self.give_samples(&mut batch, definitions);
        self.range.from = self.range.to;
        self.range.gap = 0;
        batch
    }

    pub(super) fn give_samples(&mut self, batch: &mut CountBatch, definitions: &[SignatureDef]) {
        let numbers = std::mem::take(&mut self.sample_signatures);
        for (mut sample, number) in std::mem::take(&mut self.samples).into_iter().zip(numbers) {
            let id = definitions.get(number as usize).map(|it| it.id);
            let place = batch.signatures.iter().position(|it| Some(it.id) == id);
            if let Some(place) = place.and_then(|it| u32::try_from(it).ok()) {
                sample.signature = place;
                batch.samples.push(sample);
            }
        }
    }
}

impl Partition {
    /// Decides the time under which an event is counted.
    pub(super) fn place_in_time(
        &mut self,
        clock: Clock,
        time: Option<EventTime>,
        arrived: EventTime,
        flags: &mut Flags,
    ) -> Result<EventTime, Rejection> {
        let Some(mut time) = time else {
            let time = match clock {
                Clock::Arrival => arrived,
                Clock::Record => self.watermark.ok_or(Rejection::BadTime)?,
            };
            // Where no record has a time of its own, the arrivals are the clock; elsewhere they would run ahead of it.
            if !self.has_times {
                self.watermark = self.watermark.max(Some(time));
            }
            return Ok(time);
        };
        let limit = match (clock, self.watermark) {
            (Clock::Arrival, _) => arrived.plus_seconds(FUTURE_MAX_SECONDS),
            (Clock::Record, Some(watermark)) if self.jumps < JUMPS_BELIEVED => {
                watermark.plus_seconds(JUMP_MAX_SECONDS)
            }
            (Clock::Record, _) => EventTime::MAX,
        };
        if time > limit {
            self.jumps += 1;
            flags.insert(Flag::FutureClamped);
            time = match clock {
                Clock::Arrival => arrived,
                Clock::Record => self.watermark.unwrap_or(time),
            };
        } else {
            self.jumps = 0;
        }
        if self
            .watermark
            .is_some_and(|it| time < it.plus_seconds(-AGE_MAX_SECONDS))
        {
            return Err(Rejection::TooOld);
        }
        self.has_times = true;
        // A record that claims a time shortly after its arrival keeps it, but does not push the watermark past what has arrived.
        let reached = if clock == Clock::Arrival {
            time.min(arrived)
        } else {
            time
        };
        if self.watermark.is_none_or(|it| reached > it) {
            self.watermark = Some(reached);
        }
        Ok(time)
    }

    pub(super) fn note(&mut self, flags: Flags, arrived: EventTime, time: EventTime) {
        if !flags.is_empty() {
            for (sum, flag) in self.totals.flags.iter_mut().zip(Flag::ALL) {
                *sum += u64::from(flags.contains(flag));
            }
        }
        let late = u64::try_from(arrived.millis_since(time)).unwrap_or(0);
        *self.latency.entry(rounded(late)).or_insert(0) += 1;
    }
}

/// Rounds milliseconds up to 1, 2 or 5 times a power of ten, so that a batch carries few distinct ones.
fn rounded(millis: u64) -> u64 {
    let mut unit = 1;
    while unit < 1_000_000_000 {
        for step in [unit, unit * 2, unit * 5] {
            if millis <= step {
                return step;
            }
        }
        unit *= 10;
    }
    unit
}
