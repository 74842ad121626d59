//! Writes the path of a source file without what a deployment puts into it.
//!
//! Invariant: the same file of two versions has one path.

/// Returns a path without roots, versions and line numbers.
pub(super) fn normal(path: &str) -> String {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let path = path.strip_prefix("webpack://").unwrap_or(path);
    let path = path.split('?').next().unwrap_or_default();
    let path = path.replace('\\', "/");
    let segments: Vec<&str> = path
        .split('/')
        .filter(|s| !s.is_empty() && *s != ".")
        .collect();
    let names = segments.len().saturating_sub(1);
    let deployed = segments.iter().take(names).rposition(|s| is_deployed(s));
    let from = deployed.map_or(0, |at| at + 1);
    // 4: a file and three folders tell files apart; roots above differ from host to host.
    let from = from.max(segments.len().saturating_sub(4));
    segments.get(from..).unwrap_or_default().join("/")
}

/// Says whether a folder is named after a version, a date, a digest or a build.
fn is_deployed(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let dotted = segment
        .as_bytes()
        .windows(3)
        .any(|w| matches!(w, [a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit()));
    let hex = segment.len() >= 7 && segment.bytes().all(|b| b.is_ascii_hexdigit()) && digits > 0;
    dotted || digits >= 6 || hex
}
