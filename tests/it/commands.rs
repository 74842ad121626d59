//! The commands as a person runs them: what they print, where, and with which exit code.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::incident::{fatalmonitor, played};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The demo and the question after it are one test, so that the incident is played once.
#[test]
fn the_headless_demo_says_every_symptom_and_new_since_names_the_session_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, demo) = (&played().data, &played().output);
    println!("{}", err(demo));
    let report: Value = serde_json::from_slice(&demo.stdout).expect("one JSON object");
    for symptom in report["symptoms"].as_array().expect("symptoms") {
        println!(
            "{} said {} noticed {} lead {}",
            symptom["id"], symptom["said_at"], symptom["human_noticed"], symptom["lead_minutes"]
        );
    }
    let accounting = &report["accounting"];
    let rejected: u64 = accounting["rejected"]
        .as_object()
        .expect("by reason")
        .values()
        .filter_map(Value::as_u64)
        .sum();
    let n = |name: &str| accounting[name].as_u64().expect("a number");
    assert_eq!(
        n("read"),
        n("counted") + n("capped") + rejected,
        "conservation"
    );
    assert_eq!(code(demo), 0, "every dated symptom was said in time");

    let new = fatalmonitor(&[
        "new",
        "--since",
        "1.27.0-wmf.10",
        "--data-dir",
        path(data),
        "-o",
        "json",
    ]);
    assert_eq!(code(&new), 0, "{}", err(&new));
    let answer: Value = serde_json::from_slice(&new.stdout).expect("one JSON object");
    assert_eq!(answer["schema"], "fatalmonitor/new/v1");
    let templates: Vec<&str> = answer["new"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["template"].as_str())
        .collect();
    println!("{} new: {templates:#?}", templates.len());
    for session in [
        "Can neither load the session nor create an empty session",
        "added in both Session and $_SESSION",
    ] {
        assert!(
            templates.iter().any(|it| it.contains(session)),
            "missing: {session}"
        );
    }
    for old in [
        "Lock wait timeout",
        "Duplicate entry",
        "memory limit",
        "Memcached error",
        "Bad metadata",
        "Expectation",
    ] {
        assert!(
            !templates.iter().any(|it| it.contains(old)),
            "an old error is called new: {old}"
        );
    }

    let table = fatalmonitor(&[
        "new",
        "--since",
        "1.27.0-wmf.10",
        "--data-dir",
        path(data),
        "--fail-on-new",
    ]);
    assert_eq!(code(&table), 1, "findings");
    assert!(out(&table).contains("Can neither load"), "{}", out(&table));

    let backup = folder.path().join("backup.db");
    let made = fatalmonitor(&["backup", path(&backup), "--data-dir", path(data)]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let restored = folder.path().join("restored");
    let put = fatalmonitor(&["restore", path(&backup), "--data-dir", path(&restored)]);
    assert_eq!(code(&put), 0, "{}", err(&put));
    let again = fatalmonitor(&[
        "new",
        "--since",
        "1.27.0-wmf.10",
        "--data-dir",
        path(&restored),
        "-o",
        "json",
    ]);
    assert_eq!(out(&again), out(&new), "a restored backup answers the same");
}

#[test]
fn trouble_is_exit_code_2_with_the_cause_and_the_next_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("bad.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nsuorce = 1\n").expect("written");
    let wrong = fatalmonitor(&["serve", "--config", path(&config)]);
    assert_eq!(code(&wrong), 2);
    assert!(
        err(&wrong).contains("bad.toml:2") && err(&wrong).contains("did you mean `source`"),
        "{}",
        err(&wrong)
    );

    let absent = fatalmonitor(&["serve", "--config", path(&folder.path().join("none.toml"))]);
    assert_eq!(code(&absent), 2);
    assert!(err(&absent).contains("none.toml"), "{}", err(&absent));

    let nobody = fatalmonitor(&["new", "--since", "1", "--url", "http://127.0.0.1:9"]);
    assert_eq!(code(&nobody), 2);
    assert!(err(&nobody).contains("is it running?"), "{}", err(&nobody));

    let usage = fatalmonitor(&["repaly"]);
    assert_eq!(code(&usage), 2);
    assert!(err(&usage).contains("replay"), "{}", err(&usage));

    let store = fatalmonitor(&[
        "new",
        "--since",
        "1",
        "--data-dir",
        path(&folder.path().join("nothing")),
    ]);
    assert_eq!(code(&store), 2);
    assert!(err(&store).contains("no store"), "{}", err(&store));
}

#[test]
fn a_port_in_use_is_named_with_the_next_step() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let output = fatalmonitor(&[
        "serve",
        "--listen",
        &address,
        "--data-dir",
        path(folder.path()),
    ]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains(&address) && err(&output).contains("choose another"),
        "{}",
        err(&output)
    );
}

#[test]
fn wrong_rules_are_findings_with_file_line_and_nearest_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("mine.toml");
    std::fs::write(
        &rules,
        "[[cap]]\nchannel = \"session\"\nevents_per_secnd = 5\n",
    )
    .expect("written");
    let output = fatalmonitor(&["check", "rules", path(&rules)]);
    assert_eq!(code(&output), 1);
    assert!(
        out(&output).contains("mine.toml:3") && out(&output).contains("`events_per_second`"),
        "{}",
        out(&output)
    );
    assert_eq!(code(&fatalmonitor(&["check", "rules"])), 0);
}

