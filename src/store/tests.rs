use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::detect::{ChannelPoint, SeriesPoint, SignatureRow, StateRow};
use crate::model::{
    Alert, AlertId, AlertKey, AlertKind, AlertState, AlertTransition, EventTime, Evidence, Level,
    LimiterRow, Severity, SignatureId,
};

/// A Tuesday, as far as the tests care.
const START: i64 = 1_453_244_400;

fn at(second: i64) -> EventTime {
    EventTime::from_seconds(START + second)
}

fn point(signature: u128, version: &str, second: i64, events: u64) -> SeriesPoint {
    SeriesPoint {
        signature: SignatureId(signature),
        version: version.to_owned(),
        group: "group1".to_owned(),
        bucket: at(second),
        events,
    }
}

fn channel_point(channel: &str, level: Level, second: i64, counted: u64) -> ChannelPoint {
    ChannelPoint {
        channel: channel.to_owned(),
        version: "1.27.0-wmf.11".to_owned(),
        group: "group1".to_owned(),
        level,
        bucket: at(second),
        counted,
        capped: 2,
        rejected: 1,
        bytes: 100 * counted,
    }
}

fn transition(seq: u64) -> AlertTransition {
    let key = AlertKey {
        kind: AlertKind::New,
        service: "mediawiki".to_owned(),
        group: "group1".to_owned(),
        version: "1.27.0-wmf.11".to_owned(),
        channel: "session".to_owned(),
        signature: Some(SignatureId(7)),
        host: None,
    };
    AlertTransition {
        seq,
        at: at(20),
        to: AlertState::Firing,
        alert: Alert {
            id: AlertId::of(&key, at(0)),
            key,
            severity: Severity::Critical,
            state: AlertState::Firing,
            started_at: at(0),
            fired_at: at(20),
            resolved_at: None,
            last_at: at(19),
            template: "session <token> lost".to_owned(),
            summary: "new error".to_owned(),
            description: String::new(),
            evidence: Evidence::default(),
            muted: None,
            withheld: None,
            owner: None,
            ticket: None,
        },
    }
}

fn position(next: u64) -> Position {
    Position {
        source: "main".to_owned(),
        topic: "logs".to_owned(),
        partition: 3,
        next,
        watermark: Some(at(5)),
        limiter: vec![LimiterRow {
            channel: "session".to_owned(),
            second: START,
            used: 12,
        }],
    }
}

fn row(key: &[u8], value: Option<&[u8]>) -> StateRow {
    StateRow {
        kind: "signature",
        key: key.to_vec(),
        value: value.map(<[u8]>::to_vec),
    }
}

/// A checkpoint that touches every table.
fn full_checkpoint(number: u64) -> Checkpoint {
    Checkpoint {
        rows: vec![row(b"counter", Some(&number.to_be_bytes()))],
        merged: Vec::new(),
        signatures: vec![SignatureRow {
            id: SignatureId(7),
            channel: "session".to_owned(),
            level: Level::Error,
            template: "session <token> lost".to_owned(),
            first_seen: at(0),
            last_seen: at(5),
            first_version: "1.27.0-wmf.11".to_owned(),
            events: number,
        }],
        series: vec![point(7, "1.27.0-wmf.11", 0, 1)],
        channels: vec![channel_point("session", Level::Error, 0, 1)],
        transitions: vec![transition(number)],
        positions: vec![position(number)],
    }
}

fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), Limits::default()).unwrap()
}

fn query(from: i64, to: i64, step_seconds: i64, by: SplitBy) -> HistoryQuery {
    HistoryQuery {
        from: at(from),
        to: at(to),
        step_seconds,
        by,
    }
}

fn events(reader: &HistoryReader, signature: u128, query: &HistoryQuery) -> u64 {
    let history = reader
        .signature_history(SignatureId(signature), query)
        .unwrap();
    history.lines.iter().map(|it| it.events).sum()
}

