//! Posts are acknowledged after the commit, and with a key they are counted once, whatever ends the process.

use super::{await_read, lines, process, total};
use crate::services::http;
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually};
use serde_json::Value;
use std::time::Duration;

const SOURCE: &str =
    "[limits]\ncommit_interval_ms = 50\n[[source]]\nname = \"posts\"\nkind = \"http\"\n";

/// Posts lines under a key; `None` when there was no answer.
fn post(process: &Process, key: &str, body: &str) -> Option<Value> {
    let headers = [("idempotency-key", key)];
    let url = process.url("/api/v1/ingest");
    let answer = http::request("POST", &url, &headers, body.as_bytes()).ok()?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Some(answer.json())
}

#[test]
fn a_post_that_was_answered_is_stored_and_its_key_is_known_after_kill_9() {
    let mut process = process(SOURCE);
    process.start();
    let body = lines(50) + "{broken\n";
    let first = post(&process, "one", &body).expect("an answer");
    assert_eq!(
        (&first["read"], &first["rejected"], &first["duplicate"]),
        (&51.into(), &1.into(), &false.into())
    );
    process.kill();
    process.start();
    assert_eq!(total(&process)["read"], 51, "acknowledged means stored");
    let again = post(&process, "one", &body).expect("an answer");
    for name in ["read", "counted", "capped", "rejected"] {
        assert_eq!(again[name], first[name], "{name}");
    }
    assert_eq!(again["duplicate"], true);
    assert_eq!(total(&process)["read"], 51, "and not counted again");
    post(&process, "two", &body).expect("an answer");
    assert_eq!(total(&process)["read"], 102);
}

#[test]
fn a_post_without_a_line_is_answered_and_holds_up_no_later_one() {
    let mut process = process(SOURCE);
    process.start();
    let empty = post(&process, "empty", "").expect("an answer");
    assert_eq!(
        (&empty["read"], &empty["duplicate"]),
        (&0.into(), &false.into())
    );
    assert_eq!(
        post(&process, "blank", "\n\r\n\n").expect("an answer")["read"],
        0
    );
    let again = post(&process, "empty", "").expect("an answer");
    assert_eq!(again["duplicate"], true);
    assert_eq!(
        post(&process, "full", &lines(5)).expect("an answer")["read"],
        5
    );
}

#[test]
fn posts_with_keys_are_counted_once_each_over_kill_9_at_any_moment() {
    let mut process = process(SOURCE);
    let bodies: Vec<String> = (0..40).map(|_| lines(250)).collect();
    let (mut answered, mut kills, mut again) = (0, 0_u64, 0);
    process.start();
    while answered < bodies.len() {
        let from = answered;
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let mut known = 0;
                let all = bodies.iter().enumerate().skip(from);
                for (n, body) in all {
                    match post(&process, &format!("body-{n}"), body) {
                        Some(it) => known += u64::from(it["duplicate"] == true),
                        None => return (n, known),
                    }
                }
                (bodies.len(), known)
            });
            // Somewhere in the middle of a few posts; the last round is let go to its end.
            if kills < 8 {
                std::thread::sleep(Duration::from_millis(15 + kills * 23));
                let killed = std::process::Command::new("sh")
                    .args(["-c", "kill -9 \"$1\"", "sh", &process.pid().to_string()])
                    .status();
                assert!(killed.unwrap().success());
            }
            let (n, known) = sending.join().unwrap();
            answered = n;
            again += known;
        });
        if kills < 8 {
            process.wait_end();
            process.start();
            kills += 1;
        }
    }
    let found = await_read(&process, 10_000);
    println!("{kills} kills, {again} bodies were stored before their answer was lost");
    assert_eq!(found["read"], 10_000, "{found}");
    eventually("nothing is counted later", PATIENCE, || {
        if total(&process) == found {
            Ok(())
        } else {
            Err(total(&process).to_string())
        }
    });
}
