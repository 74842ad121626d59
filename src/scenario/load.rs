//! A load for tests and measurements, with the exact counts that a right reader arrives at.
//!
//! The expected counts come from what was *meant* by each record when it was made, never from reading it
//! again, so they can judge a decoder.

use std::collections::BTreeMap;

use serde::Serialize;

use super::random::{Rng, mix};
use super::template::push_number;
use crate::model::{EventTime, Rejection};

/// How the records of a load look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Today's `MediaWiki` JSON.
    MediaWiki,
    /// Elastic Common Schema.
    Ecs,
    /// A text line as `MediaWiki` has written since February 2016: time, host, wiki, version, channel, level, message.
    Line,
}

/// What a load is made of.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// How many records.
    pub records: u64,
    /// Over how many partitions they are spread, in turn.
    pub partitions: u32,
    /// Dialects, drawn evenly.
    pub dialects: Vec<Dialect>,
    /// Share of records that no reader can count.
    pub broken_share: f64,
    /// In which ways they are broken, drawn evenly. Possible are `Syntax`, `Depth`, `NotObject`, `BadTime`, `Tombstone`.
    pub broken: Vec<Rejection>,
    /// Another seed gives other records.
    pub seed: u64,
    /// Channels, drawn evenly.
    pub channels: Vec<String>,
    /// Versions, drawn evenly.
    pub versions: Vec<String>,
    /// Time of the first record.
    pub start: EventTime,
    /// Milliseconds from one record to the next.
    pub step_ms: i64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            records: 1_000_000,
            partitions: 6,
            dialects: vec![Dialect::MediaWiki, Dialect::Ecs, Dialect::Line],
            broken_share: 0.01,
            broken: vec![
                Rejection::Syntax,
                Rejection::Depth,
                Rejection::NotObject,
                Rejection::BadTime,
                Rejection::Tombstone,
            ],
            seed: 1,
            channels: [
                "exception",
                "session",
                "DBPerformance",
                "memcached",
                "fatal",
            ]
            .map(str::to_owned)
            .to_vec(),
            versions: ["1.27.0-wmf.10", "1.27.0-wmf.11"]
                .map(str::to_owned)
                .to_vec(),
            start: EventTime::from_millis(1_453_248_000_000),
            step_ms: 1,
        }
    }
}

/// What a right reader arrives at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// Records by channel and version.
    pub by_channel_version: BTreeMap<(String, String), u64>,
    /// Records by partition, from 0 on.
    pub by_partition: Vec<PartitionExpected>,
    /// Rejected records by reason.
    pub rejected: BTreeMap<Rejection, u64>,
    /// All records.
    pub read: u64,
    /// Records that count.
    pub counted: u64,
}

/// What a right reader arrives at in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionExpected {
    /// All records.
    pub read: u64,
    /// Records that count.
    pub counted: u64,
    /// Records that were rejected.
    pub rejected: u64,
}

/// A load being made. Its records depend only on the options; one is made when it is asked for.
#[derive(Debug)]
pub struct Load {
    options: LoadOptions,
    next: u64,
    expected: Expected,
    /// Counts by place of channel and version, so that no name is copied for a record.
    counts: Vec<u64>,
    text: String,
}

/// Place of a record that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadItem {
    /// Partition that it goes to.
    pub partition: u32,
    /// Whether it has no value at all (a tombstone); the buffer is empty then.
    pub tombstone: bool,
    /// When it happened.
    pub at: EventTime,
}

/// What a record is meant to be.
#[derive(Clone, Copy, Debug)]
struct Meant {
    at: EventTime,
    channel: usize,
    version: usize,
    how: Option<Rejection>,
}

/// Starts a load.
pub fn load(options: LoadOptions) -> Load {
    let n_cells = options.channels.len() * options.versions.len();
    Load {
        expected: Expected {
            by_partition: vec![PartitionExpected::default(); options.partitions.max(1) as usize],
            ..Expected::default()
        },
        counts: vec![0; n_cells],
        next: 0,
        text: String::new(),
        options,
    }
}

