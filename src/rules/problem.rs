//! What is wrong with a rules file, in words that say where and what to do.

use std::fmt;

/// One thing that is wrong with the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem(String);

impl RuleProblem {
    /// Makes a problem from its sentence.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Makes a problem of one place of a text.
    pub fn at(file: &str, text: &str, byte: usize, words: &str) -> Self {
        let (line, column) = position(text, byte);
        Self(format!("{file}:{line}:{column}: {words}"))
    }

    /// Makes a problem from what the TOML reader says, with `file:line:column` and the nearest known key.
    pub fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let (line, column) = position(text, error.span().map_or(0, |it| it.start));
        let message = error.message().trim();
        let hint =
            nearest_key(message).map_or_else(String::new, |it| format!("; did you mean `{it}`?"));
        Self(format!("{file}:{line}:{column}: {message}{hint}"))
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns line and column of a byte, both from 1 on.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |it| it.chars().count())
        + 1;
    (line, column)
}

/// Finds the key that was meant in serde's sentence "unknown field `x`, expected one of `a`, `b`".
fn nearest_key(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return None;
    }
    let wrong = quoted.next()?;
    quoted
        .map(|it| (edit_distance(wrong, it), it))
        .filter(|&(distance, _)| distance <= wrong.len() / 3 + 1)
        .min()
        .map(|(_, it)| it)
}

/// Returns Levenshtein's distance between two short texts.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            let value = (diagonal + usize::from(ca != *cb))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            left = value;
            *cell = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("same", "same"), 0);
    }
}
