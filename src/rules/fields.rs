//! Which part of a record feeds which field of an event.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use regex::Regex;
use serde::Deserialize;

use super::RuleProblem;
use super::masks::bounded_regex;

/// Dotted JSON paths, tried in order; the first that holds a text or number wins.
pub type FieldPaths = Vec<String>;

/// The field map. A path that is not given falls back to the dialect's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldRules {
    /// Time of the event.
    pub time: FieldPaths,
    /// Channel.
    pub channel: FieldPaths,
    /// Level.
    pub level: FieldPaths,
    /// Version of the code.
    pub version: FieldPaths,
    /// Group, where the record itself names it.
    pub group: FieldPaths,
    /// Service.
    pub service: FieldPaths,
    /// Host.
    pub host: FieldPaths,
    /// Message.
    pub message: FieldPaths,
    /// Template that the application gives.
    pub normalized: FieldPaths,
    /// Request id.
    pub request_id: FieldPaths,
    /// URL.
    pub url: FieldPaths,
    /// Further context fields to capture, for `[[join]]` and `[[mix]]`.
    pub context: Vec<String>,
    /// Captured fields that are counted by value and shown, such as `wiki`.
    pub facets: Vec<String>,
    /// The captured field that `[[group]]` looks up.
    pub group_by: String,
    /// Service of records that name none.
    pub service_default: String,
    /// Time zone of times that name none: an offset such as `+02:00`, or an IANA name.
    pub zone: String,
    /// How many labels of a host name are kept, so that `mw2020.codfw.wmnet` and `mw2020` are one host; 0 keeps all.
    pub host_labels: u8,
    /// Line shapes of the dialect `plain`, tried in order.
    pub plain: Vec<PlainPattern>,
}

/// A regular expression with named groups (`time`, `channel`, `level`, `version`, `host`, `message` …) for one line shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainPattern {
    /// The expression.
    pub pattern: String,
}

/// Group names of a pattern that are not captured fields.
pub const PATTERN_GROUPS: [&str; 11] = [
    "time",
    "channel",
    "level",
    "version",
    "group",
    "service",
    "host",
    "message",
    "normalized",
    "request_id",
    "url",
];

impl PlainPattern {
    /// Compiles the expression; the error is a sentence.
    pub fn regex(&self) -> Result<Regex, String> {
        bounded_regex(&self.pattern)
    }
}

/// A captured field: its place in the list, by which events refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedField(pub u16);

impl Default for FieldRules {
    fn default() -> Self {
        Self {
            time: Vec::new(),
            channel: Vec::new(),
            level: Vec::new(),
            version: Vec::new(),
            group: Vec::new(),
            service: Vec::new(),
            host: Vec::new(),
            message: Vec::new(),
            normalized: Vec::new(),
            request_id: Vec::new(),
            url: Vec::new(),
            context: Vec::new(),
            facets: vec!["wiki".to_owned()],
            group_by: "wiki".to_owned(),
            service_default: "mediawiki".to_owned(),
            zone: "UTC".to_owned(),
            host_labels: 1,
            plain: Vec::new(),
        }
    }
}

impl FieldRules {
    /// Lists every captured field once: the facets first, then the rest of `context`, then `group_by`.
    pub fn captured_names(&self) -> impl Iterator<Item = &str> {
        let names = self
            .facets
            .iter()
            .chain(&self.context)
            .chain(std::iter::once(&self.group_by));
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if !seen.contains(&name.as_str()) {
                seen.push(name);
            }
        }
        seen.into_iter()
    }

    /// Returns the zone of times that name none; `None` if the rules name one that does not exist.
    ///
    /// Zones come from the data base that is compiled in, so that the same rules mean the same everywhere.
    pub fn time_zone(&self) -> Option<TimeZone> {
        if let Some(offset) = offset(&self.zone) {
            return Some(TimeZone::fixed(offset));
        }
        TimeZoneDatabase::bundled().get(&self.zone).ok()
    }

    pub(super) fn check(&self, problems: &mut Vec<RuleProblem>) {
        if self.time_zone().is_none() {
            problems.push(RuleProblem::new(format!(
                "[fields] zone = \"{}\" is no time zone: use an offset such as `+02:00` or a name such as `Europe/Berlin`",
                self.zone
            )));
        }
        for plain in &self.plain {
            match plain.regex() {
                Ok(regex) => self.check_groups(&plain.pattern, &regex, problems),
                Err(error) => problems.push(RuleProblem::new(format!(
                    "[[fields.plain]] pattern `{}` is no regular expression that can be used: {error}",
                    plain.pattern
                ))),
            }
        }
    }

    fn check_groups(&self, pattern: &str, regex: &Regex, problems: &mut Vec<RuleProblem>) {
        for name in regex.capture_names().flatten() {
            if !PATTERN_GROUPS.contains(&name) && self.captured(name).is_none() {
                problems.push(RuleProblem::new(format!(
                    "[[fields.plain]] pattern `{pattern}` has a group `{name}`, which feeds no field: use one of {} or add it to `context` in [fields]",
                    PATTERN_GROUPS.join(", ")
                )));
            }
        }
    }

    /// Returns the place of a captured field.
    pub fn captured(&self, name: &str) -> Option<CapturedField> {
        let place = self.captured_names().position(|it| it == name)?;
        u16::try_from(place).ok().map(CapturedField)
    }
}

/// Reads `+02:00`, `-0530` or `+02`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes: i32 = if minutes.is_empty() {
        0
    } else {
        minutes.parse().ok()?
    };
    let hours: i32 = hours.parse().ok()?;
    let valid = (0..=23).contains(&hours) && (0..=59).contains(&minutes);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60))
        .ok()
        .filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_an_offset_or_a_name() {
        for (zone, valid) in [
            ("UTC", true),
            ("+02:00", true),
            ("-0530", true),
            ("+24:00", false),
            ("Europe/Berlin", true),
            ("Middle-earth/Shire", false),
            ("", false),
        ] {
            let fields = FieldRules {
                zone: zone.to_owned(),
                ..FieldRules::default()
            };
            assert_eq!(fields.time_zone().is_some(), valid, "{zone}");
        }
    }

    #[test]
    fn patterns_are_checked_with_their_groups() {
        let problems = |pattern: &str| {
            let fields = FieldRules {
                plain: vec![PlainPattern {
                    pattern: pattern.to_owned(),
                }],
                ..FieldRules::default()
            };
            let mut problems = Vec::new();
            fields.check(&mut problems);
            problems.iter().map(ToString::to_string).collect::<String>()
        };
        assert_eq!(problems("^(?<time>\\S+) (?<wiki>\\w+) (?<message>.*)$"), "");
        assert!(problems("(?<massage>.*)").contains("massage"));
        assert!(problems("(unclosed").contains("unclosed"));
        assert!(problems("(a{1000}){1000}").contains("a{1000}"));
    }
}
