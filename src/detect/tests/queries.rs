//! Questions and their answers.

use super::*;
use crate::detect::view::SignatureState;
use crate::detect::{Action, After, AlertQuery, NewQuery, NewSinceError, SignatureQuery};
use crate::model::{DeployMarker, LevelClass, MarkerKind};

/// Group 1 goes to v2 after an hour: one error is new there, one is gone, one is worse, one comes after a hotfix.
fn rolled_out() -> Feed {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 7200, "v2", "v1"));
    let mut add = |at: i64, version, template: &str| {
        let host = format!("mw{}", 1 + at % 12);
        let it = line(at * 1000, "exception", Level::Error, template, &host);
        lines.push(it.on(version, "group1"));
    };
    for second in 0..7200 {
        let late = second >= 3600;
        let version = if late { "v2" } else { "v1" };
        if !late && second % 20 == 0 {
            add(second, version, "Only in the old code");
        }
        if late && second % 30 == 0 {
            add(second, version, "Only in the new code");
        }
        if second % 60 == 0 || (late && second % 6 == 0) {
            add(second, version, "More in the new code");
        }
        if second >= 5400 && second % 40 == 0 {
            add(second, version, "Since the hotfix");
        }
    }
    feed.play(lines, 7200);
    let hotfix = DeployMarker {
        id: "h1".to_owned(),
        at: time(5300),
        kind: MarkerKind::Hotfix,
        version: Some("v2".to_owned()),
        group: None,
        host: None,
        reference: None,
        expected: None,
    };
    feed.world.act(time(7200), Action::Marker(hotfix)).unwrap();
    feed
}

fn since(name: &str) -> NewQuery {
    NewQuery {
        since: name.to_owned(),
        group: Some("group1".to_owned()),
        ..NewQuery::default()
    }
}

#[test]
fn new_since_a_version_names_new_worse_and_gone() {
    let feed = rolled_out();
    let answer = feed.world.new_since(&since("v1")).unwrap();
    let names = |list: &[crate::detect::view::NewEntry]| {
        list.iter()
            .map(|it| it.template.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&answer.new),
        ["Only in the new code", "Since the hotfix"]
    );
    assert_eq!(names(&answer.worse), ["More in the new code"]);
    assert_eq!(names(&answer.gone), ["Only in the old code"]);
    assert_eq!(
        (answer.versions, answer.baseline),
        (vec!["v2".to_owned()], vec!["v1".to_owned()])
    );
    let ratio = answer.worse[0].ratio.unwrap();
    assert!((5.0..20.0).contains(&ratio), "{ratio}");
}

#[test]
fn new_since_a_marker_names_what_came_after_it() {
    let feed = rolled_out();
    let answer = feed.world.new_since(&since("h1")).unwrap();
    assert_eq!(answer.new.len(), 1);
    assert_eq!(answer.new[0].template, "Since the hotfix");
}

#[test]
fn new_since_a_marker_names_worse_and_gone_when_history_tells_the_sides() {
    let mut feed = rolled_out();
    let rollout = DeployMarker {
        id: "r1".to_owned(),
        at: time(3600),
        kind: MarkerKind::Deploy,
        version: Some("v2".to_owned()),
        group: None,
        host: None,
        reference: None,
        expected: None,
    };
    feed.world.act(time(7200), Action::Marker(rollout)).unwrap();
    let mut after = After::default();
    let history = feed.world.take_checkpoint();
    for it in history.series.iter().filter(|it| it.bucket >= time(3600)) {
        let key = (it.signature, it.version.clone(), it.group.clone());
        *after.events.entry(key).or_default() += it.events;
    }
    for it in history.channels.iter().filter(|it| it.bucket >= time(3600)) {
        let key = (it.version.clone(), it.group.clone());
        *after.records.entry(key).or_default() += it.counted + it.capped;
    }
    assert_eq!(feed.world.marker_time("r1"), Some(time(3600)));
    assert_eq!(feed.world.marker_time("v1"), None);
    let answer = feed
        .world
        .new_since_after(&since("r1"), Some(&after))
        .unwrap();
    let templates = |list: &[crate::detect::view::NewEntry]| -> Vec<String> {
        list.iter().map(|it| it.template.clone()).collect()
    };
    assert_eq!(
        templates(&answer.new),
        ["Only in the new code", "Since the hotfix"]
    );
    assert_eq!(templates(&answer.worse), ["More in the new code"]);
    assert_eq!(templates(&answer.gone), ["Only in the old code"]);
    assert_eq!(answer.versions, ["v2"]);
    assert_eq!(answer.baseline, ["v1"]);
    assert!(answer.events_new > 0 && answer.events_baseline > 0);
    assert_eq!(answer.exposure_source, "records");

    // Within one version: what the hotfix changed, of signatures that were there before it.
    let mut after = After::default();
    for it in history.series.iter().filter(|it| it.bucket >= time(5300)) {
        let key = (it.signature, it.version.clone(), it.group.clone());
        *after.events.entry(key).or_default() += it.events;
    }
    for it in history.channels.iter().filter(|it| it.bucket >= time(5300)) {
        let key = (it.version.clone(), it.group.clone());
        *after.records.entry(key).or_default() += it.counted + it.capped;
    }
    let answer = feed
        .world
        .new_since_after(&since("h1"), Some(&after))
        .unwrap();
    assert_eq!(templates(&answer.new), ["Since the hotfix"]);
    assert_eq!(answer.baseline, ["v1", "v2"]);
    assert_eq!(templates(&answer.gone), ["Only in the old code"]);
}

