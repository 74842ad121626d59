//! What really runs, beside what was announced: versions by group and host, and each announcement against the stream.
//!
//! What runs is read from the records of the last minutes; an announcement is never believed by itself.
//! Invariant: an announcement is called contradicted only after the stream had half an hour to follow it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::World;
use super::past::{Past, PastError, ReleaseMinute};
use super::releases::{concerns, shown};
use super::tally::ratio;
use super::words;
use crate::model::{DeployMarker, EventTime, MarkerKind};

/// Seconds in which a version counts as running.
const RUNNING_SECONDS: i64 = 600;

/// Seconds before an announcement in which the stream may have gone first.
const EARLY_SECONDS: i64 = 1_800;

/// Seconds after an announcement in which the stream has to follow.
const LATE_SECONDS: i64 = 1_800;

/// Seconds after an announcement for which it is looked for.
const SEARCH_SECONDS: i64 = 43_200;

/// Share of a group's records from which it runs a version, and from which nearly all of it does.
const SHARES: (f64, f64) = (0.5, 0.95);

/// Minutes over which that share is taken.
const SHARE_MINUTES: i64 = 5;

/// Announcements in one answer.
const ANNOUNCED_MAX: usize = 30;

/// Hosts that are named.
const HOSTS_MAX: usize = 20;

/// A version in one group, as its records show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveGroup {
    /// Group; `-` if unknown.
    pub group: String,
    /// Records in the last ten minutes.
    pub records: u64,
    /// Share of the group's records, 0 to 1.
    pub share: f64,
}

/// A version that runs somewhere now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveVersion {
    /// Version.
    pub version: String,
    /// Where.
    pub groups: Vec<LiveGroup>,
    /// Hosts that wrote under it in the last ten minutes.
    pub hosts: u64,
    /// Whether no group has it as its main version, so that what is left of it is stale.
    pub stale: bool,
    /// Hosts that still run it though it is stale, at most 20.
    pub stale_hosts: Vec<String>,
}

/// What the stream says of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Followed {
    /// The group runs the version.
    Observed,
    /// Not yet, and it is not late either.
    Waiting,
    /// The stream did not follow in time.
    Contradicted,
}

/// An announcement for one group, beside what was observed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Announced {
    /// Name of the marker.
    pub marker: String,
    /// What happened.
    pub kind: MarkerKind,
    /// When it was announced to have taken effect.
    pub announced_at: EventTime,
    /// Version.
    pub version: String,
    /// Group.
    pub group: String,
    /// What the stream says.
    pub followed: Followed,
    /// First minute in which half of the group's records came from it.
    pub observed_at: Option<EventTime>,
    /// First minute in which nearly all of them did.
    pub complete_at: Option<EventTime>,
    /// The same in words.
    pub text: String,
}

/// Observed beside announced.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollouts {
    /// Schema name and version.
    pub schema: &'static str,
    /// As of when.
    pub at: Option<EventTime>,
    /// Versions that run now, the one with most records first.
    pub live: Vec<LiveVersion>,
    /// What is unusual about them, in words: a third version, stale hosts, an announcement that is contradicted.
    pub warnings: Vec<String>,
    /// Announcements by group, latest first.
    pub announced: Vec<Announced>,
}

impl World {
    /// Says what runs where, and whether the announcements came true.
    pub fn rollouts(&self, past: &dyn Past) -> Result<Rollouts, PastError> {
        let Some(now) = self.clock.closed else {
            return Ok(Rollouts {
                schema: SCHEMA,
                at: None,
                live: Vec::new(),
                warnings: Vec::new(),
                announced: Vec::new(),
            });
        };
        let live = self.live_versions(now, past)?;
        let announced = self.announcements(now, past)?;
        Ok(Rollouts {
            schema: SCHEMA,
            at: Some(now),
            warnings: warnings(&live, &announced),
            live,
            announced,
        })
    }

