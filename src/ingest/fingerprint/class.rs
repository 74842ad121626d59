//! Byte classes: what one byte says about the word that it stands in.
//!
//! It must never look at more than one byte; everything here is a table look-up.

/// A set of byte classes, the union over a word says what the word is made of.
pub(super) type Flags = u16;

pub(super) const DIGIT: Flags = 1;
pub(super) const UPPER: Flags = 1 << 1;
pub(super) const LOWER: Flags = 1 << 2;
/// A letter that no hexadecimal number holds.
pub(super) const NON_HEX: Flags = 1 << 3;
pub(super) const DOT: Flags = 1 << 4;
pub(super) const SLASH: Flags = 1 << 5;
pub(super) const DASH: Flags = 1 << 6;
pub(super) const AT: Flags = 1 << 7;
pub(super) const BACKSLASH: Flags = 1 << 8;
pub(super) const HIGH: Flags = 1 << 9;
/// Any other byte that may stand in a word.
pub(super) const SYMBOL: Flags = 1 << 10;
pub(super) const UNDERSCORE: Flags = 1 << 11;
/// Ends a word: a blank, a control byte or one of the split marks.
pub(super) const STOP: Flags = 1 << 15;

const TABLE: [Flags; 256] = build();

const fn build() -> [Flags; 256] {
    let mut table = [SYMBOL; 256];
    let mut i = 0;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "i is below 256")]
        let byte = i as u8;
        #[expect(
            clippy::indexing_slicing,
            reason = "i is below 256, the length of the table"
        )]
        {
            table[i] = of(byte);
        }
        i += 1;
    }
    table
}

const fn of(byte: u8) -> Flags {
    match byte {
        b'0'..=b'9' => DIGIT,
        b'a'..=b'f' => LOWER,
        b'g'..=b'z' => LOWER | NON_HEX,
        b'A'..=b'F' => UPPER,
        b'G'..=b'Z' => UPPER | NON_HEX,
        b'.' => DOT,
        b'/' => SLASH,
        b'-' => DASH,
        b'_' => UNDERSCORE,
        b'@' => AT,
        b'\\' => BACKSLASH,
        128..=255 => HIGH,
        0..=32
        | 127
        | b','
        | b';'
        | b':'
        | b'='
        | b'|'
        | b'"'
        | b'\''
        | b'('
        | b')'
        | b'['
        | b']'
        | b'{'
        | b'}'
        | b'<'
        | b'>'
        | b'!'
        | b'?' => STOP,
        _ => SYMBOL,
    }
}

/// Returns the class of one byte.
#[inline]
pub(super) fn class(byte: u8) -> Flags {
    #[expect(
        clippy::indexing_slicing,
        reason = "a byte cannot exceed the 256 entries"
    )]
    TABLE[usize::from(byte)]
}

#[cfg(test)]
thread_local! {
    /// Bytes that were looked at, so that a test can say how much work a text makes.
    pub(super) static VISITED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn visit(bytes: usize) {
    VISITED.with(|visited| visited.set(visited.get() + bytes));
}

/// Returns the byte at `i`, or 0 behind the end.
#[inline]
pub(super) fn at(bytes: &[u8], i: usize) -> u8 {
    #[cfg(test)]
    visit(1);
    bytes.get(i).copied().unwrap_or(0)
}

/// Returns the bytes from `start` to `end`, empty when they do not exist.
#[inline]
pub(super) fn span(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    #[cfg(test)]
    visit(end.saturating_sub(start).min(bytes.len()));
    bytes.get(start..end).unwrap_or_default()
}

/// Says whether a byte is a blank of any width.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

/// Says whether a byte may stand inside an identifier.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// Returns the end of the ASCII letters from `start`, eight bytes at a time.
#[inline]
pub(super) fn letters(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x80 * ONES;
    // What added to `a` gives the high bit; 26 less for what follows `z`.
    const FROM_A: u64 = 0x80 - 0x61;
    let mut end = start;
    while let Some(chunk) = bytes.get(end..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        // In each byte the high bit says whether its lower-case form lies from `a` to `z`.
        let lower = (word | (0x20 * ONES)) & !HIGH_BITS;
        let from_a = lower + FROM_A * ONES;
        let behind_z = lower + (FROM_A - 26) * ONES;
        let other = !(from_a & !behind_z & !word) & HIGH_BITS;
        if other != 0 {
            return end + other.trailing_zeros() as usize / 8;
        }
        end += 8;
    }
    while at(bytes, end).is_ascii_alphabetic() {
        end += 1;
    }
    end
}

/// Returns the end of the run from `start` of bytes that `keep` accepts.
#[inline]
pub(super) fn run(bytes: &[u8], start: usize, mut keep: impl FnMut(u8) -> bool) -> usize {
    let tail = bytes.get(start..).unwrap_or_default();
    #[cfg(test)]
    visit(tail.iter().position(|&b| !keep(b)).unwrap_or(tail.len()));
    start + tail.iter().position(|&b| !keep(b)).unwrap_or(tail.len())
}
