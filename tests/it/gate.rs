//! The deploy gate, fixes, the timeline and the rollouts of the incident, asked of its store afterwards.

use std::process::Output;

use serde_json::Value;

use crate::incident::{fatalmonitor, played};

fn ask(arguments: &[&str]) -> (i32, Value) {
    let data = played().data.to_str().expect("UTF-8");
    let mut all = arguments.to_vec();
    all.extend(["--data-dir", data, "-o", "json"]);
    let output: Output = fatalmonitor(&all);
    let text = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().expect("an exit code");
    assert!(code != 2, "{arguments:?}: {text}");
    let answer = serde_json::from_slice(&output.stdout).expect("one JSON object");
    (code, answer)
}

fn gate(version: &str, group: Option<&str>, at: &str) -> (i32, Value) {
    let mut arguments = vec!["gate", "--version", version, "--at", at];
    if let Some(group) = group {
        arguments.extend(["--group", group]);
    }
    ask(&arguments)
}

fn rules(answer: &Value, effect: &str) -> Vec<String> {
    let reasons = answer["reasons"].as_array().expect("reasons");
    let of = reasons.iter().filter(|it| it["effect"] == effect);
    of.map(|it| it["rule"].as_str().expect("a rule").to_owned())
        .collect()
}

const WMF10: &str = "1.27.0-wmf.10";
const WMF11: &str = "1.27.0-wmf.11";

#[test]
fn the_gate_stops_wmf_11_on_group0_before_group1_was_deployed() {
    let (code, answer) = gate(WMF11, Some("group0"), "2016-01-19T23:50:00Z");
    println!("{}", answer["summary"]);
    assert_eq!((code, &answer["verdict"]), (1, &Value::from("fail")));
    assert_eq!(answer["schema"], "fatalmonitor/gate/v1");
    let texts = answer["reasons"].to_string();
    assert!(texts.contains("Can neither load the session"), "{texts}");
    assert_eq!(answer["is_past"], true);
    // What group1 then really had: 150 a minute.
    let forecast = answer["forecast"]
        .as_array()
        .expect("a forecast")
        .iter()
        .find(|it| {
            it["to_group"] == "group1" && it["template"].to_string().contains("neither load")
        })
        .expect("of group1")
        .clone();
    println!("{}", forecast["text"]);
    let low = forecast["low_per_min"].as_f64().expect("a number");
    let high = forecast["high_per_min"].as_f64().expect("a number");
    assert!(low < 150.0 && 150.0 < high && high < 400.0, "{forecast}");
    let (code, group1) = gate(WMF11, Some("group1"), "2016-01-19T23:50:00Z");
    assert_eq!(code, 3);
    assert!(rules(&group1, "inconclusive").contains(&"earlier_stage".to_owned()));
}

#[test]
fn the_gate_passes_wmf_10_wherever_it_ran() {
    for group in [None, Some("group0"), Some("group1"), Some("group2")] {
        let (code, answer) = gate(WMF10, group, "2016-01-19T23:50:00Z");
        println!("{}", answer["summary"]);
        assert_eq!(
            (code, &answer["verdict"]),
            (0, &Value::from("pass")),
            "{answer:#}"
        );
    }
}

#[test]
fn the_gate_is_inconclusive_while_the_session_channel_is_silent_and_on_little_exposure() {
    for at in [
        "2016-01-22T11:30:00Z",
        "2016-01-22T12:00:00Z",
        "2016-01-22T13:00:00Z",
    ] {
        for group in [None, Some("group0"), Some("group1"), Some("group2")] {
            let (code, answer) = gate(WMF11, group, at);
            assert_eq!(code, 3, "{at} {group:?}: {answer:#}");
            assert_eq!(rules(&answer, "blind"), ["silent_channel"]);
        }
    }
    for (group, at) in [
        ("group0", "2016-01-19T23:16:30Z"),
        ("group1", "2016-01-20T19:29:00Z"),
    ] {
        let (code, answer) = gate(WMF11, Some(group), at);
        assert_eq!(code, 3, "{answer:#}");
        let rules = rules(&answer, "inconclusive");
        assert!(
            rules.contains(&"too_little_exposure".to_owned()),
            "{rules:?}"
        );
    }
    let (_, answer) = gate(WMF11, None, "2016-01-19T22:30:00Z");
    assert_eq!(rules(&answer, "inconclusive"), ["never_seen"]);
}

