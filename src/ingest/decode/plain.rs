//! Lines of no known program: the user's patterns first, then the heads that most loggers write.
//!
//! It must never search more than the start of a line. Invariant: without a recognised head, the whole text is
//! the message.

use regex::{CaptureLocations, Regex};
use smallvec::SmallVec;

use super::level;
use super::line;
use super::paths::{Field, SlotId};
use super::time::{Clock, Reading};
use crate::model::{EventTime, Level};
use crate::rules::{FieldRules, PATTERN_GROUPS};

/// Bytes of a text that the user's patterns see.
// PERFORMANCE.md §2: where a user's pattern must run per event, on at most 8 KiB.
const HAYSTACK_MAX: usize = 8 * 1024;

/// Words after the time among which the level is looked for.
const HEAD_WORDS_MAX: usize = 4;

/// The user's line shapes.
#[derive(Debug)]
pub(super) struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// What each group feeds, by its number.
    feeds: Vec<Option<SlotId>>,
}

/// A line, taken apart. What it does not name is empty.
#[derive(Debug, Default)]
pub(super) struct Plain<'a> {
    pub(super) time: Option<Reading>,
    pub(super) level: Level,
    pub(super) channel: &'a str,
    pub(super) host: &'a str,
    pub(super) message: &'a str,
    /// Values of further groups of a pattern.
    pub(super) more: SmallVec<[(SlotId, &'a str); 8]>,
}

impl Patterns {
    /// Compiles the rules' patterns, which were checked when the rules were read.
    pub(super) fn new(fields: &FieldRules) -> Self {
        let compiled = fields.plain.iter().filter_map(|it| it.regex().ok());
        Self(
            compiled
                .map(|regex| {
                    let feeds = regex
                        .capture_names()
                        .map(|name| name.and_then(|it| slot_of(it, fields)))
                        .collect();
                    Pattern { regex, feeds }
                })
                .collect(),
        )
    }

    /// Makes the buffers that matching needs.
    pub(super) fn locations(&self) -> Vec<CaptureLocations> {
        self.0
            .iter()
            .map(|it| it.regex.capture_locations())
            .collect()
    }

    /// Takes a line apart by the first pattern that fits.
    pub(super) fn read<'a>(
        &self,
        text: &'a str,
        locations: &mut [CaptureLocations],
        (clock, arrived): (&Clock, EventTime),
    ) -> Option<Plain<'a>> {
        let haystack = text
            .get(..text.floor_char_boundary(HAYSTACK_MAX))
            .unwrap_or(text);
        for (pattern, locations) in self.0.iter().zip(locations) {
            if pattern.regex.captures_read(locations, haystack).is_none() {
                continue;
            }
            let mut plain = Plain::default();
            for (number, slot) in pattern.feeds.iter().enumerate() {
                let (Some(slot), Some((start, end))) = (*slot, locations.get(number)) else {
                    continue;
                };
                // A message that the cut haystack ended goes on to the end of the text.
                let end = if end == haystack.len() {
                    text.len()
                } else {
                    end
                };
                let value = text.get(start..end).unwrap_or_default();
                plain.put(slot, value, clock, arrived);
            }
            return Some(plain);
        }
        None
    }
}

impl<'a> Plain<'a> {
    fn put(&mut self, slot: SlotId, value: &'a str, clock: &Clock, arrived: EventTime) {
        if slot.is(Field::Time) {
            self.time = Some(clock.read(value, arrived));
        } else if slot.is(Field::Level) {
            self.level = level::read(value).unwrap_or_default();
        } else if slot.is(Field::Channel) {
            self.channel = value;
        } else if slot.is(Field::Host) {
            self.host = value;
        } else if slot.is(Field::Message) {
            self.message = value;
        } else {
            self.more.push((slot, value));
        }
    }
}

fn slot_of(group: &str, fields: &FieldRules) -> Option<SlotId> {
    const FEEDS: [Field; PATTERN_GROUPS.len()] = [
        Field::Time,
        Field::Channel,
        Field::Level,
        Field::Version,
        Field::Group,
        Field::Service,
        Field::Host,
        Field::Message,
        Field::Normalized,
        Field::RequestId,
        Field::Url,
    ];
    let named = PATTERN_GROUPS.iter().position(|it| *it == group);
    named
        .and_then(|it| FEEDS.get(it))
        .map(|it| SlotId::of(*it))
        .or_else(|| {
            fields
                .captured(group)
                .map(|it| SlotId::captured(it.0.into()))
        })
}

