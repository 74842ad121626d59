//! Each kind of alert: said when it should be, and not otherwise.

use super::*;
use crate::detect::Action;
use crate::model::{DeployMarker, Expected, MarkerKind, Severity};

fn errors(from: i64, to: i64, step_ms: usize, template: &str) -> Vec<Line> {
    (from * 1000..to * 1000)
        .step_by(step_ms)
        .map(|at| {
            let host = format!("mw{}", 1 + at / 1000 % 12);
            line(at, "exception", Level::Error, template, &host).on("v2", "group1")
        })
        .collect()
}

fn marker(id: &str, at: i64, kind: MarkerKind) -> DeployMarker {
    DeployMarker {
        id: id.to_owned(),
        at: time(at),
        kind,
        version: None,
        group: None,
        host: None,
        reference: None,
        expected: None,
    }
}

#[test]
fn a_fast_new_error_fires_at_the_close_of_its_second_bucket() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 3900, "v2", "v1"));
    lines.extend(errors(3617, 3900, 1000, "Cannot load session"));
    feed.play(lines, 3900);
    let said = feed.only(AlertKind::New);
    assert_eq!(said.at, time(3630));
    let alert = &said.alert;
    assert_eq!(alert.started_at, time(3617));
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(
        (alert.key.version.as_str(), alert.key.group.as_str()),
        ("v2", "group1")
    );
    assert!(
        alert.summary.contains("Cannot load session"),
        "{}",
        alert.summary
    );
    assert!(
        alert.description.contains("Not seen on v1 in"),
        "{}",
        alert.description
    );
}

#[test]
fn a_slow_new_error_on_a_new_release_is_told_by_its_evidence() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 7200, "v1", "v1");
    lines.extend(traffic(7200, 9000, "v2", "v1"));
    lines.extend(errors(7260, 9000, 60_000, "Rare but new"));
    feed.play(lines, 9000);
    let said = feed.only(AlertKind::New);
    assert_eq!(said.alert.severity, Severity::Warning);
    assert!(said.at <= time(7260 + 8 * 60), "{}", said.at);
}

#[test]
fn nothing_is_new_while_the_baseline_is_learned() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 900, "v1", "v1");
    lines.extend(
        errors(100, 900, 1000, "Old acquaintance")
            .into_iter()
            .map(|it| it.on("v1", "group1")),
    );
    feed.play(lines, 900);
    assert!(
        feed.firings(AlertKind::New).is_empty(),
        "{:?}",
        feed.sentences()
    );
}

#[test]
fn a_fresh_store_without_learning_tells_a_new_error_at_once() {
    let mut feed = Feed::new(&rules("[detect]\nlearn_seconds = 0\n"));
    feed.play(errors(3, 60, 1000, "First of its kind"), 60);
    assert_eq!(feed.only(AlertKind::New).at, time(20));
}

#[test]
fn a_new_error_that_spreads_stays_one_alert_and_resolves_once() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 4200, "v2", "v1"));
    lines.extend(traffic(4200, 7000, "v2", "v2"));
    lines.extend(errors(3610, 4500, 1000, "Cannot load session"));
    lines.extend(
        errors(4210, 4500, 500, "Cannot load session")
            .into_iter()
            .map(|it| it.on("v2", "group2")),
    );
    feed.play(lines, 7000);
    let id = feed.only(AlertKind::New).alert.id.clone();
    let resolved: Vec<_> = feed
        .log
        .iter()
        .filter(|it| it.to == AlertState::Resolved && it.alert.id == id)
        .collect();
    assert_eq!(resolved.len(), 1);
    assert!(resolved[0].at >= time(4500 + 300));
    assert!(
        resolved[0].alert.description.contains("group2"),
        "{}",
        resolved[0].alert.description
    );
}

#[test]
fn errors_of_one_host_blame_the_host_and_not_the_release() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 4000, "v1", "v1");
    for at in (3600..3660).flat_map(|s| (0..5).map(move |n| s * 1000 + n * 200)) {
        let it = line(
            at,
            "exception",
            Level::Error,
            "No localisation cache",
            "mw7",
        );
        lines.push(it.on("v1", "group2"));
    }
    feed.play(lines, 4000);
    let said = feed.only(AlertKind::BadHost);
    assert_eq!(said.at, time(3620));
    assert_eq!(said.alert.key.host.as_deref(), Some("mw7"));
    assert_eq!(said.alert.key.version, "v1");
    assert!(
        feed.firings(AlertKind::New).is_empty(),
        "{:?}",
        feed.sentences()
    );
}

