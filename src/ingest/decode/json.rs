//! A strict JSON scanner that borrows and never recurses into what nobody asked for.
//!
//! It accepts exactly what RFC 8259 allows (tests compare it with `serde_json`), finds the extent of every
//! value, and leaves the meaning to the caller. It must never allocate per value: nesting of skipped
//! values is kept as bits. Invariant: every [`Span`] lies within the scanned text, on character borders.

/// Nesting past which a value that is asked for is refused.
// RELIABILITY.md §5, "depth bombs": what serde_json allows.
pub(super) const DEPTH_MAX: u32 = 127;

/// Why a text is not the JSON that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// Not JSON.
    Syntax,
    /// A value that is asked for is nested too deep.
    Depth,
}

/// A stretch of bytes of the scanned text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    /// Returns this stretch of a text; empty if it lies outside.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What a value is. As wide as the rest of [`Value`], so that a value is copied in whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// A string without escapes; the span leaves the quotes out.
    Text,
    /// A string with escapes; the span leaves the quotes out.
    Escaped,
    Number,
    Bool,
    Null,
    Object,
    Array,
}

/// A value: what it is, where it stands, and how deep it nests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) depth: u32,
}

/// A place in a JSON text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
    nesting: Nesting,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte.
    pub(super) const fn new(text: &'a str) -> Self {
        Self::at(text, 0)
    }

    /// Starts at a byte of the text.
    pub(super) const fn at(text: &'a str, pos: usize) -> Self {
        Self {
            bytes: text.as_bytes(),
            pos,
            nesting: Nesting::new(),
        }
    }

    /// Steps over blanks and returns the next byte without taking it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes a byte after blanks, or fails.
    pub(super) fn take(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.pos += 1;
            Ok(())
        } else {
            Err(JsonError::Syntax)
        }
    }

    /// Fails if anything but blanks is left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(JsonError::Syntax),
        }
    }

    /// Takes a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Value, JsonError> {
        self.take(b'"')?;
        let start = self.pos;
        let mut kind = Kind::Text;
        loop {
            self.pos += plain_run(self.bytes.get(self.pos..).unwrap_or_default());
            match self.bytes.get(self.pos) {
                Some(b'"') => {
                    let span = Span::new(start, self.pos);
                    self.pos += 1;
                    return Ok(Value {
                        kind,
                        span,
                        depth: 0,
                    });
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                _ => return Err(JsonError::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.pos + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.pos + 2..self.pos + 6);
                if !digits.is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(JsonError::Syntax);
                }
                self.pos += 6;
            }
            _ => return Err(JsonError::Syntax),
        }
        Ok(())
    }

    /// Takes any value, whatever it nests, and tells its extent.
    pub(super) fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(open @ (b'{' | b'[')) => self.container(open),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Kind::Bool),
            Some(b'f') => self.literal(b"false", Kind::Bool),
            Some(b'n') => self.literal(b"null", Kind::Null),
            _ => Err(JsonError::Syntax),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Value, JsonError> {
        let start = self.pos;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(JsonError::Syntax);
        }
        self.pos += word.len();
        let span = Span::new(start, self.pos);
        Ok(Value {
            kind,
            span,
            depth: 0,
        })
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.pos;
        self.step_over(b"-");
        if self.step_over(b"0") == 0 && self.digits() == 0 {
            return Err(JsonError::Syntax);
        }
        if self.step_over(b".") == 1 && self.digits() == 0 {
            return Err(JsonError::Syntax);
        }
        if self.step_over(b"eE") == 1 {
            self.step_over(b"+-");
            if self.digits() == 0 {
                return Err(JsonError::Syntax);
            }
        }
        // `012` and `1x` end up here: what follows the number is checked by whoever reads on.
        if matches!(self.bytes.get(self.pos), Some(b'0'..=b'9')) {
            return Err(JsonError::Syntax);
        }
        let span = Span::new(start, self.pos);
        Ok(Value {
            kind: Kind::Number,
            span,
            depth: 0,
        })
    }

    /// Takes one byte if it is among those given; returns how many it took.
    fn step_over(&mut self, any: &[u8]) -> usize {
        let taken = self.bytes.get(self.pos).is_some_and(|it| any.contains(it));
        self.pos += usize::from(taken);
        usize::from(taken)
    }

    fn digits(&mut self) -> usize {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        let n = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        self.pos += n;
        n
    }

    /// Takes an object or array without recursion.
    fn container(&mut self, open: u8) -> Result<Value, JsonError> {
        let start = self.pos;
        self.nesting.clear();
        self.nesting.open(open);
        self.pos += 1;
        let mut deepest = 1;
        let mut value_done = false;
        let mut fresh = true;
        while self.nesting.depth > 0 {
            let next = self.peek().ok_or(JsonError::Syntax)?;
            if next == self.nesting.closer() && (value_done || fresh) {
                self.pos += 1;
                self.nesting.close();
                value_done = true;
                continue;
            }
            if value_done {
                self.take(b',')?;
                value_done = false;
                fresh = false;
                continue;
            }
            if self.nesting.in_object() {
                self.string()?;
                self.take(b':')?;
            }
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.nesting.open(open);
                    self.pos += 1;
                    deepest = deepest.max(self.nesting.depth);
                    fresh = true;
                }
                Some(_) => {
                    self.value()?;
                    value_done = true;
                }
                None => return Err(JsonError::Syntax),
            }
        }
        Ok(Value {
            kind: if open == b'{' {
                Kind::Object
            } else {
                Kind::Array
            },
            span: Span::new(start, self.pos),
            depth: u32::try_from(deepest).unwrap_or(u32::MAX),
        })
    }
}