#[test]
fn the_history_of_a_merged_signature_is_that_of_the_other() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store
        .commit(&Checkpoint {
            signatures: full_checkpoint(1).signatures,
            series: vec![
                point(7, "v1", 0, 1),
                point(7, "v2", 20, 2),
                point(8, "v1", 0, 10),
            ],
            ..Checkpoint::default()
        })
        .unwrap();
    let pair = |younger, older| crate::detect::Merged {
        younger: SignatureId(younger),
        older: SignatureId(older),
    };
    store
        .commit(&Checkpoint {
            merged: vec![pair(7, 8), pair(8, 9)],
            series: vec![point(9, "v2", 20, 100)],
            ..Checkpoint::default()
        })
        .unwrap();
    let reader = store.reader().unwrap();
    for step in [10, 60, 3600] {
        let query = query(0, 3600, step, SplitBy::Version);
        assert_eq!([7, 8, 9].map(|it| events(&reader, it, &query)), [0, 0, 113]);
    }
    let connection = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM signature", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn the_schema_is_the_one_of_format_1() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    let connection = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    let dump: Vec<String> = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|it| {
            let words: Vec<String> = it.unwrap().split_whitespace().map(str::to_owned).collect();
            words.join(" ")
        })
        .collect();
    let golden = include_str!("schema.golden");
    assert_eq!(
        dump.join("\n"),
        golden.trim_end(),
        "the tables changed: raise FORMAT, keep a reader of the old form, then renew schema.golden"
    );
    assert_eq!(schema::FORMAT, 1);
}

#[test]
fn a_restart_loads_what_was_committed() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    assert!(store.opened().created);
    store.commit(&full_checkpoint(1)).unwrap();
    let mut second = full_checkpoint(2);
    second.rows.push(row(b"gone", Some(b"x")));
    store.commit(&second).unwrap();
    let stats = store
        .commit(&Checkpoint {
            rows: vec![row(b"gone", None)],
            ..Checkpoint::default()
        })
        .unwrap();
    assert_eq!((stats.rows_written, stats.rows_deleted), (0, 1));
    store.set_note("rules", "abc").unwrap();
    drop(store);

    let store = open(&dir);
    assert_eq!(*store.opened(), Opened::default());
    let loaded = store.load().unwrap();
    let counter = 2_u64.to_be_bytes().to_vec();
    assert_eq!(
        loaded.rows,
        [("signature".to_owned(), b"counter".to_vec(), counter)]
    );
    assert_eq!(loaded.positions, [position(2)]);
    assert_eq!((loaded.last_seq, loaded.commits), (2, 3));
    assert_eq!(store.note("rules").unwrap().as_deref(), Some("abc"));
    assert!(store.size_bytes() > 0);
}

#[test]
fn a_directory_has_one_writer_and_any_number_of_readers() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(
        Store::open_read_only(dir.path()),
        Err(StoreError::Missing { .. })
    ));
    let mut store = open(&dir);
    let error = Store::open(dir.path(), Limits::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    let reader = Store::open_read_only(dir.path()).unwrap();
    store.commit(&full_checkpoint(1)).unwrap();
    assert_eq!(reader.load().unwrap().positions, [position(1)]);
    drop(store);
    assert_eq!(open(&dir).load().unwrap().last_seq, 1);
}

#[test]
fn a_newer_format_is_refused_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    let connection = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    connection
        .execute("UPDATE meta SET value = '2' WHERE key = 'format'", [])
        .unwrap();
    drop(connection);
    for error in [
        Store::open(dir.path(), Limits::default()).unwrap_err(),
        Store::open_read_only(dir.path()).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Newer { found: 2, .. }));
        assert!(
            error.to_string().contains("run the release that wrote it"),
            "{error}"
        );
    }
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let connection = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(connection);
    assert!(matches!(
        Store::open(dir.path(), Limits::default()),
        Err(StoreError::Foreign { .. })
    ));
}

#[test]
fn late_counts_add_to_their_own_bucket_at_every_resolution() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    for series in [
        vec![
            point(7, "a", 0, 3),
            point(7, "a", 10, 4),
            point(7, "b", 70, 5),
        ],
        vec![point(7, "a", 0, 10), point(8, "a", 0, 100)],
    ] {
        store
            .commit(&Checkpoint {
                series,
                ..Checkpoint::default()
            })
            .unwrap();
    }
    let reader = store.reader().unwrap();
    let fine = reader
        .signature_history(SignatureId(7), &query(0, 120, 10, SplitBy::Version))
        .unwrap();
    let points: BTreeMap<&str, &[(EventTime, u64)]> = fine
        .lines
        .iter()
        .map(|it| (it.version.as_str(), &*it.points))
        .collect();
    assert_eq!(points["a"], [(at(0), 13), (at(10), 4)]);
    assert_eq!(points["b"], [(at(70), 5)]);
    for step in [10, 60, 300, 3600] {
        assert_eq!(
            events(&reader, 7, &query(0, 120, step, SplitBy::Total)),
            22,
            "step {step}"
        );
    }
    assert_eq!(
        events(&reader, 7, &query(10, 70, 10, SplitBy::Total)),
        4,
        "the end is exclusive"
    );
}

