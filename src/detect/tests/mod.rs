//! What holds for the whole of stage 2, with batches made by hand.

mod exact;
mod kinds;
mod merges;
mod people;
mod queries;
mod renames;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Applied, World};
use crate::model::{
    Alert, AlertKind, AlertState, AlertTransition, ChannelRow, CountBatch, CountRow, EventTime,
    Level, SignatureDef, SignatureId, SourceRange,
};
use crate::rules::{BUILT_IN, RuleSet};

/// Where every story begins: 18 January 2016, 00:00 UTC.
pub(super) const START: i64 = 1_453_075_200;

/// One record, or several equal ones.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Milliseconds after [`START`].
    pub(super) at: i64,
    pub(super) channel: &'static str,
    pub(super) level: Level,
    pub(super) template: String,
    pub(super) version: &'static str,
    pub(super) group: &'static str,
    pub(super) host: String,
    pub(super) status: Option<&'static str>,
    pub(super) events: u64,
    pub(super) capped: bool,
}

/// Makes a line; the rest is set by [`Line`]'s methods.
pub(super) fn line(
    at: i64,
    channel: &'static str,
    level: Level,
    template: &str,
    host: &str,
) -> Line {
    Line {
        at,
        channel,
        level,
        template: template.to_owned(),
        version: "v1",
        group: "group1",
        host: host.to_owned(),
        status: None,
        events: 1,
        capped: false,
    }
}

impl Line {
    pub(super) fn on(mut self, version: &'static str, group: &'static str) -> Self {
        self.version = version;
        self.group = group;
        self
    }

    fn time(&self) -> EventTime {
        EventTime::from_millis(START * 1000 + self.at)
    }

    /// Returns the id of its signature.
    pub(super) fn id(&self) -> SignatureId {
        self.def().id
    }

    pub(super) fn def(&self) -> SignatureDef {
        let joined: Vec<(String, String)> = self
            .status
            .map(|it| ("status".to_owned(), it.to_owned()))
            .into_iter()
            .collect();
        let text = format!(
            "{}/{}/{:?}/{}",
            self.channel,
            self.level.class().name(),
            self.status,
            self.template
        );
        let bytes = blake3::hash(text.as_bytes());
        SignatureDef {
            id: SignatureId(u128::from_be_bytes(
                bytes.as_bytes()[..16].try_into().unwrap(),
            )),
            channel: self.channel.to_owned(),
            level: self.level,
            template: self.template.clone(),
            exception: None,
            frame: None,
            joined,
        }
    }
}

/// Returns seconds after the start as a time.
pub(super) fn time(seconds: i64) -> EventTime {
    EventTime::from_seconds(START + seconds)
}

/// Returns the built-in rules and some of one's own; 600 s of learning.
pub(super) fn rules(own: &str) -> Arc<RuleSet> {
    let own = if own.contains("[detect]") {
        own.to_owned()
    } else {
        format!("{own}\n[detect]\nlearn_seconds = 600\n")
    };
    Arc::new(RuleSet::parse(&[("built-in", BUILT_IN), ("own", &own)]).unwrap())
}

/// Rows of a batch in the making, by what they count.
#[derive(Default)]
struct Rows {
    counts: BTreeMap<(u32, u32, u32, i64), CountRow>,
    channels: BTreeMap<(u32, u32, u32, Level, i64), ChannelRow>,
}

/// Makes the batch of some lines of one partition.
pub(super) fn batch(partition: i32, from: u64, lines: &[Line], watermark: EventTime) -> CountBatch {
    let mut out = CountBatch {
        range: SourceRange {
            source: "s".to_owned(),
            topic: "t".to_owned(),
            partition,
            from,
            to: from + lines.len() as u64,
            gap: 0,
        },
        watermark: Some(watermark),
        strings: vec![String::new()],
        ..CountBatch::default()
    };
    let mut rows = Rows::default();
    for it in lines {
        out.totals.read += 1;
        out.totals.bytes += 100;
        rows.add_channel(&mut out, it);
        if it.capped {
            out.totals.capped += 1;
        } else {
            out.totals.counted += 1;
            rows.add_count(&mut out, it);
        }
    }
    out.counts = rows.counts.into_values().collect();
    out.channels = rows.channels.into_values().collect();
    assert!(out.is_conserved());
    out
}

impl Rows {
    fn add_channel(&mut self, out: &mut CountBatch, it: &Line) {
        let bucket = it.time().floor(10);
        let (channel, version) = (name(out, it.channel), name(out, it.version));
        let (group, service) = (name(out, it.group), name(out, "mediawiki"));
        let key = (channel, version, group, it.level, bucket.millis());
        let row = self.channels.entry(key).or_insert_with(|| ChannelRow {
            channel,
            version,
            group,
            service,
            level: it.level,
            bucket,
            counted: 0,
            capped: 0,
            rejected: 0,
            events: 0,
            bytes: 0,
            hosts: Vec::new(),
        });
        row.events += it.events;
        row.bytes += 100;
        row.capped += u64::from(it.capped);
        row.counted += u64::from(!it.capped);
        add(&mut row.hosts, name(out, &it.host), 1);
    }

