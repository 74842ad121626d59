//! Whether a fix worked: what it was to end is gone, still there, or not yet proven; and what came with it.
//!
//! A marker names what it fixes by a signature or a ticket in its reference; without a name everything that
//! fired about its version is looked at. Invariant: "gone" is said only where three events or more would
//! have come by now (rule of three: none then has a chance of 5 %).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::World;
use super::channels::as_f64;
use super::past::{Past, PastError};
use super::releases::concerns;
use super::words;
use crate::model::{
    AlertKind, AlertState, DeployMarker, EventTime, MarkerKind, Severity, SignatureId,
};

/// Seconds before a fix in which the rate of before is taken.
const BEFORE_SECONDS: i64 = 7_200;

/// Seconds that a change takes to reach all hosts.
const ROLLOUT_SECONDS: i64 = 300;

/// Seconds after a fix in which what it ends has to end.
const ENDED_SECONDS: i64 = 1_800;

/// Seconds for which a fix is looked at, if nothing else is changed.
const AFTER_SECONDS: i64 = 86_400;

/// Events that would have come without the fix, before none proves it.
const PROOF_EVENTS: f64 = 3.0;

/// Seconds in which a host counts as running a version.
const RUNNING_SECONDS: i64 = 900;

/// Problems of one fix that are looked at.
const TARGETS_MAX: usize = 20;

/// Least hex digits that name a signature.
const PREFIX_MIN: usize = 8;

/// What became of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixState {
    /// It goes on.
    Still,
    /// None since, but too few would have come to be sure.
    Unproven,
    /// None since, where some would have come.
    Gone,
}

/// One problem that a fix was to end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixTarget {
    /// Signature.
    pub signature: SignatureId,
    /// Channel.
    pub channel: String,
    /// Template. Redacted.
    pub template: String,
    /// Whether the marker names it, by its id or a ticket; else it fired when the fix came.
    pub named: bool,
    /// What became of it.
    pub state: FixState,
    /// Events per minute in the two hours before.
    pub before_per_min: f64,
    /// Events since the fix had reached all hosts.
    pub events_since: u64,
    /// Events that would have come since the last one, at the rate of before.
    pub expected_since: f64,
    /// Seconds after the marker at which the last event came; `None` if there was none.
    pub last_after_seconds: Option<i64>,
    /// Hosts with an event in the last minutes, where it still shows now.
    pub hosts_still: u64,
    /// One sentence. Redacted.
    pub text: String,
}

/// An error that began after a fix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixNew {
    /// Signature.
    pub signature: SignatureId,
    /// Severity with which it was told.
    pub severity: Severity,
    /// Template. Redacted.
    pub template: String,
    /// First event.
    pub first_seen: EventTime,
}

/// What became of a fix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixReport {
    /// Schema name and version.
    pub schema: &'static str,
    /// The marker.
    pub marker: DeployMarker,
    /// Until when it is judged: now, a day, or the next change there.
    pub until: EventTime,
    /// Hosts that run its version now.
    pub hosts_running: u64,
    /// The whole in one sentence. Redacted.
    pub summary: String,
    /// The problems, worst first.
    pub targets: Vec<FixTarget>,
    /// What began after it.
    pub new: Vec<FixNew>,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// No marker has this name.
    #[error("no deploy marker is called `{0}`")]
    Unknown(String),
    /// The past could not be read.
    #[error(transparent)]
    Past(#[from] PastError),
}

