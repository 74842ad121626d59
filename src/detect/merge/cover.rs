//! The last rule: a template joins a more general one that covers it.
//!
//! It must never let a general template swallow what it says too little about: it needs words of
//! its own, and the other may say only little more.

use std::collections::{BTreeMap, BTreeSet};

/// Words that the covered template may have beyond the general one.
const WORDS_MORE_MAX: usize = 4;
/// Words that a template needs whose masks may stand for texts, and those that such texts may have.
const FREE_WORDS_MIN: usize = 3;
const FREE_WORDS_MORE_MAX: usize = 16;
/// Steps from cover to cover.
const STEPS_MAX: usize = 5;
/// General templates that are tried behind one word.
const GENERALS_MAX: usize = 512;
const MASK: &str = "<*>";

struct General<'a> {
    text: &'a str,
    words: BTreeSet<&'a str>,
}

/// Returns for each template the more general one that it joins.
///
/// The masks of a template in `free` have stood for texts of several lengths, so they may again.
pub(super) fn covers<'a>(
    templates: &BTreeSet<&'a str>,
    free: &BTreeSet<&'a str>,
) -> BTreeMap<&'a str, &'a str> {
    let mut by_parts: BTreeMap<usize, Vec<&'a str>> = BTreeMap::new();
    for &template in templates {
        by_parts
            .entry(template.split(' ').count())
            .or_default()
            .push(template);
    }
    let mut to = BTreeMap::new();
    for list in by_parts.values() {
        let mut index = Index::new();
        for &template in list {
            let words = words(template);
            let count = words.len();
            let enough = (count >= 2 && !template.starts_with("<*> ")) || count >= 4;
            if enough && template.contains(MASK) {
                insert(&mut index, template, words);
            }
        }
        for &template in list {
            if let Some(general) = best(&index, template, WORDS_MORE_MAX, is_cover) {
                to.insert(template, general);
            }
        }
    }
    let mut index = Index::new();
    for template in free {
        let words = words(template);
        if words.len() >= FREE_WORDS_MIN && template.contains(MASK) {
            insert(&mut index, template, words);
        }
    }
    for &template in templates {
        if !to.contains_key(template)
            && let Some(general) = best(&index, template, FREE_WORDS_MORE_MAX, part_matches)
        {
            to.insert(template, general);
        }
    }
    resolve(&to)
}

/// General templates by their longest word.
type Index<'a> = BTreeMap<&'a str, Vec<General<'a>>>;

fn insert<'a>(index: &mut Index<'a>, text: &'a str, words: Vec<&'a str>) {
    let Some(longest) = words.iter().max_by_key(|w| (w.len(), **w)).copied() else {
        return;
    };
    let list = index.entry(longest).or_default();
    if list.len() < GENERALS_MAX {
        let words = words.into_iter().collect();
        list.push(General { text, words });
    }
}

/// Returns the words of two or more letters of a template.
fn words(template: &str) -> Vec<&str> {
    template
        .split(MASK)
        .flat_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()))
        .filter(|word| word.len() >= 2)
        .collect()
}

/// Returns the longest general template that covers this one and says nearly as much.
fn best<'a>(
    index: &Index<'a>,
    template: &'a str,
    words_more_max: usize,
    covers: impl Fn(&str, &str) -> bool,
) -> Option<&'a str> {
    let own: BTreeSet<&str> = words(template).into_iter().collect();
    own.iter()
        .filter_map(|word| index.get(word))
        .flatten()
        .filter(|general| {
            general.text != template
                && general.words.is_subset(&own)
                && own.len() - general.words.len() <= words_more_max
                && covers(general.text, template)
        })
        .map(|general| general.text)
        .max_by_key(|text| (text.chars().count(), *text))
}

/// Says whether each mask of `general` can stand for a run of non-blanks of `text`.
fn is_cover(general: &str, text: &str) -> bool {
    let (mut a, mut b) = (general.split(' '), text.split(' '));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// Matches literals in order, at least one byte for each mask.
fn part_matches(pattern: &str, part: &str) -> bool {
    let mut literals = pattern.split(MASK);
    let first = literals.next().unwrap_or_default();
    let Some(mut rest) = part.strip_prefix(first) else {
        return false;
    };
    let literals: Vec<&str> = literals.collect();
    let Some((last, middle)) = literals.split_last() else {
        return rest.is_empty();
    };
    for literal in middle {
        let Some(found) = find_from(rest, literal) else {
            return false;
        };
        rest = found;
    }
    rest.len() > last.len() && rest.ends_with(last)
}

/// Returns what follows the first `literal` that has at least one character before it.
fn find_from<'t>(text: &'t str, literal: &str) -> Option<&'t str> {
    let skip = text.chars().next().map(char::len_utf8)?;
    let tail = text.get(skip..)?;
    let at = tail.find(literal)?;
    tail.get(at + literal.len()..)
}

/// Follows covers of covers.
fn resolve<'a>(to: &BTreeMap<&'a str, &'a str>) -> BTreeMap<&'a str, &'a str> {
    let end = |from: &'a str| {
        let mut at = from;
        for _ in 0..STEPS_MAX {
            match to.get(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    };
    to.keys().map(|&from| (from, end(from))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(templates: &[&'static str]) -> Vec<(&'static str, &'static str)> {
        covers(&templates.iter().copied().collect(), &BTreeSet::new())
            .into_iter()
            .collect()
    }

    #[test]
    fn a_special_template_joins_the_general_one() {
        assert_eq!(
            covered(&["took <*> from cache", "took it from cache"]),
            [("took it from cache", "took <*> from cache")]
        );
    }

    #[test]
    fn a_mask_stands_for_no_blank_and_not_for_nothing() {
        assert_eq!(covered(&["took <*> from cache", "took a b from cache"]), []);
        assert_eq!(covered(&["see x<*>y now", "see xy now"]), []);
    }

    #[test]
    fn a_mask_that_was_a_text_before_may_be_another_text() {
        let free = "cannot fetch page: <*>. Aborting.";
        let text = "cannot fetch page: no route to host. Aborting.";
        let templates = [free, text, "cannot save page: no route to host. Aborting."];
        let found = covers(&templates.into_iter().collect(), &[free].into());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(text, free)]);
        assert_eq!(covered(&templates), []);
    }

    #[test]
    fn a_template_of_one_word_covers_nothing() {
        assert_eq!(covered(&["<*> failed", "login failed"]), []);
    }
}
