use super::*;
use crate::model::{Alert, AlertId, AlertKey, AlertState, Evidence};

fn at(text: &str) -> EventTime {
    EventTime::parse_rfc3339(&format!("2016-01-{text}Z")).unwrap()
}

/// A hand-made alert, in words: kind, version, group, channel, host, template.
struct Made {
    kind: AlertKind,
    version: &'static str,
    group: &'static str,
    channel: &'static str,
    host: Option<&'static str>,
    template: &'static str,
    severity: Severity,
    count: u64,
    withheld: Option<&'static str>,
}

const S1: Made = Made {
    kind: AlertKind::New,
    version: "1.27.0-wmf.11",
    group: "group0",
    channel: "exception",
    host: None,
    template: "Can neither load the session nor create an empty session",
    severity: Severity::Warning,
    count: 5,
    withheld: None,
};

const S11: Made = Made {
    kind: AlertKind::BadHost,
    version: "1.27.0-wmf.10",
    group: "*",
    channel: "exception",
    host: Some("mw2020"),
    template: "No localisation cache found for English.",
    severity: Severity::Critical,
    ..S1
};

const S5: Made = Made {
    kind: AlertKind::Flood,
    version: "*",
    group: "*",
    channel: "session",
    template: "",
    ..S1
};

impl Made {
    fn step(&self, seq: u64, when: &str, to: AlertState, started: &str) -> AlertTransition {
        let key = AlertKey {
            kind: self.kind,
            service: "mediawiki".to_owned(),
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            channel: self.channel.to_owned(),
            signature: None,
            host: self.host.map(str::to_owned),
        };
        // Identity of hand-made alerts: what, and when it started.
        let mut id = AlertId::of(&key, at(started));
        id.0.push_str(self.template);
        let alert = Alert {
            id,
            key,
            severity: self.severity,
            state: to,
            started_at: at(started),
            fired_at: at(when),
            resolved_at: None,
            last_at: at(when),
            template: self.template.to_owned(),
            summary: format!("{} {}", self.kind, self.template),
            description: String::new(),
            evidence: Evidence {
                count: self.count,
                ..Evidence::default()
            },
            muted: None,
            withheld: self.withheld.map(str::to_owned),
            owner: None,
            ticket: None,
        };
        AlertTransition {
            seq,
            at: at(when),
            to,
            alert,
        }
    }

    fn fires(&self, when: &str) -> Vec<AlertTransition> {
        vec![self.step(1, when, AlertState::Firing, when)]
    }
}

fn judge(log: &[AlertTransition], id: &str) -> SymptomResult {
    let report = Report::new(&Scenario::incident(), log);
    report
        .symptoms
        .into_iter()
        .find(|it| it.id.starts_with(id))
        .unwrap()
}

fn violated(log: &[AlertTransition]) -> Vec<String> {
    let report = Report::new(&Scenario::incident(), log);
    let broken = report.controls.into_iter().filter(|it| !it.held);
    broken.map(|it| it.id).collect()
}

#[test]
fn an_alert_in_time_says_its_symptom_with_the_minutes_gained() {
    let result = judge(&S1.fires("19T23:18:10"), "S1_");
    assert_eq!(result.said_at, Some(at("19T23:18:10")));
    assert_eq!(result.kind, Some(AlertKind::New));
    assert_eq!(result.lead_minutes, Some(121.8));
    assert!(result.in_time && result.before_people);
}

#[test]
fn a_late_alert_is_reported_late() {
    let result = judge(&S1.fires("20T00:10:00"), "S1_");
    assert_eq!(result.said_at, Some(at("20T00:10:00")));
    assert!(!result.in_time && result.before_people);
    let result = judge(&S1.fires("20T02:00:00"), "S1_");
    assert_eq!(result.lead_minutes, Some(-40.0));
    assert!(!result.in_time && !result.before_people);
}

