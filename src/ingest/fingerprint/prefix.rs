//! Takes apart what wrappers put around a message: request ids, URLs, file and line, repeats.
//!
//! It must never change the message itself, only choose a part of it; a text that no wrapper has
//! touched comes back whole.

/// A message without its wrapping, and what the wrapping said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwrapped<'a> {
    /// The class of the exception, if the wrapping names one.
    pub exception_class: Option<&'a str>,
    /// The file that the wrapping names.
    pub file: Option<&'a str>,
    /// The message itself.
    pub message: &'a str,
}

/// The levels that PHP and HHVM put before a message of their own.
const PHP_LEVELS: [&str; 12] = [
    "Fatal error: ",
    "Fatal Error: ",
    "Catchable fatal error: ",
    "Recoverable fatal error: ",
    "Parse error: ",
    "Warning: ",
    "Notice: ",
    "Deprecated: ",
    "Strict Standards: ",
    "Strict standards: ",
    "Core error: ",
    "Compile error: ",
];

/// Removes request id, URL, file and line from a message and says what they were.
pub fn unwrap(text: &str) -> Unwrapped<'_> {
    let message = strip_prefix(text);
    if let Some(found) = from_line(message) {
        return found;
    }
    if let Some(found) = on_line(message) {
        return found;
    }
    Unwrapped {
        message,
        ..Unwrapped::default()
    }
}

/// Removes `[{reqId}] {exception_url}   ` and `[5c5c2c0c] /w/index.php?x=1   ` from a message.
pub fn strip_prefix(text: &str) -> &str {
    let text = text.trim_start_matches("#012").trim_start();
    let Some((id, rest)) = text.strip_prefix('[').and_then(|t| t.split_once("] ")) else {
        return text;
    };
    if !is_request_id(id) {
        return text;
    }
    let rest = rest.trim_start();
    if let Some(rest) = rest.strip_prefix("[no req]") {
        return rest.trim_start();
    }
    let (url, tail) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let is_url = url == "{exception_url}" || url.starts_with('/') || url.contains("://");
    if is_url && !tail.is_empty() {
        tail.trim_start()
    } else {
        rest
    }
}

/// Says whether the text in brackets is the id of a request: at least 6 letters and digits.
fn is_request_id(id: &str) -> bool {
    matches!(id, "{reqId}" | "{exception_id}")
        || ((6..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_@-".contains(&b))
            && id
                .bytes()
                .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase()))
}

/// Takes apart `Class from line 12 of /path/X.php: message`.
fn from_line(text: &str) -> Option<Unwrapped<'_>> {
    let (class, rest) = text.split_once(" from line ")?;
    if class.is_empty() || class.contains(' ') {
        return None;
    }
    let (number, rest) = rest.split_once(" of ")?;
    let known = number == "{line}" || number.bytes().all(|b| b.is_ascii_digit());
    let (file, message) = rest.split_once(": ")?;
    if !known || file.contains(' ') {
        return None;
    }
    Some(Unwrapped {
        exception_class: Some(class),
        file: Some(file),
        message,
    })
}

/// Takes apart `Fatal error: message in /path/X.php on line 12`.
fn on_line(text: &str) -> Option<Unwrapped<'_>> {
    let bare = text.strip_prefix("PHP ").unwrap_or(text);
    if !PHP_LEVELS.iter().any(|level| bare.starts_with(level)) {
        return None;
    }
    let line = bare.split('\n').next().unwrap_or_default();
    let (front, number) = line.rsplit_once(" on line ")?;
    if !number.trim_end().bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (message, file) = front.rsplit_once(" in ")?;
    Some(Unwrapped {
        exception_class: None,
        file: Some(file),
        message,
    })
}

/// Returns how many messages a line of rsyslog stands for, and the message.
pub fn repeated(text: &str) -> (u64, &str) {
    let once = (1, text);
    let Some(rest) = text.trim_start().strip_prefix("message repeated ") else {
        return once;
    };
    let Some((count, rest)) = rest.split_once(" times: [") else {
        return once;
    };
    match count.parse::<u64>() {
        Ok(count) if count > 0 => {
            let inner = rest.trim_end();
            (count, inner.strip_suffix(']').unwrap_or(inner).trim())
        }
        _ => once,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_placeholders_of_the_wrapper_are_removed() {
        let text = "[{reqId}] {exception_url}   Wikimedia\\Assert\\InvariantException: Invariant failed: x";
        assert_eq!(
            strip_prefix(text),
            "Wikimedia\\Assert\\InvariantException: Invariant failed: x"
        );
    }

    #[test]
    fn an_exception_line_gives_class_file_and_message() {
        let text = "[5c5c2c0c] /w/index.php?x=1   MWException from line 12 of \
                    /srv/mediawiki/php-1.27.0-wmf.11/includes/User.php: CAS update failed";
        let found = unwrap(text);
        assert_eq!(found.exception_class, Some("MWException"));
        assert_eq!(
            found.file,
            Some("/srv/mediawiki/php-1.27.0-wmf.11/includes/User.php")
        );
        assert_eq!(found.message, "CAS update failed");
    }

    #[test]
    fn a_request_without_url_keeps_its_message() {
        let text = "[5c5c2c0c] PHP Fatal Error: Class undefined: PoolCounter_Client";
        assert_eq!(
            strip_prefix(text),
            "PHP Fatal Error: Class undefined: PoolCounter_Client"
        );
        assert_eq!(
            strip_prefix("[a1b2c3d4] [no req]   MWException: x"),
            "MWException: x"
        );
    }

    #[test]
    fn a_fatal_of_hhvm_gives_its_file() {
        let text = "#012Fatal error: Class undefined: Foo in /srv/mediawiki/php-1.27.0-wmf.11/a.php on line 7";
        let found = unwrap(text);
        assert_eq!(found.message, "Fatal error: Class undefined: Foo");
        assert_eq!(found.file, Some("/srv/mediawiki/php-1.27.0-wmf.11/a.php"));
    }

    #[test]
    fn a_bracket_that_is_no_request_stays() {
        for text in [
            "[30]MediaWiki\\X<+:1:A>b: c",
            "[info] started",
            "[12] x",
            "plain",
        ] {
            assert_eq!(strip_prefix(text), text);
        }
    }

    #[test]
    fn a_folded_repeat_counts_its_number() {
        assert_eq!(
            repeated("message repeated 12 times: [ #012Warning: x]"),
            (12, "#012Warning: x")
        );
        assert_eq!(
            repeated("message repeated x times: [ a]"),
            (1, "message repeated x times: [ a]")
        );
        assert_eq!(repeated("plain"), (1, "plain"));
    }
}
