//! What a record is, from its first bytes.
//!
//! It must never read far: every question is settled by the start of the text, or by one pass over it. Invariant: text
//! that claims to be JSON and is not is never taken for a line of words.

use serde::de::DeserializeOwned;

use super::json::{DEPTH_MAX, Scanner};
use super::php;
use super::walk::BUFFER_MAX;
use crate::model::{Decoded, Rejection};

/// JSON's blanks.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Takes blanks off both ends; a text without any costs two looks.
pub(super) fn trim(text: &str) -> &str {
    let is_blank = |it: Option<&u8>| matches!(it, Some(b' ' | b'\t' | b'\n' | b'\r'));
    let bytes = text.as_bytes();
    if is_blank(bytes.first()) || is_blank(bytes.last()) {
        return text.trim_matches(BLANKS);
    }
    text
}

/// Bytes of a line's head within which `@cee:` is looked for.
const HEAD_MAX: usize = 256;

/// Returns the text of a payload, without a byte-order mark; invalid UTF-8 is replaced, once, in the buffer.
pub(super) fn text_of<'a>(
    payload: &'a [u8],
    lossy: &'a mut String,
) -> Result<(&'a str, bool), Rejection> {
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    if is_wide(payload) {
        return Err(Rejection::Encoding);
    }
    if let Ok(text) = std::str::from_utf8(payload) {
        return Ok((text, false));
    }
    if payload.contains(&0) && !payload.trim_ascii_start().starts_with(b"{") {
        // Invalid UTF-8 with NULs is some binary format.
        return Err(Rejection::Encoding);
    }
    lossy.clear();
    lossy.shrink_to(BUFFER_MAX);
    for chunk in payload.utf8_chunks() {
        lossy.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            lossy.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Ok((lossy, true))
}

/// Tells whether bytes are UTF-16 or UTF-32: by their mark, or by a NUL in every other place.
fn is_wide(payload: &[u8]) -> bool {
    match payload {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => true,
        [0, a, 0, b, ..] | [a, 0, b, 0, ..] => *a != 0 && *b != 0,
        _ => false,
    }
}

/// Returns the object behind `@cee:`, at the start or behind the head of a syslog line.
pub(super) fn cee(text: &str) -> Option<&str> {
    const COOKIE: &str = "@cee:";
    if let Some(rest) = text.strip_prefix(COOKIE) {
        return Some(rest.trim_start_matches(BLANKS));
    }
    if text.starts_with('{') {
        return None;
    }
    let head = text.get(..text.floor_char_boundary(HEAD_MAX))?;
    let at = head.find(": @cee:")?;
    let rest = text
        .get(at + 2 + COOKIE.len()..)?
        .trim_start_matches(BLANKS);
    rest.starts_with('{').then_some(rest)
}

/// Says why a text that is no object is rejected: it is other JSON, nests too deep, or is no JSON at all.
pub(super) fn not_object(text: &str) -> Rejection {
    let n_open = text.bytes().take_while(|it| *it == b'[').count();
    if n_open > DEPTH_MAX as usize {
        // Settled without a pass: a text that does not close what it opens is no JSON.
        return if text.ends_with(']') {
            Rejection::Depth
        } else {
            Rejection::Syntax
        };
    }
    let mut scanner = Scanner::new(text);
    match scanner
        .value()
        .and_then(|value| scanner.end().map(|()| value))
    {
        Ok(value) if value.depth > DEPTH_MAX => Rejection::Depth,
        Ok(_) => Rejection::NotObject,
        Err(_) => Rejection::Syntax,
    }
}

/// Tells whether a text may be JSON other than an object.
pub(super) fn may_be_json(text: &str) -> bool {
    text.starts_with(|it: char| {
        matches!(it, '[' | '"' | '-' | 't' | 'f' | 'n') || it.is_ascii_digit()
    })
}

/// Tells whether a text can be a line of a log: at least two words, and after a bracket at the start more than
/// a list would hold.
pub(super) fn is_line(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let Some(inner) = first.strip_prefix('[') else {
        return first.trim_end().contains([' ', '\t']);
    };
    let list = inner.trim_start().starts_with(['"', '{', '[', ',', ']']);
    let Some((_, after)) = inner.split_once(']') else {
        return false;
    };
    !list && after.starts_with([' ', ':']) && after.chars().any(char::is_alphanumeric)
}

/// Tells whether a text is an error of PHP without any head.
pub(super) fn is_php_error(text: &str) -> bool {
    let (_, body) = php::repeated(text);
    let body = php::trim_start(body);
    php::severity(body).is_some() && body.contains(" on line ")
}

/// Tells whether an object may be a marker or an exposure record.
pub(super) fn is_control(text: &str) -> bool {
    text.contains("\"deploy_marker\"") || text.contains("\"exposure\"")
}

/// Reads a marker or exposure record, if the record's type says that it is one.
pub(super) fn control(kind: &str, text: &str) -> Option<Result<Decoded<'static>, Rejection>> {
    match kind {
        "deploy_marker" => Some(parse(text).map(Decoded::Marker)),
        "exposure" => Some(parse(text).map(Decoded::Exposure)),
        _ => None,
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Rejection> {
    serde_json::from_str(text).map_err(|_| Rejection::Syntax)
}
