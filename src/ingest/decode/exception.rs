//! Exceptions as they stand in a text, and stack traces as lists.
//!
//! It must never search far: every shape is found by its start or by one known mark. Invariant: what is
//! returned is part of the text that was given, but for frames that are put together into a buffer.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::json::{JsonError, Kind, Scanner, Value, unescape};
use crate::model::ExceptionInfo;

/// Frames of a list that are kept.
const FRAMES_MAX: usize = 64;

/// `[{request id}] {url}   {rest}`, which `MediaWiki` puts before the text of an exception.
pub(super) fn request_prefix(text: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (url, rest) = rest.split_once("   ")?;
    let id_fits = (4..=64).contains(&id.len())
        && (id == "{reqId}" || id == "{exception_id}" || id.bytes().all(is_id_byte));
    let url_fits = url.len() <= 8192
        && !url.contains(' ')
        && (url.starts_with(['/', '{']) || url.starts_with("http"));
    let cli = url == "[no req]" || url.starts_with("[no");
    (id_fits && (url_fits || cli)).then_some((id, if cli { "" } else { url }, rest.trim_start()))
}

const fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'-' | b'_' | b'.')
}

/// An exception found in a text.
#[derive(Debug)]
pub(super) struct InText<'a> {
    pub(super) class: &'a str,
    pub(super) message: &'a str,
    pub(super) file: &'a str,
    pub(super) line: &'a str,
    pub(super) trace: &'a str,
    /// What of the text is the message of the event.
    pub(super) rest: &'a str,
}

/// Finds an exception in a text, in any of the shapes that `MediaWiki` and PHP write.
pub(super) fn in_text(text: &str) -> Option<InText<'_>> {
    from_line(text)
        .or_else(|| bracketed(text))
        .or_else(|| uncaught(text))
}

/// `Class from line 12 of /path/file.php: message`, then the trace.
fn from_line(text: &str) -> Option<InText<'_>> {
    // The class is the first word, so that a message without an exception costs one look.
    let (class, after) = text.split_once(' ')?;
    let after = after.strip_prefix("from line ")?;
    if !is_class(class) {
        return None;
    }
    let (line, after) = after.split_once(" of ")?;
    let (file, message) = after.split_once(": ")?;
    if !is_number(line) || file.contains([' ', '\n']) {
        return None;
    }
    let (message, trace) = message
        .split_once("\n#0 ")
        .map_or((message, ""), |(head, _)| {
            (head, message.get(head.len() + 1..).unwrap_or_default())
        });
    let rest = text
        .get(..text.len() - trace.len())
        .unwrap_or(text)
        .trim_end();
    Some(InText {
        class,
        message,
        file,
        line,
        trace,
        rest,
    })
}

/// `message` then, on its own line, `[Exception Class] (/path/file.php:12) message` and the trace.
fn bracketed(text: &str) -> Option<InText<'_>> {
    let at = bracket(text)?;
    let (rest, after) = text.split_at_checked(at)?;
    let after = after.strip_prefix("[Exception ")?;
    if !rest.is_empty() && !rest.ends_with(['\n', ' ']) {
        return None;
    }
    let (class, after) = after.split_once("] (")?;
    let (place, after) = after.split_once(") ").or_else(|| after.split_once(')'))?;
    if !is_class(class) || place.contains(['\n', ' ']) {
        return None;
    }
    let (file, line) = place
        .rsplit_once(':')
        .filter(|(_, it)| is_number(it))
        .unwrap_or((place, ""));
    let (message, trace) = after.split_once('\n').unwrap_or((after, ""));
    let rest = rest.trim_end();
    Some(InText {
        class,
        message,
        file,
        line,
        trace,
        rest: if rest.is_empty() {
            text.lines().next().unwrap_or(text)
        } else {
            rest
        },
    })
}

/// Finds `[Exception ` by its first byte.
fn bracket(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'[', text.as_bytes()).find(|&at| {
        text.get(at..)
            .is_some_and(|it| it.starts_with("[Exception "))
    })
}

/// `… Uncaught exception 'Class' with message '…' in /path:12` or `… Uncaught Class: … in /path:12`.
fn uncaught(text: &str) -> Option<InText<'_>> {
    let start = text.get(..text.floor_char_boundary(64)).unwrap_or(text);
    let at = memchr::memchr_iter(b'U', start.as_bytes()).find(|&at| {
        start
            .get(at..)
            .is_some_and(|it| it.starts_with("Uncaught "))
    })?;
    let after = text.get(at + "Uncaught ".len()..)?;
    let (class, after) = match after.strip_prefix("exception '") {
        Some(quoted) => quoted.split_once("' with message '")?,
        None => after.split_once(": ")?,
    };
    if !is_class(class) {
        return None;
    }
    let (head, trace) = ["Stack trace:\n", "Stack trace: "]
        .iter()
        .find_map(|it| after.split_once(it))
        .unwrap_or((after, ""));
    let rest = text
        .get(..text.len() - after.len() + head.len())
        .unwrap_or(text);
    let head = head.trim_end();
    let (message, place) = head.rsplit_once(" in ").unwrap_or((head, ""));
    let (file, line) = place
        .rsplit_once(':')
        .filter(|(_, it)| is_number(it))
        .unwrap_or((place, ""));
    Some(InText {
        class,
        message: message.trim_end_matches('\''),
        file,
        line,
        trace,
        rest: rest.trim_end(),
    })
}

