//! A record that stops the process is stepped over after the third start that it has stopped.

use super::{await_read, lines, process, total};
use crate::services::http;
use std::fs;

const SOURCE: &str = "[limits]\ncommit_interval_ms = 50\n[[source]]\nname = \"log\"\nkind = \"file\"\npaths = [\"{dir}/log.json\"]\nfollow = true\n";

#[test]
fn a_record_that_stops_the_process_is_stepped_over_after_the_third_start_and_said() {
    let mut process =
        process(SOURCE).variable("FATALMONITOR_FAILPOINT_RECORD", "pill for the test");
    let mut text = lines(2_000);
    let poison = lines(1).replace("Lock wait", "pill for the test");
    text.push_str(&poison);
    let offset = text.len() - poison.len();
    text.push_str(&lines(1_000));
    fs::write(process.path("log.json"), text).unwrap();
    for start in 1..=3 {
        process.spawn();
        assert_eq!(process.wait_end().code(), None, "start {start} is stopped");
    }
    process.start();
    let found = await_read(&process, 3_001);
    assert_eq!(found["rejected"]["internal_error"], 1, "{found}");
    assert_eq!(
        found["counted"].as_u64().unwrap() + found["capped"].as_u64().unwrap(),
        3_000,
        "{found}"
    );
    let metrics = http::get(&process.url("/metrics")).unwrap().text();
    for line in [
        "fatalmonitor_records_stepped_over 1",
        "fatalmonitor_records_rejected_total{intentional=\"no\",reason=\"internal_error\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let said = format!("at {offset}");
    let status = process.get_json("/api/v1/status")["freshness"].to_string();
    assert!(
        status.contains("stepped over") && status.contains(&said),
        "{status}"
    );
    let log = process.log();
    assert!(
        log.contains("internal_error") && log.contains(&said),
        "{log}"
    );

    process.kill();
    process.start();
    assert_eq!(total(&process), found, "it is counted once and for all");
}
