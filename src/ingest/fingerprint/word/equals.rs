//! `key=value`: the key stays, the value is masked, an empty value stays empty.
//!
//! It must never swallow the next key.

use super::super::class::{at, is_blank, is_word, run, span};
use super::super::kind::Kind;
use super::super::scan::{Expect, Scan};
use super::super::structure;
use super::{WORD_BYTES_MAX, Word, trailing_dots};

impl Scan<'_> {
    /// Takes `key=value`: the key stays, an empty value stays empty.
    pub(super) fn before_equals(&mut self, word: Word) -> bool {
        let bytes = self.bytes;
        let lead = word
            .of(bytes)
            .iter()
            .take_while(|&&b| {
                matches!(
                    b,
                    b'-' | b'/' | b'$' | b'@' | b'.' | b'+' | b'*' | b'&' | b'#' | b'%'
                )
            })
            .count();
        let key = span(bytes, word.start + lead, word.end);
        let valid = (at(key, 0).is_ascii_alphabetic() || at(key, 0) == b'_')
            && key
                .iter()
                .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        let after = at(bytes, word.end + 1);
        if !valid || after == b'=' || key.len() > WORD_BYTES_MAX {
            return false;
        }
        self.i = word.end + 1;
        self.expect = Expect::Nothing;
        let quote = matches!(after, b'"' | b'\'');
        let end = if quote {
            structure::quoted(bytes, self.i, &mut self.fuel)
        } else {
            Some(value_end(bytes, self.i))
        };
        let Some(end) = end.filter(|&e| e > self.i) else {
            self.out.unsettled |= quote;
            return true;
        };
        let next = at(bytes, end);
        let closed = end >= bytes.len()
            || is_blank(next)
            || matches!(
                next,
                b',' | b';' | b')' | b']' | b'}' | b'>' | b'|' | b'.' | b'&'
            );
        if !closed {
            // What stands between the quotes may become a mask, and then the quote ends elsewhere.
            self.out.unsettled |= quote;
            return true;
        }
        let dots = if quote {
            0
        } else {
            trailing_dots(span(bytes, self.i, end))
        };
        self.mask(end - dots, Kind::AutoStr);
        true
    }
}

/// Returns the end of an unquoted value, which `&` ends where another `key=` follows.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        end = run(bytes, end, |b| {
            !is_blank(b)
                && !matches!(
                    b,
                    b',' | b';'
                        | b'('
                        | b')'
                        | b'['
                        | b']'
                        | b'{'
                        | b'}'
                        | b'<'
                        | b'>'
                        | b'"'
                        | b'\''
                        | b'='
                        | b'|'
                        | b'&'
                )
        });
        if at(bytes, end) != b'&' {
            return end;
        }
        let key = run(bytes, end + 1, |b| is_word(b) || b == b'.' || b == b'-');
        if key > end + 1 && at(bytes, key) == b'=' {
            return end;
        }
        end += 1;
    }
}
