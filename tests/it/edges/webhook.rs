//! A webhook gets every transition at least once, also those of a time in which it and then we were away.

use super::{process, record};
use crate::services::http;
use crate::services::process::Process;
use crate::services::receiver::Receiver;
use crate::services::{PATIENCE, eventually};
use fatalmonitor::model::EventTime;
use fatalmonitor::node::now;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const RULES: &str = "[fields]\ncontext = [\"status\"]\nfacets = [\"wiki\"]\n[detect]\nlearn_seconds = 0\nresolve_after_seconds = 30\n";

/// A process that takes posts and learns nothing before it calls something new.
fn posted(more: &str) -> Process {
    let process = process(&format!(
        "rules = [\"{{dir}}/rules.toml\"]\n{more}\n[[source]]\nname = \"posts\"\nkind = \"http\"\n"
    ));
    process.write_config("rules.toml", RULES);
    process
}

/// Posts an old error through `seconds` from a time on, and new ones that come one after the other.
fn post(process: &Process, from: EventTime, seconds: i64, fresh: &str) {
    let mut body = String::new();
    for second in 0..seconds {
        let at = from.plus_seconds(second);
        let old = record(at, "exception", "1.0", "Lock wait timeout exceeded");
        writeln!(body, "{old}").unwrap();
        if second >= seconds / 2 && !fresh.is_empty() {
            let new = record(at, "exception", "1.1", fresh);
            writeln!(body, "{new}").unwrap();
        }
    }
    let answer = http::request("POST", &process.url("/api/v1/ingest"), &[], body.as_bytes());
    let answer = answer.expect("the post is answered");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Numbers of the transitions in the webhook's requests so far.
fn numbers(receiver: &Receiver) -> Vec<u64> {
    receiver
        .bodies()
        .iter()
        .flat_map(|body| {
            let body: Value = serde_json::from_str(body).expect("JSON");
            let all = body["transitions"].as_array().expect("a list").clone();
            all.into_iter()
                .map(|it| it["seq"].as_u64().expect("a number"))
        })
        .collect()
}

/// Numbers of all transitions in the alert log of the store.
fn logged(process: &Process) -> BTreeSet<u64> {
    let reader = fatalmonitor::store::Store::open_read_only(&process.data_dir()).expect("a store");
    let log = reader.alert_log(0, u32::MAX).expect("a log");
    log.iter().map(|it| it.seq).collect()
}

#[test]
fn a_webhook_that_was_away_while_we_were_killed_gets_every_transition_afterwards() {
    let mut receiver = Receiver::new();
    let url = receiver.url();
    let mut process = posted(&format!("[[webhook]]\nurl = \"{url}/hook\"\n"));
    process.start();
    let start = now().plus_seconds(-1_800);
    post(&process, start, 300, "The frobnicator is missing");
    eventually("the first alert arrives", PATIENCE, || {
        if numbers(&receiver).is_empty() {
            Err("nothing".into())
        } else {
            Ok(())
        }
    });
    receiver.stop();
    post(
        &process,
        start.plus_seconds(300),
        300,
        "The gizmo is missing",
    );
    post(&process, start.plus_seconds(600), 300, "");
    let log = logged(&process);
    assert!(log.len() >= 3, "two alerts, of which one is over: {log:?}");
    process.kill();

    receiver.start();
    process.start();
    eventually("every transition arrives", PATIENCE, || {
        let found: BTreeSet<u64> = numbers(&receiver).into_iter().collect();
        if found == log {
            Ok(())
        } else {
            Err(format!("{found:?} of {log:?}"))
        }
    });
    // What was taken is noted: a third start sends nothing again.
    let before = numbers(&receiver);
    eventually("what was taken is noted", PATIENCE, || {
        let reader = fatalmonitor::store::Store::open_read_only(&process.data_dir()).unwrap();
        let note = format!(
            "webhook_acked/{}",
            blake3::hash(format!("{url}/hook").as_bytes()).to_hex()
        );
        match reader.note(&note).unwrap() {
            Some(it) if it.parse().ok() == log.last().copied() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    process.kill();
    process.start();
    post(
        &process,
        start.plus_seconds(900),
        300,
        "The doodad is missing",
    );
    eventually("a later transition arrives", PATIENCE, || {
        match numbers(&receiver) {
            now if now.len() > before.len() => Ok(()),
            now => Err(format!("{now:?}")),
        }
    });
    let after = numbers(&receiver);
    assert!(
        after[before.len()..].iter().all(|it| Some(it) > log.last()),
        "{before:?} then {after:?}"
    );
}

/// Whether the last word of an Alertmanager's receiver about an alert with this text is that it is over.
fn is_over(receiver: &Receiver, text: &str) -> Option<bool> {
    let bodies = receiver.bodies();
    let alerts = bodies.iter().rev().flat_map(|body| {
        let all: Value = serde_json::from_str(body).expect("JSON");
        all.as_array().expect("a list").clone()
    });
    let last = alerts
        .into_iter()
        .find(|it| it["annotations"].to_string().contains(text))?;
    let ends = last["endsAt"].as_str().and_then(EventTime::parse_rfc3339)?;
    Some(ends <= now())
}

#[test]
fn a_mute_takes_an_alert_away_from_the_alertmanager_and_its_end_brings_it_back() {
    let receiver = Receiver::new();
    let mut process = posted(&format!(
        "[limits]\nalert_resend_seconds = 600\n[[alertmanager]]\nurl = \"{}\"\n",
        receiver.url()
    ));
    process.start();
    post(
        &process,
        now().plus_seconds(-600),
        500,
        "The frobnicator is missing",
    );
    let await_over = |wanted: bool| {
        eventually(
            &format!("it is over: {wanted}"),
            PATIENCE,
            || match is_over(&receiver, "frobnicator") {
                Some(found) if found == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            },
        );
    };
    await_over(false);
    let alerts = process.get_json("/api/v1/alerts");
    let alert = alerts["alerts"].as_array().unwrap().iter();
    let alert = alert
        .into_iter()
        .find(|it| it.to_string().contains("frobnicator"));
    let id = alert.expect("an alert")["id"].as_str().unwrap().to_owned();
    let headers = [
        ("content-type", "application/json"),
        ("x-fatalmonitor", "1"),
    ];
    let url = process.url(&format!("/api/v1/alerts/{id}/mute"));
    let until = now().plus_seconds(3_600).to_string();
    let body = format!("{{\"until\": \"{until}\", \"reason\": \"known\"}}");
    let answer = http::request("POST", &url, &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.status / 100, 2, "{}", answer.text());
    await_over(true);
    let answer = http::request("DELETE", &url, &headers, b"").unwrap();
    assert_eq!(answer.status / 100, 2, "{}", answer.text());
    await_over(false);
}
