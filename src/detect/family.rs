//! Which signatures say the same thing: a reworded message, or one whose file moved, is renamed and not new.
//!
//! Invariant: two signatures that differ in a word, in the class of their exception or in a joined field are
//! never taken for one.

use crate::model::SignatureDef;

/// Words that a message needs to be recognised by them.
const WORDS_MIN: usize = 2;

/// Returns what a signature says without masks, punctuation and numbers; what is too short stays as it is.
pub(super) fn words(def: &SignatureDef) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut masked = None;
    for c in def.template.chars() {
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
    let text = if words.len() < WORDS_MIN {
        def.template.clone()
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
        words(a) == words(b) && is_same_problem(a, b)
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
