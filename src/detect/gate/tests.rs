//! What the gate says of stories made by hand.

use std::sync::Arc;

use super::super::past::{Past, PastError, ReleaseMinute, ReleaseSum, SignatureMinute};
use super::super::tests::{Feed, Line, line, rules, time, traffic};
use super::*;
use crate::detect::{Action, ActionError};
use crate::model::{
    Alert, AlertKind, AlertState, AlertTransition, DeployMarker, EventTime, Level, MarkerKind,
    SignatureId,
};

/// The past of a story: its lines and its alert log.
pub(in crate::detect) struct Memory {
    pub(in crate::detect) lines: Vec<Line>,
    pub(in crate::detect) log: Vec<AlertTransition>,
}

fn at(it: &Line) -> EventTime {
    time(0).plus_millis(it.at).floor(60)
}

impl Memory {
    fn within(&self, from: EventTime, to: EventTime) -> impl Iterator<Item = &Line> {
        let (from, to) = (from.floor(60), to.floor(60));
        self.lines
            .iter()
            .filter(move |it| at(it) >= from && at(it) < to)
    }
}

impl Past for Memory {
    fn release_sums(&self, from: EventTime, to: EventTime) -> Result<Vec<ReleaseSum>, PastError> {
        let of = |it: &Line| ReleaseSum {
            version: it.version.to_owned(),
            group: it.group.to_owned(),
            channel: it.channel.to_owned(),
            records: 1,
            capped: u64::from(it.capped),
        };
        Ok(self.within(from, to).map(of).collect())
    }

