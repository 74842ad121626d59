//! What goes on at the edges of the process, without any service: files, posts, receivers that are away, a store
//! that is damaged or has no room, records that stop the process.

mod files;
mod full;
mod poison;
mod posts;
mod snapshots;
mod webhook;

use crate::services::process::Process;
use crate::services::{PATIENCE, eventually};
use fatalmonitor::model::EventTime;
use fatalmonitor::node::now;
use serde_json::{Value, json};

/// One record of an error, as `MediaWiki` writes it.
pub(super) fn record(at: EventTime, channel: &str, version: &str, message: &str) -> String {
    json!({
        "@timestamp": at.to_string(), "channel": channel, "level": "ERROR", "host": "mw1017", "wiki": "enwiki",
        "mwversion": version, "message": message, "type": "mediawiki",
    })
    .to_string()
}

/// Records of an old error, one a second up to now, each on its line.
pub(super) fn lines(n: u32) -> String {
    let start = now().plus_seconds(-i64::from(n));
    (0..n)
        .map(|it| {
            let at = start.plus_seconds(i64::from(it));
            record(at, "exception", "1.0", &format!("Lock wait timeout {it}")) + "\n"
        })
        .collect()
}

/// A process with these settings; `{dir}` is its folder.
pub(super) fn process(settings: &str) -> Process {
    let process = Process::fatalmonitor("");
    let dir = process.path("").display().to_string();
    let settings = settings.replace("{dir}", dir.trim_end_matches('/'));
    process.write_config(
        "fatalmonitor.toml",
        &format!("listen = \"{{listen}}\"\ndata_dir = \"{{data_dir}}\"\n{settings}"),
    );
    process
}

/// What the API says of all sources together.
pub(super) fn total(process: &Process) -> Value {
    process.get_json("/api/v1/accounting")["total"].clone()
}

/// Waits until this many records are read, and returns the sums.
pub(super) fn await_read(process: &Process, records: u64) -> Value {
    let what = format!("{records} records are read");
    eventually(&what, PATIENCE, || match total(process) {
        it if it["read"].as_u64() >= Some(records) => Ok(it),
        it => Err(it.to_string()),
    })
}

/// Ends the test unless everything was read once and counted.
pub(super) fn assert_all_counted(process: &Process, records: u64) {
    let it = total(process);
    let n = |name: &str| it[name].as_u64().expect("a number");
    assert_eq!(
        (n("read"), n("counted") + n("capped")),
        (records, records),
        "{it}"
    );
}
