#![expect(clippy::cast_precision_loss, reason = "counts of an hour")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::load::{Dialect, LoadOptions, load};
use super::plan::Plan;
use super::*;
use crate::model::{MarkerKind, Rejection};
use crate::rules::RuleSet;

fn at(text: &str) -> EventTime {
    EventTime::parse_rfc3339(&format!("2016-01-{text}Z")).unwrap()
}

fn stretch(from: &str, to: &str) -> StreamOptions {
    StreamOptions {
        from: Some(at(from)),
        to: Some(at(to)),
        ..StreamOptions::default()
    }
}

/// Plays a stretch of the incident and reads its log records.
fn events(options: &StreamOptions) -> Vec<Value> {
    Scenario::incident()
        .stream(options)
        .filter(|it| it.item.topic != MARKERS_TOPIC)
        .map(|it| serde_json::from_slice(&it.payload).unwrap())
        .collect()
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap_or_default()
}

#[test]
fn the_fleet_is_that_of_january_2016() {
    let scenario = Scenario::incident();
    let file = &scenario.file;
    let plan = Plan::new(file, Shape::Today, &file.shares, 1.0).unwrap();
    let of_pools =
        |names: &[&str]| -> usize { names.iter().map(|it| plan.fleet.hosts_of(it).count()).sum() };
    assert_eq!(
        of_pools(&["app", "api", "canary_app", "canary_api", "job", "image"]),
        257
    );
    assert_eq!(of_pools(&["app"]), 145);
    assert_eq!(of_pools(&["codfw"]), 214);
    let names: BTreeSet<&str> = plan.fleet.hosts.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), plan.fleet.hosts.len(), "no host stands twice");
    let wikis: BTreeSet<&str> = plan.fleet.wikis.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(wikis.len(), 894);
    assert_eq!(plan.fleet.wikis.len(), 894, "no wiki stands twice");
    let rules = RuleSet::parse(&scenario.rules()).unwrap();
    let mut by_group = BTreeMap::new();
    for wiki in &plan.fleet.wikis {
        let group = plan.fleet.groups[wiki.group].as_str();
        assert_eq!(
            rules.groups.group_of(&wiki.name),
            Some(group),
            "{}",
            wiki.name
        );
        *by_group.entry(group).or_insert(0) += 1;
    }
    assert_eq!(
        by_group,
        BTreeMap::from([("group0", 5), ("group1", 594), ("group2", 295)])
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_stretch_is_part_of_the_whole() {
    let scenario = Scenario::incident();
    let whole: Vec<_> = scenario
        .stream(&stretch("20T19:20:00", "20T19:40:00"))
        .collect();
    let again: Vec<_> = scenario
        .stream(&stretch("20T19:20:00", "20T19:40:00"))
        .collect();
    assert!(whole == again);
    let part: Vec<_> = scenario
        .stream(&stretch("20T19:30:00", "20T19:35:00"))
        .collect();
    let inside: Vec<_> = whole
        .iter()
        .filter(|it| it.item.at >= at("20T19:30:00") && it.item.at < at("20T19:35:00"))
        .cloned()
        .collect();
    assert!(part.len() > 5000 && part == inside);
    let other = StreamOptions {
        seed: 1,
        ..stretch("20T19:20:00", "20T19:40:00")
    };
    let other: Vec<_> = scenario.stream(&other).collect();
    assert!(whole != other);
}

#[test]
fn hosts_follow_a_deployment_one_after_another() {
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for event in events(&stretch("20T19:20:00", "20T19:36:00")) {
        let wiki = text(&event, "wiki");
        if !wiki.ends_with("wiktionary") && wiki != "commonswiki" {
            continue;
        }
        let minute = text(&event, "@timestamp").get(11..16).unwrap();
        let phase = match minute {
            it if it < "19:27" => "before",
            it if it < "19:31" => "during",
            _ => "after",
        };
        let version = text(&event, "mwversion").to_owned();
        seen.entry(phase).or_default().insert(version);
    }
    let of = |versions: &[&str]| versions.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(seen["before"], of(&["1.27.0-wmf.10"]));
    assert_eq!(seen["during"], of(&["1.27.0-wmf.10", "1.27.0-wmf.11"]));
    assert_eq!(seen["after"], of(&["1.27.0-wmf.11"]));
}

#[test]
fn each_symptom_comes_from_where_it_came_from() {
    let events = events(&stretch("22T00:50:00", "22T02:30:00"));
    let (mut cas, mut bot, mut health) = (0, 0, 0);
    for event in &events {
        let message = text(event, "message");
        let host = text(event, "host");
        if message.contains("CAS update failed") {
            cas += 1;
            assert_eq!(text(event, "servergroup"), "jobrunner");
            assert_eq!(event["mwversion"], "1.27.0-wmf.11");
        }
        if message.contains("bot_passwords") {
            bot += 1;
            assert!(["silver", "labtestweb2001"].contains(&host));
            assert!(["labswiki", "labtestwiki"].contains(&text(event, "wiki")));
        }
        if host == "mw2020" {
            health += 1;
            assert!(
                text(event, "@timestamp") < "2016-01-22T01:30",
                "it is silent by then"
            );
        }
    }
    assert!((140..=270).contains(&cas), "{cas}");
    assert!((120..=290).contains(&bot), "{bot}");
    assert_eq!(health, 40, "one record a minute until it is silent");
}

#[test]
fn the_localisation_errors_come_from_one_host_on_the_old_version() {
    let mut found = 0;
    for event in events(&stretch("23T01:10:00", "23T01:35:00")) {
        if text(&event, "message").contains("No localisation cache") {
            found += 1;
            assert_eq!(event["host"], "mw2020");
            assert_eq!(event["mwversion"], "1.27.0-wmf.10");
        }
    }
    assert!((3900..=4600).contains(&found), "{found}");
}

#[test]
fn the_session_channel_is_off_while_its_configuration_is_wrong() {
    let events = events(&stretch("22T11:20:00", "22T13:10:00"));
    let session: Vec<&str> = events
        .iter()
        .filter(|it| it["channel"] == "session")
        .map(|it| text(it, "@timestamp"))
        .collect();
    assert!(
        session
            .iter()
            .all(|it| *it < "2016-01-22T11:25" || *it >= "2016-01-22T13:05")
    );
    assert!(session.iter().filter(|it| **it < "2016-01-22T12").count() > 5000);
    assert!(session.iter().filter(|it| **it > "2016-01-22T13").count() > 200);
}

#[test]
fn one_failed_request_writes_two_lines_with_one_id() {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events(&stretch("20T20:00:00", "20T20:10:00")) {
        let message = text(&event, "message");
        if message.contains("create an empty session") || message.contains("create empty session") {
            let channel = text(&event, "channel").to_owned();
            lines
                .entry(text(&event, "reqId").to_owned())
                .or_default()
                .insert(channel);
        }
    }
    assert!(lines.len() > 1200, "{}", lines.len());
    assert!(lines.values().all(|it| it.len() == 2));
}

#[test]
fn an_exception_names_its_place_which_moves_with_the_version() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events(&stretch("21T22:00:00", "22T00:00:00")) {
        if !text(&event, "message").contains("Lock wait timeout") {
            continue;
        }
        let version = text(&event, "mwversion");
        let file = text(&event["exception"], "file");
        assert!(
            file.starts_with(&format!("/srv/mediawiki/php-{version}/includes/")),
            "{file}"
        );
        assert!(text(&event, "message").starts_with('['));
        assert!(text(&event["exception"], "message").starts_with("Error 1205: Lock wait timeout"));
        assert!(text(&event["exception"], "trace").contains("\n#1 /srv/mediawiki/php-"));
        let normalized = text(&event, "normalized_message");
        assert!(normalized.len() <= 255);
        assert!(
            normalized.starts_with("[{exception_id}] {exception_url}   DBQueryError from line "),
            "{normalized}"
        );
        places
            .entry(version.to_owned())
            .or_default()
            .insert(file.to_owned());
    }
    assert_eq!(places.len(), 2);
    assert!(places.values().all(|it| it.len() == 1), "{places:?}");
}

