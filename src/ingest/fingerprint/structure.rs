//! Recognises printed structures: lists, maps, object representations, sessions.
//!
//! Every recogniser pays for the bytes that it looks at from one purse per text, so that nested or
//! unclosed structures cannot make a scan slower than linear.

use super::class::{at, is_blank, is_word, run};

/// The number of bytes that all structure recognisers may still look at in this text.
#[derive(Debug, Default)]
pub(super) struct Fuel(pub(super) usize);

impl Fuel {
    fn pay(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// Returns the end of a quoted text that starts at its opening quote.
pub(super) fn quoted(bytes: &[u8], start: usize, fuel: &mut Fuel) -> Option<usize> {
    let quote = at(bytes, start);
    let mut i = start + 1;
    while i < bytes.len() {
        if !fuel.pay() {
            return None;
        }
        match at(bytes, i) {
            b'\\' => i += 1,
            b if b == quote => return Some(i + 1),
            _ => {}
        }
        i += 1;
    }
    None
}

/// Returns where the closing bracket of a list of values stands, for an opening one at `start`.
///
/// A list is empty, or one quoted value, or at least two values without blanks.
pub(super) fn list(bytes: &[u8], start: usize, fuel: &mut Fuel) -> Option<usize> {
    let mut i = run(bytes, start + 1, is_blank);
    if at(bytes, i) == b']' {
        return Some(i);
    }
    let mut items = 0;
    loop {
        let quote = matches!(at(bytes, i), b'"' | b'\'');
        let end = if quote {
            quoted(bytes, i, fuel)?
        } else {
            item(bytes, i, fuel)?
        };
        items += 1;
        i = end;
        match at(bytes, i) {
            b']' => return (items > 1 || quote).then_some(i),
            b',' => i = run(bytes, i + 1, is_blank),
            _ => return None,
        }
    }
}

fn item(bytes: &[u8], start: usize, fuel: &mut Fuel) -> Option<usize> {
    let mut i = start;
    while i < bytes.len() {
        if !fuel.pay() {
            return None;
        }
        let b = at(bytes, i);
        if b == b'{'
            && let Some(end) = placeholder(bytes, i)
        {
            i = end;
            continue;
        }
        if is_blank(b)
            || matches!(
                b,
                b',' | b';' | b'[' | b']' | b'{' | b'}' | b'(' | b')' | b'"' | b'\''
            )
        {
            break;
        }
        i += 1;
    }
    (i > start && i < bytes.len()).then_some(i)
}

/// Returns the end of a map such as `{"a": 1}` or `{'a': 1}` whose brace stands at `start`.
///
/// A map that was cut off reaches to the end of the text.
pub(super) fn map(bytes: &[u8], start: usize, fuel: &mut Fuel) -> Option<usize> {
    let first = run(bytes, start + 1, is_blank);
    if !matches!(at(bytes, first), b'"' | b'\'') {
        return None;
    }
    let key = quoted(bytes, first, fuel)?;
    if at(bytes, run(bytes, key, is_blank)) != b':' {
        return None;
    }
    balanced(bytes, start, fuel)
}

/// Returns the end of the bracketed text that opens at `start`; one that was cut off ends with the
/// text.
pub(super) fn balanced(bytes: &[u8], start: usize, fuel: &mut Fuel) -> Option<usize> {
    let mut depth = 0_usize;
    let mut i = start;
    while i < bytes.len() {
        if !fuel.pay() {
            return None;
        }
        match at(bytes, i) {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            b'"' => match quoted(bytes, i, fuel) {
                Some(end) => {
                    i = end;
                    continue;
                }
                None => return (fuel.0 > 0).then_some(bytes.len()),
            },
            _ => {}
        }
        i += 1;
    }
    Some(bytes.len())
}

/// Returns the end of `<Name object at 0x7f00>` and its like, for the `<` at `start`.
pub(super) fn object(bytes: &[u8], start: usize) -> Option<usize> {
    let name = run(bytes, start + 1, |b| is_word(b) || b == b'.');
    if name == start + 1 {
        return None;
    }
    let mut i = name;
    if at(bytes, i) == b' ' && !bytes.get(i..)?.starts_with(b" at ") {
        i = run(bytes, i + 1, is_word);
    }
    let address = bytes.get(i..)?.strip_prefix(b" at 0x")?;
    let hex = address.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let end = i + b" at 0x".len() + hex;
    (hex > 0 && at(bytes, end) == b'>').then_some(end + 1)
}

/// Returns the end of a session as `MediaWiki` prints it: `[30]Provider<+:4821:Any Name>sid`.
pub(super) fn session(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = run(bytes, start + 1, |b| b.is_ascii_digit());
    if digits == start + 1 || at(bytes, digits) != b']' {
        return None;
    }
    let class = run(bytes, digits + 1, |b| is_word(b) || b == b'\\');
    if class == digits + 1 {
        return None;
    }
    session_user(bytes, class)
}

/// Returns the end of the user and id of a session, `<+:4821:Any Name>sid` or `<anon>sid`, whose
/// `<` stands at `start`.
pub(super) fn session_user(bytes: &[u8], start: usize) -> Option<usize> {
    let tail = bytes.get(start..)?.strip_prefix(b"<")?;
    let signed = matches!(tail, [b'+' | b'-', b':', ..]);
    let nobody = tail.starts_with(b"anon>") || tail.starts_with(b"none>");
    // 512: a name is at most 255 bytes long, an id at most 32.
    let close = tail
        .iter()
        .take(512)
        .position(|&b| matches!(b, b'<' | b'>'))?;
    (at(tail, close) == b'>' && (signed || nobody))
        .then(|| run(bytes, start + close + 2, |b| is_word(b) || b == b'-'))
}

/// Returns the end of a `{placeholder}` whose brace stands at `start`.
pub(super) fn placeholder(bytes: &[u8], start: usize) -> Option<usize> {
    let end = run(bytes, start + 1, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')
    });
    let named = end > start + 1 && end - start <= 64 && !at(bytes, start + 1).is_ascii_digit();
    (named && at(bytes, end) == b'}').then_some(end + 1)
}