#[test]
fn a_wrong_kind_version_group_channel_or_text_does_not_count() {
    let wrong = [
        Made {
            kind: AlertKind::Spike,
            ..S1
        },
        Made {
            version: "1.27.0-wmf.10",
            ..S1
        },
        Made { version: "*", ..S1 },
        Made {
            group: "group1",
            ..S1
        },
        Made { group: "", ..S1 },
        Made {
            channel: "hhvm",
            ..S1
        },
        Made {
            template: "something else",
            ..S1
        },
        Made {
            withheld: Some("storm"),
            ..S1
        },
    ];
    for made in wrong {
        let result = judge(&made.fires("19T23:18:00"), "S1_");
        assert_eq!(result.said_at, None, "{:?} {}", made.kind, made.template);
        assert!(!result.in_time);
    }
}

#[test]
fn an_alert_before_the_cause_says_nothing() {
    assert_eq!(judge(&S1.fires("19T23:00:00"), "S1_").said_at, None);
}

#[test]
fn a_bad_host_has_to_be_the_right_one() {
    assert!(judge(&S11.fires("23T01:15:20"), "S11_").in_time);
    let other = Made {
        host: Some("mw2021"),
        ..S11
    };
    assert!(!judge(&other.fires("23T01:15:20"), "S11_").in_time);
    let none = Made { host: None, ..S11 };
    assert!(!judge(&none.fires("23T01:15:20"), "S11_").in_time);
    let wrong_release = Made {
        version: "1.27.0-wmf.11",
        ..S11
    };
    assert!(!judge(&wrong_release.fires("23T01:15:20"), "S11_").in_time);
}

#[test]
fn any_of_the_allowed_kinds_will_do() {
    for kind in [AlertKind::New, AlertKind::Regressed, AlertKind::Spike] {
        let made = Made {
            kind,
            group: "group2",
            template: "CAS update failed on user_touched for user ID '<num>'",
            ..S1
        };
        assert!(judge(&made.fires("21T22:40:00"), "S9_").in_time, "{kind}");
    }
}

#[test]
fn a_flood_that_still_lasts_meets_a_later_deadline_and_one_that_ended_does_not() {
    let lasting = S5.fires("20T19:31:30");
    assert!(judge(&lasting, "S5_").in_time);
    assert_eq!(judge(&lasting, "S5_").said_at, Some(at("20T19:31:30")));
    let ended = vec![
        S5.step(1, "20T19:31:30", AlertState::Firing, "20T19:31:00"),
        S5.step(2, "20T21:40:00", AlertState::Resolved, "20T19:31:00"),
    ];
    assert_eq!(judge(&ended, "S5_").said_at, None);
    let mut again = ended;
    again.push(S5.step(3, "21T18:59:00", AlertState::Firing, "21T18:58:00"));
    let result = judge(&again, "S5_");
    assert_eq!(result.said_at, Some(at("21T18:59:00")));
    assert!(result.in_time);
}

#[test]
fn several_groups_may_be_said_as_one_where_several_are_meant() {
    let made = Made {
        kind: AlertKind::Regressed,
        group: "*",
        channel: "DBPerformance",
        template: "[<*>] Expectation (masterConns <= <num>) by MediaWiki::main not met:",
        ..S1
    };
    assert!(judge(&made.fires("21T19:01:00"), "S7_").in_time);
}

#[test]
fn a_moved_old_error_that_is_called_new_violates_its_control() {
    let made = Made {
        group: "group1",
        template: "DBQueryError: Lock wait timeout exceeded; try restarting transaction (<ip>)",
        ..S1
    };
    assert_eq!(violated(&made.fires("20T19:31:00")), ["moved_is_not_new"]);
    let regressed = Made {
        kind: AlertKind::Regressed,
        ..made
    };
    assert!(violated(&regressed.fires("20T19:31:00")).is_empty());
    let before_the_show = Made {
        kind: AlertKind::New,
        ..regressed
    };
    assert!(violated(&before_the_show.fires("17T20:00:00")).is_empty());
}

#[test]
fn the_planned_logout_may_be_listed_but_not_alerted() {
    let made = Made {
        channel: "session",
        group: "*",
        template: "Session <*>: User token mismatch",
        ..S1
    };
    assert_eq!(
        violated(&made.fires("22T18:17:00")),
        ["planned_logout_is_quiet"]
    );
    let listed = Made {
        severity: Severity::Info,
        ..made
    };
    assert!(violated(&listed.fires("22T18:17:00")).is_empty());
    let withheld = Made {
        severity: Severity::Critical,
        withheld: Some("planned"),
        ..listed
    };
    assert!(violated(&withheld.fires("22T18:17:00")).is_empty());
}