#[test]
fn a_channel_that_stops_is_silent_and_the_cause_is_named() {
    let mut feed = Feed::new(&rules(""));
    let day = 14 * 3600;
    feed.world
        .act(
            time(0),
            Action::Marker(marker("c1", day, MarkerKind::Config)),
        )
        .unwrap();
    let mut lines = traffic(0, day + 3600, "v1", "v1");
    lines
        .retain(|it| it.channel != "session" || it.at < day * 1000 || it.at >= (day + 1800) * 1000);
    feed.play(lines, day + 3600);
    let said = feed.only(AlertKind::SilentChannel);
    assert_eq!(said.alert.key.channel, "session");
    assert!(said.at <= time(day + 150), "{}", said.at);
    assert!(
        said.alert.description.contains("config `c1`"),
        "{}",
        said.alert.description
    );
    let over = feed
        .log
        .iter()
        .find(|it| it.to == AlertState::Resolved)
        .unwrap();
    assert!(
        over.at >= time(day + 1800) && over.at <= time(day + 1900),
        "{}",
        over.at
    );
}

#[test]
fn a_feed_that_stops_as_a_whole_is_no_silent_channel() {
    let mut feed = Feed::new(&rules(""));
    let day = 14 * 3600;
    let mut lines = traffic(0, day, "v1", "v1");
    lines.extend(traffic(day + 1800, day + 2400, "v1", "v1"));
    feed.play(lines, day + 2400);
    assert!(feed.log.is_empty(), "{:?}", feed.sentences());
}

#[test]
fn a_rule_makes_a_channel_silent_whatever_was_learned() {
    let own = "[[channel]]\nname = \"heartbeat\"\nsilent_after_seconds = 90\n";
    let mut feed = Feed::new(&rules(own));
    let mut lines = traffic(0, 1200, "v1", "v1");
    lines.extend((0..10).map(|n| line(n * 30_000, "heartbeat", Level::Info, "alive", "mw1")));
    feed.play(lines, 1200);
    let said = feed.only(AlertKind::SilentChannel);
    assert_eq!(said.alert.key.channel, "heartbeat");
    assert_eq!(said.at, time(280 + 90));
}

#[test]
fn a_regular_host_that_stops_is_told_and_its_peers_are_not() {
    let mut feed = Feed::new(&rules(""));
    let stop = 26 * 3600;
    let mut lines = traffic(0, stop + 3600, "v1", "v1");
    lines.retain(|it| it.host != "mw3" || it.at < stop * 1000);
    feed.play(lines, stop + 3600);
    let said = feed.only(AlertKind::SilentHost);
    assert_eq!(said.alert.key.host.as_deref(), Some("mw3"));
    assert!(said.at <= time(stop + 1200), "{}", said.at);
}

#[test]
fn many_new_errors_at_once_are_one_storm() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 3800, "v2", "v1"));
    for n in 0..26 {
        let name = format!("Broken part {}", (b'a' + n) as char);
        lines.extend(errors(3610, 3700, 1000, &name));
    }
    feed.play(lines, 3800);
    assert!(feed.only(AlertKind::Storm).alert.withheld.is_none());
    let new = feed.firings(AlertKind::New);
    let withheld = new.iter().filter(|it| it.alert.withheld.is_some()).count();
    assert_eq!((new.len(), withheld), (26, 6));
}

#[test]
fn a_planned_effect_is_held_back_until_it_passes_its_bound() {
    let mut feed = Feed::new(&rules(""));
    let mut planned = marker("m1", 3600, MarkerKind::Maintenance);
    planned.expected = Some(Expected {
        channel: Some("session".to_owned()),
        template: Some("User token mismatch".to_owned()),
        rate_max_per_min: 100.0,
    });
    feed.world.act(time(0), Action::Marker(planned)).unwrap();
    let mut lines = traffic(0, 4800, "v1", "v1");
    let mismatch = |at: i64| {
        let host = format!("mw{}", 1 + at / 1000 % 12);
        line(at, "session", Level::Warning, "User token mismatch", &host)
    };
    lines.extend((3610..4800).map(|it| mismatch(it * 1000)));
    feed.play(lines, 4800);
    assert_eq!(
        feed.only(AlertKind::New).alert.withheld.as_deref(),
        Some("planned")
    );
    let more = traffic(4800, 5400, "v1", "v1").into_iter();
    let more = more.chain((48_000..54_000).map(|it| mismatch(it * 100)));
    feed.play(more.collect(), 5400);
    let firings = feed.firings(AlertKind::New);
    assert_eq!(firings.len(), 2, "{:#?}", feed.sentences());
    assert_eq!(firings[1].alert.withheld, None);
}

#[test]
fn a_channel_over_its_budget_is_a_flood_and_capped_records_count() {
    let own = "[[channel]]\nname = \"session\"\nevents_per_minute_max = 60\n";
    let mut feed = Feed::new(&rules(own));
    let mut lines = traffic(0, 4200, "v1", "v1");
    for at in 36_000..42_000 {
        let mut it = line(at * 100, "session", Level::Debug, "Saving session", "mw1");
        it.capped = at % 2 == 0;
        lines.push(it);
    }
    feed.play(lines, 4200);
    let flood = feed.only(AlertKind::Flood);
    assert_eq!(flood.alert.severity, Severity::Warning);
    assert!(
        flood.alert.summary.contains("budget"),
        "{}",
        flood.alert.summary
    );
    assert_eq!(feed.firings(AlertKind::Capped).len(), 1);
    let session = feed
        .world
        .channels()
        .into_iter()
        .find(|it| it.channel == "session");
    let session = session.unwrap();
    assert_eq!((session.capped, session.read), (3000, 6000 + 1400));
    assert!(session.capped_now);
}

