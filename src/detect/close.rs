//! Closing buckets: the one place where counts become knowledge and decisions, in event time.
//!
//! Every 10 seconds: novelty, hosts, silent channels, the end of alerts. Every 60 seconds also: the rate scan,
//! mixes, errors of releases, floods, silent hosts. Invariant: closing an empty bucket more than
//! [`DEAD_SECONDS`] after the last event changes nothing but the clock, so long pauses may be skipped.

use std::collections::BTreeMap;

use super::World;
use super::buckets::{CountCell, OpenBucket};
use super::lifecycle::Condition;
use super::rates::OpenMinute;
use super::words;
use crate::model::{
    AlertKey, AlertKind, BUCKET_SECONDS, EventTime, Evidence, LevelClass, SCAN_SECONDS, Severity,
    SignatureId,
};

/// Seconds without any event after which every timer has run out.
// Longer than the longest quiet time after which an alert is over (4 h) by far.
const DEAD_SECONDS: i64 = 26 * 3600;

/// Seconds without any event after which the feed counts as gone.
const GONE_SECONDS: i64 = 300;

impl World {
    /// Moves event time on: closes every bucket that ended `disorder_max` before the watermark, in order.
    pub fn advance(&mut self, watermark: EventTime) {
        self.close_until(watermark.plus_millis(-self.rules.detect.disorder_max_ms));
    }

    /// Closes everything: the end of a replay.
    pub fn finish(&mut self) {
        let latest = self.chain.latest().max(self.clock.seen);
        let last_open = self.open.iter().next_back().map(|(start, _)| *start);
        let end = last_open
            .map(|it| it.plus_seconds(BUCKET_SECONDS))
            .max(latest);
        if let Some(end) = end {
            self.close_until(end);
        }
    }

    fn close_until(&mut self, limit: EventTime) {
        loop {
            let first_open = self.open.first_key().copied();
            let start = match self.clock.closed {
                Some(closed) => closed,
                None => match first_open {
                    Some(start) => start,
                    None => return,
                },
            };
            let dead = self
                .clock
                .last_data
                .is_some_and(|it| start.millis_since(it) > DEAD_SECONDS * 1000);
            if dead && first_open.is_none_or(|it| it > start) {
                // Nothing can happen until the next event: go there at once.
                let target = first_open.map_or(limit, |it| it.min(limit));
                let target = target.floor(BUCKET_SECONDS);
                if target > start {
                    self.clock.closed = Some(target);
                }
                if first_open.is_none_or(|it| it.plus_seconds(BUCKET_SECONDS) > limit) {
                    return;
                }
                continue;
            }
            let end = start.plus_seconds(BUCKET_SECONDS);
            if end > limit {
                return;
            }
            let mut bucket = if first_open == Some(start) {
                self.open.remove(&start).unwrap_or_default()
            } else {
                OpenBucket::default()
            };
            self.open_rows = self.open_rows.saturating_sub(bucket.signatures.len());
            bucket.sort();
            self.close(&bucket, start);
        }
    }

    fn close(&mut self, bucket: &OpenBucket, start: EventTime) {
        let at = start.plus_seconds(BUCKET_SECONDS);
        self.clock.started.get_or_insert(start);
        self.clock.closed = Some(at);
        if !bucket.channels.is_empty() || !bucket.signatures.is_empty() {
            self.clock.last_data = Some(at);
        }
        self.tell_gaps(at);
        self.count_channels(bucket, start);
        let touched = self.count_signatures(bucket, start);
        self.count_mixes(bucket, start);
        self.look_for_new(&touched, at);
        self.look_for_returns(&touched, at);
        self.look_for_bad_hosts(&touched, at);
        self.keep_alive(&touched);
        self.look_for_silent_channels(at);
        if at.seconds().rem_euclid(SCAN_SECONDS) == 0 {
            self.close_minute(at);
        }
        let channels = &self.channels;
        self.book.expire(at, |key| {
            // While its channel is silent we cannot know whether a signature is over.
            key.signature.is_some()
                && channels
                    .table
                    .get(&key.channel.as_str().into())
                    .is_some_and(|it| it.silent)
        });
    }

    fn count_channels(&mut self, bucket: &OpenBucket, start: EventTime) {
        let learning = !self.is_learned(start);
        for (name, cells) in &bucket.channels {
            self.channels.count(name, cells, start);
            for cell in cells {
                self.history.channel(name, cell, start);
                let records = cell.counted + cell.capped;
                if records == 0 {
                    continue;
                }
                let key = (cell.version.clone(), cell.group.clone());
                self.releases
                    .count(&key, start, (records, &cell.hosts), learning);
                let seen = self.minute.releases.entry(key).or_default();
                if cell.level.class() == LevelClass::Error {
                    // What was capped cannot be told apart; the channel's own alert speaks of it.
                    seen.errors += cell.events.saturating_sub(cell.capped);
                } else {
                    seen.others += records;
                }
            }
        }
        self.hosts.count(&bucket.channels, start);
    }

