//! Which versions there are, in which order they were deployed, which group runs what, and what was announced.
//!
//! What runs is read from the stream; markers only add times and names. Invariant: the order of two
//! versions depends on when they were deployed, on their text only where both were there from the start.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::channels::minute_before;
use super::name::{Name, natural_order};
use super::table::Table;
use super::tally::{HostTally, Minutes};
use super::view::ReleaseView;
use crate::model::{DeployMarker, EventTime, MarkerKind};

/// Versions that are told apart by the rate scan; the pool of names bounds them as well.
const MARKERS_MAX: usize = 10_000;

/// Minutes with most of a group's traffic after which a version is a reference for it: a day.
// DETECTION_METHOD.md §1.
const REFERENCE_MINUTES: u32 = 1440;

/// A version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Its number in the rate scan.
    pub(super) number: u32,
    pub(super) first: EventTime,
    /// Whether it ran when we began to look, so that its deployment lies before that.
    pub(super) initial: bool,
}

/// A version on a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) events: u64,
    pub(super) hosts: HostTally,
    pub(super) records: Minutes,
    /// Sum of its exposure, in the unit of the source in use.
    pub(super) exposure: f64,
    /// Minutes in which it had most of its group's records.
    pub(super) majority_minutes: u32,
}

/// Key of a release: version, group.
pub(super) type ReleaseKey = (Name, Name);

/// All versions, releases and markers.
#[derive(Debug, Default)]
pub(super) struct Releases {
    pub(super) versions: Table<Name, Version>,
    pub(super) groups: Table<Name, u32>,
    pub(super) table: Table<ReleaseKey, Release>,
    pub(super) markers: Table<String, DeployMarker>,
}

impl Releases {
    /// Counts records of a version on a group in one closed (or late) bucket.
    pub(super) fn count(
        &mut self,
        key: &ReleaseKey,
        bucket: EventTime,
        (records, hosts): (u64, &super::buckets::NameCounts),
        learning: bool,
    ) {
        let number = u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        if !self.versions.contains(&key.0) {
            self.versions.insert(
                key.0.clone(),
                Version {
                    number,
                    first: bucket,
                    initial: learning,
                },
            );
        }
        let number = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        if !self.groups.contains(&key.1) {
            self.groups.insert(key.1.clone(), number);
        }
        let release = self.table.entry(key, || Release {
            first: bucket,
            last: bucket,
            events: 0,
            hosts: HostTally::default(),
            records: Minutes::default(),
            exposure: 0.0,
            majority_minutes: 0,
        });
        release.first = release.first.min(bucket);
        release.last = release.last.max(bucket);
        release.events += records;
        release
            .records
            .add(bucket.seconds().div_euclid(60), records);
        for (host, n) in hosts {
            release.hosts.add(host, *n);
        }
    }

    /// Counts who had most of each group's records in the minute that just closed.
    pub(super) fn learn(&mut self, minute: i64) {
        let winners: Vec<ReleaseKey> = self
            .groups
            .iter()
            .filter_map(|(group, _)| {
                let (version, share) = self.main_version(group, minute, 1)?;
                (share > 0.5).then(|| (version.clone(), group.clone()))
            })
            .collect();
        for key in winners {
            if let Some(release) = self.table.get_mut(&key) {
                release.majority_minutes = release.majority_minutes.saturating_add(1);
            }
        }
    }

    /// Returns the version with most of a group's records in the last `minutes` minutes, and its share.
    pub(super) fn main_version(
        &self,
        group: &Name,
        minute: i64,
        minutes: i64,
    ) -> Option<(&Name, f64)> {
        let mut total = 0;
        let mut best: Option<(&Name, u64)> = None;
        for ((version, it), release) in self.table.iter() {
            let n = if it == group {
                release.records.sum(minute, minutes)
            } else {
                0
            };
            total += n;
            if n > 0 && best.is_none_or(|(_, most)| n > most) {
                best = Some((version, n));
            }
        }
        best.map(|(version, n)| (version, super::tally::ratio(n, total)))
    }

    /// Returns the version with a number of the rate scan.
    pub(super) fn version_by_number(&self, number: u32) -> Option<Name> {
        self.versions
            .iter()
            .find(|(_, it)| it.number == number)
            .map(|(name, _)| name.clone())
    }

    /// Returns when a version was deployed: the earliest announcement or its first event; `None` before we began to look.
    pub(super) fn deployed_at(&self, version: &str) -> Option<EventTime> {
        let announced = self
            .markers
            .values()
            .filter(|it| it.kind == MarkerKind::Deploy && it.version.as_deref() == Some(version))
            .map(|it| it.at)
            .min();
        let seen = self.versions.get(&Name::from(version));
        match (announced, seen) {
            (Some(at), Some(seen)) if !seen.initial => Some(at.min(seen.first)),
            (Some(at), _) => Some(at),
            (None, Some(seen)) if seen.initial => None,
            (None, Some(seen)) => Some(seen.first),
            (None, None) => None,
        }
    }