    fn release_minutes(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<ReleaseMinute>, PastError> {
        let of = |it: &Line| ReleaseMinute {
            at: at(it),
            version: it.version.to_owned(),
            group: it.group.to_owned(),
            records: 1,
        };
        Ok(self.within(from, to).map(of).collect())
    }

    fn signature_minutes(
        &self,
        id: SignatureId,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<SignatureMinute>, PastError> {
        let of = |it: &Line| SignatureMinute {
            at: at(it),
            version: it.version.to_owned(),
            group: it.group.to_owned(),
            events: it.events,
        };
        Ok(self
            .within(from, to)
            .filter(|it| it.id() == id && !it.capped)
            .map(of)
            .collect())
    }

    fn alerts_at(&self, at: EventTime) -> Result<Vec<Alert>, PastError> {
        let mut last = std::collections::BTreeMap::new();
        for it in self.log.iter().filter(|it| it.at <= at) {
            last.insert(it.alert.id.clone(), it.alert.clone());
        }
        Ok(last
            .into_values()
            .filter(|it| it.state == AlertState::Firing)
            .collect())
    }

    fn transitions(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<AlertTransition>, PastError> {
        let within = |it: &&AlertTransition| it.at >= from && it.at < to;
        Ok(self.log.iter().filter(within).cloned().collect())
    }
}

/// Plays lines and returns the feed with its past.
pub(in crate::detect) fn story(
    own: &str,
    lines: Vec<Line>,
    markers: &[DeployMarker],
    until: i64,
) -> (Feed, Memory) {
    let mut feed = Feed::new(&rules(own));
    for marker in markers {
        feed.world
            .act(time(0), Action::Marker(marker.clone()))
            .unwrap();
    }
    feed.play(lines.clone(), until);
    let log = feed.log.clone();
    (feed, Memory { lines, log })
}

pub(in crate::detect) fn marker(id: &str, at: i64, kind: MarkerKind, group: &str) -> DeployMarker {
    DeployMarker {
        id: id.to_owned(),
        at: time(at),
        kind,
        version: Some("v2".to_owned()),
        group: Some(group.to_owned()),
        host: None,
        reference: None,
        expected: None,
    }
}

/// An error a second on group1 from one time to another.
pub(in crate::detect) fn burning(from: i64, to: i64) -> impl Iterator<Item = Line> {
    (from..to).map(|it| {
        let host = format!("mw{}", 1 + it % 12);
        line(it * 1000 + 400, "exception", Level::Error, "Burning", &host).on("v2", "group1")
    })
}

/// v1 everywhere, v2 on group1 from an hour on.
pub(in crate::detect) fn rollout(until: i64) -> Vec<Line> {
    let mut lines = traffic(0, 3_600, "v1", "v1");
    lines.extend(traffic(3_600, until, "v2", "v1"));
    lines
}

fn asked(version: &str, group: Option<&str>, at: Option<i64>) -> GateQuery {
    GateQuery {
        version: version.to_owned(),
        group: group.map(str::to_owned),
        at: at.map(time),
        records_min: Some(100),
    }
}

fn rules_of(decision: &GateDecision, effect: Effect) -> Vec<GateRule> {
    let of = decision.reasons.iter().filter(|it| it.effect == effect);
    of.map(|it| it.rule).collect()
}

#[test]
fn a_release_with_a_new_error_fails_and_foretells_the_next_group() {
    let mut lines = rollout(5_400);
    lines.extend(burning(3_720, 5_400));
    let (feed, past) = story("", lines, &[], 5_400);
    let decision = feed
        .world
        .gate(&asked("v2", Some("group1"), None), &past)
        .unwrap();
    assert_eq!(decision.verdict, Verdict::Fail, "{decision:#?}");
    let reason = &decision.reasons[0];
    assert_eq!((reason.rule, reason.events), (GateRule::OpenAlert, 1_680));
    assert_eq!(reason.rate_per_min, Some(60.0));
    let forecast = &decision.forecast[0];
    // 64 records of group2 for 19 of group1, so 60/min here are 202/min there.
    assert_eq!(forecast.to_group, "group2");
    let expected = 60.0 * 64.0 / 19.0;
    assert!((forecast.expected_per_min - expected).abs() < 2.0);
    assert!(forecast.low_per_min < 0.7 * expected && forecast.high_per_min > 1.4 * expected);
    let old = feed.world.gate(&asked("v1", None, None), &past).unwrap();
    assert_eq!(old.verdict, Verdict::Pass, "{old:#?}");
}

#[test]
fn a_decision_as_of_a_moment_is_the_one_that_was_taken_then() {
    let mut lines = rollout(5_400);
    lines.extend(burning(3_720, 5_400));
    let early: Vec<Line> = lines
        .iter()
        .filter(|it| it.at < 3_700_000)
        .cloned()
        .collect();
    let (then, past_then) = story("", early, &[], 3_690);
    let (now, past_now) = story("", lines, &[], 5_400);
    for query in [
        asked("v2", Some("group1"), None),
        asked("v2", None, None),
        asked("v1", None, None),
    ] {
        let was = then.world.gate(&query, &past_then).unwrap();
        let asked = GateQuery {
            at: Some(was.at),
            ..query
        };
        let is = now.world.gate(&asked, &past_now).unwrap();
        assert!(is.is_past && !was.is_past);
        assert_eq!(
            GateDecision {
                is_past: false,
                ..is
            },
            was
        );
    }
    let too_soon = then
        .world
        .gate(&asked("v2", None, None), &past_then)
        .unwrap();
    assert_eq!(too_soon.verdict, Verdict::Inconclusive);
    assert_eq!(
        rules_of(&too_soon, Effect::Inconclusive),
        [GateRule::TooEarly, GateRule::TooLittleExposure]
    );
    let later = then
        .world
        .gate(&asked("v2", None, Some(9_000)), &past_then)
        .unwrap();
    assert!(rules_of(&later, Effect::Inconclusive).contains(&GateRule::Lag));
}

#[test]
fn an_error_of_an_earlier_stage_makes_the_next_one_inconclusive() {
    let mut lines = rollout(5_400);
    lines.extend(burning(3_720, 5_400));
    let (feed, past) = story("", lines, &[], 5_400);
    let decision = feed
        .world
        .gate(&asked("v2", Some("group2"), None), &past)
        .unwrap();
    assert_eq!(decision.verdict, Verdict::Inconclusive);
    let rules = rules_of(&decision, Effect::Inconclusive);
    assert!(
        rules.contains(&GateRule::EarlierStage) && rules.contains(&GateRule::NeverSeen),
        "{rules:?}"
    );
}

#[test]
fn a_silent_or_capped_channel_is_no_pass() {
    let own = "[[channel]]\nname = \"session\"\nsilent_after_seconds = 120\n[detect]\nlearn_seconds = 600\n";
    let mut lines = rollout(6_000);
    lines.retain(|it| it.channel != "session" || it.at < 5_400_000);
    let (feed, past) = story(own, lines.clone(), &[], 6_000);
    let before = feed
        .world
        .gate(&asked("v2", None, Some(5_340)), &past)
        .unwrap();
    assert_eq!(before.verdict, Verdict::Pass, "{before:#?}");
    let silent = feed.world.gate(&asked("v2", None, None), &past).unwrap();
    assert_eq!(
        (silent.verdict, silent.reasons[0].rule),
        (Verdict::Inconclusive, GateRule::SilentChannel)
    );

    let mut lines = rollout(6_000);
    for it in &mut lines {
        it.capped = it.channel == "api" && it.at > 5_400_000;
    }
    let (feed, past) = story("", lines, &[], 6_000);
    let capped = feed.world.gate(&asked("v2", None, None), &past).unwrap();
    assert_eq!(
        (capped.verdict, capped.reasons[0].rule),
        (Verdict::Inconclusive, GateRule::CappedChannel)
    );
}

#[test]
fn a_hotfix_has_to_prove_itself_before_the_gate_passes() {
    let mut lines = rollout(9_000);
    lines.extend(burning(3_720, 6_000));
    let fix = marker("h1", 6_000, MarkerKind::Hotfix, "group1");
    let (feed, past) = story("", lines, &[fix], 9_000);
    let verdict = |at: i64| {
        let decision = feed
            .world
            .gate(&asked("v2", None, Some(at)), &past)
            .unwrap();
        let first = decision.reasons.first().map(|it| it.rule);
        (decision.verdict, first, decision)
    };
    let (before, _, _) = verdict(5_940);
    assert_eq!(before, Verdict::Fail);
    let (fresh, _, decision) = verdict(6_180);
    assert_eq!(fresh, Verdict::Inconclusive, "{decision:#?}");
    assert!(rules_of(&decision, Effect::Inconclusive).contains(&GateRule::FixUnproven));
    let (proven, rule, decision) = verdict(6_240);
    assert_eq!(rule, Some(GateRule::TooLittleExposure), "{decision:#?}");
    assert!(rules_of(&decision, Effect::Note).contains(&GateRule::Fixed));
    assert_eq!(proven, Verdict::Inconclusive);
    assert_eq!(verdict(7_800).0, Verdict::Pass);
}

#[test]
fn a_kept_decision_survives_a_restart_unchanged_and_is_told_while_it_fails() {
    let mut lines = rollout(5_400);
    lines.extend(burning(3_720, 5_400));
    let (mut feed, past) = story("", lines, &[], 5_400);
    let mut decision = feed.world.gate(&asked("v2", None, None), &past).unwrap();
    decision.id = "0011223344556677".to_owned();
    let keep = |decision: &GateDecision| Action::Gate(Box::new(decision.clone()));
    feed.world.act(time(5_400), keep(&decision)).unwrap();
    assert_eq!(
        feed.world.act(time(5_400), keep(&decision)),
        Err(ActionError::GateKept(decision.id.clone()))
    );
    feed.log.extend(feed.world.take_transitions());
    let told = feed.only(AlertKind::GateFailed);
    assert!(
        told.alert.summary.starts_with("Gate failed: v2"),
        "{}",
        told.alert.summary
    );

    let rows = feed.world.take_checkpoint().rows.into_iter();
    let rows = rows.filter_map(|it| Some((it.kind.to_owned(), it.key, it.value?)));
    let positions = feed.world.positions();
    let back = World::restore(Arc::clone(&feed.world.rules), rows, positions).unwrap();
    assert_eq!(back.kept_gate(&decision.id), Some(decision.clone()));
    assert_eq!(back.kept_gates(10).len(), 1);

    let passed = GateDecision {
        id: "8".to_owned(),
        verdict: Verdict::Pass,
        ..decision
    };
    feed.world.act(time(5_400), keep(&passed)).unwrap();
    let over = feed.world.take_transitions();
    assert!(
        over.iter()
            .any(|it| it.to == AlertState::Resolved && it.alert.key.kind == AlertKind::GateFailed)
    );
}

#[test]
fn an_empty_world_decides_nothing() {
    let feed = Feed::new(&rules(""));
    let past = Memory {
        lines: Vec::new(),
        log: Vec::new(),
    };
    let decision = feed.world.gate(&asked("v2", None, None), &past).unwrap();
    assert_eq!(decision.verdict, Verdict::Inconclusive);
}