    fn add_count(&mut self, out: &mut CountBatch, it: &Line) {
        let at = it.time();
        let bucket = at.floor(10);
        let (version, group) = (name(out, it.version), name(out, it.group));
        let service = name(out, "mediawiki");
        let def = it.def();
        let place = out.signatures.iter().position(|known| known.id == def.id);
        let place = place.unwrap_or_else(|| {
            out.signatures.push(def);
            out.signatures.len() - 1
        });
        let signature = u32::try_from(place).unwrap();
        let key = (signature, version, group, bucket.millis());
        let row = self.counts.entry(key).or_insert_with(|| CountRow {
            signature,
            version,
            group,
            service,
            bucket,
            events: 0,
            first: at,
            last: at,
            hosts: Vec::new(),
            facets: Vec::new(),
        });
        row.events += it.events;
        row.first = row.first.min(at);
        row.last = row.last.max(at);
        add(&mut row.hosts, name(out, &it.host), it.events);
    }
}

fn name(batch: &mut CountBatch, text: &str) -> u32 {
    let place = batch.strings.iter().position(|it| it == text);
    let place = place.unwrap_or_else(|| {
        batch.strings.push(text.to_owned());
        batch.strings.len() - 1
    });
    u32::try_from(place).unwrap()
}

fn add(counts: &mut Vec<(u32, u64)>, key: u32, n: u64) {
    match counts.binary_search_by_key(&key, |it| it.0) {
        Ok(place) => counts[place].1 += n,
        Err(place) => counts.insert(place, (key, n)),
    }
}

/// A world that is fed from one partition.
pub(super) struct Feed {
    pub(super) world: World,
    pub(super) log: Vec<AlertTransition>,
    next: u64,
}

impl Feed {
    pub(super) fn new(rules: &Arc<RuleSet>) -> Self {
        Self {
            world: World::new(Arc::clone(rules)),
            log: Vec::new(),
            next: 0,
        }
    }

    /// Plays lines minute by minute, and time on to `until` seconds.
    pub(super) fn play(&mut self, mut lines: Vec<Line>, until: i64) {
        lines.sort_by_key(|it| it.at);
        for part in lines.chunk_by(|a, b| a.at / 60_000 == b.at / 60_000) {
            let last = part.last().unwrap().at;
            let watermark = EventTime::from_millis(START * 1000 + last);
            let batch = batch(0, self.next, part, watermark);
            self.next = batch.range.to;
            assert_eq!(self.world.apply(&batch), Applied::Counted);
            self.world.advance(watermark);
        }
        self.world.advance(time(until).plus_seconds(5));
        self.log.extend(self.world.take_transitions());
    }

    /// Returns the firings of a kind so far.
    pub(super) fn firings(&self, kind: AlertKind) -> Vec<&AlertTransition> {
        self.log
            .iter()
            .filter(|it| it.to == AlertState::Firing && it.alert.key.kind == kind)
            .collect()
    }

    /// Returns the only firing of a kind.
    pub(super) fn only(&self, kind: AlertKind) -> &AlertTransition {
        let firings = self.firings(kind);
        assert_eq!(firings.len(), 1, "{:#?}", self.sentences());
        firings[0]
    }

    /// Returns everything that was said, for messages.
    pub(super) fn sentences(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|it| {
                let Alert { key, summary, .. } = &it.alert;
                format!("{} {:?} {} {summary}", it.at, it.to, key.kind)
            })
            .collect()
    }
}

/// Returns ordinary traffic from one time to another (seconds): 12 hosts, both groups on the versions given.
pub(super) fn traffic(from: i64, to: i64, group1: &'static str, group2: &'static str) -> Vec<Line> {
    let mut lines = Vec::new();
    for second in from..to {
        let n = second.unsigned_abs();
        let host = format!("mw{}", 1 + n % 12);
        let group = if n % 5 == 0 { "group1" } else { "group2" };
        let version = if group == "group1" { group1 } else { group2 };
        let at = second * 1000 + 137;
        lines.push(line(at, "api", Level::Info, "API call", &host).on(version, group));
        if n % 3 == 0 {
            let it = line(at + 5, "session", Level::Warning, "Bad metadata", &host);
            lines.push(it.on(version, group));
        }
        if n % 20 == 0 {
            let it = line(
                at + 9,
                "exception",
                Level::Error,
                "Lock wait timeout",
                &host,
            );
            lines.push(it.on(version, group));
        }
    }
    lines
}
