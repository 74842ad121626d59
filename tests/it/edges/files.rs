//! Files are followed while they grow and are rotated; packed files, folders and standard input are read to their end.

use super::{assert_all_counted, await_read, lines, process, total};
use crate::services::{PATIENCE, eventually};
use flate2::write::GzEncoder;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLLOWED: &str = "[limits]\ncommit_interval_ms = 50\n[[source]]\nname = \"log\"\nkind = \"file\"\npaths = [\"{dir}/logs\"]\nfollow = true\n";

/// Appends text to a file, which is made if it is not there.
fn append(path: &std::path::Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_folder_with_plain_and_packed_files_is_read_once_while_it_grows_and_is_rotated() {
    let mut process = process(FOLLOWED);
    let logs = process.path("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("a.json.gz"), gzip(&lines(300))).unwrap();
    let packed = zstd::encode_all(lines(400).as_bytes(), 1).unwrap();
    fs::write(logs.join("b.json.zst"), packed).unwrap();
    let live = logs.join("live.json");
    append(&live, &lines(500));
    process.start();
    await_read(&process, 1_200);
    // A line that is not finished yet is not counted as one, nor as broken.
    let text = lines(2);
    let (half, rest) = text.split_at(text.len() / 4);
    append(&live, half);
    append(&logs.join("other.json"), &lines(100));
    await_read(&process, 1_300);
    append(&live, rest);
    await_read(&process, 1_302);
    // Rotated as logrotate does it: renamed, and a new file under the old name.
    fs::rename(&live, logs.join("live.json.1")).unwrap();
    append(&live, &lines(600));
    await_read(&process, 1_902);
    append(&logs.join("live.json.1"), &lines(50));
    await_read(&process, 1_952);
    process.kill();
    append(&live, &lines(70));
    process.start();
    await_read(&process, 2_022);
    assert_all_counted(&process, 2_022);
}

#[test]
fn a_followed_file_that_is_cut_short_is_read_from_its_start_and_never_twice() {
    let mut process = process(FOLLOWED);
    let logs = process.path("logs");
    fs::create_dir(&logs).unwrap();
    let live = logs.join("live.json");
    append(&live, &lines(500));
    process.start();
    await_read(&process, 500);
    // As logrotate's `copytruncate` does it; the text is the same, so that only its length tells.
    fs::write(&live, "").unwrap();
    append(&live, &lines(100));
    await_read(&process, 600);
    append(&live, &lines(900));
    await_read(&process, 1_500);
    // Another first line, and at once more than before.
    fs::write(&live, format!("{{\"a\":1}}\n{}", lines(1_999))).unwrap();
    await_read(&process, 3_500);
    process.kill();
    append(&live, &lines(70));
    process.start();
    await_read(&process, 3_570);
    let found = total(&process);
    assert_eq!(found["read"], 3_570, "{found}");
}

#[test]
fn a_packed_file_that_breaks_off_is_said_and_the_others_are_read() {
    let mut process = process(FOLLOWED);
    let logs = process.path("logs");
    fs::create_dir(&logs).unwrap();
    let packed = gzip(&lines(300));
    fs::write(logs.join("a.json.gz"), &packed[..packed.len() / 2]).unwrap();
    append(&logs.join("b.json"), &lines(2_000));
    process.start();
    let status = process.url("/api/v1/status");
    eventually("the broken file is said", PATIENCE, || {
        let answer = crate::services::http::get(&status).map_err(|it| it.to_string())?;
        let text = answer.json().to_string();
        if text.contains("a.json.gz on: ") {
            Ok(())
        } else {
            Err(text)
        }
    });
    eventually("the other file is read", PATIENCE, || {
        let found = total(&process);
        if found["read"].as_u64() >= Some(2_000) {
            Ok(())
        } else {
            Err(found.to_string())
        }
    });
}

#[test]
fn files_are_counted_exactly_over_kill_9_in_the_middle_of_reading_and_rotating() {
    let mut process = process(FOLLOWED);
    let logs = process.path("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("packed.json.gz"), gzip(&lines(20_000))).unwrap();
    let live = logs.join("live.json");
    let mut written = 20_000;
    for kill in 0..6_u64 {
        append(&live, &lines(5_000));
        written += 5_000;
        process.spawn();
        std::thread::sleep(Duration::from_millis(60 + kill * 61));
        process.kill();
        if kill % 2 == 1 {
            fs::rename(&live, logs.join(format!("live.json.{kill}"))).unwrap();
        }
    }
    process.start();
    await_read(&process, written);
    eventually("nothing is counted later", PATIENCE, || {
        let found = total(&process);
        if found["read"] == written {
            Ok(())
        } else {
            Err(found.to_string())
        }
    });
    assert_all_counted(&process, written);
}

#[test]
fn standard_input_is_read_to_its_end_and_its_last_line_needs_no_end() {
    let source = "[[source]]\nname = \"in\"\nkind = \"file\"\npaths = [\"-\"]\n";
    let process = process(source);
    let mut child = Command::new(env!("CARGO_BIN_EXE_fatalmonitor"))
        .args(["serve", "--config"])
        .arg(process.path("fatalmonitor.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines(2_000);
    input.write_all(text.trim_end().as_bytes()).unwrap();
    drop(input);
    let url = process.url("/api/v1/accounting");
    let found = eventually("all lines are read", PATIENCE, || {
        let answer = crate::services::http::get(&url).map_err(|it| it.to_string())?;
        let total = answer.json()["total"].clone();
        if total["read"] == 2_000 {
            Ok(total)
        } else {
            Err(total.to_string())
        }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let n = |name: &str| found[name].as_u64().unwrap();
    assert_eq!(n("counted") + n("capped"), 2_000, "{found}");
}
