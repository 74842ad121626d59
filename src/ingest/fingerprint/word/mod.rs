//! Decides for one word, with what is glued to it by `:`, `=` or `?`, whether it is a value.
//!
//! It must never decide by the language of a word: digits, shape and place count, and a few
//! words that mean "no value".

mod colon;
mod equals;
pub(super) mod notable;
mod place;

use super::class::{
    DIGIT, DOT, Flags, HIGH, LOWER, NON_HEX, STOP, UPPER, at, class, is_blank, is_word, run, span,
};
use super::kind::Kind;
use super::scan::{Expect, Scan};
use super::{date, secret};

/// A word longer than this is a value: no language has one.
const WORD_BYTES_MAX: usize = 256;
/// A run of letters that is as long as a base-32 session id is one.
const LETTERS_MAX: usize = 32;
/// Shortest run of hexadecimal letters without any digit that is taken for a number.
const HEX_LETTERS_MIN: usize = 8;

/// Words that may follow `for user` and are no name of one.
const PROSE: [&str; 22] = [
    "id", "ID", "Id", "name", "that", "which", "who", "whose", "is", "was", "has", "with",
    "without", "and", "or", "in", "on", "at", "from", "by", "to", "not",
];

/// Words whose digit is part of their name, in lower case: standards, not values.
const STANDARDS: [&str; 24] = [
    "utf-8",
    "utf8",
    "utf-16",
    "utf-32",
    "utf8mb4",
    "iso-8859-1",
    "latin1",
    "sha1",
    "sha-1",
    "sha256",
    "sha-256",
    "sha512",
    "sha-512",
    "md5",
    "base64",
    "ipv4",
    "ipv6",
    "x86_64",
    "oauth2",
    "http2",
    "gzip2",
    "i18n",
    "l10n",
    "log4j",
];

/// A word with its place and the union of its byte classes.
#[derive(Debug, Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
    flags: Flags,
}

impl Word {
    fn has(self, flags: Flags) -> bool {
        self.flags & flags != 0
    }

