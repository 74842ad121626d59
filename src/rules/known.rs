//! What people know about signatures: who owns them, where their ticket is, whether they are noise.

use serde::Deserialize;

use super::place::Placed;
use super::{RuleProblem, glob_matches};

/// Knowledge about the signatures that match; a signature takes each value from the first rule that gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRule {
    /// Channel or glob.
    #[serde(default = "every")]
    pub channel: String,
    /// Glob over the template, such as `Expectation * not met*`.
    #[serde(default = "every")]
    pub template: String,
    /// Id of one signature, or the beginning of it.
    #[serde(default)]
    pub signature: Option<String>,
    /// Person or team that looks after it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Link to its ticket.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Why it is noise: listed and counted, but nobody is told.
    #[serde(default)]
    pub noise: Option<String>,
}

fn every() -> String {
    "*".to_owned()
}

/// What is known about one signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// Person or team that looks after it.
    pub owner: Option<&'a str>,
    /// Link to its ticket.
    pub ticket: Option<&'a str>,
    /// Why it is noise, if it is.
    pub noise: Option<&'a str>,
}

/// Finds what the rules know about a signature; `id` is empty for a problem that is not about one.
pub(super) fn known<'a>(
    rules: &'a [KnownRule],
    channel: &str,
    template: &str,
    id: &str,
) -> Known<'a> {
    let mut known = Known::default();
    for rule in rules {
        let matches = glob_matches(&rule.channel, channel)
            && glob_matches(&rule.template, template)
            && rule
                .signature
                .as_ref()
                .is_none_or(|it| id.starts_with(it.as_str()));
        if matches {
            known.owner = known.owner.or(rule.owner.as_deref());
            known.ticket = known.ticket.or(rule.ticket.as_deref());
            known.noise = known.noise.or(rule.noise.as_deref());
        }
    }
    known
}

/// Finds rules that say nothing, or whose values cannot be used.
pub(super) fn check(rules: &[Placed<KnownRule>], problems: &mut Vec<RuleProblem>) {
    for rule in rules {
        if rule.owner.is_none() && rule.ticket.is_none() && rule.noise.is_none() {
            problems.push(rule.problem(
                "[[known]] says nothing: give it an `owner`, a `ticket` or the reason why it is `noise`",
            ));
        }
        if rule.noise.is_some()
            && rule.channel == "*"
            && rule.template == "*"
            && rule.signature.is_none()
        {
            problems.push(rule.problem(
                "[[known]] would call everything noise: name a `channel`, `template` or `signature`",
            ));
        }
        if let Some(id) = &rule.signature
            && (id.len() < 8 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            problems.push(rule.problem(&format!(
                "[[known]] signature = \"{id}\" is no id: copy at least 8 of its lower-case hex digits"
            )));
        }
        if let Some(link) = &rule.ticket
            && !(link.starts_with("https://") || link.starts_with("http://"))
        {
            problems.push(rule.problem(&format!(
                "[[known]] ticket = \"{link}\" is no link: begin it with https://"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::RuleSet;

    #[test]
    fn each_value_comes_from_the_first_rule_that_gives_it() {
        let rules = RuleSet::parse(&[(
            "mine.toml",
            "[[known]]\ntemplate = 'Expectation *'\nnoise = 'load'\n[[known]]\nchannel = 'DB*'\nowner = 'dba'\n",
        )])
        .unwrap();
        let known = rules.known("DBPerformance", "Expectation <num> not met", "");
        assert_eq!((known.owner, known.noise), (Some("dba"), Some("load")));
        assert_eq!(rules.known("DBQuery", "other", "").noise, None);
        assert_eq!(rules.known("exec", "other", "").owner, None);
    }

    #[test]
    fn knowledge_that_says_nothing_or_too_much_is_refused() {
        for (text, expected) in [
            ("[[known]]\nchannel = 'a'\n", "says nothing"),
            ("[[known]]\nnoise = 'x'\n", "everything noise"),
            ("[[known]]\nsignature = 'XYZ'\nowner = 'a'\n", "no id"),
            ("[[known]]\nticket = 'T1'\n", "no link"),
        ] {
            let said: String = RuleSet::parse(&[("mine.toml", text)])
                .unwrap_err()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert!(
                said.contains(expected) && said.contains("mine.toml:1"),
                "{said}"
            );
        }
    }
}
