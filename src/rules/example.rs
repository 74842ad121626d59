//! Examples that a rules file holds of what its rules should do: `[[test]]`.

use serde::Deserialize;

use super::RuleProblem;
use super::place::Placed;

/// Events as they come from the source, and what the rules should make of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// What is expected, as a fact.
    pub name: String,
    /// Records, byte for byte: a line of text or JSON each.
    pub input: Vec<String>,
    /// Dialect of the records.
    #[serde(default = "auto")]
    pub dialect: String,
    /// Template that every record gives.
    #[serde(default)]
    pub template: Option<String>,
    /// Whether all records are one signature (`true`) or each is another (`false`).
    #[serde(default)]
    pub same: Option<bool>,
    /// Channel of every record.
    #[serde(default)]
    pub channel: Option<String>,
    /// Version of every record.
    #[serde(default)]
    pub version: Option<String>,
    /// Group of every record.
    #[serde(default)]
    pub group: Option<String>,
    /// Top in-app frame of every record.
    #[serde(default)]
    pub frame: Option<String>,
    /// Owner of every record's signature.
    #[serde(default)]
    pub owner: Option<String>,
    /// Ticket of every record's signature.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Whether every record's signature is known noise.
    #[serde(default)]
    pub noise: Option<bool>,
    /// Why every record is rejected, such as `filtered`, for records that should not count.
    #[serde(default)]
    pub rejected: Option<String>,
    /// Where it is written: `file:line`.
    #[serde(skip)]
    pub place: String,
}

fn auto() -> String {
    "auto".to_owned()
}

/// Takes the tests over with their places; finds those that check nothing.
pub(super) fn placed(
    tests: Vec<Placed<RuleTest>>,
    problems: &mut Vec<RuleProblem>,
) -> Vec<RuleTest> {
    let mut out = Vec::new();
    for test in tests {
        let expects = test.template.is_some()
            || test.same.is_some()
            || test.channel.is_some()
            || test.version.is_some()
            || test.group.is_some()
            || test.frame.is_some()
            || test.owner.is_some()
            || test.ticket.is_some()
            || test.noise.is_some()
            || test.rejected.is_some();
        if test.input.is_empty() || !expects {
            problems.push(test.problem(&format!(
                "[[test]] `{}` checks nothing: give it `input` and what is expected of it, such as `template`",
                test.name
            )));
        }
        if test.same.is_some() && test.input.len() < 2 {
            problems.push(test.problem(&format!(
                "[[test]] `{}` compares signatures: give it at least two records in `input`",
                test.name
            )));
        }
        let place = test.place();
        out.push(RuleTest {
            place,
            ..test.into_rule()
        });
    }
    out
}
