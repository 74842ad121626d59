//! Amounts of data: the unit that belongs to a number, and the same amount said a second time.
//!
//! It must never look at the number: whatever is masked before a unit becomes one with it, so that
//! `0 bytes`, `815 B` and `1.2 KB` are one value, as the programs that print them mean it.

use super::class::{at, is_blank, is_word, run, span};

/// Returns the end of a unit of data that belongs to a value which ends at `end`.
pub(super) fn unit(bytes: &[u8], end: usize) -> Option<usize> {
    let start = run(bytes, end, is_blank);
    let first = at(bytes, start);
    if !matches!(
        first,
        b'B' | b'K' | b'M' | b'G' | b'T' | b'P' | b'k' | b'm' | b'g' | b'b'
    ) {
        return None;
    }
    let stop = run(bytes, start, |b| b.is_ascii_alphabetic());
    let known = matches!(
        span(bytes, start, stop),
        b"B" | b"kb"
            | b"mb"
            | b"gb"
            | b"kB"
            | b"byte"
            | b"bytes"
            | b"Byte"
            | b"Bytes"
            | [b'K' | b'M' | b'G' | b'T' | b'P', b'B']
            | [b'K' | b'M' | b'G' | b'T' | b'P', b'i', b'B']
    );
    // `status=200 bytes=1234`: what a key says is no unit of the value before it.
    if !known || is_word(at(bytes, stop)) || at(bytes, stop) == b'=' {
        return None;
    }
    let per = at(bytes, stop) == b'/'
        && matches!(at(bytes, stop + 1), b's')
        && !is_word(at(bytes, stop + 2));
    Some(if per { stop + 2 } else { stop })
}

/// Returns the end of an amount that ends at `end`, with the parenthesis that says it again in
/// another unit, as in `1190 bytes (1.16 KB)`.
pub(super) fn restated(bytes: &[u8], end: usize) -> usize {
    let open = run(bytes, end, is_blank);
    if at(bytes, open) != b'(' {
        return end;
    }
    let number = run(bytes, open + 1, |b| {
        b.is_ascii_digit() || matches!(b, b'.' | b',')
    });
    if !at(bytes, open + 1).is_ascii_digit() {
        return end;
    }
    match unit(bytes, number) {
        Some(close) if at(bytes, close) == b')' => close + 1,
        _ => end,
    }
}
