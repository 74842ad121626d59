//! What was known as of one moment: alerts that fired, releases that had been seen, how much of them.
//!
//! Invariant: nothing that began at or after the moment shows in it.

use std::collections::BTreeMap;

use super::super::World;
use super::super::channels::as_f64;
use super::super::name::Name;
use super::super::past::{Past, PastError, ReleaseSum};
use super::super::releases::{concerns, shown};
use super::super::words;
use super::{
    Effect, GateExposure, GateGroup, GateQuery, GateReason, GateRule, SETTLE_SECONDS, share,
};
use crate::model::{Alert, DeployMarker, EventTime, MarkerKind};

/// Seconds by which a release counts as running.
const RUNNING_SECONDS: i64 = 600;

/// Seconds over which the rate of records is taken, and in which a cap matters.
const RECENT_SECONDS: i64 = 900;

/// Seconds by which people announce a release after its first record.
// Up to 8 minutes in January 2016; half an hour is generous.
const ANNOUNCED_SECONDS: i64 = 1_800;

/// Everything that one decision looks at.
pub(super) struct Look<'a> {
    pub(super) world: &'a World,
    pub(super) past: &'a dyn Past,
    pub(super) alerts: Vec<Alert>,
    /// Version that is asked about.
    pub(super) version: Name,
    /// Records of all releases in the last quarter of an hour.
    pub(super) recent: Vec<ReleaseSum>,
    group: Option<String>,
    at: EventTime,
    asked_at: EventTime,
    started: EventTime,
    is_past: bool,
    /// Groups in which the version had been seen, with when it is judged from, and by which marker.
    seen: BTreeMap<Name, Since>,
}

/// From when on a release is judged in a group.
#[derive(Clone, Debug)]
pub(super) struct Since {
    pub(super) first: EventTime,
    pub(super) at: EventTime,
    pub(super) marker: Option<String>,
    /// Whether it is a later change of a release that ran before.
    pub(super) is_change: bool,
}

impl<'a> Look<'a> {
    /// Looks at what was known; `None` if nothing was.
    pub(super) fn new(
        world: &'a World,
        query: &GateQuery,
        past: &'a dyn Past,
    ) -> Result<Option<Self>, PastError> {
        let (Some(started), Some(closed)) = (world.clock.started, world.clock.closed) else {
            return Ok(None);
        };
        let asked_at = query.at.unwrap_or(closed);
        let at = asked_at.min(closed);
        if at <= started {
            return Ok(None);
        }
        let is_past = at < closed;
        let alerts = if is_past {
            past.alerts_at(at)?
        } else {
            world.book.firing().into_iter().cloned().collect()
        };
        let version = Name::from(query.version.as_str());
        let seen = world
            .releases
            .table
            .iter()
            .filter(|((it, _), release)| *it == version && release.first < at)
            .map(|((_, group), release)| {
                (
                    group.clone(),
                    since(world, &version, group, (release.first, at)),
                )
            })
            .collect();
        Ok(Some(Self {
            world,
            past,
            alerts,
            recent: past.release_sums(at.plus_seconds(-RECENT_SECONDS), at)?,
            group: query.group.clone().filter(|it| it != "*"),
            version,
            at,
            asked_at,
            started,
            is_past,
            seen,
        }))
    }

    pub(super) const fn at(&self) -> EventTime {
        self.at
    }

    pub(super) const fn is_past(&self) -> bool {
        self.is_past
    }

    /// Returns the group that was asked about; `None` for all.
    pub(super) fn asked(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Tells whether a group is one of those that are asked about.
    pub(super) fn covers(&self, group: &str) -> bool {
        self.asked()
            .is_none_or(|it| it == group || (it == "-" && group.is_empty()))
    }

    /// Returns from when on the version is judged in a group; `None` if it was not seen there.
    pub(super) fn since(&self, group: &str) -> Option<&Since> {
        self.seen.get(group)
    }

    /// Lists the groups in which the version was seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Name, &Since)> {
        self.seen.iter()
    }

    /// Describes the version in each group that is asked about.
    pub(super) fn stages(&self) -> Result<Vec<GateGroup>, PastError> {
        let mut sums: BTreeMap<EventTime, Vec<ReleaseSum>> = BTreeMap::new();
        let mut stages = Vec::new();
        for (group, since) in self.seen().filter(|(group, _)| self.covers(group)) {
            let from = since.at.plus_millis(59_999).floor(60);
            let sums = match sums.entry(from) {
                std::collections::btree_map::Entry::Occupied(it) => it.into_mut(),
                std::collections::btree_map::Entry::Vacant(it) => {
                    it.insert(self.past.release_sums(from, self.at)?)
                }
            };
            let running = self
                .past
                .release_sums(self.at.plus_seconds(-RUNNING_SECONDS), self.at)?;
            stages.push(GateGroup {
                group: shown(group, "-"),
                since: since.at,
                marker: since.marker.clone(),
                records: self.records(sums, group),
                running: self.records(&running, group) > 0,
            });
        }
        Ok(stages)
    }

