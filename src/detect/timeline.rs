//! The timeline of a stretch of time, as an incident report wants it: deploys, first seen, alerts, caps, silences, fixes.
//!
//! It retells the alert log and the markers, nothing else. Invariant: the same log gives the same timeline.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::World;
use super::fix::{FixError, FixState};
use super::past::{Past, PastError};
use super::words;
use crate::model::{
    AlertId, AlertKind, AlertState, AlertTransition, DeployMarker, EventTime, MarkerKind, Severity,
    SignatureId,
};

/// Entries of one timeline.
const ENTRIES_MAX: usize = 2_000;

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A version went out, or back, or configuration changed.
    Deploy,
    /// Planned work with a declared effect.
    Planned,
    /// The first event of an error that was told later.
    FirstSeen,
    /// An alert began.
    Alert,
    /// A cap engaged, or let go.
    Cap,
    /// A channel or host stopped, or came back.
    Silence,
    /// A fix worked, or did not.
    Fix,
    /// An alert was over.
    Over,
}

impl Told {
    /// Returns the word in front of an entry.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "Deploy",
            Self::Planned => "Planned",
            Self::FirstSeen => "First seen",
            Self::Alert => "Alert",
            Self::Cap => "Cap",
            Self::Silence => "Silence",
            Self::Fix => "Fix",
            Self::Over => "Over",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: EventTime,
    /// What it tells.
    pub told: Told,
    /// Severity of the alert, if it is about one.
    pub severity: Option<Severity>,
    /// One sentence. Redacted.
    pub text: String,
    /// Signature, if it is about one.
    pub signature: Option<SignatureId>,
    /// Alert, if it is about one.
    pub alert: Option<AlertId>,
    /// Marker, if it is about one.
    pub marker: Option<String>,
}

/// What goes into a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineQuery {
    /// Start.
    pub from: EventTime,
    /// End, exclusive.
    pub to: EventTime,
    /// Least severity of the alerts that are told.
    pub severity_min: Severity,
}

/// A timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Schema name and version.
    pub schema: String,
    /// Start.
    pub from: EventTime,
    /// End, exclusive.
    pub to: EventTime,
    /// Entries left out because there were too many.
    pub left_out: usize,
    /// Entries, in the order of time.
    pub entries: Vec<TimelineEntry>,
}

impl World {
    /// Writes the timeline of a stretch of time.
    pub fn timeline(&self, query: TimelineQuery, past: &dyn Past) -> Result<Timeline, PastError> {
        let within = |at: EventTime| at >= query.from && at < query.to;
        let mut entries: Vec<TimelineEntry> = Vec::new();
        for marker in self.markers().iter().filter(|it| within(it.at)) {
            entries.push(deployed(marker));
            if marker.kind == MarkerKind::Hotfix {
                entries.extend(self.fixed(marker, past)?.filter(|it| within(it.at)));
            }
        }
        let log = past.transitions(query.from, query.to)?;
        let mut seen: BTreeSet<SignatureId> = BTreeSet::new();
        for it in &log {
            if !wanted(it, query.severity_min) {
                continue;
            }
            if is_new(it) && it.alert.key.signature.is_some_and(|id| seen.insert(id)) {
                entries.extend(first_seen(it).filter(|it| within(it.at)));
            }
            entries.push(alerted(it));
        }
        entries.sort_by(|a, b| (a.at, a.told, &a.text).cmp(&(b.at, b.told, &b.text)));
        let left_out = entries.len().saturating_sub(ENTRIES_MAX);
        entries.truncate(ENTRIES_MAX);
        Ok(Timeline {
            schema: "fatalmonitor/timeline/v1".to_owned(),
            from: query.from,
            to: query.to,
            left_out,
            entries,
        })
    }

