//! Which group a wiki (or any other facet) belongs to, and which version a group ran when.

use serde::Deserialize;

use super::place::Placed;
use super::{RuleProblem, glob_matches};
use crate::model::EventTime;

/// A group and the facet values that belong to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// Name, such as `group0`.
    pub name: String,
    /// Facet values or globs with `*`, such as `testwiki` or `*wiktionary`; the first group that matches wins.
    #[serde(rename = "match")]
    pub matches: Vec<String>,
}

/// From a time on, a group (or one wiki) ran a version: for logs that do not name it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionAt {
    /// From when.
    pub from: EventTime,
    /// Group, or one facet value, or `*`.
    pub group: String,
    /// Version.
    pub version: String,
}

/// Finds groups that say nothing.
pub(super) fn check(groups: &[Placed<GroupRule>], problems: &mut Vec<RuleProblem>) {
    for group in groups {
        if group.name.is_empty() || group.matches.is_empty() {
            problems.push(group.problem(&format!(
                "[[group]] `{}` needs a name and at least one entry in `match`",
                group.name
            )));
        }
    }
}

/// The table wiki → group, and group → version over time.
#[derive(Clone, Debug, Default)]
pub struct GroupRules {
    groups: Vec<GroupRule>,
    versions: Vec<VersionAt>,
}

impl GroupRules {
    pub(super) fn new(groups: Vec<GroupRule>, mut versions: Vec<VersionAt>) -> Self {
        versions.sort_by_key(|a| a.from);
        Self { groups, versions }
    }

    /// Lists the groups' names in the order of the rules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|it| it.name.as_str())
    }

    /// Returns the group of a facet value; `None` if no group matches.
    pub fn group_of(&self, value: &str) -> Option<&str> {
        self.groups
            .iter()
            .find(|group| group.matches.iter().any(|it| glob_matches(it, value)))
            .map(|it| it.name.as_str())
    }

    /// Returns the version that a group or facet value ran at a time, the narrowest and latest entry first.
    pub fn version_at(&self, group: &str, value: &str, at: EventTime) -> Option<&str> {
        let latest = |name: &str| {
            self.versions
                .iter()
                .rev()
                .find(|it| it.from <= at && it.group == name)
                .map(|it| it.version.as_str())
        };
        latest(value)
            .or_else(|| latest(group))
            .or_else(|| latest("*"))
    }
}