    fn records(&self, sums: &[ReleaseSum], group: &str) -> u64 {
        sums.iter()
            .filter(|it| it.version == *self.version && it.group == group)
            .map(|it| it.records)
            .sum()
    }

    /// Weighs how much was seen.
    pub(super) fn exposure(&self, stages: &[GateGroup], records_min: u64) -> GateExposure {
        let records: u64 = stages.iter().map(|it| it.records).sum();
        let recent: u64 = self
            .recent
            .iter()
            .filter(|it| it.version == *self.version && self.covers(&it.group))
            .map(|it| it.records)
            .sum();
        let per_min = as_f64(recent) / as_f64(RECENT_SECONDS.unsigned_abs() / 60);
        let missing = records_min.saturating_sub(records);
        GateExposure {
            records,
            records_min,
            records_per_min: per_min,
            share_bound: (records > 0).then(|| (3.0 / as_f64(records)).min(1.0)),
            seconds_left: (missing > 0 && per_min > 0.0).then(|| seconds(missing, per_min)),
        }
    }

    /// Lists what is missing for a verdict: exposure, time, the release itself, what is usual.
    pub(super) fn gaps(&self, stages: &[GateGroup], exposure: &GateExposure) -> Vec<GateReason> {
        let mut gaps = Vec::new();
        let mut missing = |rule, text| gaps.push(GateReason::new(Effect::Inconclusive, rule, text));
        if self.asked_at > self.at {
            missing(
                GateRule::Lag,
                format!("records are decided up to {} only", words::time(self.at)),
            );
        }
        if !self.world.is_learned(self.at) {
            missing(
                GateRule::Learning,
                format!(
                    "too little was seen before to know what is usual: we look since {}",
                    words::time(self.started)
                ),
            );
        }
        let place = self.asked().unwrap_or("any group");
        if stages.is_empty() {
            missing(
                GateRule::NeverSeen,
                format!("no record of {} in {place} by then", &*self.version),
            );
            return gaps;
        }
        if exposure.records < exposure.records_min {
            missing(GateRule::TooLittleExposure, scarce(exposure));
        }
        if let Some(it) = stages.iter().max_by_key(|it| it.since)
            && self.at.millis_since(it.since) < SETTLE_SECONDS * 1000
        {
            let ago = words::duration(self.at.millis_since(it.since) / 1000);
            missing(
                GateRule::TooEarly,
                format!(
                    "it began in {} only {ago} ago; {} are needed",
                    it.group,
                    words::duration(SETTLE_SECONDS)
                ),
            );
        }
        if stages.iter().all(|it| !it.running) {
            let text = format!(
                "{} no longer runs in {place}; this is what was seen while it did",
                &*self.version
            );
            gaps.push(GateReason::new(Effect::Note, GateRule::NotRunning, text));
        }
        gaps
    }
}

fn scarce(exposure: &GateExposure) -> String {
    let bound = exposure.share_bound.map_or_else(String::new, |it| {
        format!(
            ": an error in up to {} of its records may have gone unseen",
            share(it)
        )
    });
    let left = exposure.seconds_left.map_or_else(String::new, |it| {
        format!("; enough in {} at this rate", words::duration(it))
    });
    format!(
        "only {} of the {} records that are needed{bound}{left}",
        words::count(exposure.records),
        words::count(exposure.records_min),
    )
}

/// Returns from when on a release is judged in a group: its latest announced change, else its first record.
fn since(world: &World, version: &str, group: &str, (first, at): (EventTime, EventTime)) -> Since {
    let changes = |it: &&DeployMarker| {
        matches!(it.kind, MarkerKind::Deploy | MarkerKind::Hotfix)
            && it.host.is_none()
            && it.version.as_deref() == Some(version)
            && it.at <= at
            && concerns(it, group)
    };
    let latest = world
        .releases
        .markers
        .values()
        .filter(changes)
        .max_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let later = latest.filter(|it| it.at.millis_since(first) > ANNOUNCED_SECONDS * 1000);
    Since {
        first,
        at: later.map_or(first, |it| it.at),
        marker: latest.map(|it| it.id.clone()),
        is_change: later.is_some(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn seconds(missing: u64, per_min: f64) -> i64 {
    (as_f64(missing) / per_min * 60.0).ceil() as i64
}