    /// Says when a fix had worked, or that it had not.
    fn fixed(
        &self,
        marker: &DeployMarker,
        past: &dyn Past,
    ) -> Result<Option<TimelineEntry>, PastError> {
        let report = match self.fix(&marker.id, past) {
            Ok(report) => report,
            Err(FixError::Past(error)) => return Err(error),
            Err(FixError::Unknown(_)) => return Ok(None),
        };
        if report.targets.is_empty() {
            return Ok(None);
        }
        let all_gone = report.targets.iter().all(|it| it.state == FixState::Gone);
        // What merely fired at that moment may have nothing to do with it.
        if !all_gone && report.targets.iter().all(|it| !it.named) {
            return Ok(None);
        }
        let last = report
            .targets
            .iter()
            .filter_map(|it| it.last_after_seconds)
            .max()
            .unwrap_or(0);
        Ok(Some(TimelineEntry {
            at: if all_gone {
                marker.at.plus_seconds(last)
            } else {
                report.until
            },
            text: report.summary,
            marker: Some(marker.id.clone()),
            ..entry(marker.at, Told::Fix, "")
        }))
    }
}

impl Timeline {
    /// Writes it as Markdown.
    pub fn markdown(&self) -> String {
        self.write("## ", "- ", |text| {
            let mut out = String::with_capacity(text.len());
            for it in text.chars() {
                if matches!(
                    it,
                    '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|'
                ) {
                    out.push('\\');
                }
                out.push(it);
            }
            out
        })
    }

    /// Writes it as wikitext.
    pub fn wikitext(&self) -> String {
        self.write("=== ", "* ", |text| {
            let plain = text
                .chars()
                .all(|it| it.is_alphanumeric() || " .,:;/%()+-!?".contains(it));
            if plain {
                text.to_owned()
            } else {
                format!(
                    "<nowiki>{}</nowiki>",
                    text.replace('<', "&lt;").replace('>', "&gt;")
                )
            }
        })
    }

    fn write(&self, heading: &str, bullet: &str, escape: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let mut day = String::new();
        for it in &self.entries {
            let stamp = words::time(it.at);
            let (date, rest) = stamp.split_once(' ').unwrap_or((&stamp, ""));
            if date != day {
                let gap = if out.is_empty() { "" } else { "\n" };
                let tail = if heading.starts_with('=') { " ===" } else { "" };
                // Writing to a String cannot fail.
                writeln!(out, "{gap}{heading}{date}{tail}").ok();
                date.clone_into(&mut day);
            }
            let time: String = rest.chars().take(8).collect();
            writeln!(
                out,
                "{bullet}{time} {}: {}",
                it.told.word(),
                escape(&it.text)
            )
            .ok();
        }
        out
    }
}

fn entry(at: EventTime, told: Told, text: &str) -> TimelineEntry {
    TimelineEntry {
        at,
        told,
        severity: None,
        text: words::clip(text, 300),
        signature: None,
        alert: None,
        marker: None,
    }
}

fn deployed(marker: &DeployMarker) -> TimelineEntry {
    let told = if marker.expected.is_some() {
        Told::Planned
    } else {
        Told::Deploy
    };
    let mut text = match marker.kind {
        MarkerKind::HostFix => "host repaired".to_owned(),
        it => it.name().to_owned(),
    };
    let mut add = |before: &str, it: Option<&String>| {
        if let Some(it) = it {
            write!(text, "{before}{it}").ok();
        }
    };
    add(" of ", marker.version.as_ref());
    add(" on ", marker.host.as_ref().or(marker.group.as_ref()));
    add(": ", marker.reference.as_ref());
    if let Some(expected) = &marker.expected {
        let bound = words::per_min(expected.rate_max_per_min);
        let what = expected.template.as_deref().or(expected.channel.as_deref());
        write!(
            text,
            "; \"{}\" up to {bound} is planned",
            what.unwrap_or("anything")
        )
        .ok();
    }
    write!(text, " ({})", marker.id).ok();
    TimelineEntry {
        marker: Some(marker.id.clone()),
        ..entry(marker.at, told, &text)
    }
}

fn is_new(it: &AlertTransition) -> bool {
    it.to == AlertState::Firing && it.alert.key.kind == AlertKind::New
}