#[test]
fn new_since_nothing_that_is_known_says_what_is() {
    let feed = rolled_out();
    let error = feed.world.new_since(&since("v9")).unwrap_err();
    assert!(matches!(error, NewSinceError::Unknown { .. }));
    assert!(error.to_string().contains("v2, v1"), "{error}");
}

#[test]
fn the_list_is_filtered_counted_and_sorted_by_attention() {
    let feed = rolled_out();
    let all = feed.world.signatures(&SignatureQuery::default());
    assert_eq!(all.total, 7);
    let tops: Vec<&str> = all
        .rows
        .iter()
        .take(2)
        .map(|it| it.template.as_str())
        .collect();
    assert_eq!(tops, ["Since the hotfix", "Only in the new code"]);
    assert_eq!(all.rows[0].state, SignatureState::New);
    let query = SignatureQuery {
        severity: Some(LevelClass::Error),
        version: Some("v2".to_owned()),
        text: Some("HOTFIX".to_owned()),
        ..SignatureQuery::default()
    };
    let some = feed.world.signatures(&query);
    assert_eq!((some.total, some.rows[0].count), (1, 45));
    let query = SignatureQuery {
        channel: Some("exception".to_owned()),
        count_min: 100,
        ..SignatureQuery::default()
    };
    let page = feed.world.signatures(&query);
    assert_eq!((page.total, page.hidden), (4, 1));
}

#[test]
fn a_page_of_a_signature_has_its_verdict_releases_and_alerts() {
    let feed = rolled_out();
    let all = feed.world.signatures(&SignatureQuery::default()).rows;
    let id = all
        .iter()
        .find(|it| it.template == "Only in the new code")
        .unwrap()
        .id;
    let page = feed.world.signature(id).unwrap();
    assert!(
        page.verdict.starts_with("Not seen in v1 over"),
        "{}",
        page.verdict
    );
    assert_eq!(page.releases.len(), 1);
    assert_eq!(page.releases[0].events, 120);
    assert_eq!(page.alerts.len(), 1);
    assert_eq!(feed.world.find_prefix(&id.short()), [id]);
    assert!(feed.world.find_prefix("xyz").is_empty());
    let query = AlertQuery {
        signature: Some(id),
        ..AlertQuery::default()
    };
    assert_eq!(feed.world.alerts(&query), page.alerts);
}

#[test]
fn releases_come_in_the_order_of_their_deployment() {
    let feed = rolled_out();
    let releases = feed.world.releases();
    let first = &releases[0];
    assert_eq!(
        (first.version.as_str(), first.group.as_str()),
        ("v2", "group1")
    );
    assert_eq!(first.first_seen, Some(time(3600)));
    let references: Vec<_> = releases
        .iter()
        .filter(|it| it.reference)
        .map(|it| it.version.as_str())
        .collect();
    assert_eq!(references, ["v1", "v1"]);
}

#[test]
fn every_record_is_accounted_for() {
    let feed = rolled_out();
    let accounting = feed.world.accounting();
    let total = &accounting.total;
    assert_eq!(
        total.read,
        total.counted + total.capped + total.rejected_sum()
    );
    let by_channel: u64 = accounting
        .channels
        .iter()
        .map(|it| it.counted + it.capped)
        .sum();
    assert_eq!(by_channel, total.read);
    let v2: u64 = accounting
        .channels
        .iter()
        .filter(|it| it.version == "v2")
        .map(|it| it.counted)
        .sum();
    assert!(v2 > 0 && v2 < by_channel);
}

#[test]
fn a_channel_with_too_many_signatures_counts_the_rest_as_other() {
    let mut feed = Feed::new(&rules(""));
    let lines: Vec<Line> = (0..20_100)
        .map(|n| {
            line(
                n % 5_000,
                "noise",
                Level::Info,
                &format!("text{n:05}"),
                "mw1",
            )
        })
        .collect();
    feed.play(lines, 60);
    let page = feed.world.signatures(&SignatureQuery::default());
    assert_eq!(page.total, 20_001);
    let other = page
        .rows
        .iter()
        .find(|it| it.template.starts_with("(other)"))
        .unwrap();
    assert_eq!(other.total, 100);
    assert_eq!(page.rows.iter().map(|it| it.total).sum::<u64>(), 20_100);
}
