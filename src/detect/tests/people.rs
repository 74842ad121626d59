//! What people do: mute, acknowledge, post markers and exposure.

use super::*;
use crate::detect::{Action, ActionError, MuteTarget, MuteUntil};
use crate::model::{AlertId, ExposureRecord};

/// A world in which one new error fires at 1/s until the end.
fn burning(until: i64) -> (Feed, Alert) {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, until, "v1", "v1");
    for second in 3600..until {
        let host = format!("mw{}", 1 + second % 12);
        lines.push(line(
            second * 1000,
            "exception",
            Level::Error,
            "Burning",
            &host,
        ));
    }
    feed.play(lines, until);
    let alert = feed.only(AlertKind::New).alert.clone();
    (feed, alert)
}

fn muted(feed: &Feed, id: &AlertId) -> Option<String> {
    let alerts = feed.world.active_alerts();
    alerts.into_iter().find(|it| it.id == *id).unwrap().muted
}

#[test]
fn a_mute_runs_out_at_its_time_and_stops_no_count() {
    let (mut feed, alert) = burning(4200);
    let mute = Action::Mute {
        target: MuteTarget::Signature(alert.key.signature.unwrap()),
        until: MuteUntil::Time(time(4500)),
        reason: "T1".to_owned(),
        by: "ann".to_owned(),
    };
    feed.world.act(time(4200), mute).unwrap();
    let words = muted(&feed, &alert.id).unwrap();
    assert!(words.contains("by ann: T1"), "{words}");
    let more = |from: i64, to: i64| {
        let burning =
            (from..to).map(|it| line(it * 1000, "exception", Level::Error, "Burning", "mw1"));
        traffic(from, to, "v1", "v1")
            .into_iter()
            .chain(burning)
            .collect::<Vec<_>>()
    };
    feed.play(more(4200, 4440), 4440);
    assert!(muted(&feed, &alert.id).is_some());
    feed.play(more(4440, 4620), 4620);
    assert_eq!(muted(&feed, &alert.id), None);
    assert_eq!(feed.world.mutes(), []);
    let total = feed.world.signature(alert.key.signature.unwrap()).unwrap();
    assert_eq!(total.summary.total, 4620 - 3600);
}

#[test]
fn an_acknowledged_alert_is_quiet_until_it_is_over() {
    let (mut feed, alert) = burning(4200);
    let take = |alert: &AlertId| Action::Acknowledge {
        alert: alert.clone(),
        by: "ann".to_owned(),
        note: "T2".to_owned(),
    };
    feed.world.act(time(4200), take(&alert.id)).unwrap();
    assert_eq!(
        muted(&feed, &alert.id).as_deref(),
        Some("acknowledged, by ann: T2")
    );
    feed.play(traffic(4200, 5400, "v1", "v1"), 5400);
    assert_eq!(feed.world.mutes(), []);
    assert_eq!(
        feed.world.act(time(5400), take(&alert.id)),
        Err(ActionError::NoSuchAlert(alert.id))
    );
}

#[test]
fn a_mute_until_it_escalates_is_lifted_by_a_higher_rate() {
    let (mut feed, alert) = burning(4200);
    let mute = Action::Mute {
        target: MuteTarget::Alert(alert.id.clone()),
        until: MuteUntil::Escalates { ratio: 3.0 },
        reason: String::new(),
        by: String::new(),
    };
    feed.world.act(time(4200), mute).unwrap();
    let burst =
        (42_000..45_000).map(|it| line(it * 100, "exception", Level::Error, "Burning", "mw1"));
    feed.play(
        traffic(4200, 4500, "v1", "v1")
            .into_iter()
            .chain(burst)
            .collect(),
        4500,
    );
    assert_eq!(muted(&feed, &alert.id), None);
}

#[test]
fn an_action_that_makes_no_sense_changes_nothing() {
    let (mut feed, alert) = burning(4200);
    let past = Action::Mute {
        target: MuteTarget::Alert(alert.id.clone()),
        until: MuteUntil::Time(time(10)),
        reason: String::new(),
        by: String::new(),
    };
    assert!(matches!(
        feed.world.act(time(4200), past),
        Err(ActionError::MuteInThePast { .. })
    ));
    let bad = ExposureRecord {
        t: time(0),
        version: "v1".to_owned(),
        group: "group1".to_owned(),
        exposure: f64::NAN,
    };
    assert_eq!(
        feed.world.act(time(4200), Action::Exposure(bad)),
        Err(ActionError::BadNumber { field: "exposure" })
    );
    let lift = Action::Unmute {
        target: MuteTarget::Alert(alert.id.clone()),
    };
    assert_eq!(feed.world.act(time(4200), lift), Err(ActionError::NotMuted));
    assert_eq!(muted(&feed, &alert.id), None);
}

#[test]
fn exposure_that_is_posted_is_used_and_named() {
    let mut feed = Feed::new(&rules(""));
    for minute in 0..70 {
        for (group, exposure) in [("group1", 1_000.0), ("group2", 9_000.0)] {
            let record = ExposureRecord {
                t: time(minute * 60),
                version: "v1".to_owned(),
                group: group.to_owned(),
                exposure,
            };
            feed.world.act(time(0), Action::Exposure(record)).unwrap();
        }
    }
    feed.play(traffic(0, 3600, "v1", "v1"), 3600);
    let query = crate::detect::NewQuery {
        since: "v1".to_owned(),
        group: Some("group1".to_owned()),
        ..crate::detect::NewQuery::default()
    };
    let answer = feed.world.new_since(&query).unwrap();
    assert_eq!(answer.exposure_source, "requests");
    assert!((answer.exposure_baseline - 60_000.0).abs() < 1e-6);
}
