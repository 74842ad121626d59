//! What people decide about merges: texts that are never one signature with others, and texts that always are.
//!
//! Invariant: a merge names some text, so that it cannot swallow a whole channel by mistake.

use serde::Deserialize;
use toml::Spanned;

use super::{RuleProblem, glob_matches};

/// Longest glob in bytes.
const GLOB_BYTES_MAX: usize = 2_048;

/// Rules of each sort.
const RULES_MAX: usize = 1_000;

/// Letters and digits that a glob of a merge needs at least.
const TEXT_MIN: usize = 3;

/// Signatures that are never merged with others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRule {
    /// Channel or glob.
    #[serde(default = "any")]
    pub channel: String,
    /// Template as a signature's page shows it, or a glob in which `*` stands for any text.
    pub template: String,
}

/// Signatures that are one, whatever the learner thinks of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeRule {
    /// Channel or glob; signatures of two channels are never one.
    #[serde(default = "any")]
    pub channel: String,
    /// Templates or globs; what matches one of them is one signature.
    pub templates: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureRules {
    splits: Vec<SplitRule>,
    merges: Vec<MergeRule>,
}

/// The `[signature]` tables of one file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SignatureTables {
    split: Vec<Spanned<SplitRule>>,
    merge: Vec<Spanned<MergeRule>>,
}

fn any() -> String {
    "*".to_owned()
}

impl SignatureRules {
    /// Adds the tables of one file; says what is wrong with them, and where.
    pub(super) fn add(
        &mut self,
        tables: SignatureTables,
        (name, text): (&str, &str),
        problems: &mut Vec<RuleProblem>,
    ) {
        for split in tables.split {
            let at = split.span().start;
            let rule = split.into_inner();
            if let Some(words) = self.wrong_split(&rule) {
                problems.push(RuleProblem::at(name, text, at, &words));
            }
            self.splits.push(rule);
        }
        for merge in tables.merge {
            let at = merge.span().start;
            let rule = merge.into_inner();
            if let Some(words) = self.wrong_merge(&rule) {
                problems.push(RuleProblem::at(name, text, at, &words));
            }
            self.merges.push(rule);
        }
    }

    fn wrong_split(&self, rule: &SplitRule) -> Option<String> {
        if rule.template.is_empty() {
            return Some("[[signature.split]] needs a `template`: the text of a signature, or a glob such as `Cannot load *`".to_owned());
        }
        too_long(&rule.template)
            .or_else(|| too_many(self.splits.len()))
            .map(|it| format!("[[signature.split]] {it}"))
    }

    fn wrong_merge(&self, rule: &MergeRule) -> Option<String> {
        let head = "[[signature.merge]]";
        if rule.templates.is_empty() {
            return Some(format!("{head} needs `templates`: the texts that are one"));
        }
        if let [only] = rule.templates.as_slice()
            && !only.contains('*')
        {
            return Some(format!(
                "{head} names one text, `{only}`: name at least two, or a glob with `*`"
            ));
        }
        for glob in &rule.templates {
            let letters = glob.chars().filter(|it| it.is_alphanumeric()).count();
            if letters < TEXT_MIN {
                return Some(format!(
                    "{head} `{glob}` would make one signature of nearly everything in channel `{}`: name some of its text",
                    rule.channel
                ));
            }
            if let Some(words) = too_long(glob) {
                return Some(format!("{head} {words}"));
            }
            let split = self.splits.iter().find(|it| {
                it.template == *glob && (it.channel == rule.channel || it.channel == "*")
            });
            if split.is_some() {
                return Some(format!(
                    "{head} `{glob}` is also under [[signature.split]]: keep one of them"
                ));
            }
        }
        too_many(self.merges.len()).map(|it| format!("{head} {it}"))
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.splits.is_empty() && self.merges.is_empty()
    }

    /// Tells whether a signature is never merged with others.
    pub fn is_split(&self, channel: &str, template: &str) -> bool {
        self.splits
            .iter()
            .any(|it| glob_matches(&it.channel, channel) && glob_matches(&it.template, template))
    }

    /// Returns the place of the rule that makes a signature one with others: the first that matches, unless it is split.
    pub fn merge_of(&self, channel: &str, template: &str) -> Option<usize> {
        let found = self.merges.iter().position(|it| {
            glob_matches(&it.channel, channel)
                && it.templates.iter().any(|glob| glob_matches(glob, template))
        })?;
        (!self.is_split(channel, template)).then_some(found)
    }
}

fn too_long(glob: &str) -> Option<String> {
    (glob.len() > GLOB_BYTES_MAX)
        .then(|| format!("has a text of {} bytes: at most 2048", glob.len()))
}

fn too_many(count: usize) -> Option<String> {
    (count >= RULES_MAX).then(|| "is one of more than 1000: use globs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::RuleSet;

    fn problems(text: &str) -> String {
        let problems = RuleSet::parse(&[("mine.toml", text)]).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn globs_decide_by_channel_and_template() {
        let text = "[[signature.split]]\nchannel = \"job*\"\ntemplate = \"Ran <*> of *\"\n\
                    [[signature.merge]]\ntemplates = [\"Lost the <*> here\", \"Lost it\"]\n";
        let rules = RuleSet::parse(&[("mine.toml", text)]).unwrap().signatures;
        assert!(rules.is_split("jobs", "Ran <num> of all"));
        assert!(!rules.is_split("api", "Ran <num> of all"));
        assert_eq!(rules.merge_of("api", "Lost the <num> here"), Some(0));
        assert_eq!(rules.merge_of("api", "Lost the way"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let all = problems("\n[[signature.merge]]\ntemplates = [\"*\"]\n");
        assert!(
            all.contains("mine.toml:2") && all.contains("nearly everything"),
            "{all}"
        );
        let one = problems("[[signature.merge]]\ntemplates = [\"only this\"]\n");
        assert!(
            one.contains("mine.toml:1") && one.contains("at least two"),
            "{one}"
        );
        let both = problems(
            "[[signature.split]]\ntemplate = \"a text\"\n\n[[signature.merge]]\ntemplates = [\"a text\", \"b text\"]\n",
        );
        assert!(
            both.contains("mine.toml:4") && both.contains("keep one"),
            "{both}"
        );
        let empty = problems("[[signature.split]]\ntemplate = \"\"\n");
        assert!(empty.contains("mine.toml:1"), "{empty}");
        let unknown = problems("[[signature.split]]\ntemplte = \"x\"\n");
        assert!(
            unknown.contains("mine.toml:2") && unknown.contains("`template`"),
            "{unknown}"
        );
    }
}
