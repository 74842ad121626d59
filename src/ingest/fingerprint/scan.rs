//! The single pass over the bytes of a message that finds every value in it.
//!
//! It must never step back, never look at a byte more than a bounded number of times and never
//! decide by the type of a value: whatever is masked in one form is masked in the other.

use super::class::{STOP, at, class, is_blank, is_word, run, span};
use super::kind::{Kind, MASK_BYTES_MAX};
use super::piece::Pieces;
use super::size;
use super::structure::{self, Fuel};
use super::word::notable::prose;

/// What the words just before say about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Expect {
    /// Nothing.
    #[default]
    Nothing,
    /// `for` or `for invalid` was read: `user` may follow.
    User,
    /// `for user` was read: a name follows.
    Name,
    /// `Bearer`, `Basic` or `password:` was read: a credential follows.
    Secret,
}

/// One scan of one text.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) i: usize,
    pub(super) fuel: Fuel,
    pub(super) expect: Expect,
    /// Words of the script that is in the minority are values.
    pub(super) mask_scripts: bool,
    /// A bracket was no list because of what stood in it, which a mask may yet replace.
    pub(super) bracket_open: bool,
    pub(super) out: &'a mut Pieces,
}

impl Scan<'_> {
    /// Scans the whole text.
    pub(super) fn run(mut self) {
        let bytes = self.bytes;
        while self.i < bytes.len() && !self.out.full {
            if self.expect == Expect::Nothing {
                self.i = prose(bytes, self.i);
            }
            let b = at(bytes, self.i);
            if class(b) & STOP == 0 {
                self.word();
            } else if b == b' ' && !is_blank(at(bytes, self.i + 1)) {
                self.i += 1;
            } else if is_blank(b) {
                let end = run(bytes, self.i, is_blank);
                self.out.blanks(bytes, self.i, end);
                self.i = end;
            } else {
                self.mark(b);
            }
        }
        self.out.finish(self.i.min(bytes.len()));
    }

    /// Masks the bytes up to `end`, with the unit that follows, and goes on behind them.
    pub(super) fn mask(&mut self, end: usize, kind: Kind) {
        let (mut end, mut kind) = (end, kind);
        while let Some(unit_end) = size::unit(self.bytes, end) {
            end = size::restated(self.bytes, unit_end);
            kind = if kind == Kind::Placeholder {
                kind
            } else {
                Kind::Size
            };
        }
        let joined = self.out.mask(self.bytes, self.i, end, kind);
        if self.bracket_open
            && (joined
                || span(self.bytes, self.i, end)
                    .iter()
                    .any(|&b| is_list_mark(b)))
        {
            self.out.unsettled = true;
        }
        self.i = end;
        self.expect = Expect::Nothing;
    }

    /// Takes one mark that ends words.
    fn mark(&mut self, b: u8) {
        let (bytes, i) = (self.bytes, self.i);
        // A mask is glued as the word was that it stands for.
        let glued = i > 0 && (is_word(at(bytes, i - 1)) || at(bytes, i - 1) == b'>');
        match b {
            b'<' | b'>' => self.angle(b),
            b'{' => self.brace(glued),
            b'[' => self.bracket(glued),
            b']' => {
                self.bracket_open = false;
                self.skip(1);
            }
            b'(' if i > 0 && is_blank(at(bytes, i - 1)) => {
                let close = run(bytes, i + 1, is_blank);
                self.skip(1);
                if at(bytes, close) == b')' {
                    self.out.mask(bytes, i + 1, close, Kind::Any);
                    self.i = close;
                }
            }
            b':' if at(bytes, i + 1) == b':' && !glued && self.address() => {}
            _ => self.skip(1),
        }
    }

    /// Leaves `n` bytes as they are.
    fn skip(&mut self, n: usize) {
        self.i += n;
        self.expect = Expect::Nothing;
    }

    fn angle(&mut self, b: u8) {
        let (bytes, i) = (self.bytes, self.i);
        if b == b'<'
            && let Some((kind, len)) =
                Kind::at_start(span(bytes, i, bytes.len().min(i + MASK_BYTES_MAX)))
        {
            return self.mask(i + len, kind);
        }
        if b == b'<' && span(bytes, i, i + 5) == b"<nil>" {
            return self.mask(i + 5, Kind::Null);
        }
        if b == b'<'
            && is_word(at(bytes, i.wrapping_sub(1)))
            && let Some(end) = structure::session_user(bytes, i)
        {
            return self.mask(end, Kind::Session);
        }
        if b == b'<'
            && let Some(end) = structure::object(bytes, i)
        {
            return self.mask(end, Kind::Obj);
        }
        let arrow = b == b'>' && i > 0 && matches!(at(bytes, i - 1), b'-' | b'=');
        match self.bounded_duration(i).filter(|_| !arrow) {
            Some(end) => self.mask(end, Kind::Dur),
            None => self.skip(1),
        }
    }

    /// Returns the end of `<1 sec` and `> 5 minutes`: a duration of which only a bound is known.
    fn bounded_duration(&self, i: usize) -> Option<usize> {
        let bytes = self.bytes;
        let start = run(bytes, i + 1, is_blank);
        let end = run(bytes, start, |b| b.is_ascii_digit() || b == b'.');
        if end == start {
            return None;
        }
        let unit = run(bytes, end, is_blank);
        let stop = run(bytes, unit, |b| b.is_ascii_alphabetic());
        let known = matches!(
            span(bytes, unit, stop),
            b"sec"
                | b"secs"
                | b"second"
                | b"seconds"
                | b"msec"
                | b"msecs"
                | b"ms"
                | b"us"
                | b"minute"
                | b"minutes"
                | b"min"
                | b"mins"
                | b"hour"
                | b"hours"
                | b"day"
                | b"days"
        );
        (known && !is_word(at(bytes, stop))).then_some(stop)
    }

    fn brace(&mut self, glued: bool) {
        let (bytes, i) = (self.bytes, self.i);
        if i > 0 && at(bytes, i - 1) == b'&' && self.fresh(i - 1) {
            return self.printed(i - 1);
        }
        if !glued && let Some(end) = structure::placeholder(bytes, i) {
            return self.mask(end, Kind::Placeholder);
        }
        if let Some(end) = structure::map(bytes, i, &mut self.fuel) {
            return self.mask(end, Kind::Map);
        }
        // Where its quotes hold what becomes a mask, it may be a map yet.
        let first = at(bytes, run(bytes, i + 1, is_blank));
        self.out.unsettled |= matches!(first, b'"' | b'\'');
        self.skip(1);
    }

    /// Says whether a word can begin here.
    fn fresh(&self, start: usize) -> bool {
        let before = at(self.bytes, start.wrapping_sub(1));
        start == 0
            || is_blank(before)
            || matches!(
                before,
                b'=' | b'(' | b':' | b',' | b'[' | b'{' | b'|' | b'"' | b'\''
            )
    }

    /// Takes a value as Go prints it, `&{…}` or `map[…]`, whose mark stands before the bracket.
    fn printed(&mut self, start: usize) {
        match structure::balanced(self.bytes, self.i, &mut self.fuel) {
            Some(end) => {
                self.i = self.out.from(start).min(self.i);
                self.mask(end, Kind::Map);
            }
            None => self.skip(1),
        }
    }

    fn bracket(&mut self, glued: bool) {
        let (bytes, i) = (self.bytes, self.i);
        if let Some(end) = structure::session(bytes, i) {
            return self.mask(end, Kind::Session);
        }
        if i >= 3 && span(bytes, i - 3, i) == b"map" && self.fresh(i - 3) {
            return self.printed(i - 3);
        }
        if glued || (i > 0 && at(bytes, i - 1) == b']') {
            return self.skip(1);
        }
        let Some(close) = structure::list(bytes, i, &mut self.fuel) else {
            self.bracket_open = true;
            return self.skip(1);
        };
        self.mask(close + 1, Kind::List);
    }
}

/// Says whether a byte may not stand in an unquoted item of a list.
fn is_list_mark(b: u8) -> bool {
    is_blank(b)
        || matches!(
            b,
            b',' | b';' | b'[' | b']' | b'{' | b'}' | b'(' | b')' | b'"' | b'\''
        )
}