#[test]
fn the_same_problem_said_at_each_switch_violates_its_control() {
    let mut log = S11.fires("23T01:15:20");
    assert!(violated(&log).is_empty());
    log.push(S11.step(2, "23T01:28:20", AlertState::Resolved, "23T01:15:20"));
    log.push(S11.step(3, "23T01:29:20", AlertState::Firing, "23T01:29:10"));
    assert_eq!(violated(&log), ["one_alert_a_problem"]);
}

#[test]
fn one_or_two_events_on_the_smallest_group_are_no_spike() {
    let made = Made {
        kind: AlertKind::Spike,
        count: 2,
        ..S1
    };
    assert_eq!(
        violated(&made.fires("20T03:00:00")),
        ["group0_small_numbers"]
    );
    let more = Made { count: 3, ..made };
    assert!(violated(&more.fires("20T03:00:00")).is_empty());
}

#[test]
fn what_is_said_loudly_is_counted_once_an_alert_and_explained() {
    let mut log = S1.fires("19T23:18:10");
    log.push(S1.step(2, "19T23:30:00", AlertState::Firing, "19T23:18:10"));
    let listed = Made {
        severity: Severity::Info,
        ..S1
    };
    log.push(listed.step(3, "20T05:00:00", AlertState::Firing, "20T05:00:00"));
    let stray = Made {
        kind: AlertKind::Spike,
        template: "unheard of",
        ..S1
    };
    log.push(stray.step(4, "20T06:00:00", AlertState::Firing, "20T06:00:00"));
    let early = Made {
        template: "in the learning days",
        ..S1
    };
    log.push(early.step(5, "18T06:00:00", AlertState::Firing, "18T06:00:00"));
    let firings = Report::new(&Scenario::incident(), &log).firings;
    assert_eq!((firings.warning, firings.critical), (2, 0));
    assert_eq!(firings.unexplained.len(), 1);
    assert_eq!(firings.unexplained[0].at, at("20T06:00:00"));
}

#[test]
fn the_verdict_needs_every_dated_symptom_but_not_the_soft_one() {
    let scenario = Scenario::incident();
    let report = Report::new(&scenario, &[]);
    assert!(!report.passed && !report.before_people());
    let texts = |it: &Symptom| it.texts.first().cloned().unwrap_or_default();
    let mut log = Vec::new();
    for (seq, symptom) in (1..).zip(scenario.symptoms()) {
        let Some(&kind) = symptom.kinds.first().filter(|_| !symptom.soft) else {
            continue;
        };
        let mut step = S1.step(seq, "19T23:18:00", AlertState::Firing, "19T23:18:00");
        let alert = &mut step.alert;
        alert.key.kind = kind;
        alert.key.version = symptom.version.clone().unwrap_or_default();
        alert.key.group = symptom.groups.first().cloned().unwrap_or_default();
        alert.key.channel = symptom.channels.first().cloned().unwrap_or_default();
        alert.key.host.clone_from(&symptom.host);
        alert.template = texts(symptom);
        alert.id.0 = symptom.id.clone();
        step.at = symptom.due_from.unwrap_or(symptom.from).plus_seconds(70);
        log.push(step);
    }
    let report = Report::new(&scenario, &log);
    assert!(report.passed && report.before_people(), "{report:#?}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["symptoms"][0]["said_at"], "2016-01-19T23:17:10Z");
    assert_eq!(json["symptoms"][0]["kind"], "new");
    let n_dated = scenario
        .symptoms()
        .iter()
        .filter(|it| it.must_alert_by.is_some());
    assert_eq!(n_dated.count(), 13);
    let first_late = log
        .iter_mut()
        .find(|it| it.alert.id.0.starts_with("S6_"))
        .unwrap();
    first_late.at = at("22T11:31:00");
    assert!(!Report::new(&scenario, &log).passed);
}
