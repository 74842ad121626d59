//! Text lines with a known head: udp2log's four generations and syslog's three.
//!
//! It must never take a line for one of these shapes by its time alone. Invariant: what is returned is part of the line.

use super::level;
use super::php;
use super::time::Clock;
use crate::model::{EventTime, Level};

/// A udp2log line, taken apart. What its generation does not write is empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Udp2log<'a> {
    pub(super) at: EventTime,
    pub(super) request_id: &'a str,
    pub(super) host: &'a str,
    pub(super) wiki: &'a str,
    pub(super) version: &'a str,
    pub(super) channel: &'a str,
    pub(super) level: Level,
    /// Message, context and exception.
    pub(super) rest: &'a str,
}

/// Reads a udp2log line of any generation, with or without the channel that its datagram starts with.
pub(super) fn udp2log<'a>(text: &'a str, clock: &Clock, arrived: EventTime) -> Option<Udp2log<'a>> {
    let (at, rest) = dated(text, clock, arrived).or_else(|| {
        let (channel, rest) = text.split_once(' ')?;
        (!channel.is_empty() && is_name(channel)).then(|| dated(rest, clock, arrived))?
    })?;
    let rest = rest.strip_prefix(' ')?;
    let (request_id, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once("] ")?,
        None => ("", rest),
    };
    let (host, rest) = word(rest)?;
    let (wiki, rest) = word(rest)?;
    let (first, rest) = word(rest)?;
    let (second, after_second) = word(rest)?;
    let (version, channel, level, rest) = if let Some(level) = level_word(second) {
        ("", first, level, after_second)
    } else {
        let (third, after_third) = word(after_second)?;
        (first, second, level_word(third)?, after_third)
    };
    (is_name(host) && is_name(wiki) && is_name(channel)).then_some(Udp2log {
        at,
        request_id,
        host,
        wiki,
        version,
        channel,
        level,
        rest,
    })
}

fn dated<'a>(text: &'a str, clock: &Clock, arrived: EventTime) -> Option<(EventTime, &'a str)> {
    text.as_bytes().first().filter(|it| it.is_ascii_digit())?;
    clock.prefix(text, arrived)
}

/// Splits off the first word; the rest may be empty.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (!word.is_empty()).then_some((word, rest))
}

/// Reads `ERROR:`.
fn level_word(word: &str) -> Option<Level> {
    let name = word.strip_suffix(':')?;
    if !name.bytes().all(|it| it.is_ascii_uppercase()) {
        return None;
    }
    level::read(name)
}

/// Tells whether a word may be a host, wiki or channel.
fn is_name(word: &str) -> bool {
    word.len() <= 128
        && word.bytes().all(|it| {
            it.is_ascii_alphanumeric()
                || matches!(it, b'-' | b'_' | b'.' | b':' | b'\\' | b'/')
                || it >= 0x80
        })
}

/// The head of a syslog line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Syslog<'a> {
    pub(super) at: Option<EventTime>,
    pub(super) host: &'a str,
    /// Program; empty in the lines of fluorine's `hhvm.log`.
    pub(super) program: &'a str,
    pub(super) level: Option<Level>,
    pub(super) rest: &'a str,
}

impl Syslog<'_> {
    /// Tells whether the line is PHP's error log; one without a program is, as fluorine's `hhvm.log` has them.
    pub(super) fn is_runtime(&self) -> bool {
        self.program.is_empty() || php::is_runtime(self.program)
    }
}

/// Reads the head of a syslog line: RFC 3164, RFC 5424, rsyslog's ISO form, or `{program} {time} {host}:`.
pub(super) fn syslog<'a>(text: &'a str, clock: &Clock, arrived: EventTime) -> Option<Syslog<'a>> {
    let (level, text) = priority(text);
    if let Some(found) = text
        .strip_prefix("1 ")
        .and_then(|it| rfc5424(it, clock, arrived))
    {
        return level.map(|level| Syslog {
            level: Some(level),
            ..found
        });
    }
    let (leading, at, rest) = if let Some((at, rest)) = syslog_time(text, clock, arrived) {
        ("", at, rest)
    } else {
        let (program, rest) = text.split_once(' ')?;
        let (at, rest) = syslog_time(rest, clock, arrived).filter(|_| is_name(program))?;
        (program, at, rest)
    };
    let (host, rest) = word(rest.strip_prefix(' ')?)?;
    let at = Some(at);
    if let Some(host) = host.strip_suffix(':') {
        let is_bsd = text.starts_with(|it: char| it.is_ascii_alphabetic());
        return (is_bsd && is_host(host)).then_some(Syslog {
            at,
            host,
            program: leading,
            level,
            rest,
        });
    }
    if !is_host(host) {
        return None;
    }
    let (tag, rest) = word(rest)?;
    let program = program_of(tag)?;
    Some(Syslog {
        at,
        host,
        program,
        level,
        rest,
    })
}

/// Reads a time that syslog writes: `Jan  2 01:20:03`, or ISO 8601 with its `T`.
fn syslog_time<'a>(
    text: &'a str,
    clock: &Clock,
    arrived: EventTime,
) -> Option<(EventTime, &'a str)> {
    let is_bsd = text.starts_with(|it: char| it.is_ascii_alphabetic());
    let is_iso = text.as_bytes().get(10) == Some(&b'T');
    if is_bsd || is_iso {
        clock.prefix(text, arrived)
    } else {
        None
    }
}

/// Reads `TIME HOST APP PROC MSGID SD MSG`.
fn rfc5424<'a>(text: &'a str, clock: &Clock, arrived: EventTime) -> Option<Syslog<'a>> {
    let (time, rest) = word(text)?;
    let at = match time {
        "-" => None,
        _ => Some(clock.prefix(time, arrived)?.0),
    };
    let (host, rest) = word(rest)?;
    let (program, rest) = word(rest)?;
    let (_process, rest) = word(rest)?;
    let (_message_id, rest) = word(rest)?;
    let rest = match rest.strip_prefix('-') {
        Some(after) => after,
        None => rest.get(structured_end(rest)?..)?,
    };
    let rest = rest.trim_start();
    Some(Syslog {
        at,
        host: nil(host),
        program: nil(program),
        level: None,
        rest: rest.strip_prefix('\u{feff}').unwrap_or(rest),
    })
}

/// Finds the end of RFC 5424's `[id name="value"]…`.
fn structured_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut open = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => open = true,
            b']' if !quoted => open = false,
            _ if !open => return Some(place),
            _ => {}
        }
    }
    (!open && !text.is_empty()).then_some(text.len())
}

fn nil(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

fn priority(text: &str) -> (Option<Level>, &str) {
    let found = text.strip_prefix('<').and_then(|it| it.split_once('>'));
    match found.map(|(number, rest)| (level::from_priority(number), rest)) {
        Some((Some(level), rest)) => (Some(level), rest),
        _ => (None, text),
    }
}

/// Reads `sshd[12]:` or `hhvm:`.
fn program_of(tag: &str) -> Option<&str> {
    let tag = tag.strip_suffix(':')?;
    let name = match tag.split_once('[') {
        Some((name, process)) => process
            .strip_suffix(']')
            .filter(|it| it.bytes().all(|it| it.is_ascii_digit()))
            .map(|_| name)?,
        None => tag,
    };
    (!name.is_empty() && name.len() <= 64 && is_name(name)).then_some(name)
}

fn is_host(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.' | b':'))
        && level::read(word).is_none_or(|_| word.bytes().any(|it| it.is_ascii_digit()))
}