impl World {
    /// Says what became of what a marker was to fix.
    pub fn fix(&self, marker: &str, past: &dyn Past) -> Result<FixReport, FixError> {
        let marker = self
            .releases
            .markers
            .get(&marker.to_owned())
            .cloned()
            .ok_or_else(|| FixError::Unknown(marker.to_owned()))?;
        let now = self.clock.closed.unwrap_or(marker.at);
        let until = self.fix_until(&marker, now);
        let mut targets = Vec::new();
        for (id, named) in self.fix_targets(&marker, past)? {
            targets.extend(self.fix_target(&marker, (id, named), until, past)?);
        }
        targets.sort_by(|a, b| {
            let rate = b.before_per_min.total_cmp(&a.before_per_min);
            a.state
                .cmp(&b.state)
                .then(rate)
                .then(a.signature.cmp(&b.signature))
        });
        let new = new_since(&marker, until, past)?;
        let hosts_running = marker
            .version
            .as_deref()
            .map_or(0, |it| self.hosts_on(it, now));
        Ok(FixReport {
            schema: "fatalmonitor/fix/v1",
            summary: summary(&marker, &targets, &new, hosts_running),
            marker,
            until,
            hosts_running,
            targets,
            new,
        })
    }

    /// Returns when the next change there begins, a day has passed, or it is now.
    fn fix_until(&self, marker: &DeployMarker, now: EventTime) -> EventTime {
        let same_place = |it: &DeployMarker| {
            let group = marker.group.as_deref().unwrap_or("*");
            concerns(it, if group == "all" { "*" } else { group })
        };
        self.releases
            .markers
            .values()
            .filter(|it| it.at > marker.at && it.host.is_none())
            .filter(|it| {
                matches!(
                    it.kind,
                    MarkerKind::Deploy | MarkerKind::Revert | MarkerKind::Hotfix
                )
            })
            .filter(|it| same_place(it))
            .map(|it| it.at)
            .min()
            .unwrap_or(EventTime::MAX)
            .min(marker.at.plus_seconds(AFTER_SECONDS))
            .min(now)
    }

    /// Lists what a marker was to fix: what its reference names, else what fired about its version then.
    fn fix_targets(
        &self,
        marker: &DeployMarker,
        past: &dyn Past,
    ) -> Result<Vec<(SignatureId, bool)>, PastError> {
        let words: Vec<&str> = marker
            .reference
            .as_deref()
            .unwrap_or_default()
            .split(|it: char| !it.is_ascii_alphanumeric())
            .filter(|it| !it.is_empty())
            .collect();
        let mut named = BTreeSet::new();
        for word in words.iter().filter(|it| it.len() >= PREFIX_MIN) {
            if let [only] = self.find_prefix(word).as_slice() {
                named.insert(*only);
            }
        }
        let tickets: Vec<&str> = words.iter().copied().filter(|it| is_ticket(it)).collect();
        let firing = past.alerts_at(marker.at)?;
        named.extend(self.signatures_of_tickets(&tickets));
        for alert in &firing {
            let noted = alert.muted.as_deref().unwrap_or_default();
            if tickets.iter().any(|it| noted.contains(*it)) {
                named.extend(alert.key.signature);
            }
        }
        if !named.is_empty() {
            return Ok(named
                .into_iter()
                .map(|it| (it, true))
                .take(TARGETS_MAX)
                .collect());
        }
        let about = |it: &&crate::model::Alert| {
            marker
                .version
                .as_deref()
                .is_none_or(|version| it.key.version == version)
                && it.severity >= Severity::Warning
                && it.withheld.is_none()
        };
        let open: BTreeSet<SignatureId> = firing
            .iter()
            .filter(about)
            .filter_map(|it| it.key.signature)
            .collect();
        Ok(open
            .into_iter()
            .map(|it| (it, false))
            .take(TARGETS_MAX)
            .collect())
    }

    /// Lists the signatures whose mutes and acknowledgements speak of a ticket.
    fn signatures_of_tickets(&self, tickets: &[&str]) -> BTreeSet<SignatureId> {
        self.mutes()
            .into_iter()
            .filter(|it| tickets.iter().any(|ticket| it.reason.contains(ticket)))
            .filter_map(|it| match it.target {
                super::MuteTarget::Signature(id) => Some(id),
                super::MuteTarget::Alert(id) => self.book.get(&id)?.key.signature,
                super::MuteTarget::Channel(_) => None,
            })
            .collect()
    }

