//! Tells in one look that a word of letters alone means nothing to a masker.
//!
//! It must never say so of a word that `plain` would take for more: it may be wrong the other way.

use super::super::class::{NON_HEX, STOP, at, class, is_blank, letters, span};
use super::{HEX_LETTERS_MIN, LETTERS_MAX};

/// Words that `plain` looks for in any case.
const WORDS: [&str; 8] = [
    "nil", "null", "none", "true", "false", "for", "basic", "bearer",
];

/// Words that begin a date, with the capital that they need.
const DAYS: [&str; 38] = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Sept",
    "Oct",
    "Nov",
    "Dec",
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Mon",
    "Tue",
    "Wed",
    "Thu",
    "Fri",
    "Sat",
    "Sun",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// For each first byte a bit for each length of such words.
const LENGTHS: [u16; 256] = build();

const fn build() -> [u16; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < WORDS.len() + DAYS.len() {
        #[expect(
            clippy::indexing_slicing,
            reason = "constant, and in bounds or no build"
        )]
        {
            let any_case = i < WORDS.len();
            let word = if any_case {
                WORDS[i]
            } else {
                DAYS[i - WORDS.len()]
            };
            let (first, bit) = (word.as_bytes()[0], 1 << word.len());
            table[first as usize] |= bit;
            if any_case {
                table[first.to_ascii_uppercase() as usize] |= bit;
            }
        }
        i += 1;
    }
    table
}

/// What a byte is to prose: it ends it, or it is a letter, a blank, or a mark without meaning.
const END: u8 = 0;
const LETTER: u8 = 1;
const BLANK: u8 = 2;

const PROSE: [u8; 256] = prose_bytes();

const fn prose_bytes() -> [u8; 256] {
    let mut table = [END; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte cannot exceed the 256 entries"
        )]
        {
            table[byte as usize] = match byte {
                b'a'..=b'z' | b'A'..=b'Z' => LETTER,
                b' ' => BLANK,
                b',' | b';' | b')' | b'"' | b'\'' | b'!' | b'?' | b'|' => BLANK + 1,
                _ => END,
            };
        }
        byte += 1;
    }
    table
}

/// Returns the end of the prose from `start`: words of letters, single blanks and marks that mean
/// nothing to a masker.
#[inline]
pub(in super::super) fn prose(bytes: &[u8], start: usize) -> usize {
    let mut i = start;
    while let Some(&first) = bytes.get(i) {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte cannot exceed the 256 entries"
        )]
        match PROSE[usize::from(first)] {
            END => break,
            LETTER => {
                let end = letters(bytes, i);
                let next = at(bytes, end);
                let dot = next == b'.' && matches!(at(bytes, end + 1), b' ' | 0);
                let ends = dot || (class(next) & STOP != 0 && next != b':' && next != b'=');
                if !ends || may_be(span(bytes, i, end)) {
                    break;
                }
                i = end + usize::from(dot);
            }
            BLANK if is_blank(at(bytes, i + 1)) => break,
            _ => i += 1,
        }
    }
    i
}

/// Says whether a word of ASCII letters may be more than prose.
#[inline]
fn may_be(word: &[u8]) -> bool {
    let Some(&first) = word.first() else {
        return true;
    };
    #[expect(
        clippy::indexing_slicing,
        reason = "a byte cannot exceed the 256 entries"
    )]
    let lengths = LENGTHS[usize::from(first)];
    let len = word.len();
    if len >= LETTERS_MAX {
        return true;
    }
    let listed = len < 16 && lengths >> len & 1 == 1;
    listed || (len >= HEX_LETTERS_MIN && word.iter().all(|&b| class(b) & NON_HEX == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_looked_for_is_notable() {
        for word in WORDS {
            assert!(may_be(word.as_bytes()), "{word}");
            assert!(may_be(word.to_ascii_uppercase().as_bytes()), "{word}");
        }
        assert!(DAYS.iter().all(|word| may_be(word.as_bytes())));
        for word in [
            "deadbeef",
            "DEADBEEFCAFE",
            "abcdefghijklmnopqrstuvabcdefghij",
            "",
        ] {
            assert!(may_be(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn prose_ends_where_a_masker_must_look() {
        for (text, rest) in [
            ("Storing all sessions. Really, all", ""),
            ("the \"page\" is gone: x", "gone: x"),
            ("key=value", "key=value"),
            ("is null", "null"),
            ("two  blanks", "  blanks"),
            ("end ", ""),
            ("it lasts 5 ms", "5 ms"),
            ("wait...", "wait..."),
            ("en.wikipedia.org", "en.wikipedia.org"),
            ("(a)", "(a)"),
        ] {
            assert_eq!(text.get(prose(text.as_bytes(), 0)..), Some(rest), "{text}");
        }
    }

    #[test]
    fn prose_is_not() {
        for word in [
            "user",
            "Session",
            "connection",
            "sunday",
            "decade",
            "facade",
        ] {
            assert!(!may_be(word.as_bytes()), "{word}");
        }
    }
}