fn is_class(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'\\' | b'.' | b'@' | b'$'))
        && !text.bytes().all(|it| it.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

/// Returns `file:line`; put together in the buffer unless the file has its line already or there is none.
pub(super) fn place<'a>(file: &'a str, line: &str, buffer: &'a mut String) -> &'a str {
    let has_line = file.rsplit_once(':').is_some_and(|(_, it)| is_number(it));
    if has_line || file.is_empty() || !is_number(line) {
        return file;
    }
    buffer.clear();
    buffer.push_str(file);
    buffer.push(':');
    buffer.push_str(line);
    buffer
}

/// Makes the event's exception.
pub(super) fn info<'a>(
    class: &'a str,
    message: &'a str,
    file: &'a str,
    trace: &'a str,
) -> Option<ExceptionInfo<'a>> {
    if class.is_empty() && file.is_empty() && trace.is_empty() {
        return None;
    }
    Some(ExceptionInfo {
        class: Cow::Borrowed(class),
        message: Cow::Borrowed(message),
        file: Cow::Borrowed(file),
        trace: Cow::Borrowed(trace),
    })
}

/// Writes a list of frames (texts, or objects with `file`, `line`, `class`, `type`, `function`) as lines.
pub(super) fn frames<'a>(list: &str, buffer: &'a mut String) -> &'a str {
    buffer.clear();
    if each_frame(list, buffer).is_err() {
        buffer.clear();
    }
    buffer.truncate(buffer.trim_end().len());
    buffer
}

fn each_frame(list: &str, out: &mut String) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(list);
    scanner.take(b'[')?;
    for number in 0..FRAMES_MAX {
        match scanner.peek() {
            Some(b'{') => object_frame(list, &mut scanner, number, out)?,
            Some(b'"') => {
                let text = scanner.string()?;
                unescape(text.span.of(list), out);
                out.push('\n');
            }
            Some(b']') => return Ok(()),
            _ => {
                scanner.value()?;
            }
        }
        if scanner.peek() == Some(b',') {
            scanner.take(b',')?;
        }
    }
    Ok(())
}

/// Writes `#3 /path/file.php(12): Class->method()`, as PHP does.
fn object_frame(
    list: &str,
    scanner: &mut Scanner<'_>,
    number: usize,
    out: &mut String,
) -> Result<(), JsonError> {
    const KEYS: [&str; 5] = ["file", "line", "class", "type", "function"];
    let mut found: [Option<Value>; KEYS.len()] = [None; KEYS.len()];
    scanner.take(b'{')?;
    while scanner.peek() == Some(b'"') {
        let key = scanner.string()?;
        scanner.take(b':')?;
        let value = scanner.value()?;
        let place = KEYS.iter().position(|it| *it == key.span.of(list));
        if let Some(slot) = place.and_then(|it| found.get_mut(it))
            && matches!(value.kind, Kind::Text | Kind::Escaped | Kind::Number)
        {
            *slot = Some(value);
        }
        if scanner.peek() == Some(b',') {
            scanner.take(b',')?;
        }
    }
    scanner.take(b'}')?;
    let [file, line, class, kind, function] = found;
    let push = |out: &mut String, value: Option<Value>| {
        if let Some(value) = value {
            unescape(value.span.of(list), out);
        }
    };
    // Writing into a String cannot fail.
    write!(out, "#{number} ").unwrap_or_default();
    push(out, file);
    if line.is_some() {
        out.push('(');
        push(out, line);
        out.push(')');
    }
    out.push_str(": ");
    push(out, class);
    push(out, kind);
    push(out, function);
    out.push_str("()\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_of_mediawiki_is_taken_apart() {
        let found = in_text("MWException from line 57 of /srv/mediawiki/php-1.27.0-wmf.11/includes/A.php: CAS update failed\n#0 /srv/x.php(3): B->c()\n#1 {main}").unwrap();
        assert_eq!((found.class, found.line), ("MWException", "57"));
        assert_eq!(found.message, "CAS update failed");
        assert!(found.trace.starts_with("#0 "));
        assert!(found.rest.ends_with("CAS update failed"));
    }

    #[test]
    fn the_request_prefix_is_only_taken_where_it_is_one() {
        assert_eq!(
            request_prefix("[V4aABApAMEoAAFRU2eIAAABO] /w/api.php?a=b   Boom: x"),
            Some(("V4aABApAMEoAAFRU2eIAAABO", "/w/api.php?a=b", "Boom: x"))
        );
        assert_eq!(
            request_prefix("[{reqId}] {exception_url}   Boom: {x}"),
            Some(("{reqId}", "{exception_url}", "Boom: {x}"))
        );
        assert_eq!(request_prefix("[error] something   happened"), None);
        assert_eq!(request_prefix("[error] no"), None);
    }

    #[test]
    fn frames_are_written_as_php_writes_them() {
        let mut buffer = String::new();
        let list =
            r#"[{"file":"\/srv\/a.php","line":12,"function":"run","class":"Job","type":"->"},"#
                .to_owned()
                + r#"{"function":"main","args":[1,{"a":[]}]}, "text frame", 7, null]"#;
        assert_eq!(
            frames(&list, &mut buffer),
            "#0 /srv/a.php(12): Job->run()\n#1 : main()\ntext frame"
        );
    }
}