    fn fix_target(
        &self,
        marker: &DeployMarker,
        (id, named): (SignatureId, bool),
        until: EventTime,
        past: &dyn Past,
    ) -> Result<Option<FixTarget>, PastError> {
        let Some(signature) = self.catalogue.get(id) else {
            return Ok(None);
        };
        let from = marker.at.plus_seconds(-BEFORE_SECONDS);
        let group = marker
            .group
            .as_deref()
            .filter(|it| *it != "all" && *it != "*");
        let minutes = past.signature_minutes(id, from, until.plus_seconds(60))?;
        let settled = marker.at.plus_seconds(ROLLOUT_SECONDS);
        let (mut before, mut since) = (0, 0);
        let (mut first, mut last) = (None, None);
        for it in minutes
            .iter()
            .filter(|it| {
                marker
                    .version
                    .as_deref()
                    .is_none_or(|version| it.version == version)
            })
            .filter(|it| group.is_none_or(|group| it.group == group))
        {
            if it.at < marker.at.floor(60) {
                before += it.events;
                first = first.or(Some(it.at));
                continue;
            }
            last = Some(it.at.plus_seconds(60));
            since += if it.at >= settled { it.events } else { 0 };
        }
        let seconds = |from: EventTime, to: EventTime| {
            as_f64(to.millis_since(from).max(0).unsigned_abs()) / 1000.0
        };
        let rate = first.map_or(0.0, |it| {
            as_f64(before) / (seconds(it, marker.at) / 60.0).max(1.0)
        });
        let quiet_from = last.unwrap_or(marker.at).min(until);
        let expected = rate * seconds(quiet_from, until) / 60.0;
        // What goes on for longer ended by something else, such as a way back.
        let by_the_fix = last.is_none_or(|it| it.millis_since(marker.at) <= ENDED_SECONDS * 1000);
        let state = if expected >= PROOF_EVENTS && by_the_fix {
            FixState::Gone
        } else if since > 0 {
            FixState::Still
        } else {
            FixState::Unproven
        };
        let now = self.clock.closed.unwrap_or(until);
        let hosts_still = if state == FixState::Still && until == now {
            signature.recent.hosts(now)
        } else {
            0
        };
        let target = FixTarget {
            signature: id,
            channel: signature.def.channel.clone(),
            template: signature.def.template.clone(),
            named,
            state,
            before_per_min: rate,
            events_since: since,
            expected_since: expected,
            last_after_seconds: last.map(|it| it.min(until).millis_since(marker.at) / 1000),
            hosts_still,
            text: String::new(),
        };
        Ok(Some(FixTarget {
            text: sentence(&target),
            ..target
        }))
    }

    /// Counts the hosts that ran a version lately.
    fn hosts_on(&self, version: &str, now: EventTime) -> u64 {
        let since = now.plus_seconds(-RUNNING_SECONDS);
        self.hosts.running(&version.into(), since).count() as u64
    }
}

/// Tells whether a word looks like a ticket: letters, then digits, such as `T124143` or `OPS12`.
fn is_ticket(word: &str) -> bool {
    let digits = word.trim_start_matches(|it: char| it.is_ascii_uppercase());
    (1..=8).contains(&(word.len() - digits.len()))
        && digits.len() >= 2
        && digits.bytes().all(|it| it.is_ascii_digit())
}

fn new_since(
    marker: &DeployMarker,
    until: EventTime,
    past: &dyn Past,
) -> Result<Vec<FixNew>, PastError> {
    let mut new = Vec::new();
    for it in past.transitions(marker.at, until.plus_seconds(1))? {
        let alert = &it.alert;
        let about = it.to == AlertState::Firing
            && alert.key.kind == AlertKind::New
            && alert.started_at >= marker.at
            && alert.withheld.is_none()
            && marker
                .version
                .as_deref()
                .is_none_or(|version| alert.key.version == version);
        if let Some(signature) = alert.key.signature.filter(|_| about) {
            new.push(FixNew {
                signature,
                severity: alert.severity,
                template: alert.template.clone(),
                first_seen: alert.started_at,
            });
        }
    }
    new.truncate(TARGETS_MAX);
    Ok(new)
}