#[test]
fn channels_are_told_by_level() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store
        .commit(&Checkpoint {
            channels: vec![
                channel_point("session", Level::Error, 0, 5),
                channel_point("session", Level::Unknown, 10, 1),
                channel_point("exception", Level::Error, 0, 9),
            ],
            ..Checkpoint::default()
        })
        .unwrap();
    let reader = store.reader().unwrap();
    let one = reader
        .channel_history(Some("session"), &query(0, 60, 60, SplitBy::Total))
        .unwrap();
    let levels: Vec<(Level, u64)> = one
        .lines
        .iter()
        .map(|it| (it.level, it.total.counted))
        .collect();
    assert_eq!(levels, [(Level::Error, 5), (Level::Unknown, 1)]);
    let all = reader
        .channel_history(None, &query(0, 60, 60, SplitBy::Total))
        .unwrap();
    assert_eq!(all.lines.len(), 3);
    assert_eq!(all.lines[0].channel, "exception");
    assert_eq!(all.lines[0].total.records(), 12);
}

#[test]
fn a_range_of_too_many_points_names_a_step_that_fits() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let reader = store.reader().unwrap();
    let wide = query(0, 400 * 86_400, 10, SplitBy::Total);
    let Err(StoreError::TooManyPoints { step_seconds, .. }) =
        reader.signature_history(SignatureId(7), &wide)
    else {
        panic!("a range of 400 days at 10 s was answered");
    };
    let fits = HistoryQuery {
        step_seconds,
        ..wide
    };
    assert!(reader.signature_history(SignatureId(7), &fits).is_ok());
    let absurd = HistoryQuery {
        from: EventTime::MIN,
        to: EventTime::MAX,
        ..wide
    };
    assert!(reader.signature_history(SignatureId(7), &absurd).is_err());
}

#[test]
fn history_is_forgotten_by_age_and_its_holes_are_told() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store
        .commit(&Checkpoint {
            series: vec![point(7, "a", 0, 3), point(8, "a", 7 * 3600, 4)],
            channels: vec![channel_point("session", Level::Error, 0, 5)],
            ..Checkpoint::default()
        })
        .unwrap();
    assert!(store.prune(at(7 * 3600)).unwrap().is_round_done);
    let reader = store.reader().unwrap();
    let history = reader
        .signature_history(SignatureId(7), &query(0, 600, 10, SplitBy::Total))
        .unwrap();
    assert_eq!(
        (history.step_seconds, history.lines[0].events),
        (60, 3),
        "10 s is gone after 6 h, 1 min is there"
    );
    let recent = reader
        .signature_history(
            SignatureId(8),
            &query(7 * 3600, 8 * 3600, 10, SplitBy::Total),
        )
        .unwrap();
    assert_eq!((recent.step_seconds, recent.lines[0].events), (10, 4));

    store.prune(at(15 * 86_400)).unwrap();
    let history = reader
        .signature_history(SignatureId(7), &query(0, 3600, 60, SplitBy::Total))
        .unwrap();
    assert_eq!((history.step_seconds, history.lines[0].events), (3600, 3));
    assert_eq!(history.complete_from, None);

    store.prune(at(402 * 86_400)).unwrap();
    let history = reader
        .signature_history(SignatureId(7), &query(0, 3600, 60, SplitBy::Total))
        .unwrap();
    assert!(history.lines.is_empty());
    assert!(history.complete_from.is_some(), "a hole is not quiet");
    let left: i64 = store
        .connection
        .query_row(
            "SELECT (SELECT count(*) FROM series) + (SELECT count(*) FROM channel) + (SELECT count(*) FROM name)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0, "numbers and names go with their history");
    // Numbers that went are given anew, not taken from memory.
    store
        .commit(&Checkpoint {
            series: vec![point(7, "a", 402 * 86_400, 9)],
            ..Checkpoint::default()
        })
        .unwrap();
    let again = query(402 * 86_400, 402 * 86_400 + 60, 10, SplitBy::Total);
    assert_eq!(events(&reader, 7, &again), 9);
}

