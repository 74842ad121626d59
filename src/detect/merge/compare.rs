//! One comparison of texts of one context, without memory: what the live catalogue asks at its ticks.
//!
//! It must never depend on the order of the texts. Invariant: every text is in exactly one group.

use super::Rule;
use super::run::Run;

/// Tokens of a text; a longer one is only itself.
// SIGNATURE_METHOD.md §3.
const TOKENS_MAX: usize = 120;

/// Texts that were found to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub template: String,
    /// Places of the texts, ascending.
    pub members: Vec<usize>,
    /// Why each of them is in the group, where a rule changed it: rule and evidence.
    pub why: Vec<Option<(Rule, String)>>,
}

/// Compares distinct texts in the compared form with each other; lists the groups by template.
pub fn compare(texts: &[&str]) -> Vec<Group> {
    let run = Run::over(texts.iter().copied(), TOKENS_MAX);
    run.groups
        .iter()
        .map(|(template, members)| {
            let mut members = members.clone();
            members.sort_unstable();
            let why = |at: &usize| run.why(*at).map(|it| (it.rule, it.evidence.clone()));
            Group {
                template: template.clone(),
                why: members.iter().map(why).collect(),
                members,
            }
        })
        .collect()
}