#[test]
fn templates_travel_with_messages_that_have_parameters() {
    let events = events(&stretch("19T23:00:00", "19T23:05:00"));
    let event = events
        .iter()
        .find(|it| it["channel"] == "memcached")
        .unwrap();
    assert_eq!(
        event["normalized_message"],
        "Memcached error for key \"{memcached-key}\" on server \"{memcached-server}\": A TIMEOUT OCCURRED"
    );
    let key = text(event, "memcached-key");
    assert!(text(event, "message").contains(&format!("\"{key}\"")));
    let login = events
        .iter()
        .find(|it| it["channel"] == "authmanager")
        .unwrap();
    assert!(login["successful"].is_boolean());
}

#[test]
fn no_record_names_a_key_twice() {
    let options = stretch("22T20:00:00", "22T20:05:00");
    for record in Scenario::incident().stream(&options) {
        let text = String::from_utf8(record.payload).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        for key in value
            .as_object()
            .unwrap()
            .keys()
            .filter(|it| *it != "message")
        {
            let n = text.matches(&format!(",\"{key}\":")).count();
            assert!(n <= 1, "{key} in {text}");
        }
    }
}

#[test]
fn a_doubled_rate_doubles_all_but_the_health_checks() {
    let count = |factor: f64| {
        let options = StreamOptions {
            rate_factor: Some(factor),
            ..stretch("18T12:00:00", "18T13:00:00")
        };
        let events = events(&options);
        let health = events
            .iter()
            .filter(|it| it["channel"] == "healthcheck")
            .count();
        (events.len() - health, health)
    };
    let (once, health) = count(1.0);
    let (twice, same) = count(2.0);
    assert_eq!((health, same), (214 * 60, 214 * 60));
    let ratio = twice as f64 / once as f64;
    assert!((ratio - 2.0).abs() < 0.05, "{ratio}");
}