#[test]
fn a_full_disk_loses_nothing_and_the_same_checkpoint_goes_in_later() {
    let dir = TempDir::new().unwrap();
    let small = Limits {
        size_bytes_max: Some(256 * 1024),
        ..Limits::default()
    };
    let mut store = Store::open(dir.path(), small).unwrap();
    store.commit(&full_checkpoint(1)).unwrap();
    let mut big = full_checkpoint(2);
    big.rows.push(row(b"big", Some(&vec![7; 600 * 1024])));
    let error = store.commit(&big).unwrap_err();
    assert!(
        matches!(error, StoreError::Full(_)) && error.is_retriable(),
        "{error:?}"
    );
    let minute = query(0, 60, 10, SplitBy::Total);
    let loaded = store.load().unwrap();
    assert_eq!(loaded.positions, [position(1)]);
    assert_eq!((loaded.last_seq, loaded.commits), (1, 1));
    assert_eq!(events(&store.reader().unwrap(), 7, &minute), 1);

    store
        .connection
        .pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(()))
        .unwrap();
    store.commit(&big).unwrap();
    assert_eq!(store.load().unwrap().positions, [position(2)]);
    assert_eq!(events(&store.reader().unwrap(), 7, &minute), 2);
}

#[test]
fn an_alert_log_entry_is_never_written_twice() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store.commit(&full_checkpoint(5)).unwrap();
    let error = store.commit(&full_checkpoint(5)).unwrap_err();
    assert!(matches!(error, StoreError::Sequence { last: 5, found: 5 }));
    store.commit(&full_checkpoint(6)).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(
        reader.alert_log(0, 10).unwrap(),
        [transition(5), transition(6)]
    );
    assert_eq!(reader.alert_log(6, 10).unwrap(), [transition(6)]);
    assert_eq!(
        reader.alert_log_before(u64::MAX, 1).unwrap(),
        [transition(6)]
    );
}

#[test]
fn a_backup_of_a_running_store_can_be_put_back() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store.commit(&full_checkpoint(1)).unwrap();
    let to = dir.path().join("backup.sqlite");
    let info = store.reader().unwrap().backup(&to).unwrap();
    store.commit(&full_checkpoint(2)).unwrap();
    assert_eq!(info.bytes, fs::metadata(&to).unwrap().len());
    assert!(matches!(
        store.reader().unwrap().backup(&to),
        Err(StoreError::Exists { .. })
    ));

    let other = dir.path().join("other");
    restore(&to, &other).unwrap();
    let restored = Store::open(&other, Limits::default()).unwrap();
    assert_eq!(restored.load().unwrap().positions, [position(1)]);
    drop(restored);
    assert!(matches!(
        restore(&to, &other),
        Err(StoreError::Exists { .. })
    ));

    let mut bytes = fs::read(&to).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&to, bytes).unwrap();
    assert!(matches!(
        restore(&to, &dir.path().join("third")),
        Err(StoreError::Sum { .. })
    ));
}

/// Overwrites pages in the middle of a closed store.
fn damage(dir: &Path) {
    let path = dir.join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    let middle = 4096..bytes.len();
    bytes[middle].fill(0xa5);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_corrupt_store_is_moved_aside_and_reported() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    store.commit(&full_checkpoint(1)).unwrap();
    drop(store);
    damage(dir.path());
    let store = open(&dir);
    let report = store.opened().damage.clone().unwrap();
    assert!(store.opened().created);
    assert_eq!(report.restored_from, None);
    assert!(report.moved_to.is_file());
    assert_eq!(store.load().unwrap(), Loaded::default());
    drop(store);

    fs::write(dir.path().join(FILE_NAME), "this is no database, only text").unwrap();
    let store = open(&dir);
    let second = store.opened().damage.clone().unwrap();
    assert_ne!(
        second.moved_to, report.moved_to,
        "no corrupt store is overwritten"
    );
}