/// Takes a line apart by its usual head, if it has one.
pub(super) fn by_head<'a>(text: &'a str, clock: &Clock, arrived: EventTime) -> Plain<'a> {
    if let Some(head) = line::syslog(text, clock, arrived)
        && !head.program.is_empty()
    {
        let (level, message) = leading_level(head.rest);
        return Plain {
            time: head.at.map(Reading::At),
            level: level.or(head.level).unwrap_or_default(),
            channel: head.program,
            host: head.host,
            message,
            ..Plain::default()
        };
    }
    let Some((at, rest)) = dated(text, clock, arrived) else {
        let (level, message) = leading_level(text);
        return Plain {
            level: level.unwrap_or_default(),
            message,
            ..Plain::default()
        };
    };
    let rest = rest.trim_start_matches([' ', '\t', '|']);
    let (level, channel, message) = after_time(rest);
    Plain {
        time: Some(Reading::At(at)),
        level,
        channel,
        message,
        ..Plain::default()
    }
}

/// Reads `2016-01-20 01:20:03 …` or `[Wed Jan 20 01:20:03 2016] …`.
pub(super) fn dated<'a>(
    text: &'a str,
    clock: &Clock,
    arrived: EventTime,
) -> Option<(EventTime, &'a str)> {
    match text.strip_prefix('[') {
        None => clock.prefix(text, arrived),
        Some(inner) => {
            let (at, rest) = clock.prefix(inner, arrived)?;
            Some((at, rest.strip_prefix(']')?))
        }
    }
}

/// Finds level and logger among the first words after the time; what follows the level is the message.
fn after_time(text: &str) -> (Level, &str, &str) {
    let mut rest = text;
    let mut last = "";
    for _ in 0..HEAD_WORDS_MAX {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some((channel, level)) = monolog_word(word) {
            return (level, channel, after.trim_start());
        }
        if let Some(level) = level_mark(word) {
            let after = after.trim_start();
            // Python: `time - logger - LEVEL - message`.
            return match after.strip_prefix("- ") {
                Some(message) => (level, last, message),
                None => (level, "", after),
            };
        }
        if word != "-" && !word.is_empty() {
            last = word;
        }
        rest = after.trim_start();
    }
    (Level::Unknown, "", text)
}

/// Reads Monolog's `app.ERROR:`.
fn monolog_word(word: &str) -> Option<(&str, Level)> {
    let (channel, name) = word.strip_suffix(':')?.rsplit_once('.')?;
    let upper = name.bytes().all(|it| it.is_ascii_uppercase());
    level::read(name).filter(|_| upper).map(|it| (channel, it))
}

/// Reads `ERROR`, `[error]`, `WARN:`, `<notice>`.
fn level_mark(word: &str) -> Option<Level> {
    let bare = word.trim_end_matches(':');
    let inner = bare
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .or_else(|| bare.strip_prefix('<').and_then(|it| it.strip_suffix('>')));
    let marked = inner.is_some() || bare.len() < word.len();
    let name = inner.unwrap_or(bare);
    let upper = name.bytes().all(|it| it.is_ascii_uppercase());
    let letters = name.bytes().all(|it| it.is_ascii_alphabetic());
    level::read(name).filter(|_| letters && (marked || upper))
}

/// Reads a level at the very start. `ERROR:` and `[error]` are marks and not part of the message; `error:` is a word
/// of it.
fn leading_level(text: &str) -> (Option<Level>, &str) {
    let (word, after) = text.split_once(' ').unwrap_or((text, ""));
    let is_mark = word.starts_with(['[', '<']) || !word.bytes().any(|it| it.is_ascii_lowercase());
    match level_mark(word) {
        Some(level) if is_mark && !after.trim().is_empty() => (Some(level), after.trim_start()),
        found => (found, text),
    }
}