#[test]
fn other_shares_move_the_traffic() {
    let shares = [("group0", 0.2), ("group1", 0.3), ("group2", 0.5)];
    let options = StreamOptions {
        shares: Some(
            shares
                .iter()
                .map(|&(name, it)| (name.to_owned(), it))
                .collect(),
        ),
        ..stretch("18T12:00:00", "18T13:00:00")
    };
    let events = events(&options);
    let noise = events.iter().filter(|it| it["channel"] != "healthcheck");
    let (mut all, mut group0) = (0_u32, 0_u32);
    for event in noise {
        all += 1;
        group0 += u32::from(
            [
                "mediawikiwiki",
                "testwiki",
                "test2wiki",
                "testwikidatawiki",
                "zerowiki",
            ]
            .contains(&text(event, "wiki")),
        );
    }
    let share = f64::from(group0) / f64::from(all);
    assert!((share - 0.2).abs() < 0.02, "{share}");
}

#[test]
fn markers_travel_at_the_time_they_were_announced() {
    let scenario = Scenario::incident();
    let records: Vec<_> = scenario
        .stream(&stretch("22T18:10:00", "22T18:20:00"))
        .filter(|it| it.item.topic == MARKERS_TOPIC)
        .collect();
    assert_eq!(records.len(), 1);
    let value: Value = serde_json::from_slice(&records[0].payload).unwrap();
    assert_eq!(value["type"], "deploy_marker");
    let marker: DeployMarker = serde_json::from_value(value).unwrap();
    assert_eq!(
        (marker.id.as_str(), marker.kind),
        ("m1", MarkerKind::Maintenance)
    );
    let expected = marker.expected.unwrap();
    assert_eq!(expected.channel.as_deref(), Some("session"));
    assert!((expected.rate_max_per_min - 2500.0).abs() < 1e-9);
    let d2 = scenario
        .markers()
        .into_iter()
        .find(|it| it.id == "d2")
        .unwrap();
    assert_eq!(d2.at, at("20T19:32:00"));
    assert_eq!(
        scenario.version_at("group1", at("20T19:31:00")),
        "1.27.0-wmf.11"
    );
    assert_eq!(
        scenario.version_at("group2", at("20T19:31:00")),
        "1.27.0-wmf.10"
    );
}

#[test]
fn exposure_records_follow_the_rollout() {
    let options = StreamOptions {
        exposure: true,
        ..stretch("20T19:25:00", "20T19:34:00")
    };
    let mut group1: Vec<(String, f64)> = Vec::new();
    let stream = Scenario::incident().stream(&options);
    for record in stream.filter(|it| it.item.topic == MARKERS_TOPIC) {
        let value: Value = serde_json::from_slice(&record.payload).unwrap();
        if value["type"] == "exposure" && value["group"] == "group1" {
            group1.push((
                text(&value, "version").to_owned(),
                value["exposure"].as_f64().unwrap(),
            ));
        }
    }
    assert_eq!(group1.first().unwrap().0, "1.27.0-wmf.10");
    assert_eq!(group1.last().unwrap().0, "1.27.0-wmf.11");
    assert!(
        group1.len() > 9,
        "both versions share the minutes of the rollout: {group1:?}"
    );
    assert!(group1.iter().all(|it| it.1 > 0.0));
}