/// Tells whether a transition is worth a line: grave enough, or about what we could not see.
fn wanted(it: &AlertTransition, severity_min: Severity) -> bool {
    let blind = matches!(
        it.alert.key.kind,
        AlertKind::Capped | AlertKind::SilentChannel | AlertKind::DataGap
    );
    (blind || it.alert.severity >= severity_min) && it.alert.withheld.is_none()
}

fn first_seen(it: &AlertTransition) -> Option<TimelineEntry> {
    let alert = &it.alert;
    (alert.started_at < it.at).then(|| TimelineEntry {
        signature: alert.key.signature,
        alert: Some(alert.id.clone()),
        ..entry(
            alert.started_at,
            Told::FirstSeen,
            &format!(
                "{}: [{}] {}",
                words::place(&alert.key.version, &alert.key.group),
                alert.key.channel,
                alert.template
            ),
        )
    })
}

fn alerted(it: &AlertTransition) -> TimelineEntry {
    let alert = &it.alert;
    let told = match (alert.key.kind, it.to) {
        (AlertKind::Capped, _) => Told::Cap,
        (AlertKind::SilentChannel | AlertKind::SilentHost, _) => Told::Silence,
        (_, AlertState::Firing) => Told::Alert,
        (_, AlertState::Resolved) => Told::Over,
    };
    let text = if it.to == AlertState::Resolved {
        let lasted = words::duration(it.at.millis_since(alert.started_at) / 1000);
        format!("over after {lasted}: {}", alert.summary)
    } else {
        alert.summary.clone()
    };
    TimelineEntry {
        severity: Some(alert.severity),
        signature: alert.key.signature,
        alert: Some(alert.id.clone()),
        ..entry(it.at, told, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::tests::{burning, marker, rollout, story};
    use super::super::tests::time;
    use super::*;

    #[test]
    fn a_timeline_tells_deploy_first_seen_alert_fix_and_end_in_order() {
        let mut lines = rollout(7_800);
        lines.extend(burning(3_720, 6_060));
        let markers = [
            marker("d1", 3_600, MarkerKind::Deploy, "group1"),
            marker("h1", 6_000, MarkerKind::Hotfix, "group1"),
        ];
        let (feed, past) = story("", lines, &markers, 7_800);
        let query = TimelineQuery {
            from: time(3_000),
            to: time(7_800),
            severity_min: Severity::Warning,
        };
        let timeline = feed.world.timeline(query, &past).unwrap();
        let told: Vec<Told> = timeline.entries.iter().map(|it| it.told).collect();
        let first: Vec<Told> = told.iter().take(3).copied().collect();
        assert_eq!(
            first,
            [Told::Deploy, Told::FirstSeen, Told::Alert],
            "{timeline:#?}"
        );
        assert!(
            told.contains(&Told::Fix) && told.contains(&Told::Over),
            "{told:?}"
        );
        let markdown = timeline.markdown();
        assert!(
            markdown.starts_with("## 2016-01-18\n- 01:00:00 Deploy: deploy of v2 on group1 (d1)\n"),
            "{markdown}"
        );
        assert!(markdown.contains("\\[exception\\] Burning"), "{markdown}");
        let wikitext = timeline.wikitext();
        assert!(
            wikitext.starts_with("=== 2016-01-18 ===\n* 01:00:00 Deploy: "),
            "{wikitext}"
        );
        assert!(wikitext.contains("<nowiki>"), "{wikitext}");
    }

    #[test]
    fn markup_in_log_text_stays_text() {
        let mut hostile = entry(time(0), Told::Alert, "</nowiki><script> [x](y) *z*");
        hostile.severity = Some(Severity::Warning);
        let timeline = Timeline {
            schema: String::new(),
            from: time(0),
            to: time(1),
            left_out: 0,
            entries: vec![hostile],
        };
        assert!(
            timeline
                .wikitext()
                .contains("<nowiki>&lt;/nowiki&gt;&lt;script&gt;")
        );
        assert!(
            timeline
                .markdown()
                .contains("\\<script\\> \\[x\\](y) \\*z\\*")
        );
    }
}