    fn live_versions(
        &self,
        now: EventTime,
        past: &dyn Past,
    ) -> Result<Vec<LiveVersion>, PastError> {
        let since = now.plus_seconds(-RUNNING_SECONDS);
        let mut groups: BTreeMap<String, u64> = BTreeMap::new();
        let mut cells: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for it in past.release_sums(since, now)? {
            if it.version.is_empty() {
                continue;
            }
            *groups.entry(it.group.clone()).or_default() += it.records;
            let of = cells.entry(it.version).or_default();
            *of.entry(it.group).or_default() += it.records;
        }
        let mut live: Vec<LiveVersion> = cells
            .into_iter()
            .map(|(version, of)| {
                let share =
                    |group: &str, records| ratio(records, groups.get(group).copied().unwrap_or(0));
                let stale = of
                    .iter()
                    .all(|(group, records)| share(group, *records) < SHARES.0);
                let name = version.as_str().into();
                let hosts: Vec<String> = self
                    .hosts
                    .running(&name, since)
                    .map(ToString::to_string)
                    .collect();
                LiveVersion {
                    groups: of
                        .iter()
                        .map(|(group, records)| LiveGroup {
                            group: shown(group, "-"),
                            records: *records,
                            share: share(group, *records),
                        })
                        .collect(),
                    hosts: hosts.len() as u64,
                    stale,
                    stale_hosts: if stale {
                        hosts.into_iter().take(HOSTS_MAX).collect()
                    } else {
                        Vec::new()
                    },
                    version,
                }
            })
            .collect();
        let records = |it: &LiveVersion| it.groups.iter().map(|it| it.records).sum::<u64>();
        live.sort_by(|a, b| {
            records(b)
                .cmp(&records(a))
                .then_with(|| a.version.cmp(&b.version))
        });
        Ok(live)
    }

    fn announcements(&self, now: EventTime, past: &dyn Past) -> Result<Vec<Announced>, PastError> {
        let switches = |it: &&DeployMarker| {
            matches!(it.kind, MarkerKind::Deploy | MarkerKind::Revert)
                && it.version.is_some()
                && it.host.is_none()
                && it.at <= now
        };
        let markers: Vec<DeployMarker> = self.markers().iter().filter(switches).cloned().collect();
        let mut announced = Vec::new();
        for (place, marker) in markers.iter().enumerate().rev() {
            let to = marker.at.plus_seconds(SEARCH_SECONDS).min(now);
            // What is announced later for the same group ends the search.
            let until = |group: &str| {
                let later = markers.iter().skip(place + 1);
                let next = later.filter(|it| concerns(it, group)).map(|it| it.at);
                next.min().unwrap_or(now).min(to)
            };
            let groups = self.groups_of(marker);
            let last = groups.iter().map(|it| until(it)).max().unwrap_or(to);
            let from = marker.at.plus_seconds(-EARLY_SECONDS);
            let minutes = past.release_minutes(from, last.plus_seconds(LATE_SECONDS).min(to))?;
            for group in groups {
                let until = until(&group);
                announced.push(follow(marker, &group, (until, now), &minutes));
            }
            if announced.len() >= ANNOUNCED_MAX {
                break;
            }
        }
        announced.truncate(ANNOUNCED_MAX);
        Ok(announced)
    }

    /// Lists the groups that a marker concerns, by name.
    fn groups_of(&self, marker: &DeployMarker) -> Vec<String> {
        match marker.group.as_deref() {
            Some(it) if it != "all" && it != "*" => vec![it.to_owned()],
            _ => {
                let known: BTreeSet<String> = self
                    .releases
                    .groups
                    .iter()
                    .filter(|(name, _)| !name.is_empty())
                    .map(|(name, _)| name.to_string())
                    .collect();
                known.into_iter().collect()
            }
        }
    }
}

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/rollouts/v1";