#[test]
fn the_hotfix_of_the_session_errors_is_seen_to_work() {
    let (code, answer) = ask(&["fix", "h2"]);
    println!("{}", answer["summary"]);
    for it in answer["targets"].as_array().expect("targets") {
        println!("  {}", it["text"]);
    }
    assert_eq!(code, 0, "{answer:#}");
    let texts = answer["targets"].to_string();
    assert!(
        texts.contains("neither load") && texts.contains("infinite recursion"),
        "{texts}"
    );
    // The next one brought the failed merges.
    let (_, next) = ask(&["fix", "h4"]);
    println!("{}", next["summary"]);
    assert!(
        next["new"].to_string().contains("Metadata merge failed"),
        "{next:#}"
    );
}

#[test]
fn the_timeline_tells_the_first_night_in_order() {
    let data = played().data.to_str().expect("UTF-8");
    let (from, to) = ("2016-01-19T23:00:00Z", "2016-01-19T23:45:00Z");
    let output = fatalmonitor(&["timeline", "--from", from, "--to", to, "--data-dir", data]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    println!("{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "## 2016-01-19");
    let place = |needle: &str| {
        lines
            .iter()
            .position(|it| it.contains(needle))
            .unwrap_or_else(|| panic!("no line with {needle}"))
    };
    let seen = place("First seen: group0 on 1.27.0-wmf.11: \\[exception\\] Can neither load");
    let told = place("Alert: New ERROR in group0 on 1.27.0-wmf.11");
    let deployed = place("23:18:00 Deploy: deploy of 1.27.0-wmf.11 on group0");
    assert!(seen < told && told < deployed, "{text}");
    let wiki = fatalmonitor(&[
        "timeline",
        "--from",
        from,
        "--to",
        to,
        "-o",
        "wikitext",
        "--data-dir",
        data,
    ]);
    assert!(wiki.stdout.starts_with(b"=== 2016-01-19 ===\n* 23:1"));
    let (_, all) = ask(&[
        "timeline",
        "--from",
        "2016-01-19T22:00:00Z",
        "--to",
        "2016-01-23T02:00:00Z",
    ]);
    let told = all["entries"].to_string();
    for kind in [
        "deploy",
        "planned",
        "first_seen",
        "alert",
        "cap",
        "silence",
        "fix",
        "over",
    ] {
        assert!(
            told.contains(&format!("\"told\":\"{kind}\"")),
            "nothing of {kind}"
        );
    }
}

#[test]
fn deploys_shows_when_each_group_really_followed() {
    let (_, answer) = ask(&["deploys"]);
    let announced = answer["rollouts"]["announced"].as_array().expect("a list");
    let find = |marker: &str, group: &str| {
        announced
            .iter()
            .find(|it| it["marker"] == marker && it["group"] == group)
            .unwrap_or_else(|| panic!("no {marker} on {group}"))
    };
    // Announced at 23:18 and 19:32; the stream was four minutes faster.
    let d1 = find("d1", "group0");
    println!("{}", d1["text"]);
    assert_eq!(d1["followed"], "observed");
    assert!(d1["observed_at"].as_str().expect("a time") < "2016-01-19T23:18:00Z");
    assert_eq!(find("d4", "group2")["followed"], "observed");
    let live = answer["rollouts"]["live"].as_array().expect("a list");
    println!("{live:#?}");
    assert!(
        live.iter()
            .any(|it| it["version"] == WMF10 && it["stale"] == false)
    );
    let (code, planned) = ask(&["planned"]);
    assert_eq!(
        (code, planned["planned"][0]["marker"].as_str()),
        (0, Some("m1"))
    );
}
