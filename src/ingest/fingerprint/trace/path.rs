//! Writes the path of a source file without what a deployment puts into it.
//!
//! Invariant: the same file of two versions has one path.

/// Returns a path without roots, versions and line numbers.
pub(super) fn normal(path: &str) -> String {
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
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
    let mut normal = segments
        .get(from..names)
        .unwrap_or_default()
        .iter()
        .fold(String::new(), |path, folder| path + folder + "/");
    for (i, part) in segments
        .get(names..)
        .unwrap_or_default()
        .iter()
        .flat_map(|name| name.split('.'))
        .filter(|part| !is_digest(part))
        .enumerate()
    {
        normal.push_str(if i > 0 { "." } else { "" });
        normal.push_str(part);
    }
    normal
}

/// Says whether a part of a name is the digest that bundlers put there.
fn is_digest(part: &str) -> bool {
    part.len() >= 7
        && part.bytes().all(|b| b.is_ascii_hexdigit())
        && part.bytes().any(|b| b.is_ascii_digit())
}

/// Says whether a folder is named after a version, a date, a digest or a build.
fn is_deployed(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let dotted = segment
        .as_bytes()
        .windows(3)
        .any(|w| matches!(w, [a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit()));
    dotted || digits >= 6 || is_digest(segment)
}
