//! What people decide: the text of `rules/*.toml` becomes one checked [`RuleSet`].
//!
//! Pure: it gets texts with their names and returns rules or *all* problems found, each with file, line
//! and the value. It must never read a file itself. Invariant: a `RuleSet` that exists is valid.

mod channels;
mod detect;
mod fields;
mod groups;
mod problem;
mod signatures;

use serde::Deserialize;

use self::signatures::SignatureTables;
pub use channels::{CapRule, CapRules, ChannelRule, DropRule, JoinRule, MixRule, glob_matches};
pub use detect::DetectRules;
pub use fields::{CapturedField, FieldPaths, FieldRules, PATTERN_GROUPS, PlainPattern};
pub use groups::{GroupRule, GroupRules, VersionAt};
pub use problem::RuleProblem;
pub(crate) use problem::edit_distance;
pub use signatures::{MergeRule, SignatureRules, SplitRule};

/// Text of `rules/mediawiki.toml`, which is also what the program uses when it is given no rules.
pub const BUILT_IN: &str = include_str!("../../rules/mediawiki.toml");

/// Everything that rules decide.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Which part of a record feeds which field.
    pub fields: FieldRules,
    /// Wiki (or any facet) to group, and group to version over time.
    pub groups: GroupRules,
    /// Caps by channel.
    pub caps: CapRules,
    /// Budgets and silence by channel.
    pub channels: Vec<ChannelRule>,
    /// Context fields that join a signature's identity.
    pub joins: Vec<JoinRule>,
    /// Fields whose mix of values is watched.
    pub mixes: Vec<MixRule>,
    /// Records that are dropped on purpose, such as the second copy of one event.
    pub drops: Vec<DropRule>,
    /// What is never one signature, and what always is.
    pub signatures: SignatureRules,
    /// Thresholds of detection.
    pub detect: DetectRules,
    /// Short hash of the texts, so that nodes can tell whether they run the same rules.
    pub hash: String,
}

/// One file as written. Every table is optional; several files are put together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleFile {
    fields: Option<FieldRules>,
    group: Vec<GroupRule>,
    version_at: Vec<VersionAt>,
    cap: Vec<CapRule>,
    channel: Vec<ChannelRule>,
    join: Vec<JoinRule>,
    mix: Vec<MixRule>,
    drop: Vec<DropRule>,
    signature: Option<SignatureTables>,
    detect: Option<DetectRules>,
}

impl RuleSet {
    /// Returns the built-in rules for `MediaWiki`.
    ///
    /// # Panics
    ///
    /// Never in a program whose tests have run: the text is a constant.
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "a test reads this constant text")]
        Self::parse(&[("built-in rules", BUILT_IN)]).expect("the built-in rules are valid")
    }

    /// Reads rule texts, given as `(file name, text)`; returns every problem if there is any.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<RuleProblem>> {
        let mut problems = Vec::new();
        let mut all = RuleFile::default();
        let mut signatures = SignatureRules::default();
        let mut hasher = blake3::Hasher::new();
        for (name, text) in files {
            hasher.update(text.as_bytes());
            match toml::from_str::<RuleFile>(text) {
                Ok(mut file) => {
                    let tables = file.signature.take().unwrap_or_default();
                    signatures.add(tables, (name, text), &mut problems);
                    all.merge(file, name, &mut problems);
                }
                Err(error) => problems.push(RuleProblem::from_toml(name, text, &error)),
            }
        }
        let set = Self {
            fields: all.fields.unwrap_or_default(),
            groups: GroupRules::new(all.group, all.version_at, &mut problems),
            caps: CapRules::new(all.cap, &mut problems),
            channels: all.channel,
            joins: all.join,
            mixes: all.mix,
            drops: all.drop,
            signatures,
            detect: all.detect.unwrap_or_default(),
            hash: hasher.finalize().to_hex().chars().take(16).collect(),
        };
        set.check(&mut problems);
        if problems.is_empty() {
            Ok(set)
        } else {
            Err(problems)
        }
    }

    /// Returns the channel rule that applies to a channel: the first whose name matches.
    pub fn channel(&self, channel: &str) -> Option<&ChannelRule> {
        self.channels
            .iter()
            .find(|it| glob_matches(&it.name, channel))
    }

    fn check(&self, problems: &mut Vec<RuleProblem>) {
        for join in &self.joins {
            for field in &join.fields {
                if self.fields.captured(field).is_none() {
                    problems.push(RuleProblem::new(format!(
                        "[[join]] for channel `{}` names the field `{field}`, which no record provides: add it to `context` in [fields]",
                        join.channel
                    )));
                }
            }
        }
        for mix in &self.mixes {
            if self.fields.captured(&mix.field).is_none() {
                problems.push(RuleProblem::new(format!(
                    "[[mix]] for channel `{}` names the field `{}`, which no record provides: add it to `context` in [fields]",
                    mix.channel, mix.field
                )));
            }
        }
        self.fields.check(problems);
        self.detect.check(problems);
    }
}

impl RuleFile {
    fn merge(&mut self, other: Self, name: &str, problems: &mut Vec<RuleProblem>) {
        if other.fields.is_some() && self.fields.is_some() {
            problems.push(RuleProblem::new(format!(
                "{name}: a second [fields] table: keep one of them"
            )));
        }
        if other.detect.is_some() && self.detect.is_some() {
            problems.push(RuleProblem::new(format!(
                "{name}: a second [detect] table: keep one of them"
            )));
        }
        self.fields = self.fields.take().or(other.fields);
        self.detect = self.detect.take().or(other.detect);
        self.group.extend(other.group);
        self.version_at.extend(other.version_at);
        self.cap.extend(other.cap);
        self.channel.extend(other.channel);
        self.join.extend(other.join);
        self.mix.extend(other.mix);
        self.drop.extend(other.drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_valid() {
        let rules = RuleSet::built_in();
        assert_eq!(rules.groups.group_of("testwiki"), Some("group0"));
        assert_eq!(rules.groups.group_of("enwiki"), Some("group2"));
        assert_eq!(rules.groups.group_of("commonswiki"), Some("group1"));
        assert_eq!(rules.groups.group_of("frwiktionary"), Some("group1"));
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        let problems = RuleSet::parse(&[(
            "mine.toml",
            "[[cap]]\nchannel = \"session\"\nevents_per_secnd = 5\n",
        )])
        .unwrap_err();
        let text = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains("mine.toml:3"), "{text}");
        assert!(text.contains("events_per_second"), "{text}");
    }

    #[test]
    fn a_join_on_a_field_that_nobody_captures_is_refused() {
        let problems = RuleSet::parse(&[(
            "mine.toml",
            "[[join]]\nchannel = \"a\"\nfields = [\"nope\"]\n",
        )])
        .unwrap_err();
        assert!(problems.iter().any(|it| it.to_string().contains("nope")));
    }
}
