//! Words that a colon joins to what follows: URLs, clocks, addresses, ports, keys.
//!
//! It must never take a colon before a blank for more than the end of a word, except where a
//! credential is announced.

use super::super::class::{
    AT, DASH, DIGIT, DOT, LOWER, NON_HEX, SLASH, SYMBOL, UNDERSCORE, UPPER, at, class, is_blank,
    is_word, run, span,
};
use super::super::kind::Kind;
use super::super::scan::{Expect, Scan};
use super::super::{date, secret, shape};
use super::place::is_domain;
use super::{Word, text};

impl Scan<'_> {
    /// Takes a word before a colon when both are one value, or the word announces one.
    pub(super) fn before_colon(&mut self, word: Word) -> bool {
        let bytes = self.bytes;
        let after = at(bytes, word.end + 1);
        if after == b'/' && at(bytes, word.end + 2) == b'/' {
            return self.url(word);
        }
        if after == b'\\' && word.end - word.start == 1 && word.has(LOWER | UPPER) {
            self.mask(windows_path_end(bytes, word.end + 1), Kind::Path);
            return true;
        }
        if let Some(end) = data_uri(bytes, word) {
            self.mask(end, Kind::Url);
            return true;
        }
        if is_blank(after) {
            return self.announced(word);
        }
        if word.has(DIGIT)
            && let Some(end) =
                date::clock(bytes, word.start).or_else(|| date::slashed(bytes, word.start))
        {
            self.mask(end, Kind::Time);
            return true;
        }
        if self.address() {
            return true;
        }
        if after == b':' && is_scope(bytes, word) {
            self.keep(word);
            return true;
        }
        if after.is_ascii_digit() && word.has(DOT) && self.host_and_port(word) {
            return true;
        }
        self.colon_key(word)
    }

    fn url(&mut self, word: Word) -> bool {
        let scheme = word.of(self.bytes);
        let valid = at(scheme, 0).is_ascii_alphabetic()
            && scheme
                .iter()
                .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'));
        if !valid {
            return false;
        }
        let start = word.end + 3;
        let end = url_end(self.bytes, start);
        let tail = span(self.bytes, start, end);
        let dots = tail
            .iter()
            .rev()
            .take_while(|&&b| b == b'.' || b == b':')
            .count();
        self.mask(end - dots, Kind::Url);
        true
    }

    fn announced(&mut self, word: Word) -> bool {
        let bytes = word.of(self.bytes);
        if bytes.eq_ignore_ascii_case(b"cookie") || bytes.eq_ignore_ascii_case(b"set-cookie") {
            let start = run(self.bytes, word.end + 1, is_blank);
            if start < self.bytes.len() {
                self.i = start;
                self.mask(self.bytes.len(), Kind::Secret);
                return true;
            }
        }
        if !secret::announces(bytes) {
            return false;
        }
        self.i = word.end + 1;
        self.expect = Expect::Secret;
        true
    }

    /// Takes an IPv6 or MAC address that starts here.
    pub(in super::super) fn address(&mut self) -> bool {
        let bytes = self.bytes;
        if self.i > 0 && (is_word(at(bytes, self.i - 1)) || at(bytes, self.i - 1) == b':') {
            return false;
        }
        // 64: eight groups of four, seven colons, a zone of an interface name.
        let mut hex = run(bytes, self.i, |b| b.is_ascii_hexdigit() || b == b':');
        // A single colon at the end belongs to the sentence.
        if hex > self.i + 2 && at(bytes, hex - 1) == b':' && at(bytes, hex - 2) != b':' {
            hex -= 1;
        }
        let colons = span(bytes, self.i, hex).split(|&b| b == b':').count() - 1;
        if colons < 2 || hex - self.i > 64 {
            return false;
        }
        let end = match at(bytes, hex) {
            b'%' => run(bytes, hex + 1, is_word),
            b'.' if at(bytes, hex + 1).is_ascii_digit() => {
                run(bytes, hex, |b| b == b'.' || b.is_ascii_digit())
            }
            _ => hex,
        };
        let address = text(span(bytes, self.i, hex));
        let digits = address.bytes().any(|b| b.is_ascii_digit());
        let mac = address.len() == 17 && address.split(':').all(|g| g.len() == 2);
        let whole = match at(bytes, end) {
            b':' => end + 1 == bytes.len() || is_blank(at(bytes, end + 1)),
            b => !is_word(b),
        };
        if !whole || !(mac || shape::is_ipv6(address)) || (!digits && colons < 3) {
            return false;
        }
        let kind = if mac { Kind::Mac } else { Kind::Ip };
        let mask = if at(bytes, end) == b'/' {
            run(bytes, end + 1, |b| b.is_ascii_digit())
        } else {
            end
        };
        self.mask(mask, kind);
        true
    }

    fn host_and_port(&mut self, word: Word) -> bool {
        let port = run(self.bytes, word.end + 1, |b| b.is_ascii_digit());
        let whole = port - word.end <= 6 && !is_word(at(self.bytes, port));
        let name = text(word.of(self.bytes));
        if !whole {
            return false;
        }
        if shape::is_ipv4(name) {
            self.mask(port, Kind::Ip);
            return true;
        }
        let (front, last) = name.rsplit_once('.').unwrap_or_default();
        let labels = last.len() > 1
            && last.bytes().all(|b| b.is_ascii_alphabetic())
            && word.only(LOWER | UPPER | NON_HEX | DIGIT | DOT | DASH | UNDERSCORE)
            && !front.starts_with('.');
        // `state.count:12` is a field: a host is known by its domain, its depth or its number.
        let known = is_domain(last.as_bytes()) || front.contains('.') || word.has(DIGIT | DASH);
        let host = labels && known && !is_file_ending(last);
        if host {
            self.mask(port, Kind::Host);
        }
        host
    }

    /// Takes `enwiki:page:123`: words joined by colons without blanks, a digit among them.
    fn colon_key(&mut self, word: Word) -> bool {
        let bytes = self.bytes;
        let first = at(bytes, word.start).is_ascii_alphabetic()
            && word.only(LOWER | UPPER | NON_HEX | DIGIT | DOT | DASH | UNDERSCORE);
        if !first || (word.start > 0 && at(bytes, word.start - 1) == b':') {
            return false;
        }
        let mut end = word.end;
        let mut parts = 0;
        let mut digit = word.has(DIGIT);
        while at(bytes, end) == b':' {
            let next = run(bytes, end + 1, |b| is_word(b) || b == b'.' || b == b'-');
            if next == end + 1 {
                return false;
            }
            digit |= span(bytes, end, next).iter().any(u8::is_ascii_digit);
            end = next;
            parts += 1;
        }
        let dots = span(bytes, word.start, end)
            .iter()
            .rev()
            .take_while(|&&b| b == b'.')
            .count();
        let key = parts >= 2 && digit && class(at(bytes, end)) & (SYMBOL | SLASH | AT) == 0;
        if key {
            self.mask(end - dots, Kind::Id);
        }
        key
    }
}

