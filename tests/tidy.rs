//! Checks on the source tree itself: layering, purity of the core, file size.
#![expect(clippy::expect_used, reason = "a broken checkout may stop the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer of every module at the top of `src/`; code may name only modules of a lower layer.
const LAYERS: &[(&str, u32)] = &[
    ("model", 0),
    ("rules", 1),
    ("ingest", 2),
    ("detect", 2),
    ("scenario", 2),
    ("config", 3),
    ("telemetry", 3),
    ("store", 4),
    ("source", 4),
    ("link", 4),
    ("notify", 4),
    ("forward", 4),
    ("api", 5),
    ("node", 6),
    ("cli", 7),
];

/// Modules up to this layer are pure.
const PURE_LAYER_MAX: u32 = 2;

/// Names that do not belong in a pure module.
const IMPURE: &[&str] = &[
    "tokio",
    "rdkafka",
    "rusqlite",
    "std::sync::mpsc",
    "axum",
    "reqwest",
    "prometheus",
    "tracing",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "SystemTime",
    "Instant",
    "rand::",
];

/// Lines before the first `#[cfg(test)]`.
const CODE_LINES_MAX: usize = 500;

#[test]
fn source_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut errors = Vec::new();
    for file in rust_files(&root) {
        let name = file
            .strip_prefix(&root)
            .expect("file is under src")
            .display()
            .to_string();
        let text = fs::read_to_string(&file).expect("source is UTF-8");
        check_file(&name, &text, &mut errors);
    }
    assert!(errors.is_empty(), "\n{}\n", errors.join("\n"));
}

#[test]
fn a_sibling_import_is_reported() {
    let mut errors = Vec::new();
    check_file(
        "detect/mod.rs",
        "use crate::ingest::Ingest;\nuse crate::model::Alert;\n",
        &mut errors,
    );
    assert_eq!(
        errors,
        ["detect/mod.rs:1: `detect` may not name `crate::ingest`"]
    );
}

#[test]
fn a_clock_in_the_core_is_reported() {
    let mut errors = Vec::new();
    check_file(
        "ingest/cap.rs",
        "// Instant is fine in a comment.\nuse std::time::Instant;\n",
        &mut errors,
    );
    assert_eq!(
        errors,
        ["ingest/cap.rs:2: `ingest` is pure and may not name `Instant`"]
    );
}

fn check_file(name: &str, text: &str, errors: &mut Vec<String>) {
    let layers: BTreeMap<&str, u32> = LAYERS.iter().copied().collect();
    let module = name
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    if matches!(module, "main" | "lib") {
        return;
    }
    let Some(&layer) = layers.get(module) else {
        errors.push(format!("{name}: `{module}` has no layer in tests/tidy.rs"));
        return;
    };
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    // Files that only tests compile may be as long as their cases.
    let is_test = name.ends_with("tests.rs") || name.ends_with("fixture.rs");
    let n_lines = if is_test { 0 } else { code.lines().count() };
    if n_lines > CODE_LINES_MAX {
        errors.push(format!(
            "{name}: {n_lines} lines of code, at most {CODE_LINES_MAX}"
        ));
    }
    for (idx, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        let at = format!("{name}:{}", idx + 1);
        for path in line.split("crate::").skip(1) {
            let end = path
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(path.len());
            let (target, _) = path.split_at(end);
            let allowed = target == module || layers.get(target).is_some_and(|&it| it < layer);
            if !allowed {
                errors.push(format!("{at}: `{module}` may not name `crate::{target}`"));
            }
        }
        if layer <= PURE_LAYER_MAX {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                errors.push(format!(
                    "{at}: `{module}` is pure and may not name `{word}`"
                ));
            }
        }
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("source directory is readable") {
        let path = entry.expect("directory entry is readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