    /// Counts the signatures of a bucket; returns those that had events, with their number.
    fn count_signatures(
        &mut self,
        bucket: &OpenBucket,
        start: EventTime,
    ) -> Vec<(SignatureId, u64)> {
        // Signatures are admitted in the order of their first events, so that a full catalogue holds the
        // earlier ones on every node.
        let mut order: Vec<_> = bucket
            .signatures
            .iter()
            .map(|(id, cells)| (cells.iter().map(|it| it.first).min(), *id, cells))
            .collect();
        order.sort_by_key(|(first, id, _)| (*first, *id));
        // Several fingerprints may be one signature: it is counted once, with all of their events.
        let mut together: BTreeMap<SignatureId, Vec<&CountCell>> = BTreeMap::new();
        for (_, id, cells) in order {
            let admitted = cells
                .first()
                .and_then(|cell| self.admitted(id, bucket, cell));
            if let Some(id) = admitted {
                together.entry(id).or_default().extend(cells);
            }
        }
        let mut touched = Vec::with_capacity(together.len());
        for (id, cells) in together {
            if let Some(first) = cells.iter().map(|it| it.first).min() {
                self.note_return(id, first);
            }
            self.count_one(id, &cells, start);
            touched.push((id, cells.iter().map(|it| it.events).sum::<u64>()));
        }
        for (id, sample) in &bucket.samples {
            if let Some(signature) = self.catalogue.get_mut(*id) {
                signature.keep_sample(sample);
            }
        }
        touched
    }

    fn count_one(&mut self, id: SignatureId, cells: &[&CountCell], start: EventTime) {
        let Some(signature) = self.catalogue.get_mut(id) else {
            return;
        };
        let mut hosts = Vec::new();
        let mut events = 0;
        for cell in cells {
            signature.count(cell, start);
            self.history.signature(id, cell, start);
            events += cell.events;
            for (host, n) in &cell.hosts {
                super::buckets::add_count(&mut hosts, host, *n);
            }
            let version = self.releases.versions.get(&cell.version);
            let group = self.releases.groups.get(&cell.group);
            if let (Some(version), Some(group)) = (version, group) {
                let key = (signature.number, version.number, *group);
                *self.minute.counts.entry(key).or_default() += cell.events;
            }
        }
        signature.recent.add(start, &hosts, events);
        signature.last_live = self.clock.live_minutes;
    }

    /// Keeps the alerts about signatures with events alive.
    fn keep_alive(&mut self, touched: &[(SignatureId, u64)]) {
        for &(id, _) in touched {
            let Some(last) = self.catalogue.get(id).map(|it| it.last) else {
                continue;
            };
            let alive: Vec<_> = self
                .book
                .about(id)
                .into_iter()
                .filter(|it| {
                    matches!(
                        it.key.kind,
                        AlertKind::New | AlertKind::Resurfaced | AlertKind::BadHost
                    )
                })
                .map(|it| it.id.clone())
                .collect();
            for alert in alive {
                self.book.touch(&alert, last);
            }
        }
    }

    fn close_minute(&mut self, at: EventTime) {
        let minute = at.seconds().div_euclid(SCAN_SECONDS) - 1;
        let open = std::mem::take(&mut self.minute);
        let gone = self
            .clock
            .last_data
            .is_none_or(|it| at.millis_since(it) > GONE_SECONDS * 1000);
        if !gone {
            self.scan_live_minute(minute, &open, at);
        }
        self.look_for_mix_shifts(minute, at);
        self.look_for_floods(at);
        self.look_for_silent_hosts(at);
        if !open.releases.is_empty() {
            self.clock.live_minutes += 1;
            self.channels.learn(minute);
            self.hosts.learn(minute);
            self.releases.learn(minute);
        }
        self.learn_merges(minute, at);
        self.look_for_renamed(at);
        self.refresh_new();
        self.lift_mutes(at);
    }

    /// Compares rates with what is usual; not while the whole feed is gone, which says nothing of rates.
    fn scan_live_minute(&mut self, minute: i64, open: &OpenMinute, at: EventTime) {
        let cells = open.cells();
        let exposure = self.exposure.close(minute, &cells, &self.releases);
        for (key, it) in &exposure {
            if let Some(release) = self.releases.table.get_mut(key) {
                release.exposure += it;
            }
        }
        self.scan_dirty = true;
        // The errors of a whole release come first: what a single signature adds to them is weighed less.
        self.count_errors(minute, &open.releases, &exposure);
        self.look_for_error_rises(minute, at);
        self.scan_minute(minute, &cells, &exposure, at);
    }

    /// Brings the words of firing alerts about new signatures up to date.
    fn refresh_new(&mut self) {
        let firing: Vec<(SignatureId, AlertKey, Severity)> = self
            .book
            .firing()
            .into_iter()
            .filter(|it| it.key.kind == AlertKind::New)
            .filter_map(|it| Some((it.key.signature?, it.key.clone(), it.severity)))
            .collect();
        let Some(at) = self.clock.closed else { return };
        for (id, key, severity) in firing {
            if let Some(signature) = self.catalogue.get(id) {
                let condition = self.about_signature(key, severity, signature);
                self.raise(at, condition);
            }
        }
    }

    fn tell_gaps(&mut self, at: EventTime) {
        for ((source, topic, partition), gap) in self.chain.take_gaps(at) {
            let key = AlertKey {
                kind: AlertKind::DataGap,
                service: self.rules.fields.service_default.clone(),
                group: "*".to_owned(),
                version: "*".to_owned(),
                channel: format!("{topic}/{partition}"),
                signature: None,
                host: None,
            };
            let condition = Condition {
                key,
                severity: Severity::Warning,
                started_at: gap.at.unwrap_or(at),
                last_at: at,
                resolve_after: 1_800,
                template: String::new(),
                summary: words::summary(&format!(
                    "{} records of {topic} partition {partition} were gone before they could be read",
                    words::count(gap.records)
                )),
                description: format!(
                    "The source `{source}` no longer had {} records of {topic} partition {partition} when we came to them \
                     (its retention passed our position, or positions were lost). They are in no count; \
                     what is said of that time rests on the other records.",
                    words::count(gap.records)
                ),
                evidence: Evidence {
                    count: gap.records,
                    ..Evidence::default()
                },
                withheld: None,
            };
            self.raise(at, condition);
        }
    }
}
