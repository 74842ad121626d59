//! The browser: runs `tests/browser/run.mjs` on a server that the test has started.

use super::rig_variable;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Opens the pages (the JSON list that `run.mjs` describes) in every view, leaves pictures in `shots`,
/// and returns the report; its last line is `N passed, N failed`.
pub(crate) fn browse(url: &str, pages: &str, shots: &Path) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let list = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(list.path(), pages).expect("the list of pages can be written");
    let output = Command::new("node")
        .arg(folder.join("run.mjs"))
        .args([list.path(), shots])
        .env("FATALMONITOR_URL", url)
        .env(
            "FATALMONITOR_TEST_CHROMIUM",
            rig_variable("FATALMONITOR_TEST_CHROMIUM"),
        )
        .output()
        .expect("node can be run");
    let report = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}: {report}\n{trouble}",
        output.status
    );
    report
}