/// Which of the open containers are objects, one bit each.
#[derive(Debug)]
struct Nesting {
    depth: usize,
    /// The innermost up to 64; the lowest bit is the innermost.
    bits: u64,
    /// Full words of outer ones.
    outer: Vec<u64>,
}

impl Nesting {
    const fn new() -> Self {
        Self {
            depth: 0,
            bits: 0,
            outer: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.depth = 0;
        self.outer.clear();
    }

    fn open(&mut self, byte: u8) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(byte == b'{');
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    const fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    const fn closer(&self) -> u8 {
        if self.in_object() { b'}' } else { b']' }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Returns how many bytes from the start hold no quote, backslash or control character; eight at a time.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut done = 0;
    let mut rest = bytes;
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let found = (zero_bytes(word ^ (ONES * 0x22))
            | zero_bytes(word ^ (ONES * 0x5c))
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if found != 0 {
            return done + (found.trailing_zeros() / 8) as usize;
        }
        done += 8;
        rest = tail;
    }
    done + rest
        .iter()
        .take_while(|&&it| it >= 0x20 && it != b'"' && it != b'\\')
        .count()
}

/// Marks zero bytes by their high bit; exact for the lowest one.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// Appends the meaning of an escaped string; returns whether a lone surrogate had to be replaced.
pub(super) fn unescape(raw: &str, out: &mut String) -> bool {
    let mut replaced = false;
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('u') => {
                let (found, tail) = unicode_escape(chars.as_str());
                replaced |= found.is_none();
                out.push(found.unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = tail;
                continue;
            }
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    replaced
}

/// Reads what follows `\u`, with the second half of a pair if there is one; `None` for a lone surrogate.
fn unicode_escape(text: &str) -> (Option<char>, &str) {
    let Some((first, rest)) = hex4(text) else {
        return (None, text);
    };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first), rest);
    }
    let second = rest.strip_prefix("\\u").and_then(hex4);
    match second {
        Some((low, tail)) if (0xdc00..0xe000).contains(&low) => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code), tail)
        }
        _ => (None, rest),
    }
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_ok() && scanner.end().is_ok()
    }

    fn serde_says(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    #[test]
    fn nesting_of_any_depth_is_skipped() {
        for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
            let text = format!("{}{}", "[{\"a\":".repeat(depth), "1") + &"}]".repeat(depth);
            let mut scanner = Scanner::new(&text);
            assert_eq!(scanner.value().unwrap().depth as usize, depth * 2);
            assert!(!valid(&text.replace("1}", "1]")), "{depth}");
        }
    }

    #[test]
    fn escapes_mean_what_serde_says_they_mean() {
        for raw in [
            r"a\nb",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u00e9\u0000",
            r"\ud83d\ude00x",
            r"\uD83D\uDE00",
        ] {
            let mut ours = String::new();
            assert!(!unescape(raw, &mut ours));
            let theirs: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            assert_eq!(ours, theirs);
        }
        let mut ours = String::new();
        assert!(unescape(r"\ud83dx\ude00\ud83d\ud83d\ude00", &mut ours));
        assert_eq!(ours, "\u{fffd}x\u{fffd}\u{fffd}\u{1f600}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn we_accept_what_serde_accepts(text in "[\\[\\]{}\",:0-9.eE+ \\-a-fnrtux\\\\]{0,24}") {
            prop_assert_eq!(valid(&text), serde_says(&text), "{}", text);
        }

        #[test]
        fn we_accept_what_serde_accepts_when_valid_json_is_cut_or_changed(
            value in json_value(), at in 0.0..1.0f64, with in "[\\[\\]{}\",:0-9a-f\\\\ ]{0,2}", cut in 0usize..3,
        ) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert!(valid(&text));
            let mut chars: Vec<char> = text.chars().collect();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "a place in a short text")]
            let place = (chars.len() as f64 * at) as usize;
            let end = (place + cut).min(chars.len());
            chars.splice(place..end, with.chars());
            let text: String = chars.into_iter().collect();
            prop_assert_eq!(valid(&text), serde_says(&text), "{}", text);
        }
    }

    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
            ]
        })
    }
}
