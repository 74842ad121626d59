//! A record that stops the process is found and stepped over, so that it cannot stop it for ever.
//!
//! After an end that nobody asked for, a source writes down each record before it works on it. The record that
//! was in hand at two such ends in a row is poison: from the next start on it is counted as `internal_error`
//! and never worked on again. It must never blame a record for a `kill -9` alone: that finds another record in
//! hand each time. Invariant: what is written down names the record by place *and* content.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::detect::Position;
use crate::ingest::{Ingest, PartitionIndex};
use crate::model::{RawRecord, Rejection};

/// Ends in a row at which a record was in hand that make it poison.
// 2: with the first end, before anything was written down, the third start is the last that it stops
// (RELIABILITY.md §3, "crash loop on one message").
const ENDS_MAX: u32 = 2;

/// Hand-overs with records after which a source is careful no longer.
// The record that stopped us lies within the few hand-overs that were not stored yet.
const CAREFUL_CUTS: u32 = 100;

/// Poison records that are remembered; each is forgotten once its position is passed.
const POISON_MAX: usize = 64;

/// Version of the file.
const VERSION: u8 = 1;

/// First byte of the file of the record in hand: whether there is one.
const IN_HAND: &[u8] = b"1";
const NONE_IN_HAND: &[u8] = b"0";

/// Where a record lies and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    topic: String,
    partition: i32,
    offset: u64,
    /// Hash of the bytes, so that another record at the same place is not blamed.
    hash: String,
}

/// What a source remembers over its starts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    version: u8,
    /// Set while the source works; still set at a start after an end that nobody asked for.
    at_work: bool,
    suspect: Option<(Place, u32)>,
    poison: VecDeque<Place>,
}

/// Watches over the records of one source.
#[derive(Debug)]
pub struct Careful {
    ledger_path: PathBuf,
    ledger: Ledger,
    hand: Option<File>,
    /// Whether each record is written down before it is worked on.
    writes_down: bool,
    has_worked: bool,
    cuts_left: u32,
    stepped_over: Vec<String>,
    #[cfg(debug_assertions)]
    stops_at: Option<String>,
}

