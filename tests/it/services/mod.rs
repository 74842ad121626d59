//! The real services that `make test` starts (`scripts/services`): where they are, and how a test drives them.
//!
//! A test that uses them is `#[ignore = "needs Kafka: make test"]`, runs alone (`--test-threads=1`), and starts
//! its own topics and processes, so that no test sees what another one left. Nothing here sleeps for a fixed
//! time: [`eventually`] polls. Every process started by a test is noted by its pid and ended by it.
#![allow(
    dead_code,
    reason = "a tool box: a build with fewer tests needs fewer of the tools"
)]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows the log of the process it started"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests of real services run in real time and get their addresses from the environment"
)]

pub(crate) mod browser;
pub(crate) mod http;
pub(crate) mod kafka;
pub(crate) mod process;
pub(crate) mod receiver;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take that normally takes a second or less; a loaded machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Returns an environment variable of the rig, or ends the test with the way to get it.
pub(crate) fn rig_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `scripts/services run -- cargo test --test it -- --ignored`")
    })
}

/// Returns the address of the plain listener of the test broker.
pub(crate) fn kafka_address() -> String {
    rig_variable("FATALMONITOR_TEST_KAFKA")
}

/// Returns the base address of the rig's Alertmanager, `http://127.0.0.1:PORT`.
pub(crate) fn alertmanager_url() -> String {
    rig_variable("FATALMONITOR_TEST_ALERTMANAGER")
}

/// Runs `scripts/services` with the arguments (`["broker", "stop"]`) and returns what it prints.
pub(crate) fn services(arguments: &[&str]) -> String {
    let output = Command::new(rig_variable("FATALMONITOR_TEST_SERVICES"))
        .args(arguments)
        .output()
        .expect("scripts/services can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "services {arguments:?}: {}\n{said}",
        output.status
    );
    String::from_utf8(output.stdout)
        .expect("services prints UTF-8")
        .trim()
        .to_owned()
}

/// Asks until there is an answer; ends the test with `what` and the last refusal when the time is over.
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(refusal) if begun.elapsed() > within => {
                panic!("{what}: not within {within:?}; last seen: {refusal}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Returns a loopback port that nothing listens on.
///
/// Between 12000 and 19999: below the ephemeral ports, so that a stopped server finds its port free again,
/// and beside the ports of `scripts/services`.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 8_000).expect("below 8000");
    for _ in 0..8_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (own.wrapping_mul(7) % 8_000 + step) % 8_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 12000 and 19999");
}

/// Returns a name no other test run has used, `prefix-PID-N`: for topics and groups of the shared broker.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    format!(
        "{prefix}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Returns where the rig notes the processes of tests, for `scripts/services down`.
fn children_folder() -> Option<PathBuf> {
    std::env::var_os("FATALMONITOR_RIG").map(|rig| PathBuf::from(rig).join("children"))
}