fn sentence(target: &FixTarget) -> String {
    let what = format!("[{}] {}", target.channel, target.template);
    let text = match target.state {
        FixState::Gone => match target.last_after_seconds {
            Some(after) if after > 0 => format!(
                "gone {} after it: {} expected since, none came: {what}",
                words::duration(after),
                words::number(target.expected_since)
            ),
            _ => format!(
                "gone at once: {} expected since, none came: {what}",
                words::number(target.expected_since)
            ),
        },
        FixState::Still if target.hosts_still > 0 => format!(
            "still on {} hosts, {} events since: {what}",
            words::count(target.hosts_still),
            words::count(target.events_since)
        ),
        FixState::Still => format!(
            "still there, {} events since: {what}",
            words::count(target.events_since)
        ),
        FixState::Unproven => format!(
            "none since, but only {} would have come: {what}",
            words::number(target.expected_since)
        ),
    };
    words::clip(&text, 300)
}

/// Says how long after a change something was.
fn when(seconds: i64) -> String {
    if seconds > 0 {
        format!("after {}", words::duration(seconds))
    } else {
        "at once".to_owned()
    }
}

fn summary(marker: &DeployMarker, targets: &[FixTarget], new: &[FixNew], hosts: u64) -> String {
    let count = |state| targets.iter().filter(|it| it.state == state).count();
    let (still, unproven, gone) = (
        count(FixState::Still),
        count(FixState::Unproven),
        count(FixState::Gone),
    );
    let mut text = if targets.is_empty() {
        format!(
            "{} names no known problem, and none was open on its version",
            marker.id
        )
    } else if still > 0 {
        let hosts = targets.iter().map(|it| it.hosts_still).max().unwrap_or(0);
        let place = if hosts > 0 {
            format!(" on {} hosts", words::count(hosts))
        } else {
            String::new()
        };
        format!(
            "{}: {still} of {} still there{place}",
            marker.id,
            targets.len()
        )
    } else if unproven > 0 {
        format!(
            "{}: none since, not proven yet for {unproven} of {}",
            marker.id,
            targets.len()
        )
    } else {
        let after = targets
            .iter()
            .filter_map(|it| it.last_after_seconds)
            .max()
            .unwrap_or(0);
        let place = if hosts > 0 {
            format!(" on all {} hosts", words::count(hosts))
        } else {
            String::new()
        };
        format!(
            "{}: {gone} of {gone} gone{place} {}",
            marker.id,
            when(after)
        )
    };
    if targets.iter().all(|it| !it.named) && !targets.is_empty() {
        text.push_str(" (it names none: these fired then)");
    }
    if !new.is_empty() {
        let link = if still > 0 { "and" } else { "but" };
        let plural = if new.len() == 1 { "" } else { "s" };
        // Writing to a String cannot fail.
        write!(text, ", {link} {} new signature{plural} since", new.len()).ok();
    }
    words::clip(&text, 300)
}

#[cfg(test)]
mod tests {
    use super::super::gate::tests::{Memory, burning, marker, rollout, story};
    use super::super::tests::{Feed, line, time};
    use super::*;
    use crate::detect::{Action, MuteTarget, MuteUntil};
    use crate::model::Level;

    /// Burns from 3,720 s on v2 until `end`; the fix comes at 6,000 s and says `reference`.
    fn fixed(end: i64, until: i64, reference: Option<&str>) -> (Feed, Memory) {
        let mut lines = rollout(until);
        lines.extend(burning(3_720, end));
        let mut fix = marker("h1", 6_000, MarkerKind::Hotfix, "group1");
        fix.reference = reference.map(str::to_owned);
        story("", lines, &[fix], until)
    }