/// Says whether a word is the scope in `Brcm43xx::powerChange`: a name of the code, digits or not.
fn is_scope(bytes: &[u8], word: Word) -> bool {
    let behind = at(bytes, word.end + 2);
    at(bytes, word.start).is_ascii_alphabetic()
        && (behind.is_ascii_alphabetic() || behind == b'<')
        && word.only(LOWER | UPPER | NON_HEX | DIGIT | UNDERSCORE)
}

/// Returns the end of a path of Windows, which may go on behind one blank: `C:\Program Files\x`.
fn windows_path_end(bytes: &[u8], start: usize) -> usize {
    let part = |b: u8| {
        !is_blank(b)
            && !matches!(
                b,
                b',' | b';' | b':' | b'\'' | b'"' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
            )
    };
    let end = run(bytes, start, part);
    if at(bytes, end) != b' ' {
        return end;
    }
    let next = run(bytes, end + 1, part);
    let word = span(bytes, end + 1, next);
    let goes_on = word
        .iter()
        .position(|&b| b == b'\\')
        .is_some_and(|at| at > 0);
    if goes_on { next } else { end }
}

/// Returns the end of `data:image/png;base64,…`.
fn data_uri(bytes: &[u8], word: Word) -> Option<usize> {
    if word.of(bytes) != b"data" {
        return None;
    }
    let kind = run(bytes, word.end + 1, |b| is_word(b) || b"/+-.".contains(&b));
    let rest = bytes.get(kind..)?;
    rest.starts_with(b";base64,")
        .then(|| run(bytes, kind + b";base64,".len(), secret::is_token_byte))
}

/// Returns the end of a URL whose host starts at `start`: a parenthesis that opens inside closes
/// inside, and so does the bracket around an IPv6 address.
fn url_end(bytes: &[u8], start: usize) -> usize {
    let mut open = 0_usize;
    let address = if at(bytes, start) == b'[' {
        let close = run(bytes, start + 1, |b| b.is_ascii_hexdigit() || b == b':');
        close + usize::from(at(bytes, close) == b']')
    } else {
        start
    };
    run(bytes, address, |b| {
        match b {
            b'(' => open += 1,
            b')' if open > 0 => open -= 1,
            b')' | b']' | b'\'' | b'"' | b'<' | b'>' | b'}' | b',' | b';' => return false,
            _ => {}
        }
        !is_blank(b)
    })
}

/// Says whether a host's last label is the ending of a source file, whose number is a line.
fn is_file_ending(last: &str) -> bool {
    [
        "java", "php", "py", "go", "js", "ts", "rs", "cs", "cpp", "scala", "kt", "rb", "inc",
    ]
    .contains(&last)
}
