//! Removes what nobody may read from texts that are kept: samples, templates, dead letters.
//!
//! It must never shorten what it does not recognise, never keep a part of a credential and never
//! take more than linear time. Invariant: redacting a redacted text changes nothing.

mod pattern;

use super::class::{at, is_blank, is_word, run, span};
use super::structure::{self, Fuel};
use super::{secret, shape};

/// Appends `text` to `out` without passwords, tokens, cookies, keys, cards, e-mail addresses and
/// whole network addresses.
pub fn redact(text: &str, out: &mut String) {
    let mut redactor = Redactor {
        text,
        bytes: text.as_bytes(),
        i: 0,
        copied: 0,
        fuel: Fuel(8 * text.len() + 64),
        out,
    };
    redactor.run();
}

struct Redactor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    i: usize,
    copied: usize,
    fuel: Fuel,
    out: &'a mut String,
}

impl Redactor<'_> {
    fn run(&mut self) {
        while self.i < self.bytes.len() {
            let b = at(self.bytes, self.i);
            let fresh = self.i == self.copied || !is_part(at(self.bytes, self.i - 1));
            let starts = is_part(b) || b == b':' || b == b'-';
            if !fresh || !starts {
                self.i += 1;
            } else if !self.take() {
                self.i = run(self.bytes, self.i + 1, is_part).max(self.i + 1);
            }
        }
        self.flush(self.bytes.len());
    }

    fn flush(&mut self, to: usize) {
        self.out
            .push_str(self.text.get(self.copied..to).unwrap_or_default());
        self.copied = to;
    }

    /// Replaces the bytes from `start` to `end` and goes on behind them.
    fn replace(&mut self, start: usize, end: usize, with: &str) -> bool {
        self.flush(start);
        self.out.push_str(with);
        self.copied = end;
        self.i = end;
        true
    }

    /// Takes what starts here, if it must not be kept.
    fn take(&mut self) -> bool {
        let (bytes, i) = (self.bytes, self.i);
        if let Some(end) = pattern::pem(bytes, i) {
            return self.replace(i, end, "<private-key>");
        }
        if let Some((start, end)) = pattern::userinfo(bytes, i) {
            return self.replace(start, end, "<token>");
        }
        if self.keyed() || self.scheme() {
            return true;
        }
        if let Some(end) = pattern::email(bytes, i) {
            return self.replace(i, end, "<email>");
        }
        if let Some(end) = pattern::card(bytes, i) {
            return self.replace(i, end, "<card>");
        }
        if let Some((end, short)) = pattern::ipv4(self.text, i) {
            return self.replace(i, end, &short);
        }
        if let Some((end, short)) = pattern::ipv6(self.text, i) {
            return self.replace(i, end, &short);
        }
        let end = run(bytes, i, secret::is_token_byte);
        let word = span(bytes, i, end);
        if secret::is_word(word) || pattern::is_session_id(word) {
            return self.replace(i, end, "<token>");
        }
        match pattern::edit_token(bytes, i) {
            Some(end) => self.replace(i, end, "<token>"),
            None => false,
        }
    }

    /// Takes `Bearer x` and `Basic x`.
    fn scheme(&mut self) -> bool {
        let (bytes, i) = (self.bytes, self.i);
        let end = run(bytes, i, is_word);
        let word = span(bytes, i, end);
        if !word.eq_ignore_ascii_case(b"bearer") && !word.eq_ignore_ascii_case(b"basic") {
            return false;
        }
        let start = run(bytes, end, is_blank);
        let stop = run(bytes, start, secret::is_token_byte);
        let word = str::from_utf8(span(bytes, start, stop)).unwrap_or_default();
        // 8: shorter words behind "basic" are prose.
        let token = start > end && stop >= start + 8 && !shape::is_ipv4(word);
        token && self.replace(start, stop, "<token>")
    }

    /// Takes `key=value`, `key: value`, `"key":"value"` and `'key' => 'value'` of a secret key.
    fn keyed(&mut self) -> bool {
        let (bytes, i) = (self.bytes, self.i);
        let key_end = run(bytes, i, |b| is_word(b) || b == b'-' || b == b'.');
        let key = span(bytes, i, key_end);
        if key.is_empty() || key.len() > 128 {
            return false;
        }
        let quote = matches!(at(bytes, key_end), b'"' | b'\'');
        let escaped = at(bytes, key_end) == b'\\' && at(bytes, key_end + 1) == b'"';
        let mut j = key_end + if escaped { 2 } else { usize::from(quote) };
        j = run(bytes, j, |b| b == b' ');
        let sign = at(bytes, j);
        if sign != b'=' && sign != b':' {
            return false;
        }
        if at(bytes, j + 1) == b'>' || (sign == b'=' && at(bytes, j + 1) == b'=') {
            j += 1;
        }
        let start = run(bytes, j + 1, |b| b == b' ');
        if pattern::is_header(key) && sign == b':' && !quote && !escaped {
            let end = run(bytes, start, |b| b != b'\n' && b != b'\r');
            return end > start && self.replace(start, end, "<token>");
        }
        let (start, end) = self.value(start);
        if span(bytes, start, bytes.len()).starts_with(b"<token>") {
            self.i = start + b"<token>".len();
            return true;
        }
        if end <= start || at(bytes, start) == b'<' {
            return false;
        }
        let value = span(bytes, start, end);
        let secret = secret::is_key(key) && (sign == b'=' || quote || escaped || !is_prose(key));
        (secret || pattern::is_random(value)) && self.replace(start, end, "<token>")
    }

    /// Returns where the value that starts here begins and ends, without its quotes.
    fn value(&mut self, start: usize) -> (usize, usize) {
        let bytes = self.bytes;
        if at(bytes, start) == b'\\' && at(bytes, start + 1) == b'"' {
            let end = run(bytes, start + 2, |b| b != b'\\' && b != b'"');
            return (start + 2, end);
        }
        if matches!(at(bytes, start), b'"' | b'\'') {
            let end = structure::quoted(bytes, start, &mut self.fuel);
            return (start + 1, end.map_or(bytes.len(), |end| end - 1));
        }
        (
            start,
            run(bytes, start, |b| {
                !is_blank(b) && !b",;&)}]\"'<>".contains(&b)
            }),
        )
    }
}

/// Says whether a key with a colon is more often a word of a sentence than a field.
fn is_prose(key: &[u8]) -> bool {
    [
        &b"session"[..],
        b"auth",
        b"token",
        b"pass",
        b"signature",
        b"cookie",
        b"authorization",
    ]
    .iter()
    .any(|word| word.eq_ignore_ascii_case(key))
}

/// Says whether a byte may stand inside what is recognised as a whole.
fn is_part(b: u8) -> bool {
    is_word(b) || b == b'.' || b == b'@' || b == b'+'
}

#[cfg(test)]
mod tests;