impl Load {
    /// Writes the next record over `payload`; `None` at the end.
    pub fn next_into(&mut self, payload: &mut Vec<u8>) -> Option<LoadItem> {
        payload.clear();
        if self.next >= self.options.records {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let mut rng = Rng::new(mix(self.options.seed, number));
        let steps = i64::try_from(number).unwrap_or(i64::MAX);
        let at = self
            .options
            .start
            .plus_millis(steps.saturating_mul(self.options.step_ms));
        let partition = number % u64::from(self.options.partitions.max(1));
        let partition = u32::try_from(partition).unwrap_or_default();
        let is_broken = rng.unit() < self.options.broken_share;
        let how = is_broken
            .then(|| {
                self.options
                    .broken
                    .get(rng.index(self.options.broken.len()))
            })
            .flatten()
            .copied();
        let channel = rng.index(self.options.channels.len());
        let version = rng.index(self.options.versions.len());
        if how != Some(Rejection::Tombstone) {
            let meant = Meant {
                at,
                channel,
                version,
                how,
            };
            self.write(&meant, &mut rng, payload);
        }
        self.note(partition, (channel, version), how);
        Some(LoadItem {
            partition,
            tombstone: how == Some(Rejection::Tombstone),
            at,
        })
    }

    /// Returns what a right reader arrives at for the records made so far.
    pub fn expected(&self) -> Expected {
        let mut expected = self.expected.clone();
        let names = self.options.channels.iter().flat_map(|channel| {
            let versions = self.options.versions.iter();
            versions.map(move |version| (channel.clone(), version.clone()))
        });
        for (name, &count) in names.zip(&self.counts).filter(|it| *it.1 > 0) {
            *expected.by_channel_version.entry(name).or_default() += count;
        }
        expected
    }

    fn note(&mut self, partition: u32, cell: (usize, usize), how: Option<Rejection>) {
        let expected = &mut self.expected;
        expected.read += 1;
        let Some(of_partition) = expected.by_partition.get_mut(partition as usize) else {
            return;
        };
        of_partition.read += 1;
        if let Some(reason) = how {
            of_partition.rejected += 1;
            *expected.rejected.entry(reason).or_default() += 1;
            return;
        }
        of_partition.counted += 1;
        expected.counted += 1;
        let place = cell.0 * self.options.versions.len() + cell.1;
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    fn write(&mut self, meant: &Meant, rng: &mut Rng, payload: &mut Vec<u8>) {
        let channel = self.options.channels.get(meant.channel);
        let channel = channel.map_or("-", |it| it);
        let version = self.options.versions.get(meant.version);
        let version = version.map_or("-", |it| it);
        let text = &mut self.text;
        text.clear();
        match meant.how {
            Some(Rejection::Depth) => {
                // One level more than the 127 that readers of JSON go down.
                text.push_str("{\"channel\":\"deep\",\"message\":");
                (0..200).for_each(|_| text.push('['));
                (0..200).for_each(|_| text.push(']'));
                text.push('}');
            }
            Some(Rejection::NotObject) => text.push_str("[1,2,3]"),
            Some(Rejection::BadTime) => {
                write_media_wiki("9999-12-31T23:59:59.000+00:00", channel, version, rng, text);
            }
            Some(_) => {
                let stamp = meant.at.to_string();
                write_media_wiki(&stamp, channel, version, rng, text);
                let half = text.len() / 2;
                text.truncate(half);
            }
            None => {
                let stamp = meant.at.to_string();
                let dialect = self
                    .options
                    .dialects
                    .get(rng.index(self.options.dialects.len()));
                match dialect {
                    Some(Dialect::Ecs) => write_ecs(&stamp, channel, version, rng, text),
                    Some(Dialect::Line) => write_line(&stamp, channel, version, rng, text),
                    Some(Dialect::MediaWiki) | None => {
                        write_media_wiki(&stamp, channel, version, rng, text);
                    }
                }
            }
        }
        payload.extend_from_slice(text.as_bytes());
    }
}

impl Iterator for Load {
    type Item = (u32, Option<Vec<u8>>);

    /// Returns partition and bytes of the next record (`None` for a tombstone); [`Load::next_into`] is the fast way.
    fn next(&mut self) -> Option<Self::Item> {
        let mut payload = Vec::new();
        let item = self.next_into(&mut payload)?;
        Some((item.partition, (!item.tombstone).then_some(payload)))
    }
}

const WIKIS: [&str; 6] = [
    "enwiki",
    "dewiki",
    "commonswiki",
    "testwiki",
    "frwiktionary",
    "jawiki",
];

/// Writes one of a few dozen messages with changing numbers in it.
fn write_message(rng: &mut Rng, text: &mut String) {
    const SUBJECTS: [&str; 6] = ["page", "user", "session", "job", "file", "revision"];
    const VERBS: [&str; 5] = ["cannot load", "timed out on", "lost", "repeated", "refused"];
    text.push_str(
        VERBS
            .get(rng.index(VERBS.len()))
            .copied()
            .unwrap_or_default(),
    );
    text.push(' ');
    text.push_str(
        SUBJECTS
            .get(rng.index(SUBJECTS.len()))
            .copied()
            .unwrap_or_default(),
    );
    text.push(' ');
    push_number(u64::from(rng.below(1_000_000)), text);
    text.push_str(" after ");
    push_number(u64::from(rng.below(5_000)) + 1, text);
    text.push_str(" ms");
}

fn write_host(rng: &mut Rng, text: &mut String) {
    text.push_str("mw");
    push_number(u64::from(rng.below(250)) + 1001, text);
}

fn write_wiki(rng: &mut Rng, text: &mut String) {
    text.push_str(
        WIKIS
            .get(rng.index(WIKIS.len()))
            .copied()
            .unwrap_or_default(),
    );
}

fn push_all(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

fn write_media_wiki(stamp: &str, channel: &str, version: &str, rng: &mut Rng, text: &mut String) {
    push_all(
        text,
        &[
            "{\"@timestamp\":\"",
            stamp,
            "\",\"type\":\"mediawiki\",\"channel\":\"",
            channel,
        ],
    );
    push_all(
        text,
        &[
            "\",\"level\":\"ERROR\",\"mwversion\":\"",
            version,
            "\",\"host\":\"",
        ],
    );
    write_host(rng, text);
    text.push_str("\",\"wiki\":\"");
    write_wiki(rng, text);
    text.push_str("\",\"message\":\"");
    write_message(rng, text);
    text.push_str("\"}");
}

fn write_ecs(stamp: &str, channel: &str, version: &str, rng: &mut Rng, text: &mut String) {
    push_all(
        text,
        &[
            "{\"@timestamp\":\"",
            stamp,
            "\",\"ecs\":{\"version\":\"1.11.0\"},\"log\":{\"level\":\"ERROR\"}",
        ],
    );
    push_all(
        text,
        &[
            ",\"service\":{\"type\":\"mediawiki\",\"version\":\"",
            version,
            "\"}",
        ],
    );
    text.push_str(",\"host\":{\"name\":\"");
    write_host(rng, text);
    push_all(
        text,
        &["\"},\"labels\":{\"channel\":\"", channel, "\",\"wiki\":\""],
    );
    write_wiki(rng, text);
    text.push_str("\"},\"message\":\"");
    write_message(rng, text);
    text.push_str("\"}");
}

fn write_line(stamp: &str, channel: &str, version: &str, rng: &mut Rng, text: &mut String) {
    // The line has seconds only: `2016-02-08 01:20:03`.
    let date = stamp.get(..10).unwrap_or_default();
    let time = stamp.get(11..19).unwrap_or_default();
    push_all(text, &[date, " ", time, " "]);
    write_host(rng, text);
    text.push(' ');
    write_wiki(rng, text);
    push_all(text, &[" ", version, " ", channel, " ERROR: "]);
    write_message(rng, text);
    text.push_str(" {}");
}
