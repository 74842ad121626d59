//! From a template as people read it back to the form that is compared: every mask is `<*>`.
//!
//! It must never make a mask of what is not one: only the names of the mask table count, so that `<b>`
//! in a message stays a text.

/// The mask of the compared form.
pub(super) const MASK: &str = "<*>";

/// Names of masks, those of redaction included, in the order of the alphabet.
const NAMES: [&str; 26] = [
    "bool",
    "card",
    "dur",
    "email",
    "hex",
    "host",
    "id",
    "ip",
    "list",
    "mac",
    "map",
    "name",
    "null",
    "num",
    "obj",
    "path",
    "private-key",
    "secret",
    "session",
    "size",
    "str",
    "time",
    "token",
    "url",
    "uuid",
    "version",
];

/// Longest name of a placeholder that an application has not filled in.
const PLACEHOLDER_BYTES_MAX: usize = 40;

/// Returns the form of a template that is compared: masks and `{placeholders}` are `<*>`.
pub fn canonical(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['<', '{']) {
        let (front, tail) = rest.split_at(at);
        out.push_str(front);
        let length = mask(tail).unwrap_or(0);
        if length > 0 {
            out.push_str(MASK);
            rest = tail.get(length..).unwrap_or_default();
        } else {
            out.push_str(tail.get(..1).unwrap_or_default());
            rest = tail.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// Returns the length of the mask that a text starts with.
fn mask(text: &str) -> Option<usize> {
    let close = if text.starts_with('<') { '>' } else { '}' };
    let end = text.find(close)?;
    let name = text.get(1..end)?;
    let known = if close == '>' {
        name == "*" || NAMES.binary_search(&name).is_ok()
    } else {
        !name.is_empty()
            && name.len() <= PLACEHOLDER_BYTES_MAX
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it))
    };
    known.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_one_and_other_brackets_stay() {
        assert!(NAMES.is_sorted());
        for (text, expected) in [
            ("user <num> from <ip>", "user <*> from <*>"),
            ("a <b> is < c", "a <b> is < c"),
            ("Session {session_id}: x", "Session <*>: x"),
            ("json {\"a\": 1}", "json {\"a\": 1}"),
            ("<*><token>", "<*><*>"),
            ("<", "<"),
        ] {
            assert_eq!(canonical(text), expected);
            assert_eq!(canonical(&canonical(text)), canonical(text));
        }
    }
}