fn follow(
    marker: &DeployMarker,
    group: &str,
    (until, now): (EventTime, EventTime),
    minutes: &[ReleaseMinute],
) -> Announced {
    let version = marker.version.clone().unwrap_or_default();
    let (observed_at, complete_at) = reached(&version, group, (marker.at, until), minutes);
    let late = now.millis_since(marker.at) >= LATE_SECONDS * 1000;
    let ran = observed_at.is_none() && runs_at(&version, group, marker.at, minutes);
    let after = observed_at.map(|it| it.millis_since(marker.at) / 1000);
    let followed = match after {
        Some(after) if after <= LATE_SECONDS => Followed::Observed,
        Some(_) => Followed::Contradicted,
        None if ran => Followed::Observed,
        None if late => Followed::Contradicted,
        None => Followed::Waiting,
    };
    let said = format!("announced {group} on {version} {}", words::time(marker.at));
    let text = match observed_at {
        Some(at) => format!("{said}, observed {}", words::time(at)),
        None if ran => format!("{said}, where it ran already"),
        None if late => format!(
            "{said}, never observed{}",
            elsewhere(&version, group, marker, minutes)
        ),
        None => format!("{said}, not observed yet"),
    };
    Announced {
        marker: marker.id.clone(),
        kind: marker.kind,
        announced_at: marker.at,
        version,
        group: group.to_owned(),
        followed,
        observed_at,
        complete_at,
        text: words::clip(&text, 300),
    }
}

/// Returns when a group came to half, and to nearly all, of its records from a version: the rise nearest to a
/// moment, since a version may come, go and come back within the stretch.
fn reached(
    version: &str,
    group: &str,
    (near, until): (EventTime, EventTime),
    minutes: &[ReleaseMinute],
) -> (Option<EventTime>, Option<EventTime>) {
    let mut by_minute: BTreeMap<EventTime, (u64, u64)> = BTreeMap::new();
    for it in minutes
        .iter()
        .filter(|it| it.group == group && it.at < until)
    {
        let (mine, all) = by_minute.entry(it.at).or_default();
        *mine += if it.version == version { it.records } else { 0 };
        *all += it.records;
    }
    let share_at = |at: EventTime| {
        let (mine, all) = by_minute
            .range(at..at.plus_seconds(60 * SHARE_MINUTES))
            .fold((0, 0), |(mine, all), (_, it)| (mine + it.0, all + it.1));
        ratio(mine, all)
    };
    let mut rises = Vec::new();
    let mut ran = None;
    for (at, (mine, all)) in &by_minute {
        let runs = share_at(*at) >= SHARES.0;
        // It begins in a minute with records of its own; it ends where it no longer has half of them.
        if runs && *mine > 0 && ran != Some(true) {
            if ran.is_some() {
                rises.push(*at);
            }
            ran = Some(true);
        } else if !runs && ratio(*mine, *all) < SHARES.0 {
            ran = Some(false);
        }
    }
    let distance = |it: &EventTime| it.millis_since(near).abs();
    let observed = rises.into_iter().min_by_key(distance);
    let complete = observed.and_then(|from| {
        let mut later = by_minute.range(from..).map(|(at, _)| *at);
        later.find(|at| share_at(*at) >= SHARES.1)
    });
    (observed, complete)
}

/// Tells whether a group had most of its records from a version around a moment.
fn runs_at(version: &str, group: &str, at: EventTime, minutes: &[ReleaseMinute]) -> bool {
    let near = |it: &&ReleaseMinute| {
        it.group == group && it.at.millis_since(at).abs() <= 60_000 * SHARE_MINUTES
    };
    let all: u64 = minutes.iter().filter(near).map(|it| it.records).sum();
    let mine: u64 = minutes
        .iter()
        .filter(near)
        .filter(|it| it.version == version)
        .map(|it| it.records)
        .sum();
    ratio(mine, all) >= SHARES.0
}

/// Says where a version was seen instead.
fn elsewhere(
    version: &str,
    group: &str,
    marker: &DeployMarker,
    minutes: &[ReleaseMinute],
) -> String {
    let others: BTreeSet<&str> = minutes
        .iter()
        .filter(|it| it.group != group && !it.group.is_empty())
        .map(|it| it.group.as_str())
        .collect();
    let until = marker.at.plus_seconds(LATE_SECONDS);
    for other in others {
        let (at, _) = reached(version, other, (marker.at, until), minutes);
        if let Some(at) = at {
            return format!("; {other} was, {}", words::time(at));
        }
    }
    String::new()
}

