//! No room for the store: nothing more is read, alerts go on being sent, and afterwards every count is exact.

use super::{assert_all_counted, await_read, process, record};
use crate::services::process::Process;
use crate::services::receiver::Receiver;
use crate::services::{PATIENCE, eventually, http};
use fatalmonitor::node::now;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const RULES: &str =
    "[fields]\ncontext = [\"status\"]\nfacets = [\"wiki\"]\n[detect]\nlearn_seconds = 0\n";

fn reader(receiver: &Receiver, limits: &str) -> Process {
    let process = process("");
    configure(&process, receiver, limits);
    process.write_config("rules.toml", RULES);
    process
}

fn configure(process: &Process, receiver: &Receiver, limits: &str) {
    let dir = process.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    process.write_config("fatalmonitor.toml", &format!(
        "listen = \"{{listen}}\"\ndata_dir = \"{{data_dir}}\"\nrules = [\"{dir}/rules.toml\"]\n[limits]\nalert_resend_seconds = 1\n{limits}\n[[alertmanager]]\nurl = \"{}\"\n[[source]]\nname = \"log\"\nkind = \"file\"\npaths = [\"{dir}/log.json\"]\nfollow = true\n",
        receiver.url()
    ));
}

/// Ten minutes of an old error, and in their second half a new one; returns how many records.
fn alarming(path: &Path) -> u64 {
    let start = now().plus_seconds(-900);
    let mut text = String::new();
    for second in 0..600 {
        let at = start.plus_seconds(second);
        writeln!(
            text,
            "{}",
            record(at, "exception", "1.0", "Lock wait timeout")
        )
        .unwrap();
        if second >= 300 {
            let new = record(at, "exception", "1.1", "The frobnicator is missing");
            writeln!(text, "{new}").unwrap();
        }
    }
    append(path, &text)
}

/// Records of very many channels, so that the store grows; returns how many.
fn flood(path: &Path) -> u64 {
    let mut text = String::new();
    for n in 0..6_000_u32 {
        let word: String = (0..4)
            .map(|it| char::from(b'a' + u8::try_from((n >> (it * 4)) % 16).unwrap()))
            .collect();
        let (channel, message) = (format!("channel-{word}"), format!("the {word} is broken"));
        writeln!(text, "{}", record(now(), &channel, "1.1", &message)).unwrap();
    }
    append(path, &text)
}

fn append(path: &Path, text: &str) -> u64 {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
    text.lines().count() as u64
}

fn await_alert(receiver: &Receiver) {
    eventually("the alert is sent", PATIENCE, || {
        let bodies = receiver.bodies();
        if bodies.iter().any(|it| it.contains("frobnicator")) {
            Ok(())
        } else {
            Err(format!("{} requests", bodies.len()))
        }
    });
}

/// Waits until there is no room, and checks what still works.
fn await_full(process: &Process, receiver: &Receiver) {
    eventually("there is no room", PATIENCE, || {
        match http::get(&process.url("/-/ready")).unwrap() {
            it if it.status == 503 && it.text().contains("no room") => Ok(()),
            it => Err(format!("{} {}", it.status, it.text())),
        }
    });
    assert_eq!(http::get(&process.url("/-/healthy")).unwrap().status, 200);
    let status = process.get_json("/api/v1/status");
    assert_eq!(status["freshness"]["level"], "stale", "{status}");
    let sent = receiver.bodies().len();
    eventually("the alert goes on being sent", PATIENCE, || {
        let bodies = receiver.bodies();
        if bodies[sent..]
            .iter()
            .filter(|it| it.contains("frobnicator"))
            .count()
            >= 3
        {
            Ok(())
        } else {
            Err(format!("{} requests since", bodies.len() - sent))
        }
    });
}

#[test]
fn past_its_size_limit_the_store_takes_nothing_in_and_with_a_larger_one_counts_are_exact() {
    let receiver = Receiver::new();
    let mut process = reader(&receiver, "store_bytes_max = 1500000");
    let log = process.path("log.json");
    let mut records = alarming(&log);
    process.start();
    await_read(&process, records);
    await_alert(&receiver);
    records += flood(&log);
    await_full(&process, &receiver);
    process.kill();
    configure(&process, &receiver, "store_bytes_max = 1000000000");
    process.start();
    await_read(&process, records);
    assert_all_counted(&process, records);
}

/// A small file system of its own, if this user may mount one.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, bytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={bytes}");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output();
        done.is_ok_and(|it| it.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: when the test has failed, the process may still have files open.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_pauses_reading_and_room_lets_it_go_on_without_a_restart_or_a_loss() {
    let receiver = Receiver::new();
    let mut process = reader(&receiver, "");
    let Some(_mounted) = Mounted::new(&process.data_dir(), 48 << 20) else {
        // The other test runs everywhere, and shows the same of the process.
        println!("this user may not mount a small disk: the size limit of the store stands for it");
        return;
    };
    let log = process.path("log.json");
    let mut records = alarming(&log);
    process.start();
    await_read(&process, records);
    await_alert(&receiver);
    let ballast = process.data_dir().join("ballast");
    let mut file = File::create(&ballast).unwrap();
    let block = vec![0; 4096];
    while file.write_all(&block).is_ok() {}
    records += flood(&log);
    await_full(&process, &receiver);
    fs::remove_file(&ballast).unwrap();
    drop(file);
    await_read(&process, records);
    process.wait_ready();
    assert_all_counted(&process, records);
    // What the pages said is also what was stored.
    process.kill();
    process.start();
    assert_all_counted(&process, records);
    process.kill();
}