impl Careful {
    /// Takes up what was noted in `dir` about a source, and finds out how its last run ended.
    ///
    /// Where nothing can be noted, a source works all the same: a full disk must not keep it from starting.
    pub fn start(dir: &Path, source: &str, positions: &[Position]) -> Self {
        let name: String = blake3::hash(source.as_bytes())
            .to_hex()
            .chars()
            .take(16)
            .collect();
        let ledger_path = dir.join(format!("{name}.json"));
        let opened = fs::create_dir_all(dir).and_then(|()| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.join(format!("{name}.hand")))
        });
        let hand = opened.inspect_err(said).ok();
        let mut ledger = read_ledger(&ledger_path);
        let writes_down = ledger.at_work;
        if writes_down && let Some(place) = hand.as_ref().and_then(in_hand) {
            ledger.blame(source, place);
        }
        ledger.poison.retain(|it| !is_passed(source, it, positions));
        ledger.at_work = true;
        ledger.version = VERSION;
        let careful = Self {
            ledger_path,
            ledger,
            hand,
            writes_down,
            has_worked: false,
            cuts_left: CAREFUL_CUTS,
            stepped_over: Vec::new(),
            #[cfg(debug_assertions)]
            stops_at: stops_at(),
        };
        careful.note(NONE_IN_HAND);
        careful.save();
        careful
    }

    /// Works on one record, or steps over it if it stopped the process before; tells why, if it could not be counted.
    pub(super) fn work(
        &mut self,
        ingest: &mut Ingest,
        (index, topic, partition): (PartitionIndex, &str, i32),
        record: &RawRecord<'_>,
    ) -> Option<Rejection> {
        self.has_worked = true;
        if self.is_poison(topic, partition, record) {
            ingest.quarantine(index, record);
            let place = format!("{topic}/{partition} at {}", record.offset);
            tracing::error!(
                place,
                "a record has stopped the process again and again: it is stepped over and counted as internal_error"
            );
            self.stepped_over.push(place);
            return Some(Rejection::InternalError);
        }
        if self.writes_down {
            self.take_in_hand(topic, partition, record);
        }
        #[cfg(debug_assertions)]
        self.perhaps_stop(record);
        let rejected = ingest.record(index, record);
        if self.writes_down {
            self.note(NONE_IN_HAND);
        }
        rejected
    }

    /// Notes a hand-over; returns the places of the records that were stepped over since the last one.
    pub(super) fn cut(&mut self) -> Vec<String> {
        if std::mem::take(&mut self.has_worked) && self.writes_down {
            self.cuts_left -= 1;
            self.writes_down = self.cuts_left > 0;
        }
        std::mem::take(&mut self.stepped_over)
    }

    /// Notes that the source has ended as it should.
    pub(super) fn finish(&mut self) {
        self.ledger.at_work = false;
        self.ledger.suspect = None;
        self.save();
    }

    fn is_poison(&self, topic: &str, partition: i32, record: &RawRecord<'_>) -> bool {
        self.ledger.poison.iter().any(|it| {
            it.offset == record.offset
                && it.partition == partition
                && it.topic == topic
                && it.hash == hash_of(record)
        })
    }

    fn take_in_hand(&self, topic: &str, partition: i32, record: &RawRecord<'_>) {
        let place = Place {
            topic: topic.to_owned(),
            partition,
            offset: record.offset,
            hash: hash_of(record),
        };
        let mut line = IN_HAND.to_vec();
        if serde_json::to_writer(&mut line, &place).is_ok() {
            line.push(b'\n');
            self.note(&line);
        }
    }

    /// Notes what is in hand; what cannot be noted cannot be blamed, and that is all.
    fn note(&self, line: &[u8]) {
        if let Some(hand) = &self.hand {
            hand.write_all_at(line, 0).ok();
        }
    }

    fn save(&self) {
        let partial = self.ledger_path.with_extension("partial");
        let saved = serde_json::to_vec(&self.ledger)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&partial, text))
            .and_then(|()| fs::rename(partial, &self.ledger_path));
        saved.inspect_err(said).ok();
    }

    /// Ends the process as a record that we have a fault with would: a hidden way for tests, not in release builds.
    #[cfg(debug_assertions)]
    fn perhaps_stop(&self, record: &RawRecord<'_>) {
        let payload = record.payload.unwrap_or_default();
        if let Some(text) = &self.stops_at
            && memchr::memmem::find(payload, text.as_bytes()).is_some()
        {
            std::process::abort();
        }
    }
}

impl Ledger {
    /// Notes that the process ended with this record in hand.
    fn blame(&mut self, source: &str, place: Place) {
        let ends = match self.suspect.take() {
            Some((suspect, ends)) if suspect == place => ends + 1,
            _ => 1,
        };
        tracing::warn!(
            source,
            topic = place.topic,
            partition = place.partition,
            offset = place.offset,
            ends,
            "the process ended with this record in hand"
        );
        if ends < ENDS_MAX {
            self.suspect = Some((place, ends));
            return;
        }
        self.poison.push_back(place);
        if self.poison.len() > POISON_MAX {
            self.poison.pop_front();
        }
    }
}

fn said(error: &io::Error) {
    tracing::warn!(%error, "it cannot be noted which record is in hand: one that stops the process cannot be found out");
}

/// Reads the ledger; one that is not there or cannot be read knows nothing.
fn read_ledger(path: &Path) -> Ledger {
    let found: Option<Ledger> = fs::read(path)
        .ok()
        .and_then(|it| serde_json::from_slice(&it).ok());
    found.filter(|it| it.version == VERSION).unwrap_or_default()
}

