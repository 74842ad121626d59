//! Snapshots of the store are made by themselves, few are kept, and a damaged store is repaired from the last one.

use super::{assert_all_counted, await_read, lines, process};
use crate::services::http;
use crate::services::{PATIENCE, eventually};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

const SOURCE: &str = "[limits]\nsnapshot_interval_seconds = 1\nsnapshots_kept = 2\n[[source]]\nname = \"log\"\nkind = \"file\"\npaths = [\"{dir}/log.json\"]\nfollow = true\n";

fn snapshots(data_dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir.join("snapshots"))
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "sqlite"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_damaged_store_is_replaced_by_its_last_snapshot_and_read_on_exactly() {
    let mut process = process(SOURCE);
    fs::write(process.path("log.json"), lines(2_000)).unwrap();
    process.start();
    await_read(&process, 2_000);
    let mut seen = Vec::new();
    for round in 1..=3_u64 {
        let last = seen.last().cloned();
        eventually("a later snapshot", PATIENCE, || {
            match snapshots(&process.data_dir()).pop() {
                Some(it) if Some(&it) > last.as_ref() => {
                    seen.push(it);
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        });
        let mut file = OpenOptions::new()
            .append(true)
            .open(process.path("log.json"))
            .unwrap();
        file.write_all(lines(500).as_bytes()).unwrap();
        await_read(&process, 2_000 + 500 * round);
    }
    assert!(
        snapshots(&process.data_dir()).len() <= 3,
        "two, and one being made room for"
    );
    process.kill();
    for name in ["fatalmonitor.sqlite", "fatalmonitor.sqlite-wal"] {
        let path = process.data_dir().join(name);
        let length = fs::metadata(&path).map_or(0, |it| it.len());
        fs::write(&path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    }
    process.start();
    await_read(&process, 3_500);
    assert_all_counted(&process, 3_500);
    let log = process.log();
    assert!(
        log.contains("the store was corrupt") && log.contains("snapshot-"),
        "{log}"
    );
}

#[test]
fn a_snapshot_that_cannot_be_written_is_said_and_harms_nothing() {
    let mut process = process(SOURCE);
    fs::write(process.path("log.json"), lines(2_000)).unwrap();
    fs::create_dir(process.data_dir()).unwrap();
    fs::write(process.data_dir().join("snapshots"), "in the way").unwrap();
    process.start();
    eventually("the failure is said", PATIENCE, || {
        let status = process.get_json("/api/v1/status");
        let said = status["freshness"]
            .to_string()
            .contains("no snapshot of the store");
        if said && status["store"]["snapshot_problem"] != "" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    await_read(&process, 2_000);
    assert_all_counted(&process, 2_000);
    assert_eq!(http::get(&process.url("/-/healthy")).unwrap().status, 200);
    assert_eq!(http::get(&process.url("/-/ready")).unwrap().status, 200);
}
