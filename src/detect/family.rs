//! Which signatures say the same thing: a reworded message, or one whose file moved, is renamed and not new.
//!
//! Invariant: two signatures that differ in a word, in the class of their exception or in a joined field are
//! never taken for one.

use crate::model::SignatureDef;
use crate::rules::edit_distance;

/// Words that a message needs to be recognised by them.
const WORDS_MIN: usize = 2;

/// Words beyond which a message is not held against others word by word.
const WORDS_MAX: usize = 60;

/// Tenths of the words of two wordings of one message that are the same.
const SHARE_TENTHS: usize = 6;

/// Letters of a changed stretch that are compared.
const GAP_CHARS_MAX: usize = 60;

/// Returns what a template says without masks, punctuation and numbers, in lower case.
fn said(template: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut masked = None;
    for c in template.chars() {
        match (masked, c) {
            (None, '<') => masked = Some('>'),
            (None, '{') => masked = Some('}'),
            (Some(end), _) if c == end => masked = None,
            (None, _) if c.is_alphanumeric() => {
                word.extend(c.to_lowercase());
                continue;
            }
            _ => {}
        }
        push(&mut words, &mut word);
    }
    push(&mut words, &mut word);
    words
}

/// Returns the short name of what a signature with this template would say, for an index.
pub(super) fn key(def: &SignatureDef, template: &str) -> u128 {
    let mut bytes = [0_u8; 16];
    let mut hasher = blake3::Hasher::new();
    hasher.update(words(def, template).as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

/// Returns what a signature says and where; what is too short stays as it is.
fn words(def: &SignatureDef, template: &str) -> String {
    let words = said(template);
    let text = if words.len() < WORDS_MIN {
        template.to_owned()
    } else {
        words.join(" ")
    };
    let class = def.level.class().name();
    let exception = def.exception.as_deref().unwrap_or("-");
    let joined: Vec<String> = def
        .joined
        .iter()
        .map(|(field, value)| format!("{field}={value}"))
        .collect();
    format!(
        "{}\n{class}\n{exception}\n{}\n{text}",
        def.channel,
        joined.join(",")
    )
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() && !word.bytes().all(|it| it.is_ascii_digit()) {
        words.push(std::mem::take(word));
    }
    word.clear();
}

/// Tells whether one message may be a new wording of another: most words are the same, in order, and where one stands
/// for another they look alike. A message with another word of its own is another message.
pub(super) fn is_alike(a: &SignatureDef, b: &SignatureDef) -> bool {
    let parts = |it: &SignatureDef| {
        (
            it.channel.clone(),
            it.level.class(),
            it.exception.clone(),
            it.joined.clone(),
        )
    };
    if parts(a) != parts(b) || !is_same_problem(a, b) {
        return false;
    }
    let (a, b) = (said(&a.template), said(&b.template));
    if a.len().max(b.len()) > WORDS_MAX {
        return false;
    }
    let (common, gaps) = aligned(&a, &b);
    common >= WORDS_MIN
        && 10 * 2 * common >= SHARE_TENTHS * (a.len() + b.len())
        && gaps.iter().all(|(mine, theirs)| looks_alike(mine, theirs))
}

/// Returns the number of words that two texts have in common, in order, and what stands between them in each.
fn aligned(a: &[String], b: &[String]) -> (usize, Vec<(String, String)>) {
    let width = b.len() + 1;
    let mut longest = vec![0_usize; (a.len() + 1) * width];
    let at =
        |longest: &[usize], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let value = if x == y {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let mut gaps = Vec::new();
    let (mut mine, mut theirs) = (String::new(), String::new());
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            gaps.push((std::mem::take(&mut mine), std::mem::take(&mut theirs)));
            i += 1;
            j += 1;
        } else if at(&longest, i + 1, j) >= at(&longest, i, j + 1) {
            mine.push_str(x);
            i += 1;
        } else {
            theirs.push_str(y);
            j += 1;
        }
    }
    mine.extend(a.get(i..).unwrap_or_default().iter().map(String::as_str));
    theirs.extend(b.get(j..).unwrap_or_default().iter().map(String::as_str));
    gaps.push((mine, theirs));
    (at(&longest, 0, 0), gaps)
}

/// Tells whether what stands in one text may be what stands at the same place in the other: nothing, or alike by letters.
fn looks_alike(a: &str, b: &str) -> bool {
    let longer = a.chars().count().max(b.chars().count());
    a.is_empty() || b.is_empty() || (longer <= GAP_CHARS_MAX && 2 * edit_distance(a, b) <= longer)
}

/// Tells whether two signatures with equal words come from the same place in the code: the same function, or
/// files of one name or one component where no function is known.
pub(super) fn is_same_problem(a: &SignatureDef, b: &SignatureDef) -> bool {
    match (&a.frame, &b.frame) {
        (None, None) => true,
        (Some(a), Some(b)) => same_place(a, b),
        _ => false,
    }
}

fn same_place(a: &str, b: &str) -> bool {
    match (a.rsplit_once(' '), b.rsplit_once(' ')) {
        (Some((a, _)), Some((b, _))) => a == b,
        (None, None) => file_name(a) == file_name(b) || component(a) == component(b),
        _ => false,
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns `extensions/Name` or `skins/Name`; a file of the core is a component of its own.
fn component(path: &str) -> &str {
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let is_part = path.starts_with("extensions/") || path.starts_with("skins/");
    match (is_part, slashes.nth(1)) {
        (true, Some(end)) => path.get(..end).unwrap_or(path),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Level, SignatureId};

    fn def(template: &str, frame: Option<&str>) -> SignatureDef {
        SignatureDef {
            id: SignatureId(0),
            channel: "c".to_owned(),
            level: Level::Error,
            template: template.to_owned(),
            exception: None,
            frame: frame.map(str::to_owned),
            joined: Vec::new(),
        }
    }

    fn same(a: &SignatureDef, b: &SignatureDef) -> bool {
        words(a, &a.template) == words(b, &b.template) && is_same_problem(a, b)
    }

    #[test]
    fn a_reworded_message_is_the_same() {
        let old = def("Session <session>: Bad data", None);
        assert!(same(
            &old,
            &def("Session \"{session_info}\": Bad data", None)
        ));
        assert!(!same(&old, &def("Session <session>: Bad metadata", None)));
    }

    #[test]
    fn a_new_wording_is_alike_and_another_word_is_not() {
        let alike = |a: &str, b: &str| is_alike(&def(a, None), &def(b, None));
        for (a, b) in [
            (
                "Session <session>: Bad data",
                "Session \"<session>\": Bad data",
            ),
            (
                "Cannot load session from store",
                "Could not load the session from store",
            ),
            (
                "Failed loading of page <id>",
                "Failed load of the page <id>",
            ),
        ] {
            assert!(alike(a, b) && alike(b, a), "{a} / {b}");
        }
        for (a, b) in [
            (
                "Notice: Undefined variable: lang",
                "Notice: Undefined variable: user",
            ),
            (
                "program interrupt: illegal instruction",
                "program interrupt: privileged instruction",
            ),
            ("Cannot load session", "Lock wait timeout"),
            ("Bad data", "Bad data in the page store of the parser cache"),
        ] {
            assert!(!alike(a, b) && !alike(b, a), "{a} / {b}");
        }
    }

    #[test]
    fn a_moved_file_is_the_same_and_another_function_is_not() {
        let at = |frame: &str| def("A database query error has occurred.", Some(frame));
        assert!(same(
            &at("Db->report includes/db/Database.php"),
            &at("Db->report includes/libs/rdbms/Database.php")
        ));
        assert!(!same(
            &at("Db->report includes/db/Database.php"),
            &at("Db->selectRow includes/user/BotPassword.php")
        ));
        assert!(same(
            &at("extensions/GlobalUsage/GlobalUsage_body.php"),
            &at("extensions/GlobalUsage/includes/GlobalUsage.php")
        ));
        assert!(!same(
            &at("includes/Message.php"),
            &at("includes/Title.php")
        ));
    }

    #[test]
    fn a_message_of_masks_alone_is_only_itself() {
        assert!(!same(&def("<num> <id>", None), &def("<id>: <num>", None)));
    }
}