    fn only(self, flags: Flags) -> bool {
        self.flags & !flags == 0
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        span(bytes, self.start, self.end)
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

impl Scan<'_> {
    fn read_word(&self) -> Word {
        let mut flags = 0;
        let tail = self.bytes.get(self.i..).unwrap_or_default();
        let mut end = self.bytes.len();
        for (n, &b) in tail.iter().enumerate() {
            let class = class(b);
            // Three dots end a word wherever they stand, and are one by themselves.
            if class & (STOP | DOT) != 0 && (class == STOP || span(tail, n + 1, n + 3) == b"..") {
                end = self.i + n;
                break;
            }
            flags |= class;
        }
        if end == self.i {
            end = run(self.bytes, end, |b| b == b'.');
            flags = DOT;
        }
        // The dash of an arrow is no part of what it points from.
        if at(self.bytes, end) == b'>' && end > self.i + 1 && at(self.bytes, end - 1) == b'-' {
            end -= 1;
            flags = span(self.bytes, self.i, end)
                .iter()
                .fold(0, |f, &b| f | class(b));
        }
        Word {
            start: self.i,
            end,
            flags,
        }
    }

    /// Takes the word that starts here.
    pub(super) fn word(&mut self) {
        if self.expect == Expect::Secret {
            let end = run(self.bytes, self.i, |b| {
                !is_blank(b) && !matches!(b, b',' | b';' | b'"' | b'\'' | b'<' | b'>')
            });
            return self.mask(end, Kind::Secret);
        }
        let word = self.read_word();
        let next = at(self.bytes, word.end);
        self.out.foreign |= word.has(HIGH);
        if word.only(DIGIT | DOT) && next != b':' && next != b'=' {
            return self.number(word);
        }
        let plain = word.only(LOWER | UPPER | NON_HEX);
        if plain && next != b':' && next != b'=' {
            return self.plain(word);
        }
        let taken =
            (next == b':' && self.before_colon(word)) || (next == b'=' && self.before_equals(word));
        if taken {
            return;
        }
        if plain {
            return self.plain(word);
        }
        if !self.place(word) {
            self.value(word);
        }
    }

    fn keep(&mut self, word: Word) {
        self.i = word.end;
        self.expect = Expect::Nothing;
    }

    /// Masks a word but for the dots at its end.
    fn mask_word(&mut self, word: Word, kind: Kind) {
        let dots = word
            .of(self.bytes)
            .iter()
            .rev()
            .take_while(|&&b| b == b'.')
            .count();
        let end = if dots == word.end - word.start {
            word.end
        } else {
            word.end - dots
        };
        self.mask(end, kind);
    }

    /// Takes a word of ASCII letters alone.
    fn plain(&mut self, word: Word) {
        let bytes = word.of(self.bytes);
        let expect = self.expect;
        if expect == Expect::Name && !self.is_prose(word) {
            return self.mask(word.end, Kind::Name);
        }
        let value = match bytes.len() {
            3 => bytes.eq_ignore_ascii_case(b"nil"),
            4 => is_nothing(bytes) || bytes.eq_ignore_ascii_case(b"true"),
            5 => bytes.eq_ignore_ascii_case(b"false"),
            HEX_LETTERS_MIN.. if !word.has(NON_HEX) => self.one_case(word),
            LETTERS_MAX.. => self.id(word),
            _ => false,
        };
        if value {
            return self.mask(word.end, Kind::Auto);
        }
        if at(bytes, 0).is_ascii_uppercase()
            && bytes.len() < 10
            && let Some(end) = date::from_word(self.bytes, word.start, word.end)
        {
            return self.mask(end, Kind::Time);
        }
        self.i = word.end;
        self.expect = match (bytes.len(), expect) {
            (3, _) if bytes == b"for" => Expect::User,
            (7, Expect::User) if matches!(bytes, b"invalid" | b"illegal") => Expect::User,
            (4, Expect::User) if bytes == b"user" => Expect::Name,
            (5 | 6, _) if self.credential(bytes) => Expect::Secret,
            _ => Expect::Nothing,
        };
    }

    /// Says whether the word behind `for user` goes on with the sentence instead of naming one.
    fn is_prose(&self, word: Word) -> bool {
        let next = span(self.bytes, word.end, word.end + 4);
        next == b" of " || PROSE.contains(&text(word.of(self.bytes)))
    }

    fn one_case(&self, word: Word) -> bool {
        let bytes = word.of(self.bytes);
        bytes.iter().all(u8::is_ascii_lowercase) || bytes.iter().all(u8::is_ascii_uppercase)
    }

    /// Says whether a long run of letters is an id: one case, or longer than any word.
    fn id(&self, word: Word) -> bool {
        self.one_case(word) || word.end - word.start > 2 * LETTERS_MAX
    }

    fn credential(&self, word: &[u8]) -> bool {
        match word.len() {
            5 => word == b"Basic" && self.follows_colon(),
            6 => word.eq_ignore_ascii_case(b"bearer"),
            _ => false,
        }
    }

    /// Says whether the word that was just read stands behind a colon.
    fn follows_colon(&self) -> bool {
        let front = span(self.bytes, 0, self.i.saturating_sub(b"Basic".len()));
        let mark = front.iter().rev().find(|&&b| !is_blank(b));
        mark == Some(&b':')
    }

    /// Takes a word of digits and dots alone.
    fn number(&mut self, word: Word) {
        let name = self.expect == Expect::Name;
        if !word.has(DIGIT) {
            return self.keep(word);
        }
        let day = word.end - word.start <= 2 && word.only(DIGIT) && !name;
        match day.then(|| date::from_day(self.bytes, word.start, word.end)) {
            Some(Some(end)) => self.mask(end, Kind::Time),
            _ => self.mask_word(word, if name { Kind::Name } else { Kind::Auto }),
        }
    }

    /// Takes what is left: a word with digits or with marks inside.
    fn value(&mut self, word: Word) {
        let bytes = word.of(self.bytes);
        if self.expect == Expect::Name {
            return self.mask_word(word, Kind::Name);
        }
        if bytes.len() > WORD_BYTES_MAX {
            return self.mask_word(word, Kind::Str);
        }
        if bytes.starts_with(b"-----BEGIN") {
            return self.pem();
        }
        if word.has(DIGIT) {
            return self.digits(word);
        }
        if secret::is_word(bytes) {
            return self.mask_word(word, Kind::Secret);
        }
        if word.has(DOT) && is_plain_value(bytes) {
            return self.mask_word(word, Kind::Auto);
        }
        self.keep(word);
    }

    /// Masks a key block up to its end or the end of the text.
    fn pem(&mut self) {
        let tail = self.bytes.get(self.i..).unwrap_or_default();
        let end = tail.windows(8).position(|w| w == b"-----END");
        let close = end.map_or(self.bytes.len(), |at| {
            let from = self.i + at + 8;
            run(self.bytes, run(self.bytes, from, |b| b != b'-'), |b| {
                b == b'-'
            })
        });
        self.mask(close, Kind::Secret);
    }

    fn digits(&mut self, word: Word) {
        let bytes = word.of(self.bytes);
        let call = at(self.bytes, word.end) == b'('
            && at(self.bytes, word.end + 1) == b')'
            && !at(bytes, 0).is_ascii_digit()
            && bytes.iter().all(|&b| is_word(b));
        if call || is_standard(bytes) {
            return self.keep(word);
        }
        if secret::is_word(bytes) {
            return self.mask_word(word, Kind::Secret);
        }
        if at(bytes, 0).is_ascii_digit()
            && bytes.len() <= 2
            && let Some(end) = date::from_day(self.bytes, word.start, word.end)
        {
            return self.mask(end, Kind::Time);
        }
        if word.has(DOT)
            && let Some(number) = numbered(bytes)
            && !is_plain_value(span(bytes, 0, number))
        {
            self.i = word.start + number;
        }
        self.mask_word(word, Kind::Auto);
    }
}

/// Says whether a word without digits is a value but for the dots at its end.
fn is_plain_value(word: &[u8]) -> bool {
    let core = span(word, 0, word.len() - trailing_dots(word));
    let one_case =
        core.iter().all(u8::is_ascii_lowercase) || core.iter().all(u8::is_ascii_uppercase);
    let hex = core.len() >= HEX_LETTERS_MIN && core.iter().all(u8::is_ascii_hexdigit) && one_case;
    let long = core.len() >= LETTERS_MAX && core.iter().all(u8::is_ascii_alphabetic) && one_case;
    hex || long
        || is_nothing(core)
        || [&b"true"[..], b"false", b"nil"]
            .iter()
            .any(|w| w.eq_ignore_ascii_case(core))
}

/// Returns where the number of `core.2275` begins: one plain word, a dot, digits alone.
fn numbered(bytes: &[u8]) -> Option<usize> {
    let core = span(bytes, 0, bytes.len() - trailing_dots(bytes));
    let number = core.iter().rposition(|b| !b.is_ascii_digit())? + 1;
    let word = core.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let dots = core.get(word..number)?;
    (word > 1 && number < core.len() && !dots.is_empty() && dots.iter().all(|&b| b == b'.'))
        .then_some(number)
}

/// Says whether a word means that there is no value, as languages print it.
fn is_nothing(word: &[u8]) -> bool {
    matches!(word, b"null" | b"NULL" | b"none" | b"None" | b"NONE")
}

fn trailing_dots(bytes: &[u8]) -> usize {
    let dots = bytes.iter().rev().take_while(|&&b| b == b'.').count();
    if dots == bytes.len() { 0 } else { dots }
}

fn is_standard(word: &[u8]) -> bool {
    let core = span(word, 0, word.len() - trailing_dots(word));
    // Most identifiers begin otherwise or are longer.
    let first = at(core, 0).to_ascii_lowercase();
    core.len() <= 10
        && matches!(
            first,
            b'b' | b'g'..=b'i' | b'l' | b'm' | b'o' | b's' | b'u' | b'x'
        )
        && STANDARDS
            .iter()
            .any(|s| s.as_bytes().eq_ignore_ascii_case(core))
}
