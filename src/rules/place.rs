//! Where a rule stands, so that a problem can name its file and line.

use std::ops::Deref;

use toml::Spanned;

use super::RuleProblem;
use super::problem::position;

/// A rule with the file and line where it is written.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    rule: T,
    file: String,
    line: usize,
}

impl<T> Placed<T> {
    /// Turns what the TOML reader gives into a rule that knows its line.
    pub(super) fn new(file: &str, text: &str, rule: Spanned<T>) -> Self {
        let (line, _) = position(text, rule.span().start);
        Self {
            rule: rule.into_inner(),
            file: file.to_owned(),
            line,
        }
    }

    /// Says what is wrong with this rule.
    pub(super) fn problem(&self, sentence: &str) -> RuleProblem {
        RuleProblem::new(format!("{}: {sentence}", self.place()))
    }

    /// Returns `file:line`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// Returns the rule alone.
    pub(super) fn into_rule(self) -> T {
        self.rule
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rule
    }
}

/// Returns the rules alone, in order.
pub(super) fn rules_of<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(Placed::into_rule).collect()
}
