//! What people know of their own texts: masks beside the built-in ones, and which frames are their own code.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::place::Placed;
use super::{RuleProblem, glob_matches, linear};

/// Bytes that a compiled pattern may take.
// RELIABILITY.md §0 F7: with 1 MiB, patterns made to explode are refused within milliseconds.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Kinds that a mask may show, without their angle brackets.
pub const MASK_KINDS: [&str; 16] = [
    "num", "hex", "uuid", "ip", "mac", "host", "url", "path", "email", "time", "dur", "size", "id",
    "str", "name", "secret",
];

/// Compiles a pattern within bounds; the error is a sentence.
pub(super) fn bounded_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(50)
        .build()
        .map_err(|error| error.to_string().trim().replace('\n', " "))
        .and_then(|regex| match linear::reads_per_byte(pattern) {
            None => Ok(regex),
            Some(times) => Err(format!(
                "it reads some lines {times} times over, so a hostile line would stop the pipeline: bound its repetitions, as in {{0,30}}"
            )),
        })
}

/// A mask as written: what matches is a value, not part of the text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRule {
    /// Channel or glob.
    #[serde(default = "every")]
    pub channel: String,
    /// Regular expression; if it has a group named `value`, only that part is masked.
    pub pattern: String,
    /// What is shown instead: one of [`MASK_KINDS`].
    #[serde(default = "id")]
    pub kind: String,
}

fn every() -> String {
    "*".to_owned()
}

fn id() -> String {
    "id".to_owned()
}

/// The masks of the rules, compiled.
#[derive(Clone, Debug, Default)]
pub struct MaskRules {
    masks: Vec<CompiledMask>,
}

#[derive(Clone, Debug)]
struct CompiledMask {
    channel: String,
    regex: Regex,
    has_value: bool,
    shown: String,
}

impl MaskRules {
    pub(super) fn new(rules: &[Placed<MaskRule>], problems: &mut Vec<RuleProblem>) -> Self {
        let mut masks = Vec::new();
        for rule in rules {
            if !MASK_KINDS.contains(&rule.kind.as_str()) {
                problems.push(rule.problem(&format!(
                    "[[mask]] kind = \"{}\" is not known: use one of {}",
                    rule.kind,
                    MASK_KINDS.join(", ")
                )));
            }
            match bounded_regex(&rule.pattern) {
                Ok(regex) if regex.is_match("") => problems.push(rule.problem(&format!(
                    "[[mask]] pattern `{}` matches the empty text, so it would match everywhere",
                    rule.pattern
                ))),
                Ok(regex) => masks.push(CompiledMask {
                    channel: rule.channel.clone(),
                    has_value: regex.capture_names().flatten().any(|it| it == "value"),
                    regex,
                    shown: format!("<{}>", rule.kind),
                }),
                Err(error) => problems.push(rule.problem(&format!(
                    "[[mask]] pattern `{}` cannot be used: {error}",
                    rule.pattern
                ))),
            }
        }
        Self { masks }
    }

    /// Tells whether there is any mask: without one, no event pays for this.
    pub const fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// Returns the places of the masks for a channel, in the order in which they are applied.
    pub fn for_channel(&self, channel: &str) -> Vec<usize> {
        (0..self.masks.len())
            .filter(|&it| {
                self.masks
                    .get(it)
                    .is_some_and(|mask| glob_matches(&mask.channel, channel))
            })
            .collect()
    }

    /// Writes a text with the values that the masks at `places` match replaced; returns whether any did.
    pub fn apply(&self, places: &[usize], text: &str, out: &mut String) -> bool {
        out.clear();
        out.push_str(text);
        let mut changed = false;
        for mask in places.iter().filter_map(|&it| self.masks.get(it)) {
            if let Some(masked) = mask.masked(out) {
                *out = masked;
                changed = true;
            }
        }
        changed
    }
}

impl CompiledMask {
    fn masked(&self, text: &str) -> Option<String> {
        self.regex.find(text)?;
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        let mut replace = |range: std::ops::Range<usize>| {
            out.push_str(text.get(from..range.start).unwrap_or_default());
            out.push_str(&self.shown);
            from = range.end;
        };
        if self.has_value {
            for found in self.regex.captures_iter(text) {
                if let Some(value) = found.name("value") {
                    replace(value.range());
                }
            }
        } else {
            self.regex
                .find_iter(text)
                .for_each(|it| replace(it.range()));
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Some(out)
    }
}

/// Which frames of a trace are the application's own code.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceRules {
    /// Globs over `function file`, such as `*/extensions/*`: own code, whatever the built-in rule says.
    pub app: Vec<String>,
    /// Globs of code of somebody else, such as `*vendor/*`; tried first.
    pub library: Vec<String>,
}

impl TraceRules {
    /// Tells whether a frame is own code; `None` where the rules do not say.
    pub fn is_app(&self, frame: &str) -> Option<bool> {
        let any = |globs: &[String]| globs.iter().any(|it| glob_matches(it, frame));
        if any(&self.library) {
            return Some(false);
        }
        any(&self.app).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    fn problems(text: &str) -> String {
        RuleSet::parse(&[("mine.toml", text)])
            .err()
            .into_iter()
            .flatten()
            .map(|it| it.to_string())
            .collect()
    }

    #[test]
    fn masks_replace_the_match_or_only_its_value() {
        let rules = RuleSet::parse(&[(
            "mine.toml",
            "[[mask]]\npattern = 'ORD-[A-Z]+'\n[[mask]]\nchannel = 'shop*'\npattern = 'for (?<value>\\w+)'\nkind = 'name'\n",
        )])
        .unwrap();
        let mut out = String::new();
        let text = "order ORD-XYZ, ORD-B for Anna";
        let places = rules.masks.for_channel("shop-eu");
        assert!(rules.masks.apply(&places, text, &mut out));
        assert_eq!(out, "order <id>, <id> for <name>");
        let places = rules.masks.for_channel("other");
        assert!(rules.masks.apply(&places, text, &mut out));
        assert_eq!(out, "order <id>, <id> for Anna");
        assert!(!rules.masks.apply(&places, "nothing here", &mut out));
    }

    #[test]
    fn masks_that_cannot_be_used_are_refused_with_file_and_line() {
        for (text, expected) in [
            ("\n[[mask]]\npattern = '.*[^A-Z]|[A-Z]'\n", "mine.toml:2: "),
            ("[[mask]]\npattern = '.*[^A-Z]|[A-Z]'\n", "times over"),
            ("[[mask]]\npattern = 'x*'\n", "empty text"),
            ("[[mask]]\npattern = '('\n", "unclosed"),
            ("[[mask]]\npattern = 'x'\nkind = 'order'\n", "uuid"),
        ] {
            assert!(
                problems(text).contains(expected),
                "{text}: {}",
                problems(text)
            );
        }
    }

    #[test]
    fn a_frame_is_library_before_it_is_own_code() {
        let rules = TraceRules {
            app: vec!["*extensions/*".to_owned()],
            library: vec!["*vendor/*".to_owned()],
        };
        assert_eq!(rules.is_app("run extensions/a.php"), Some(true));
        assert_eq!(rules.is_app("run extensions/vendor/a.php"), Some(false));
        assert_eq!(rules.is_app("run includes/a.php"), None);
    }
}