    fn states(report: &FixReport) -> Vec<(bool, FixState)> {
        report
            .targets
            .iter()
            .map(|it| (it.named, it.state))
            .collect()
    }

    #[test]
    fn a_fix_that_worked_says_after_how_long_and_on_how_many_hosts() {
        let (feed, past) = fixed(6_120, 7_200, None);
        let report = feed.world.fix("h1", &past).unwrap();
        assert_eq!(states(&report), [(false, FixState::Gone)], "{report:#?}");
        assert_eq!(
            report.summary,
            "h1: 1 of 1 gone on all 12 hosts after 2 min (it names none: these fired then)"
        );
        assert_eq!(report.targets[0].last_after_seconds, Some(120));
        assert!(matches!(
            feed.world.fix("h9", &past),
            Err(FixError::Unknown(_))
        ));
    }

    #[test]
    fn a_fix_that_did_not_work_says_on_how_many_hosts_it_goes_on() {
        let mut lines = rollout(7_200);
        lines.extend(burning(3_720, 6_000));
        for second in 6_000..7_200 {
            let host = format!("mw{}", 1 + second % 4);
            let it = line(second * 1000, "exception", Level::Error, "Burning", &host);
            lines.push(it.on("v2", "group1"));
        }
        let fix = marker("h1", 6_000, MarkerKind::Hotfix, "group1");
        let (feed, past) = story("", lines, &[fix], 7_200);
        let report = feed.world.fix("h1", &past).unwrap();
        assert_eq!(states(&report), [(false, FixState::Still)]);
        assert_eq!(
            report.summary,
            "h1: 1 of 1 still there on 4 hosts (it names none: these fired then)"
        );
        assert_eq!(report.targets[0].events_since, 7_200 - 6_300);
    }

    #[test]
    fn what_is_named_by_signature_or_ticket_is_looked_at_and_nothing_is_proven_too_soon() {
        let id = burning(0, 1).next().unwrap().id();
        let prefix: String = id.to_string().chars().take(12).collect();
        let (feed, past) = fixed(6_001, 6_060, Some(&format!("fixes {prefix}")));
        let report = feed.world.fix("h1", &past).unwrap();
        assert_eq!(states(&report), [(true, FixState::Unproven)], "{report:#?}");

        let (mut feed, past) = fixed(6_001, 7_200, Some("Bug: T124143, T7"));
        let mute = Action::Mute {
            target: MuteTarget::Signature(id),
            until: MuteUntil::Lifted,
            reason: "known, T124143".to_owned(),
            by: "ann".to_owned(),
        };
        feed.world.act(time(7_200), mute).unwrap();
        let report = feed.world.fix("h1", &past).unwrap();
        assert_eq!(states(&report), [(true, FixState::Gone)], "{report:#?}");
    }

    #[test]
    fn a_fix_that_brings_an_error_of_its_own_says_so() {
        let mut lines = rollout(7_200);
        lines.extend(burning(3_720, 6_000));
        for second in 6_060..7_200 {
            let it = line(
                second * 1000,
                "exception",
                Level::Error,
                "Merge failed",
                "mw1",
            );
            lines.push(it.on("v2", "group1"));
            let it = line(
                second * 1000,
                "exception",
                Level::Error,
                "Merge failed",
                "mw2",
            );
            lines.push(it.on("v2", "group1"));
        }
        let fix = marker("h1", 6_000, MarkerKind::Hotfix, "group1");
        let (feed, past) = story("", lines, &[fix], 7_200);
        let report = feed.world.fix("h1", &past).unwrap();
        assert_eq!(report.new.len(), 1, "{report:#?}");
        assert!(
            report.summary.ends_with(", but 1 new signature since"),
            "{}",
            report.summary
        );
    }
}
