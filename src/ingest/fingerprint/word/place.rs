//! Words that name a place or a person: paths, addresses of mail, hosts, names in another script.
//!
//! It must never look at the words around but for the capitalised ones behind a foreign name.

use super::super::class::{
    AT, BACKSLASH, DASH, DIGIT, DOT, HIGH, LOWER, NON_HEX, SLASH, STOP, UNDERSCORE, UPPER, at,
    class, is_blank, is_word, run, span,
};
use super::super::kind::Kind;
use super::super::scan::Scan;
use super::{Word, text, trailing_dots};

const TOP_LEVEL_DOMAINS: [&str; 23] = [
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "io",
    "hk",
    "cn",
    "de",
    "uk",
    "fr",
    "ru",
    "jp",
    "tw",
    "in",
    "br",
    "us",
    "local",
    "lan",
    "internal",
    "localdomain",
    "svc",
    "wmnet",
];

impl Scan<'_> {
    /// Takes a path, an address of mail, a host: words that are values by their marks.
    pub(super) fn place(&mut self, word: Word) -> bool {
        let bytes = self.bytes;
        if word.has(AT) && self.mail(word) {
            return true;
        }
        if word.has(SLASH) && self.path(word) {
            return true;
        }
        if word.has(BACKSLASH)
            && at(bytes, word.start) == b'\\'
            && at(bytes, word.start + 1) == b'\\'
        {
            self.mask_word(word, Kind::Path);
            return true;
        }
        if word.has(HIGH) && self.mask_scripts && self.foreign(word) {
            return true;
        }
        if word.has(DOT) && self.host(word) {
            self.mask_word(word, Kind::Host);
            return true;
        }
        false
    }

    fn mail(&mut self, word: Word) -> bool {
        let bytes = word.of(self.bytes);
        let Some(sign) = bytes.iter().position(|&b| b == b'@') else {
            return false;
        };
        let before =
            sign > 0 && at(bytes, sign - 1) != b'/' && class(at(bytes, sign - 1)) & AT == 0;
        let mail = before && is_word(at(bytes, sign + 1));
        if mail {
            self.mask_word(word, Kind::Auto);
        }
        mail
    }

    fn path(&mut self, word: Word) -> bool {
        let bytes = word.of(self.bytes);
        let root = bytes
            .iter()
            .take(3)
            .take_while(|&&b| b == b'.' || b == b'~')
            .count();
        let rooted = at(bytes, root) == b'/' && bytes.len() > root + 1;
        let slashes = bytes.split(|&b| b == b'/').count() - 1;
        let deep = slashes >= 2 && bytes.len() > 4;
        if !deep && (!rooted || at(bytes, root + 1) == b'/') {
            return false;
        }
        let mut end = word.end;
        if rooted && at(self.bytes, end) == b'?' {
            end = run(self.bytes, end, |b| {
                !is_blank(b) && !matches!(b, b'\'' | b'"' | b'<' | b'>')
            });
        }
        if rooted && word.start > 0 && at(self.bytes, word.start - 1) == b'<' {
            return false;
        }
        let dots = trailing_dots(span(self.bytes, word.start, end));
        self.mask(end - dots, if rooted { Kind::Path } else { Kind::Auto });
        true
    }

    /// Takes a word of another script with up to two capitalised words behind it.
    fn foreign(&mut self, word: Word) -> bool {
        let letters = text(word.of(self.bytes))
            .chars()
            .any(|c| !c.is_ascii() && c.is_alphabetic());
        if !letters {
            return false;
        }
        let mut end = word.end;
        for _ in 0..2 {
            if at(self.bytes, end) != b' ' || !at(self.bytes, end + 1).is_ascii_uppercase() {
                break;
            }
            let next = run(self.bytes, end + 1, is_word);
            if at(self.bytes, next) == b':' || class(at(self.bytes, next)) & STOP == 0 {
                break;
            }
            end = next;
        }
        self.mask(end, Kind::Name);
        true
    }

    fn host(&self, word: Word) -> bool {
        let name = word.of(self.bytes);
        let name = span(name, 0, name.len() - trailing_dots(name));
        let Some(dot) = name.iter().rposition(|&b| b == b'.') else {
            return false;
        };
        let last = span(name, dot + 1, name.len());
        at(last, 0).is_ascii_alphabetic()
            && dot > 0
            && at(name, 0) != b'.'
            && word.only(LOWER | UPPER | NON_HEX | DIGIT | DOT | DASH | UNDERSCORE)
            && is_domain(last)
    }
}

/// Says whether a label is a top-level domain, or one that networks use inside.
pub(super) fn is_domain(label: &[u8]) -> bool {
    TOP_LEVEL_DOMAINS
        .iter()
        .any(|domain| domain.as_bytes() == label)
}