#[test]
fn the_lines_of_january_2016_name_no_version_of_their_own() {
    let scenario = Scenario::january_2016();
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for record in scenario.stream(&StreamOptions::default()) {
        if record.item.topic == MARKERS_TOPIC {
            continue;
        }
        assert_eq!(record.item.topic, UDP2LOG_TOPIC);
        let line = String::from_utf8(record.payload).unwrap();
        let head = line.lines().next().unwrap();
        let kind = if line.starts_with("Jan 20 ") {
            assert!(line.contains(":  "), "{line}");
            if line.contains("message repeated ") {
                "repeated"
            } else {
                "hhvm"
            }
        } else {
            assert!(line.starts_with("2016-01-20 "), "{line}");
            let words: Vec<&str> = head.splitn(7, ' ').collect();
            assert!(words[5].ends_with(':'), "{line}");
            match words[4] {
                "exception" => "exception",
                "exception-json" => {
                    let body = words[6].strip_suffix(" {}").unwrap();
                    let value: Value = serde_json::from_str(body).unwrap();
                    assert_eq!(value["type"], "UnexpectedValueException");
                    "exception-json"
                }
                _ => "plain",
            }
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds["exception"], kinds["exception-json"]);
    for kind in ["repeated", "hhvm", "exception", "plain"] {
        assert!(kinds[kind] > 50, "{kinds:?}");
    }
}

#[test]
fn a_faulty_scenario_tells_all_that_is_wrong() {
    let text = JANUARY
        .replace(
            "version = \"1.27.0-wmf.11\"\nunits",
            "version = \"1.27.0-wmf.12\"\nunits",
        )
        .replace("hosts = [\"app\"]", "hosts = [\"nowhere\"]")
        .replace("{memory_file}", "{unknown_thing}");
    let error = Scenario::parse(&text).unwrap_err().to_string();
    for part in ["wmf.12", "nowhere", "unknown_thing"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = Scenario::parse("nome = 1").unwrap_err().to_string();
    assert!(error.contains("nome"), "{error}");
}

#[test]
fn a_load_counts_what_it_made() {
    let options = LoadOptions {
        records: 60_000,
        broken_share: 0.1,
        ..LoadOptions::default()
    };
    let mut made = load(options.clone());
    let mut payload = Vec::new();
    let mut json: BTreeMap<(String, String), u64> = BTreeMap::new();
    let (mut lines, mut unreadable) = (0, 0);
    while let Some(item) = made.next_into(&mut payload) {
        if item.tombstone {
            continue;
        }
        let line = String::from_utf8(payload.clone()).unwrap();
        if line.starts_with("20") {
            lines += 1;
            let words: Vec<&str> = line.split(' ').collect();
            *json
                .entry((words[5].to_owned(), words[4].to_owned()))
                .or_default() += 1;
            continue;
        }
        let Ok(value) = serde_json::from_str::<Value>(&line) else {
            unreadable += 1;
            continue;
        };
        if !value.is_object() || text(&value, "@timestamp").starts_with("9999") {
            continue;
        }
        let channel = value["channel"]
            .as_str()
            .or(value["labels"]["channel"].as_str());
        let version = value["mwversion"]
            .as_str()
            .or(value["service"]["version"].as_str());
        let cell = (channel.unwrap().to_owned(), version.unwrap().to_owned());
        *json.entry(cell).or_default() += 1;
    }
    let expected = made.expected();
    assert_eq!(expected.by_channel_version, json);
    assert_eq!(expected.read, 60_000);
    assert_eq!(
        expected.rejected.values().sum::<u64>() + expected.counted,
        60_000
    );
    assert_eq!(expected.rejected.len(), 5, "{:?}", expected.rejected);
    assert!((5400..6600).contains(&expected.rejected.values().sum::<u64>()));
    let cannot = expected.rejected[&Rejection::Syntax] + expected.rejected[&Rejection::Depth];
    assert_eq!(unreadable, cannot);
    assert!((17_000..19_000).contains(&lines), "{lines}");
    assert_eq!(expected.by_partition.len(), 6);
    assert!(expected.by_partition.iter().all(|it| it.read == 10_000));
    let again: Vec<_> = load(options.clone()).take(500).collect();
    assert!(again == load(options).take(500).collect::<Vec<_>>());
}

#[test]
fn a_load_of_one_dialect_holds_only_it() {
    let options = LoadOptions {
        records: 100,
        dialects: vec![Dialect::Ecs],
        broken_share: 0.0,
        ..LoadOptions::default()
    };
    for (_, payload) in load(options) {
        let value: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
        assert!(value["ecs"].is_object());
    }
}