    /// Compares two versions by when they were deployed, then by their text.
    pub(super) fn order(&self, a: &str, b: &str) -> Ordering {
        self.deployed_at(a)
            .cmp(&self.deployed_at(b))
            .then_with(|| natural_order(a, b))
    }

    /// Tells whether a version was deployed after we began to look; an unknown version never is.
    pub(super) fn is_later(&self, version: &Name, started: EventTime) -> bool {
        !version.is_empty() && self.deployed_at(version).is_some_and(|at| at > started)
    }

    /// Returns the version that `version` is compared with on a group: the latest earlier one that had the
    /// group's traffic for a day, or most of it when we began to look; `None` if `version` itself ran then.
    pub(super) fn reference(&self, version: &Name, group: &Name) -> Option<Name> {
        let initial = |it: &Name| self.versions.get(it).is_some_and(|known| known.initial);
        if version.is_empty() || initial(version) {
            return None;
        }
        let earlier = |it: &Name| self.order(it, version) == Ordering::Less;
        self.table
            .iter()
            .filter(|((it, place), release)| {
                place == group
                    && !it.is_empty()
                    && earlier(it)
                    && (release.majority_minutes >= REFERENCE_MINUTES
                        || (initial(it) && release.majority_minutes > 0))
            })
            .map(|((it, _), _)| it)
            .max_by(|a, b| self.order(a, b))
            .cloned()
    }

    /// Tells whether a version has less than a twentieth of its group's records of the last ten minutes.
    pub(super) fn is_marginal(&self, key: &ReleaseKey, minute: i64) -> bool {
        let mut mine = 0;
        let mut all = 0;
        for ((version, group), release) in self.table.iter() {
            if *group == key.1 {
                let records = release.records.sum(minute, 10);
                all += records;
                mine += if *version == key.0 { records } else { 0 };
            }
        }
        mine * 20 < all
    }

    /// Keeps a marker; a later one of the same name replaces it.
    pub(super) fn mark(&mut self, marker: DeployMarker) {
        if self.markers.len() >= MARKERS_MAX && !self.markers.contains(&marker.id) {
            let oldest = self
                .markers
                .iter()
                .min_by(|a, b| (a.1.at, a.0).cmp(&(b.1.at, b.0)))
                .map(|(id, _)| id.clone());
            if let Some(id) = oldest {
                self.markers.remove(&id);
            }
        }
        self.markers.insert(marker.id.clone(), marker);
    }

    /// Returns the latest marker of certain kinds in the `seconds` before a time that concerns a group.
    pub(super) fn marker_before(
        &self,
        at: EventTime,
        seconds: i64,
        group: &str,
    ) -> Option<&DeployMarker> {
        let since = at.plus_seconds(-seconds);
        self.markers
            .values()
            .filter(|it| it.at <= at && it.at >= since && concerns(it, group))
            .max_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)))
    }

    /// Lists the markers, earliest first.
    pub(super) fn sorted_markers(&self) -> Vec<DeployMarker> {
        let mut markers: Vec<DeployMarker> = self.markers.values().cloned().collect();
        markers.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        markers
    }

    /// Lists the releases for people, latest deployment first.
    pub(super) fn views(&self, now: EventTime) -> Vec<ReleaseView> {
        let minute = minute_before(now);
        let mut keys: Vec<&ReleaseKey> = self.table.iter().map(|(key, _)| key).collect();
        keys.sort_by(|a, b| self.order(&b.0, &a.0).then_with(|| a.1.cmp(&b.1)));
        keys.into_iter()
            .filter_map(|key| {
                let release = self.table.get(key)?;
                let marker = self
                    .markers
                    .values()
                    .filter(|it| {
                        it.version.as_deref() == Some(key.0.as_str()) && concerns(it, &key.1)
                    })
                    .max_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
                let main = self.main_version(&key.1, minute, 10);
                let reference = main.is_some_and(|(main, _)| {
                    self.reference(main, &key.1)
                        .map_or(main == &key.0, |it| it == key.0)
                });
                Some(ReleaseView {
                    version: shown(&key.0, "unknown"),
                    group: shown(&key.1, "-"),
                    first_seen: Some(release.first),
                    last_seen: Some(release.last),
                    events: release.events,
                    hosts: release.hosts.distinct(),
                    announced_at: marker.map(|it| it.at),
                    marker: marker.map(|it| it.id.clone()),
                    reference,
                })
            })
            .collect()
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.versions.flush("version", out);
        self.groups.flush("group", out);
        self.table.flush("release", out);
        self.markers.flush("marker", out);
    }
}

/// Tells whether a marker concerns a group.
pub(super) fn concerns(marker: &DeployMarker, group: &str) -> bool {
    match marker.group.as_deref() {
        None | Some("all" | "*") => true,
        Some(it) => group == "*" || it == group,
    }
}

/// Returns a name for people; empty ones have a word of their own.
pub(super) fn shown(name: &str, empty: &str) -> String {
    if name.is_empty() { empty } else { name }.to_owned()
}
