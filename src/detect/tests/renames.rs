//! A reworded message is renamed: neither new nor gone, and its baseline goes on.

use super::*;
use crate::detect::NewQuery;
use crate::detect::view::NewSince;

/// The second at which the new version begins in group1.
const SWITCH: i64 = 14_400;

/// Plays an old text on v1 until the switch and others on v2 from then on; each with its seconds between two events.
fn play(old: (&str, i64), new: &[(&str, i64)]) -> Feed {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, SWITCH, "v1", "v1");
    lines.extend(traffic(SWITCH, SWITCH + 3600, "v2", "v1"));
    lines.extend(every(old, 0, SWITCH, "v1"));
    for text in new {
        lines.extend(every(*text, SWITCH + 1, SWITCH + 3600, "v2"));
    }
    feed.play(lines, SWITCH + 3600);
    feed
}

fn every((text, step): (&str, i64), from: i64, to: i64, version: &'static str) -> Vec<Line> {
    (from..to)
        .filter(|it| it % step == 0)
        .map(|second| {
            let host = format!("mw{}", 1 + second % 12);
            let it = line(second * 1000 + 3, "session", Level::Error, text, &host);
            it.on(version, "group1")
        })
        .collect()
}

fn answer(feed: &Feed) -> NewSince {
    let query = NewQuery {
        since: "v1".to_owned(),
        group: Some("group1".to_owned()),
        ..NewQuery::default()
    };
    feed.world.new_since(&query).unwrap()
}

fn templates(list: &[crate::detect::view::NewEntry]) -> Vec<&str> {
    list.iter().map(|it| it.template.as_str()).collect()
}

fn assert_renamed(feed: &Feed, old: &str, new: &str) {
    let answer = answer(feed);
    assert_eq!(templates(&answer.renamed), [new], "{:#?}", feed.sentences());
    assert_eq!(
        answer.renamed[0].renamed_from_template.as_deref(),
        Some(old)
    );
    assert!(answer.new.is_empty(), "{:?}", templates(&answer.new));
    assert!(!templates(&answer.gone).contains(&old));
    let page = feed.world.signature(answer.renamed[0].id).unwrap();
    assert_eq!(page.renamed_from.unwrap().template, old);
    // Its usual rate is the one of the old wording.
    assert!(page.summary.expected_per_min.is_some());
}

#[test]
fn other_punctuation_is_the_same_message() {
    let (old, new) = (
        "Session <session>: Bad data",
        "Session \"<session>\": Bad data",
    );
    let feed = play((old, 5), &[(new, 5)]);
    assert!(feed.firings(AlertKind::New).is_empty());
    assert_renamed(&feed, old, new);
}

#[test]
fn a_new_wording_that_takes_the_place_of_the_old_one_is_not_new() {
    let (old, new) = (
        "Cannot load session from store",
        "Could not load the session from store",
    );
    let feed = play((old, 2), &[(new, 2)]);
    assert!(
        feed.firings(AlertKind::New).is_empty(),
        "{:#?}",
        feed.sentences()
    );
    assert_renamed(&feed, old, new);
}

#[test]
fn an_alert_about_a_new_wording_is_withdrawn_when_enough_was_seen() {
    let (old, new) = (
        "Cannot load session from store",
        "Could not load the session from store",
    );
    let feed = play((old, 45), &[(new, 45)]);
    assert_renamed(&feed, old, new);
    for fired in feed.firings(AlertKind::New) {
        let end = feed
            .log
            .iter()
            .find(|it| it.to == AlertState::Resolved && it.alert.id == fired.alert.id)
            .unwrap();
        assert!(end.at <= time(SWITCH + 600), "{}", end.at);
        let words = &end.alert.description;
        assert!(words.starts_with("Withdrawn: a new wording of"), "{words}");
    }
}

#[test]
fn a_new_error_beside_a_dying_one_is_new() {
    let feed = play(
        ("Lock wait timeout of the job", 2),
        &[("Cannot load session from store", 2)],
    );
    feed.only(AlertKind::New);
    let answer = answer(&feed);
    assert_eq!(templates(&answer.new), ["Cannot load session from store"]);
    assert_eq!(templates(&answer.gone), ["Lock wait timeout of the job"]);
    assert!(answer.renamed.is_empty());
}

#[test]
fn another_word_is_another_error() {
    let feed = play(
        ("program interrupt: illegal instruction", 2),
        &[("program interrupt: privileged instruction", 2)],
    );
    feed.only(AlertKind::New);
    assert!(answer(&feed).renamed.is_empty());
}

#[test]
fn a_new_wording_beside_the_living_old_one_is_new() {
    let (old, new) = (
        "Cannot load session from store",
        "Could not load the session from store",
    );
    let feed = play((old, 2), &[(new, 2), (old, 2)]);
    feed.only(AlertKind::New);
    assert!(answer(&feed).renamed.is_empty());
}

#[test]
fn a_new_wording_at_another_rate_is_new() {
    let feed = play(
        ("Cannot load session from store", 30),
        &[("Could not load the session from store", 1)],
    );
    feed.only(AlertKind::New);
    assert!(answer(&feed).renamed.is_empty());
}
