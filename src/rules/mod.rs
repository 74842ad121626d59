//! What people decide: the text of `rules/*.toml` becomes one checked [`RuleSet`].
//!
//! Pure: it gets texts with their names and returns rules or *all* problems found, each with file, line
//! and the value. It must never read a file itself. Invariant: a `RuleSet` that exists is valid.

mod channels;
mod detect;
mod example;
mod fields;
mod groups;
mod known;
mod linear;
mod masks;
mod place;
mod problem;
mod reach;
mod signatures;

use serde::Deserialize;
use toml::Spanned;

use self::place::{Placed, rules_of};

use self::signatures::SignatureTables;
pub use channels::{CapRule, CapRules, ChannelRule, DropRule, JoinRule, MixRule, glob_matches};
pub use detect::DetectRules;
pub use example::RuleTest;
pub use fields::{CapturedField, FieldPaths, FieldRules, PATTERN_GROUPS, PlainPattern};
pub use groups::{GroupRule, GroupRules, VersionAt};
pub use known::{Known, KnownRule};
pub use masks::{MASK_KINDS, MaskRule, MaskRules, TraceRules};
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
    /// Masks beside the built-in ones.
    pub masks: MaskRules,
    /// Which frames of a trace are own code.
    pub trace: TraceRules,
    /// What people know about signatures.
    pub known: Vec<KnownRule>,
    /// Examples of what the rules should do.
    pub tests: Vec<RuleTest>,
    /// What is never one signature, and what always is.
    pub signatures: SignatureRules,
    /// Thresholds of detection.
    pub detect: DetectRules,
    /// Short hash of the texts, so that nodes can tell whether they run the same rules.
    pub hash: String,
}

/// One file as written. Every table is optional; several files are put together.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleFile {
    fields: Option<FieldRules>,
    group: Vec<Spanned<GroupRule>>,
    version_at: Vec<VersionAt>,
    cap: Vec<Spanned<CapRule>>,
    channel: Vec<Spanned<ChannelRule>>,
    join: Vec<Spanned<JoinRule>>,
    mix: Vec<Spanned<MixRule>>,
    drop: Vec<Spanned<DropRule>>,
    mask: Vec<Spanned<MaskRule>>,
    trace: Option<TraceRules>,
    known: Vec<Spanned<KnownRule>>,
    test: Vec<Spanned<RuleTest>>,
    signature: Option<SignatureTables>,
    detect: Option<DetectRules>,
}

/// All files together, each rule with its place.
#[derive(Debug, Default)]
struct AllFiles {
    fields: Option<FieldRules>,
    groups: Vec<Placed<GroupRule>>,
    versions: Vec<VersionAt>,
    caps: Vec<Placed<CapRule>>,
    channels: Vec<Placed<ChannelRule>>,
    joins: Vec<Placed<JoinRule>>,
    mixes: Vec<Placed<MixRule>>,
    drops: Vec<Placed<DropRule>>,
    masks: Vec<Placed<MaskRule>>,
    trace: TraceRules,
    known: Vec<Placed<KnownRule>>,
    tests: Vec<Placed<RuleTest>>,
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
        let mut all = AllFiles::default();
        let mut signatures = SignatureRules::default();
        let mut hasher = blake3::Hasher::new();
        for (name, text) in files {
            hasher.update(text.as_bytes());
            match toml::from_str::<RuleFile>(text) {
                Ok(mut file) => {
                    let tables = file.signature.take().unwrap_or_default();
                    signatures.add(tables, (name, text), &mut problems);
                    all.add(file, (name, text), &mut problems);
                }
                Err(error) => problems.push(RuleProblem::from_toml(name, text, &error)),
            }
        }
        all.check(&mut problems);
        let set = Self {
            fields: all.fields.unwrap_or_default(),
            groups: GroupRules::new(rules_of(all.groups), all.versions),
            caps: CapRules::new(rules_of(all.caps)),
            channels: rules_of(all.channels),
            joins: rules_of(all.joins),
            mixes: rules_of(all.mixes),
            drops: rules_of(all.drops),
            masks: MaskRules::new(&all.masks, &mut problems),
            trace: all.trace,
            known: rules_of(all.known),
            tests: example::placed(all.tests, &mut problems),
            signatures,
            detect: all.detect.unwrap_or_default(),
            hash: hasher.finalize().to_hex().chars().take(16).collect(),
        };
        set.fields.check(&mut problems);
        set.detect.check(&mut problems);
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

    /// Returns what the rules know about a signature; `id` is empty for a problem that is not about one.
    pub fn known(&self, channel: &str, template: &str, id: &str) -> Known<'_> {
        known::known(&self.known, channel, template, id)
    }
}

impl AllFiles {
    fn add(&mut self, file: RuleFile, at: (&str, &str), problems: &mut Vec<RuleProblem>) {
        fn place<T>(into: &mut Vec<Placed<T>>, rules: Vec<Spanned<T>>, (name, text): (&str, &str)) {
            into.extend(rules.into_iter().map(|it| Placed::new(name, text, it)));
        }
        for (table, twice) in [
            ("fields", self.fields.is_some() && file.fields.is_some()),
            ("detect", self.detect.is_some() && file.detect.is_some()),
        ] {
            if twice {
                problems.push(RuleProblem::new(format!(
                    "{}: a second [{table}] table: keep one of them",
                    at.0
                )));
            }
        }
        self.fields = self.fields.take().or(file.fields);
        self.detect = self.detect.take().or(file.detect);
        self.versions.extend(file.version_at);
        let trace = file.trace.unwrap_or_default();
        self.trace.app.extend(trace.app);
        self.trace.library.extend(trace.library);
        place(&mut self.groups, file.group, at);
        place(&mut self.caps, file.cap, at);
        place(&mut self.channels, file.channel, at);
        place(&mut self.joins, file.join, at);
        place(&mut self.mixes, file.mix, at);
        place(&mut self.drops, file.drop, at);
        place(&mut self.masks, file.mask, at);
        place(&mut self.known, file.known, at);
        place(&mut self.tests, file.test, at);
    }

    fn check(&self, problems: &mut Vec<RuleProblem>) {
        let unknown = FieldRules::default();
        let fields = self.fields.as_ref().unwrap_or(&unknown);
        let missing = |field: &str| {
            format!(
                "the field `{field}`, which no record provides: add it to `context` in [fields]"
            )
        };
        for join in &self.joins {
            for field in join
                .fields
                .iter()
                .filter(|it| fields.captured(it).is_none())
            {
                let (channel, missing) = (&join.channel, missing(field));
                problems.push(join.problem(&format!("[[join]] for `{channel}` names {missing}")));
            }
        }
        for mix in self
            .mixes
            .iter()
            .filter(|it| fields.captured(&it.field).is_none())
        {
            let (channel, missing) = (&mix.channel, missing(&mix.field));
            problems.push(mix.problem(&format!("[[mix]] for `{channel}` names {missing}")));
        }
        groups::check(&self.groups, problems);
        channels::check_caps(&self.caps, problems);
        known::check(&self.known, problems);
        reach::groups(&self.groups, problems);
        reach::caps(&self.caps, problems);
        reach::channels(&self.channels, problems);
        reach::joins(&self.joins, problems);
        reach::dropped(&self.drops, &self.joins, problems);
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
