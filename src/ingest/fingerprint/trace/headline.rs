//! Reads the line that names an exception: its class and its message.
//!
//! It must never take prose for a class: a class is one word that ends as classes do, or a
//! qualified name, or what a runtime always prints.

/// What runtimes put before the class.
const PREFIXES: [&str; 9] = [
    "PHP ",
    "Fatal error: ",
    "Fatal Error: ",
    "Catchable fatal error: ",
    "Recoverable fatal error: ",
    "UnhandledPromiseRejectionWarning: ",
    "Uncaught ",
    "(in promise) ",
    "Unhandled exception. ",
];

/// How the names of exceptions end.
const ENDINGS: [&str; 9] = [
    "Exception",
    "Error",
    "Throwable",
    "Fault",
    "Interrupt",
    "Exit",
    "Timeout",
    "Failure",
    "ExceptionGroup",
];

/// Splits `Class: message` when the first word can be a class.
pub(super) fn split(text: &str) -> (Option<&str>, &str) {
    let text = unprefixed(text);
    if let Some(found) = worded(text) {
        return found;
    }
    for class in ["panic", "fatal error"] {
        if let Some(message) = text.strip_prefix(class).and_then(|t| t.strip_prefix(": ")) {
            return (Some(class), message);
        }
    }
    if text.starts_with("thread '") && text.contains("panicked at") {
        return (Some("panic"), text);
    }
    let (head, message) = text
        .split_once(": ")
        .unwrap_or((text.trim_end_matches(':'), ""));
    // Node writes a code beside the class: `Error [ERR_X]: …`, `TypeError [ERR_Y]: …`.
    let head = head.split_once(" [").map_or(head, |(name, _)| name);
    if is_class(head) {
        (Some(head), message)
    } else {
        (None, text)
    }
}

fn unprefixed(text: &str) -> &str {
    let mut text = text;
    if let Some((number, rest)) = text.strip_prefix("(node:").and_then(|t| t.split_once(") "))
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        text = rest;
    }
    for prefix in PREFIXES {
        text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
    }
    let thread = text
        .strip_prefix("Exception in thread \"")
        .and_then(|t| t.split_once("\" "));
    thread.map_or(text, |(_, rest)| rest)
}

/// Takes apart `exception 'X' with message 'm'` and `[Exception X] (file:line) m`.
fn worded(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = text.strip_prefix("exception '") {
        let (class, rest) = rest.split_once('\'')?;
        let message = rest.strip_prefix(" with message '").unwrap_or_default();
        let message = message.rsplit_once("' in ").map_or(message, |(m, _)| m);
        return Some((Some(class), message));
    }
    let rest = text
        .strip_prefix("[Exception ")
        .or_else(|| text.strip_prefix("[Error "))?;
    let (class, rest) = rest.split_once("] (")?;
    let (_, message) = rest.split_once(") ")?;
    Some((Some(class), message))
}

fn is_class(head: &str) -> bool {
    let name = head.rsplit(['.', '\\', ':']).next().unwrap_or_default();
    let known = ENDINGS.iter().any(|end| name.ends_with(end));
    let qualified = head.contains(['.', '\\']) && name.starts_with(|c: char| c.is_uppercase());
    let single = head
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._\\$:".contains(&b));
    single && (known || qualified) && !head.is_empty()
}