/// Reads which record was in hand.
fn in_hand(hand: &File) -> Option<Place> {
    // 4 KiB: topic names have at most 249 bytes, names of files at most 255.
    let mut bytes = [0; 4096];
    let n = hand.read_at(&mut bytes, 0).ok()?;
    let text = bytes.get(..n)?.strip_prefix(IN_HAND)?;
    let line = text.split(|&it| it == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

fn is_passed(source: &str, place: &Place, positions: &[Position]) -> bool {
    positions.iter().any(|it| {
        it.source == source
            && it.topic == place.topic
            && it.partition == place.partition
            && it.next > place.offset
    })
}

fn hash_of(record: &RawRecord<'_>) -> String {
    let hash = blake3::hash(record.payload.unwrap_or_default()).to_hex();
    hash.chars().take(16).collect()
}

/// Returns the text whose record stops the process, if a test wants that.
#[cfg(debug_assertions)]
#[expect(
    clippy::disallowed_methods,
    reason = "a failpoint of tests, which no configuration may reach"
)]
fn stops_at() -> Option<String> {
    std::env::var("FATALMONITOR_FAILPOINT_RECORD").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::decode::Dialect;
    use crate::ingest::{Clock, Resume};
    use crate::model::EventTime;
    use crate::rules::RuleSet;
    use std::sync::Arc;

    fn record(offset: u64) -> RawRecord<'static> {
        RawRecord {
            offset,
            next_offset: offset + 1,
            payload: Some(b"{}"),
            arrived: EventTime::from_seconds(1),
        }
    }

    /// A start whose process ends with the record at this offset in hand.
    fn ends_at(dir: &Path, offset: u64) {
        let careful = Careful::start(dir, "s", &[]);
        if careful.writes_down {
            careful.take_in_hand("t", 0, &record(offset));
        }
    }

    fn is_poison(dir: &Path, offset: u64, positions: &[Position]) -> bool {
        let mut careful = Careful::start(dir, "s", positions);
        let found = careful.is_poison("t", 0, &record(offset));
        careful.finish();
        found
    }

    #[test]
    fn a_record_in_hand_at_two_ends_in_a_row_is_poison_until_it_is_passed() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            ends_at(dir.path(), 7);
        }
        assert!(!is_poison(dir.path(), 8, &[]));
        assert!(is_poison(dir.path(), 7, &[]));
        let position = Position {
            source: "s".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
            next: 8,
            watermark: None,
            limiter: Vec::new(),
        };
        assert!(!is_poison(dir.path(), 7, &[position]));
    }

    #[test]
    fn ends_at_different_records_and_orderly_ends_blame_nobody() {
        let dir = tempfile::tempdir().unwrap();
        for offset in 0..20 {
            ends_at(dir.path(), offset);
        }
        assert!((0..20).all(|it| !is_poison(dir.path(), it, &[])));
        ends_at(dir.path(), 7);
        ends_at(dir.path(), 7);
        Careful::start(dir.path(), "s", &[]).finish();
        ends_at(dir.path(), 7);
        ends_at(dir.path(), 7);
        assert!(!is_poison(dir.path(), 7, &[]));
    }

    #[test]
    fn a_poison_record_is_counted_without_being_worked_on_or_shown() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            ends_at(dir.path(), 7);
        }
        let mut careful = Careful::start(dir.path(), "s", &[]);
        let rules = Arc::new(RuleSet::built_in());
        let mut ingest = Ingest::new(rules, Dialect::Mediawiki, Clock::Arrival);
        let index = ingest.open("s", "t", 0, &Resume::default());
        let rejected = careful.work(&mut ingest, (index, "t", 0), &record(7));
        assert_eq!(rejected, Some(Rejection::InternalError));
        assert_eq!(careful.cut(), ["t/0 at 7"]);
        let batch = ingest.cut().remove(0);
        assert_eq!(batch.totals.rejected[Rejection::InternalError.index()], 1);
        assert_eq!(
            batch.rejected[0].text,
            "2 bytes, not shown: they stopped the process"
        );
    }

    #[test]
    fn the_ledger_of_the_first_release_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.json");
        let text = r#"{"version":1,"at_work":true,"suspect":[{"topic":"t","partition":0,"offset":7,"hash":"00"},1],"poison":[{"topic":"t","partition":1,"offset":9,"hash":"01"}]}"#;
        fs::write(&path, text).unwrap();
        let ledger = read_ledger(&path);
        assert_eq!(serde_json::to_string(&ledger).unwrap(), text);
    }
}
