//! What the rules and the text itself add to an event: version, group, host, exception, template.
//!
//! It must never overrule what the record says. Invariant: afterwards `version` is a version or empty with
//! [`Flag::NoVersion`], and `normalized` holds a template with placeholders or nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::memmem::Finder;

use super::exception;
use crate::model::{EventTime, Flag, LogEvent};
use crate::rules::RuleSet;

/// Bytes of text past which an event is flagged; less than that is looked at anyway.
// RELIABILITY.md §3, "oversize".
const TEXT_MAX: usize = 256 * 1024;

/// Facet values whose group is remembered.
// Wikimedia has 894 wikis; more values than this come from hostile input and are looked up each time.
const GROUPS_REMEMBERED_MAX: usize = 4096;

/// Characters of a version in a path.
const VERSION_MAX: usize = 64;

/// Groups of facet values seen before.
#[derive(Debug, Default)]
pub(super) struct GroupMemory(HashMap<Box<str>, Option<u16>>);

/// What finishing needs.
#[derive(Debug)]
pub(super) struct Finisher<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) arrived: EventTime,
    /// The captured field that groups are looked up by.
    pub(super) group_by: Option<u16>,
    /// Finds `/php-`.
    pub(super) version_mark: &'a Finder<'static>,
    pub(super) memory: &'a mut GroupMemory,
    /// Buffer for the host in lower case.
    pub(super) host: &'a mut String,
    /// Buffer for `file:line`.
    pub(super) file: &'a mut String,
}

impl<'a> Finisher<'a> {
    /// Completes an event.
    pub(super) fn finish(self, event: &mut LogEvent<'a>) {
        let Self {
            rules,
            arrived,
            group_by,
            version_mark,
            memory,
            host,
            file,
        } = self;
        if let Cow::Borrowed(message) = event.message
            && message.ends_with(['\n', '\r'])
        {
            event.message = Cow::Borrowed(message.trim_end_matches(['\n', '\r']));
        }
        strip_request(event);
        take_exception(event, file);
        keep_template(event);
        let facet: &'a str = group_by.map_or("", |place| captured(event, place));
        if event.group.is_empty() && !facet.is_empty() {
            event.group = Cow::Borrowed(memory.group_of(facet, rules));
        }
        complete_version(event, version_mark);
        if event.version.is_empty() {
            let at = event.time.unwrap_or(arrived);
            let known = rules.groups.version_at(&event.group, facet, at);
            event.version = Cow::Borrowed(known.unwrap_or_default());
        }
        if event.version.is_empty() {
            event.flags.insert(Flag::NoVersion);
        }
        if let Cow::Borrowed(name) = event.host {
            event.host = Cow::Borrowed(host_name(name, rules.fields.host_labels, host));
        }
        let trace = event.exception.as_ref().map_or(0, |it| it.trace.len());
        if event.message.len().max(trace) > TEXT_MAX {
            event.flags.insert(Flag::Oversize);
        }
    }
}

impl GroupMemory {
    fn group_of<'a>(&mut self, facet: &str, rules: &'a RuleSet) -> &'a str {
        let name = |place: Option<u16>| {
            let place = place.map(usize::from);
            place
                .and_then(|it| rules.groups.names().nth(it))
                .unwrap_or_default()
        };
        if let Some(known) = self.0.get(facet) {
            return name(*known);
        }
        let group = rules.groups.group_of(facet);
        let place = group.and_then(|group| rules.groups.names().position(|it| it == group));
        if self.0.len() < GROUPS_REMEMBERED_MAX {
            self.0
                .insert(facet.into(), place.and_then(|it| u16::try_from(it).ok()));
        }
        group.unwrap_or_default()
    }
}

fn captured<'a>(event: &LogEvent<'a>, place: u16) -> &'a str {
    let found = event.context.iter().find(|(it, _)| *it == place);
    match found.map(|(_, value)| value) {
        Some(Cow::Borrowed(value)) => value,
        _ => "",
    }
}

/// Takes `[{request id}] {url}   ` off the message and the template.
fn strip_request(event: &mut LogEvent<'_>) {
    if let Cow::Borrowed(message) = event.message
        && let Some((id, url, rest)) = exception::request_prefix(message)
    {
        event.message = Cow::Borrowed(rest);
        if event.request_id.is_empty() {
            event.request_id = Cow::Borrowed(id);
        }
        if event.url.is_empty() {
            event.url = Cow::Borrowed(url);
        }
    }
    if let Cow::Borrowed(template) = event.normalized
        && let Some((_, _, rest)) = exception::request_prefix(template)
    {
        event.normalized = Cow::Borrowed(rest);
    }
}

/// Reads the exception that stands in the message where the record has no structure for it.
fn take_exception<'a>(event: &mut LogEvent<'a>, file: &'a mut String) {
    let Cow::Borrowed(message) = event.message else {
        return;
    };
    if event.exception.is_some() {
        return;
    }
    if let Some(found) = exception::in_text(message) {
        let place = exception::place(found.file, found.line, file);
        event.exception = exception::info(found.class, found.message, place, found.trace);
        event.message = Cow::Borrowed(found.rest);
    }
}