#[test]
fn a_corrupt_store_is_repaired_from_its_newest_good_snapshot() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir);
    let mut paths = Vec::new();
    for number in 1..=4 {
        store.commit(&full_checkpoint(number)).unwrap();
        if number < 4 {
            paths.push(store.reader().unwrap().snapshot(2).unwrap().path);
        }
    }
    assert!(!paths[0].exists(), "two snapshots are kept");
    drop(store);
    damage(dir.path());
    fs::write(&paths[2], "half a snapshot").unwrap();
    let store = open(&dir);
    let report = store.opened().damage.clone().unwrap();
    assert_eq!(report.restored_from.as_ref(), Some(&paths[1]));
    assert_eq!(store.load().unwrap().positions, [position(2)]);
}

/// Names the directory for the child process of the crash test.
const CRASH_DIR: &str = "FATALMONITOR_CRASH_DIR";

#[test]
#[ignore = "the child process of state_and_positions_agree_after_kill_9; does nothing by itself"]
fn crash_child() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else {
        return;
    };
    let mut store = Store::open(Path::new(&dir), Limits::default()).unwrap();
    let mut number = store
        .load()
        .unwrap()
        .positions
        .first()
        .map_or(0, |it| it.next);
    loop {
        number += 1;
        let mut checkpoint = full_checkpoint(number);
        for extra in 0..200_u64 {
            let key = (number * 200 + extra).to_be_bytes();
            checkpoint.rows.push(row(&key, Some(&[1; 100])));
        }
        store.commit(&checkpoint).unwrap();
        if number.is_multiple_of(20) {
            store.prune(at(0)).unwrap();
        }
    }
}

#[test]
fn state_and_positions_agree_after_kill_9() {
    let dir = TempDir::new().unwrap();
    let mut seen = 0;
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::crash_child", "--exact", "--ignored"])
            .env(CRASH_DIR, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Until it has committed some: another number each round, so that the kill falls elsewhere.
        let enough = seen + 7 + round * 13;
        loop {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the child ended by itself"
            );
            let position = Store::open_read_only(dir.path())
                .and_then(|it| it.load())
                .ok()
                .and_then(|it| it.positions.first().map(|it| it.next));
            if position.is_some_and(|it| it >= enough) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let store = open(&dir);
        assert_eq!(store.opened().damage, None);
        let loaded = store.load().unwrap();
        let next = loaded.positions[0].next;
        assert!(next >= enough);
        assert_eq!(loaded.commits, next);
        assert_eq!(loaded.last_seq, next);
        assert_eq!(loaded.rows.len() as u64, 1 + next * 200);
        let counter = loaded.rows.iter().find(|it| it.1 == b"counter").unwrap();
        assert_eq!(counter.2, next.to_be_bytes());
        let hour = query(0, 3600, 3600, SplitBy::Total);
        let reader = store.reader().unwrap();
        assert_eq!(events(&reader, 7, &hour), next);
        let channels = reader.channel_history(None, &hour).unwrap();
        assert_eq!(channels.lines[0].total.counted, next);
        seen = next;
    }
}

#[test]
fn what_came_after_a_time_is_summed_by_signature_version_and_group() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    let checkpoint = Checkpoint {
        series: vec![
            point(1, "v1", 0, 5),
            point(1, "v1", 100, 7),
            point(1, "v2", 200, 9),
            point(2, "v1", 90, 3),
        ],
        channels: vec![
            channel_point("a", Level::Error, 0, 10),
            channel_point("a", Level::Info, 100, 20),
            channel_point("b", Level::Error, 200, 30),
        ],
        ..Checkpoint::default()
    };
    store.commit(&checkpoint).unwrap();
    let after = store.reader().unwrap().after(at(95)).unwrap();
    let found: Vec<(u128, &str, u64)> = after
        .events
        .iter()
        .map(|((id, version, _), n)| (id.0, version.as_str(), *n))
        .collect();
    assert_eq!(found, [(1, "v1", 7), (1, "v2", 9), (2, "v1", 3)]);
    let records: Vec<u64> = after.records.into_values().collect();
    assert_eq!(records, [20 + 2 + 30 + 2]);
}
