//! The incident, played once for every test that asks about it afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What the demo left behind.
pub(crate) struct Played {
    /// Its store.
    pub(crate) data: PathBuf,
    /// What it printed.
    pub(crate) output: Output,
}

/// Runs the program.
pub(crate) fn fatalmonitor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fatalmonitor"))
        .args(arguments)
        .env_remove("FATALMONITOR_CONFIG")
        .env_remove("FATALMONITOR_URL")
        .output()
        .expect("the program runs")
}

/// Plays the incident without a dashboard, once for all tests of this process.
pub(crate) fn played() -> &'static Played {
    static PLAYED: OnceLock<Played> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incident");
        if data.exists() {
            std::fs::remove_dir_all(&data).expect("the store of an earlier run goes");
        }
        let text = data.to_str().expect("UTF-8");
        let output = fatalmonitor(&["demo", "--headless", "--report", "json", "--data-dir", text]);
        Played { data, output }
    })
}