#[test]
fn the_examples_of_rules_are_run_and_failures_are_findings() {
    let built_in = fatalmonitor(&["test", "rules"]);
    assert_eq!(code(&built_in), 0, "{}", out(&built_in));
    assert!(
        err(&built_in).contains(" passed, 0 failed"),
        "{}",
        err(&built_in)
    );
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("mine.toml");
    std::fs::write(
        &rules,
        "[[test]]\nname = \"orders differ\"\ndialect = \"plain\"\ninput = [\"order 17 lost\", \"order 18 lost\"]\nsame = false\n",
    )
    .expect("written");
    let output = fatalmonitor(&["test", "rules", path(&rules)]);
    assert_eq!(code(&output), 1);
    assert!(
        out(&output).contains("mine.toml:1: orders differ: FAILED")
            && out(&output).contains("order <num> lost"),
        "{}",
        out(&output)
    );
}

#[test]
fn fingerprint_prints_one_line_per_line_blank_ones_included() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines.txt");
    std::fs::write(&file, "user 12 not found\n\nuser 99 not found\n").expect("written");
    let output = fatalmonitor(&["fingerprint", "--stage1", path(&file)]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let lines: Vec<Value> = out(&output)
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["signature"], lines[2]["signature"]);
    assert_ne!(lines[0]["signature"], lines[1]["signature"]);
    assert_eq!(lines[2]["line"], 3);
    assert_eq!(lines[0]["template"], "user <num> not found");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_trouble() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines.txt");
    // More than a pipe holds.
    std::fs::write(&file, "user 12 not found\n".repeat(20_000)).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fatalmonitor"))
        .args(["fingerprint", path(&file)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!((code(&output), err(&output)), (0, String::new()));
}

#[test]
fn a_backtest_names_the_first_line_it_left_out_and_reads_on_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let counts = folder.path().join("counts.ndjson");
    let line = |minute: u32, signature: &str| {
        format!(
            "{{\"t\":{},\"signature\":\"{signature}\",\"version\":\"1\",\"group\":\"g\",\"count\":50}}\n",
            1_453_248_000 + 60 * minute
        )
    };
    let mut text: Vec<u8> = (0..1_500)
        .flat_map(|it| line(it, "old").into_bytes())
        .collect();
    text.extend(b"\xff\xfe no text\n");
    text.extend((1_500..1_560).flat_map(|it| (line(it, "old") + &line(it, "late")).into_bytes()));
    std::fs::write(&counts, text).expect("written");
    let output = fatalmonitor(&["backtest", "--counts", path(&counts), "--out", "-"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("\"late\""), "{}", out(&output));
    assert!(
        err(&output).contains("1 lines") && err(&output).contains("counts.ndjson:1501: "),
        "{}",
        err(&output)
    );

    std::fs::write(&counts, "nothing\nof use\n").expect("written");
    let useless = fatalmonitor(&["backtest", "--counts", path(&counts), "--out", "-"]);
    assert_eq!(code(&useless), 2, "{}", err(&useless));

    let packed = folder.path().join("counts.ndjson.gz");
    std::fs::write(&packed, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]).expect("written");
    let broken = fatalmonitor(&["backtest", "--counts", path(&packed), "--out", "-"]);
    assert_eq!(code(&broken), 2, "{}", err(&broken));
    assert!(err(&broken).contains("cannot read"), "{}", err(&broken));
}

#[test]
fn a_factor_that_is_no_factor_and_a_stretch_of_a_file_are_usage_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log.txt");
    std::fs::write(&file, "one\n").expect("written");
    for factor in ["nan", "inf", "0", "-1", "1e300", "x"] {
        let output = fatalmonitor(&["replay", "incident", &format!("--rate={factor}")]);
        assert_eq!(code(&output), 2, "{factor}");
        assert!(
            err(&output).contains("no number above 0"),
            "{}",
            err(&output)
        );
    }
    let stretch = fatalmonitor(&["replay", path(&file), "--from", "2016-01-20T00:00:00Z"]);
    assert_eq!(code(&stretch), 2);
    assert!(err(&stretch).contains("scenarios"), "{}", err(&stretch));
}

#[test]
fn what_is_no_backup_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("data");
    for (name, text) in [("empty", ""), ("junk", &*"junk ".repeat(2_000))] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let output = fatalmonitor(&["restore", path(&file), "--data-dir", path(&target)]);
        assert_eq!(code(&output), 2);
        let said = err(&output);
        assert!(
            !said.contains("serve") && !said.contains("partial"),
            "{said}"
        );
        let left: Vec<_> = target.read_dir().expect("a folder").flatten().collect();
        assert!(left.iter().all(|it| it.file_name() == "lock"), "{left:?}");
    }
}

#[test]
fn replay_of_a_log_file_reports_one_json_object() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log.ndjson");
    let mut text = String::new();
    for n in 0..100 {
        writeln!(text,
            "{{\"@timestamp\":\"2016-01-20T01:{:02}:{:02}Z\",\"channel\":\"session\",\"level\":\"ERROR\",\"host\":\"mw1\",\"wiki\":\"enwiki\",\"mwversion\":\"1\",\"message\":\"no {n}\"}}",
            n / 60, n % 60
        )
        .expect("room");
    }
    text.push_str("not json at all {\n");
    std::fs::write(&file, text).expect("written");
    let output = fatalmonitor(&[
        "replay",
        path(&file),
        "--dialect",
        "mediawiki",
        "--report",
        "json",
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["accounting"]["read"], 101);
    assert_eq!(report["signatures"], 1);
    assert!(report["alerts"].is_array() && report["elapsed_seconds"].is_number());
    assert!(
        err(&output).contains("1 rejected (1 syntax)"),
        "{}",
        err(&output)
    );
}
