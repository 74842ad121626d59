//! One occurrence: who, where, on which version, and the records that it writes.

use super::{Due, ScenarioItem, Stream, UDP2LOG_TOPIC};
use crate::model::EventTime;
use crate::scenario::file::Shape;
use crate::scenario::plan::{Emitter, Hush, Plan, TOPICS};
use crate::scenario::random::Rng;
use crate::scenario::record::{Frame, render, write_2016, write_today};
use crate::scenario::template::{Scene, push_ip, push_number};

/// An occurrence that has lines left to write.
#[derive(Clone, Debug, Default)]
pub(super) struct Occurrence {
    pub(super) emitter: usize,
    pub(super) host: usize,
    pub(super) wiki: usize,
    pub(super) version: usize,
    pub(super) at_ms: i64,
    pub(super) micros: u32,
    pub(super) exception_id: u32,
    pub(super) request_id: String,
    pub(super) url: String,
    pub(super) ip: String,
    pub(super) method: &'static str,
    /// First line still to write, and the one after the last.
    pub(super) next: usize,
    pub(super) end: usize,
}

impl Stream {
    /// Draws who and where; leaves nothing to write if it does not happen there.
    pub(super) fn begin(&mut self, due: Due) {
        let plan = &self.plan;
        let rng = &mut self.rng;
        let Some(window) = plan.windows.get(usize::from(due.window)) else {
            return;
        };
        let Some(emitter) = plan.emitters.get(window.emitter) else {
            return;
        };
        let host_place = due
            .host
            .map_or_else(|| emitter.host_pick.pick(rng), usize::from);
        let host = emitter.hosts.get(host_place).copied().unwrap_or_default();
        let wiki = if window.wikis.is_empty() {
            let picked = window.group_pick.pick(rng);
            let group = window.groups.get(picked).copied().unwrap_or_default();
            let wikis = plan.fleet.group_wikis(group);
            wikis.and_then(|(places, table)| places.get(table.pick(rng)))
        } else {
            window.wikis.get(rng.index(window.wikis.len()))
        };
        let (Some(&wiki), Some(host_ref)) = (wiki, plan.fleet.hosts.get(host)) else {
            return;
        };
        let at_ms = (self.second - 1) * 1000 + i64::from(due.milli);
        let at = EventTime::from_millis(at_ms);
        let unit = plan.fleet.wikis.get(wiki).map_or(0, |it| it.unit);
        let running = self.running.get(unit);
        let deployed = running.map_or(0, |it| it.version(host_ref.salt, at_ms));
        let version = match emitter.versions.first() {
            Some(&first) if emitter.stale => first,
            Some(_) if !emitter.versions.contains(&deployed) => return,
            _ => deployed,
        };
        let is_hushed = |it: &Hush| it.host == Some(host) && at >= it.from && at < it.to;
        if plan.hushes.iter().any(is_hushed) {
            return;
        }
        let (next, end) = if emitter.together {
            (0, emitter.lines.len())
        } else {
            let picked = emitter.line_pick.pick(rng);
            (picked, picked + 1)
        };
        let it = &mut self.occurrence;
        (it.next, it.end) = (next, end);
        (it.emitter, it.host, it.wiki, it.version) = (window.emitter, host, wiki, version);
        (it.at_ms, it.micros) = (at_ms, u32::from(due.milli) * 1000 + rng.below(900));
        it.exception_id = rng.below(u32::MAX);
        draw_request(it, emitter, plan, rng);
    }

    /// Tells whether the channel of the next line writes nothing at the moment.
    pub(super) fn line_is_hushed(&self) -> bool {
        let it = &self.occurrence;
        let emitter = self.plan.emitters.get(it.emitter);
        let Some(line) = emitter.and_then(|emitter| emitter.lines.get(it.next)) else {
            return false;
        };
        let at = EventTime::from_millis(it.at_ms);
        self.plan.hushes.iter().any(|hush| {
            hush.channel.as_deref() == Some(&line.channel) && at >= hush.from && at < hush.to
        })
    }

    /// Writes the next line of the occurrence at hand.
    pub(super) fn write_line(&mut self, payload: &mut Vec<u8>) -> ScenarioItem {
        let plan = &self.plan;
        let it = &mut self.occurrence;
        let mut item = ScenarioItem {
            at: EventTime::from_millis(it.at_ms),
            topic: UDP2LOG_TOPIC,
            key: u32::try_from(it.host).unwrap_or_default(),
        };
        let emitter = plan.emitters.get(it.emitter);
        let line = emitter.and_then(|emitter| emitter.lines.get(it.next));
        it.next += 1;
        let (Some(emitter), Some(line)) = (emitter, line) else {
            return item;
        };
        let (Some(host), Some(wiki)) =
            (plan.fleet.hosts.get(it.host), plan.fleet.wikis.get(it.wiki))
        else {
            return item;
        };
        let (path, number) = line
            .places
            .get(it.version)
            .map_or(("", 0), |it| (&it.0, it.1));
        let scene = Scene {
            lists: &plan.lists,
            exception_id: it.exception_id,
            request_id: &it.request_id,
            url: &it.url,
            wiki: &wiki.name,
            server: &wiki.server,
            version: plan.versions.get(it.version).map_or("", |it| it),
            path,
            line: number,
            method: it.method,
            exception_message: "",
        };
        let frame = Frame {
            second: &self.stamp,
            syslog_second: &self.syslog_stamp,
            micros: it.micros,
            host: &host.name,
            servergroup: &host.servergroup,
            section: &wiki.section,
            job: emitter.job,
            ip: &it.ip,
        };
        it.micros += 90;
        render(line, &scene, &mut self.rng, &mut self.scratch);
        match plan.shape {
            Shape::Today => {
                item.topic = TOPICS.get(line.severity).copied().unwrap_or(UDP2LOG_TOPIC);
                write_today(line, &scene, &frame, &mut self.scratch, payload);
            }
            Shape::Jan2016 => write_2016(line, &scene, &frame, &mut self.scratch, payload),
        }
        item
    }
}

/// Draws what belongs to the request: id, address, method, URL.
fn draw_request(it: &mut Occurrence, emitter: &Emitter, plan: &Plan, rng: &mut Rng) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@-";
    it.request_id.clear();
    for _ in 0..3 {
        let mut bits = rng.bits();
        for _ in 0..8 {
            let letter = LETTERS.get(usize::try_from(bits & 63).unwrap_or_default());
            it.request_id.push(letter.map_or('A', |&it| char::from(it)));
            bits >>= 6;
        }
    }
    it.url.clear();
    it.ip.clear();
    if emitter.job {
        it.url.push_str("[no req]");
        it.method = "";
        return;
    }
    push_ip(rng, &mut it.ip);
    if emitter.regular {
        it.method = "GET";
        it.url.push_str("/w/health-check.php");
        return;
    }
    it.method = if rng.below(5) == 0 { "POST" } else { "GET" };
    let stem = plan.lists.pick("url", rng);
    for letter in stem.chars() {
        if letter == '#' {
            push_number(u64::from(rng.below(90_000_000)), &mut it.url);
        } else {
            it.url.push(letter);
        }
    }
}