fn warnings(live: &[LiveVersion], announced: &[Announced]) -> Vec<String> {
    let mut warnings = Vec::new();
    if live.len() > 2 {
        let names: Vec<&str> = live.iter().map(|it| it.version.as_str()).collect();
        warnings.push(format!(
            "{} versions are live: {}",
            live.len(),
            names.join(", ")
        ));
    }
    for it in live.iter().filter(|it| it.stale && it.hosts > 0) {
        warnings.push(format!(
            "{} hosts still run {}, which is no group's version: {}",
            words::count(it.hosts),
            it.version,
            it.stale_hosts.join(", ")
        ));
    }
    let wrong = announced
        .iter()
        .filter(|it| it.followed == Followed::Contradicted);
    warnings.extend(wrong.take(5).map(|it| it.text.clone()));
    warnings.iter().map(|it| words::clip(it, 400)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::gate::tests::{marker, rollout, story};
    use super::super::tests::{line, time, traffic};
    use super::*;
    use crate::model::Level;

    #[test]
    fn an_announcement_is_shown_beside_what_the_stream_says() {
        let markers = [
            marker("d1", 3_780, MarkerKind::Deploy, "group1"),
            marker("d2", 3_900, MarkerKind::Deploy, "group2"),
            marker("d3", 7_100, MarkerKind::Deploy, "group2"),
        ];
        let (feed, past) = story("", rollout(7_200), &markers, 7_200);
        let rollouts = feed.world.rollouts(&past).unwrap();
        let said: Vec<(&str, Followed)> = rollouts
            .announced
            .iter()
            .map(|it| (it.marker.as_str(), it.followed))
            .collect();
        assert_eq!(
            said,
            [
                ("d3", Followed::Waiting),
                ("d2", Followed::Contradicted),
                ("d1", Followed::Observed)
            ]
        );
        // The stream was two minutes faster than the announcement.
        let first = &rollouts.announced[2];
        assert_eq!(first.observed_at, Some(time(3_600)));
        let wrong = &rollouts.announced[1].text;
        assert!(wrong.contains("never observed; group1 was"), "{wrong}");
        assert_eq!(rollouts.live.len(), 2);
        assert_eq!(rollouts.warnings.len(), 1, "{:?}", rollouts.warnings);
    }

    #[test]
    fn a_stale_host_and_a_third_version_are_named() {
        let mut lines = rollout(7_200);
        for second in (3_600..7_200).step_by(20) {
            let it = line(second * 1000 + 3, "api", Level::Info, "API call", "mw2020");
            lines.push(it.on("v0", "group1"));
        }
        let (feed, past) = story("", lines, &[], 7_200);
        let rollouts = feed.world.rollouts(&past).unwrap();
        let stale: Vec<_> = rollouts.live.iter().filter(|it| it.stale).collect();
        assert_eq!(stale.len(), 1);
        assert_eq!(
            (stale[0].version.as_str(), &stale[0].stale_hosts[..]),
            ("v0", &["mw2020".to_owned()][..])
        );
        assert!(
            rollouts.warnings[0].starts_with("3 versions are live"),
            "{:?}",
            rollouts.warnings
        );
        assert!(
            rollouts.warnings[1].contains("mw2020"),
            "{:?}",
            rollouts.warnings
        );
    }

    #[test]
    fn a_version_that_comes_back_is_observed_at_its_return() {
        let mut lines = traffic(0, 3_600, "v1", "v1");
        lines.extend(traffic(3_600, 4_200, "v2", "v1"));
        lines.extend(traffic(4_200, 4_800, "v1", "v1"));
        lines.extend(traffic(4_800, 7_200, "v2", "v1"));
        let markers = [
            marker("d1", 3_600, MarkerKind::Deploy, "group1"),
            marker("d2", 4_830, MarkerKind::Deploy, "group1"),
            marker("d3", 6_900, MarkerKind::Deploy, "group1"),
        ];
        let (feed, past) = story("", lines, &markers, 7_200);
        let rollouts = feed.world.rollouts(&past).unwrap();
        let observed: Vec<_> = rollouts.announced.iter().map(|it| it.observed_at).collect();
        assert_eq!(observed[1..], [Some(time(4_800)), Some(time(3_600))]);
        let again = &rollouts.announced[0];
        assert_eq!(again.followed, Followed::Observed, "{again:?}");
    }
}