/// Keeps the application's template only if it is one: in 2016 it was the expanded message, cut at 255 characters.
fn keep_template(event: &mut LogEvent<'_>) {
    let template = &*event.normalized;
    let is_template = !template.is_empty()
        && has_placeholder_and_text(template)
        && !event.message.starts_with(template);
    if !is_template {
        event.normalized = Cow::Borrowed("");
    }
}

/// Tells whether a text has a `{placeholder}`, and letters outside of placeholders.
fn has_placeholder_and_text(text: &str) -> bool {
    let mut found = false;
    let mut letters = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        letters |= before.chars().any(char::is_alphabetic);
        let name = after
            .bytes()
            .take_while(|it| is_placeholder_byte(*it))
            .count();
        if name > 0 && after.as_bytes().get(name) == Some(&b'}') {
            found = true;
            rest = after.get(name + 1..).unwrap_or_default();
        } else {
            rest = after;
        }
    }
    letters |= rest.chars().any(char::is_alphabetic);
    found && letters
}

const fn is_placeholder_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Takes `php-` off a version, or reads it from a path such as `/srv/mediawiki/php-1.27.0-wmf.11/`.
fn complete_version(event: &mut LogEvent<'_>, mark: &Finder<'static>) {
    if let Cow::Borrowed(version) = event.version
        && !version.is_empty()
    {
        let bare = version.trim();
        event.version = Cow::Borrowed(bare.strip_prefix("php-").unwrap_or(bare));
        return;
    }
    let texts = event.exception.as_ref().map(|it| [&it.file, &it.trace]);
    let mut texts = texts.into_iter().flatten().chain([&event.message]);
    let found = texts.find_map(|text| match text {
        Cow::Borrowed(text) => version_in(text, mark),
        Cow::Owned(_) => None,
    });
    if let Some(version) = found {
        event.version = Cow::Borrowed(version);
    }
}

fn version_in<'a>(text: &'a str, mark: &Finder<'static>) -> Option<&'a str> {
    // Only what is looked at anyway: a version stands at the start of a path, and paths stand early.
    let text = text.get(..text.floor_char_boundary(8 * 1024))?;
    mark.find_iter(text.as_bytes()).find_map(|at| {
        let after = text.get(at + mark.needle().len()..)?;
        let end = after
            .find('/')
            .filter(|it| (1..=VERSION_MAX).contains(it))?;
        let version = after.get(..end)?;
        let fits = version.starts_with(|it: char| it.is_ascii_digit())
            && version
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_' | b'+'));
        fits.then_some(version)
    })
}

/// Brings a host name to one form: lower case and only the first labels; addresses stay whole.
fn host_name<'a>(name: &'a str, labels: u8, buffer: &'a mut String) -> &'a str {
    let name = name.trim();
    let is_address = name.contains(':') || name.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let name = if is_address || labels == 0 {
        name
    } else {
        let dot = name.match_indices('.').nth(usize::from(labels) - 1);
        dot.and_then(|(at, _)| name.get(..at)).unwrap_or(name)
    };
    if !name.bytes().any(|it| it.is_ascii_uppercase()) {
        return name;
    }
    buffer.clear();
    buffer.push_str(name);
    buffer.make_ascii_lowercase();
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_name() {
        let mut buffer = String::new();
        for (name, labels, expected) in [
            ("mw2020.codfw.wmnet", 1, "mw2020"),
            ("mw2020.codfw.wmnet", 2, "mw2020.codfw"),
            ("mw2020.codfw.wmnet", 0, "mw2020.codfw.wmnet"),
            ("MW2020", 1, "mw2020"),
            ("10.64.0.17", 1, "10.64.0.17"),
            ("2620:0:861:1::17", 1, "2620:0:861:1::17"),
            ("", 1, ""),
        ] {
            assert_eq!(host_name(name, labels, &mut buffer), expected, "{name}");
        }
    }

    #[test]
    fn a_version_is_read_from_a_path() {
        let mark = Finder::new("/php-");
        for (text, version) in [
            (
                "x in /srv/mediawiki/php-1.27.0-wmf.11/includes/A.php",
                Some("1.27.0-wmf.11"),
            ),
            ("/php-master/x", None),
            ("/php-1.27", None),
            ("/php-x/php-1.28.0/a", Some("1.28.0")),
            ("nothing", None),
        ] {
            assert_eq!(version_in(text, &mark), version, "{text}");
        }
    }

    #[test]
    fn a_template_has_a_placeholder_and_words() {
        assert!(has_placeholder_and_text("User {user} not found"));
        assert!(!has_placeholder_and_text("{message}"));
        assert!(!has_placeholder_and_text("User 12 not found"));
        assert!(!has_placeholder_and_text("got {\"a\":1}"));
    }
}