#[test]
fn the_share_of_a_joined_value_that_rises_on_a_release_is_told() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 4800, "v2", "v1"));
    for second in 0..4800_i64 {
        let new = second >= 3600;
        let token = second % 2 == 0 || (new && second % 10 != 1);
        let status = if token { "need_token" } else { "success" };
        let mut it = line(
            second * 1000,
            "authevents",
            Level::Info,
            "Login attempt",
            "mw2",
        );
        it.status = Some(status);
        lines.push(it.on(if new { "v2" } else { "v1" }, "group1"));
    }
    feed.play(lines, 4800);
    let said = feed.only(AlertKind::MixShift);
    assert_eq!(said.alert.key.version, "v2");
    assert!(said.at <= time(3600 + 300), "{}", said.at);
    assert!(
        said.alert
            .summary
            .contains("status=need_token rose from 50 % on v1"),
        "{}",
        said.alert.summary
    );
}

#[test]
fn more_of_the_old_errors_on_a_new_release_are_regressed_against_the_same_group() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 7200, "v1", "v1");
    lines.extend(traffic(7200, 7800, "v2", "v1"));
    lines.extend(errors(7210, 7800, 500, "Lock wait timeout"));
    feed.play(lines, 7800);
    let all = feed.firings(AlertKind::Regressed);
    let said = all.iter().find(|it| it.alert.key.channel == "*").unwrap();
    assert_eq!(
        (
            said.alert.key.version.as_str(),
            said.alert.key.group.as_str()
        ),
        ("v2", "group1")
    );
    assert!(said.at <= time(7210 + 120), "{}", said.at);
    assert!(
        said.alert
            .description
            .contains("it is this release and not the world"),
        "{}",
        said.alert.description
    );
    assert!(said.alert.description.contains("Lock wait timeout"));
}

#[test]
fn the_same_rate_on_a_new_release_is_no_alert() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 7200, "v1", "v1");
    lines.extend(traffic(7200, 9000, "v2", "v1"));
    lines.extend(traffic(9000, 14_400, "v2", "v2"));
    feed.play(lines, 14_400);
    assert!(feed.log.is_empty(), "{:?}", feed.sentences());
}

#[test]
fn a_reworded_message_is_not_new() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 4500, "v2", "v1"));
    for second in 0..4500_i64 {
        let (version, template) = if second < 3600 {
            ("v1", "Session <session>: Bad data")
        } else {
            ("v2", "Session \"{session}\": Bad data")
        };
        let it = line(second * 1000, "session", Level::Warning, template, "mw4");
        lines.push(it.on(version, "group1"));
    }
    feed.play(lines, 4500);
    assert!(
        feed.firings(AlertKind::New).is_empty(),
        "{:?}",
        feed.sentences()
    );
}

#[test]
fn a_signature_that_comes_back_after_a_week_is_resurfaced() {
    let mut feed = Feed::new(&rules(""));
    let week = 8 * 86_400;
    let old = |at: i64| {
        line(
            at * 1000,
            "exception",
            Level::Error,
            "Long forgotten",
            "mw5",
        )
    };
    let mut lines: Vec<Line> = (0..week / 60 + 10)
        .map(|minute| line(minute * 60_000, "api", Level::Info, "API call", "mw1"))
        .collect();
    lines.extend((100..110).map(old));
    lines.extend((0..6).map(|it| old(week + it * 60)));
    feed.play(lines, week + 600);
    let said = feed.only(AlertKind::Resurfaced);
    assert_eq!(said.at, time(week + 190));
}

#[test]
fn after_a_week_without_any_record_nothing_is_resurfaced_or_a_flood() {
    let mut feed = Feed::new(&rules(""));
    let week = 8 * 86_400;
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(week, week + 3600, "v1", "v1"));
    feed.play(lines, week + 3600);
    assert!(feed.log.is_empty(), "{:?}", feed.sentences());
}

#[test]
fn records_that_were_gone_are_told_and_counted() {
    let mut feed = Feed::new(&rules(""));
    feed.play(traffic(0, 60, "v1", "v1"), 60);
    let mut late = batch(0, feed.next + 500, &traffic(60, 120, "v1", "v1"), time(120));
    late.range.gap = 500;
    assert_eq!(feed.world.apply(&late), Applied::Gap(500));
    feed.world.advance(time(200));
    feed.log.extend(feed.world.take_transitions());
    assert_eq!(feed.only(AlertKind::DataGap).alert.evidence.count, 500);
    assert_eq!(feed.world.accounting().gap_records, 500);
}
