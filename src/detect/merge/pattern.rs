//! A learned template as something that a new text can fit into.
//!
//! It must never let a mask stand for several words unless a text of the group itself had several there.
//! Invariant: every text that a pattern was made of fits it.

use super::canon::{MASK, canonical};
use super::flat::flat;

/// Words that a text may have beyond those of the pattern where no mask is wide.
const WORDS_MORE_MAX: usize = 4;

/// Masks of one pattern; a template with more is too vague to take anything in.
const HOLES_MAX: usize = 24;

/// Longest text that is tried, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// A learned template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The texts between the masks: one more than there are masks.
    literals: Vec<Box<str>>,
    /// For each mask, whether it may stand for a text with blanks.
    wide: Vec<bool>,
    words: usize,
}

impl Pattern {
    /// Makes a pattern of a learned template and texts of its group; `None` if it says too little to take in others.
    pub fn new<'a>(template: &str, texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let literals: Vec<Box<str>> = template.split(MASK).map(Box::from).collect();
        let holes = literals.len() - 1;
        let words = words(template);
        let enough = if template.starts_with("<*> ") { 4 } else { 2 };
        if holes == 0 || holes > HOLES_MAX || words < enough {
            return None;
        }
        let mut pattern = Self {
            literals,
            wide: vec![false; holes],
            words,
        };
        for text in texts {
            pattern.widen(&flat(text));
        }
        Some(pattern)
    }

    /// Returns the first word, by which patterns are found; empty where a mask comes first.
    pub fn first_word(&self) -> &str {
        let first = self.literals.first().map_or("", |it| it);
        match first.split_once(' ') {
            Some((word, _)) => word,
            None if self.literals.len() > 1 => "",
            None => first,
        }
    }

    /// Returns how much it says, in bytes: of two that a text fits, the longer one is meant.
    pub fn weight(&self) -> usize {
        self.literals.iter().map(|it| it.len()).sum()
    }

    /// Tells whether a text, as [`prepared`] gives it, is one of this pattern.
    pub fn fits(&self, text: &str) -> bool {
        if text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let narrow = !self.wide.contains(&true);
        if narrow && words(text) > self.words + WORDS_MORE_MAX {
            return false;
        }
        self.matches(text, &self.wide)
    }

    /// Lets masks stand for several words as far as a text of the group needs it.
    fn widen(&mut self, text: &str) {
        if text.len() > TEXT_BYTES_MAX || self.matches(text, &self.wide) {
            return;
        }
        for hole in 0..self.wide.len() {
            let mut wide = self.wide.clone();
            if let Some(it) = wide.get_mut(hole) {
                *it = true;
            }
            if self.matches(text, &wide) {
                self.wide = wide;
                return;
            }
        }
        let all = vec![true; self.wide.len()];
        if self.matches(text, &all) {
            self.wide = all;
        }
    }

    /// Follows all places where each literal may end: linear in the text for each mask.
    fn matches(&self, text: &str, wide: &[bool]) -> bool {
        let mut literals = self.literals.iter();
        let Some(first) = literals.next() else {
            return false;
        };
        if !text.starts_with(&**first) {
            return false;
        }
        let mut ends = vec![first.len()];
        for (place, (literal, &wide)) in literals.zip(wide).enumerate() {
            let last = place + 1 == self.wide.len();
            ends = step(text, &ends, literal, wide);
            if last {
                return ends.last() == Some(&text.len());
            }
            if ends.is_empty() {
                return false;
            }
        }
        false
    }
}

/// Returns the form of a template in which it is held against patterns.
pub fn prepared(template: &str) -> String {
    flat(&canonical(template))
}

/// Returns where a literal can end when a mask that starts at one of `starts` comes before it, ascending.
fn step(text: &str, starts: &[usize], literal: &str, wide: bool) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut starts = starts.iter().copied().peekable();
    // Whether a mask is open at the present place, and where it opened last.
    let mut open = false;
    for (at, c) in text.char_indices() {
        if open && text.get(at..).is_some_and(|it| it.starts_with(literal)) {
            ends.push(at + literal.len());
        }
        if starts.peek() == Some(&at) {
            starts.next();
            open = true;
        }
        if !wide && c.is_whitespace() {
            open = false;
        }
    }
    if open && literal.is_empty() {
        ends.push(text.len());
    }
    ends
}

/// Counts the words of two or more letters.
fn words(template: &str) -> usize {
    template
        .split(MASK)
        .flat_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()))
        .filter(|word| word.len() >= 2)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(template: &str, texts: &[&str]) -> Pattern {
        Pattern::new(template, texts.iter().copied()).unwrap()
    }

    #[test]
    fn a_mask_stands_for_one_word_unless_a_text_had_several() {
        let narrow = pattern("Lost the topic <*> now", &["Lost the topic a.b now"]);
        assert!(narrow.fits("Lost the topic c_d now"));
        assert!(narrow.fits("Lost the topic <*> now"));
        assert!(!narrow.fits("Lost the topic a b now"));
        assert!(!narrow.fits("Lost the topic  now"));
        let wide = pattern(
            "Cannot fetch the page: <*>",
            &["Cannot fetch the page: Broken pipe"],
        );
        assert!(wide.fits("Cannot fetch the page: No route to host at all, really none"));
        assert!(!wide.fits("Cannot store the page: Broken pipe"));
    }

    #[test]
    fn only_the_mask_that_needs_it_is_wide() {
        let both = pattern(
            "The user <*> of <*> is gone",
            &["The user Any Name of x.y is gone"],
        );
        assert!(both.fits("The user Jim Bob Hall of y.z is gone"));
        assert!(!both.fits("The user a.b of c d is gone"));
    }

    #[test]
    fn what_says_too_little_takes_nothing_in() {
        assert_eq!(Pattern::new("<*> failed now", std::iter::empty()), None);
        assert_eq!(Pattern::new("no mask here", std::iter::empty()), None);
        let text = pattern("took <*> from cache", &[]);
        assert!(!text.fits("took it from cache and many other words that follow here"));
    }

    #[test]
    fn a_first_word_leads_to_the_pattern() {
        assert_eq!(pattern("took <*> from cache", &[]).first_word(), "took");
        assert_eq!(pattern("to<*> from the cache", &[]).first_word(), "");
    }

    #[test]
    fn repeated_literals_are_followed_everywhere() {
        let it = pattern("run to a <*> a <*> b", &["run to a x a y b"]);
        assert!(it.fits("run to a a a a b"));
        assert!(it.fits("run to a aa a a b"));
        assert!(!it.fits("run to a a b"));
    }
}
