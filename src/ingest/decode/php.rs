//! Error lines of PHP and HHVM, as rsyslog hands them on.
//!
//! It must never change the text beyond what rsyslog did to it (`#012` for a line break). Invariant: every
//! function is linear in its text.

use crate::model::Level;

/// Most equal events that one record may stand for.
// rsyslog folds what it saw within a burst; a larger number is a forgery, and it would forge our counts.
const REPEAT_MAX: u32 = 1_000_000;

/// Names at the start of a PHP error, with their level.
const SEVERITIES: [(&str, Level); 13] = [
    ("catchable fatal error", Level::Critical),
    ("recoverable fatal error", Level::Critical),
    ("fatal error", Level::Critical),
    ("parse error", Level::Critical),
    ("compile error", Level::Critical),
    ("core error", Level::Critical),
    ("core warning", Level::Warning),
    ("user error", Level::Error),
    ("warning", Level::Warning),
    ("notice", Level::Notice),
    ("strict standards", Level::Notice),
    ("strict warning", Level::Notice),
    ("deprecated", Level::Notice),
];

/// Tells whether a program's output is PHP's error log.
pub(super) fn is_runtime(program: &str) -> bool {
    matches!(program, "hhvm" | "hhvm-fatal" | "php" | "php-fpm") || is_versioned_fpm(program)
}

/// `php7.2-fpm`, `php8.1-fpm` …
fn is_versioned_fpm(program: &str) -> bool {
    program
        .strip_prefix("php")
        .and_then(|it| it.strip_suffix("-fpm"))
        .is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit() || it == b'.'))
}

/// Takes rsyslog's `message repeated 12 times: [ … ]` off; returns how often, and the message.
pub(super) fn repeated(text: &str) -> (u32, &str) {
    unfold(text.trim_start()).unwrap_or((1, text))
}

fn unfold(text: &str) -> Option<(u32, &str)> {
    let (times, rest) = text
        .strip_prefix("message repeated ")?
        .split_once(" times: [")?;
    let times = times.parse::<u32>().ok()?.clamp(1, REPEAT_MAX);
    let rest = rest.trim_end();
    Some((times, rest.strip_suffix(']').unwrap_or(rest).trim()))
}

/// Takes blanks and line breaks off the start, also those that rsyslog wrote as `#012`.
pub(super) fn trim_start(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(after) = rest
        .strip_prefix("#012")
        .or_else(|| rest.strip_prefix("\\n"))
    {
        rest = after.trim_start();
    }
    rest
}

/// Returns the level that a PHP error names at its start.
pub(super) fn severity(text: &str) -> Option<Level> {
    let text = text.strip_prefix("PHP ").unwrap_or(text);
    let (name, _) = text.split_once(':')?;
    SEVERITIES
        .iter()
        .find(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|&(_, level)| level)
}

/// Writes rsyslog's escapes of control characters (`#012`, `#011`) as what they stand for.
pub(super) fn unescape<'a>(text: &'a str, buffer: &'a mut String) -> &'a str {
    if !text.contains("#01") {
        return text;
    }
    buffer.clear();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("#01") {
        buffer.push_str(before);
        let (with, skip) = match after.as_bytes().first() {
            Some(b'1') => ("\t", 1),
            Some(b'2') => ("\n", 1),
            Some(b'5') => ("", 1),
            _ => ("#01", 0),
        };
        buffer.push_str(with);
        rest = after.get(skip..).unwrap_or_default();
    }
    buffer.push_str(rest);
    buffer.truncate(buffer.trim_end().len());
    buffer
}

/// A crash report of HHVM: a block of `Name: value` lines, then the stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crash<'a> {
    pub(super) host: &'a str,
    pub(super) message: &'a str,
    pub(super) trace: &'a str,
}

/// Reads a crash report; `None` if the text is none.
pub(super) fn crash(text: &str) -> Option<Crash<'_>> {
    let (host, block) = text.strip_prefix("Host: ")?.split_once('\n')?;
    let named = |name: &str| {
        block
            .lines()
            .take(32)
            .find_map(|it| it.strip_prefix(name))
            .map(str::trim)
            .filter(|it| !it.is_empty())
    };
    let trace = block.find("\n# 0").or_else(|| block.find("\n#0"));
    Some(Crash {
        host: host.trim(),
        message: named("Type: ")
            .or_else(|| named("Assertion: "))
            .unwrap_or("crash"),
        trace: trace.and_then(|it| block.get(it + 1..)).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_message_says_how_often() {
        assert_eq!(
            repeated(" message repeated 12 times: [ #012Warning: x]"),
            (12, "#012Warning: x")
        );
        assert_eq!(repeated("message repeated 0 times: [a]"), (1, "a"));
        assert_eq!(
            repeated("message repeated 9999999 times: [a]"),
            (REPEAT_MAX, "a")
        );
        assert_eq!(repeated("plain"), (1, "plain"));
    }

    #[test]
    fn rsyslogs_escapes_become_line_breaks() {
        let mut buffer = String::new();
        assert_eq!(
            unescape("a#012#0 b#011c#019", &mut buffer),
            "a\n#0 b\tc#019"
        );
        assert_eq!(unescape("issue #12", &mut buffer), "issue #12");
    }

    #[test]
    fn severities_are_read_from_the_start() {
        assert_eq!(severity("PHP Warning:  x"), Some(Level::Warning));
        assert_eq!(severity("Fatal error: x"), Some(Level::Critical));
        assert_eq!(severity("Something: x"), None);
    }

    #[test]
    fn a_crash_report_gives_its_type_and_stack() {
        let text =
            "Host: mw1017\nProcessID: 12\nType: Segmentation fault\nVersion: x\n\n# 0  a\n# 1  b";
        assert_eq!(
            crash(text),
            Some(Crash {
                host: "mw1017",
                message: "Segmentation fault",
                trace: "# 0  a\n# 1  b"
            })
        );
    }
}
