//! The result of a scan: literal text and masks, from which both forms of a template are written.
//!
//! It must never decide what is a mask; it only joins masks that stand beside each other.

use super::class::{at, is_blank, span};
use super::kind::Kind;
use super::{secret, shape};

/// A stretch of literal text followed by at most one mask.
#[derive(Debug, Clone, Copy)]
struct Piece {
    literal: (u32, u32),
    value: (u32, u32),
    kind: Kind,
    /// The mask belongs to the mask before it; the literal between them only separates.
    joined: bool,
}

/// The pieces of one scanned text, reused from call to call.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one text"
)]
pub(super) struct Pieces {
    list: Vec<Piece>,
    literal_from: usize,
    /// Since the last mask only separators were written.
    separators_only: bool,
    size: usize,
    size_max: usize,
    pub(super) full: bool,
    /// Another scan of the result may find more.
    pub(super) unsettled: bool,
    /// A word holds a byte that is not ASCII.
    pub(super) foreign: bool,
}

/// Bytes that may stand between two masks of one value.
fn is_separator(byte: u8) -> bool {
    is_blank(byte)
        || matches!(
            byte,
            b',' | b';' | b':' | b'|' | b'/' | b'_' | b'#' | b'@' | b'+' | b'-'
        )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a scanned text is at most 8 KiB long"
)]
fn short(at: usize) -> u32 {
    at as u32
}

impl Pieces {
    /// Forgets the last text; literal text starts at `from`, forms hold `size_max` bytes.
    pub(super) fn start(&mut self, from: usize, size_max: usize) {
        self.list.clear();
        self.literal_from = from;
        self.separators_only = false;
        self.size = 0;
        self.size_max = size_max;
        self.full = false;
        self.unsettled = false;
        self.foreign = false;
    }

    fn push(&mut self, piece: Piece) {
        let literal = (piece.literal.1 - piece.literal.0) as usize;
        let mask = match piece.kind {
            Kind::Nothing => 0,
            Kind::Blank => 1,
            _ => "<*>".len(),
        };
        if !piece.joined {
            self.size += literal + mask;
            self.full = self.size > self.size_max;
        }
        self.list.push(piece);
    }

    /// Notes a mask over the bytes from `start` to `end`.
    ///
    /// Returns whether it belongs to the mask before it.
    pub(super) fn mask(&mut self, bytes: &[u8], start: usize, end: usize, kind: Kind) -> bool {
        let gap = span(bytes, self.literal_from, start);
        let joined = self.separators_only
            && (gap.iter().all(|&b| is_separator(b)) || (gap == b"." && !self.after_blank()));
        if joined {
            self.join_back();
        }
        self.push(Piece {
            literal: (short(self.literal_from), short(start)),
            value: (short(start), short(end)),
            kind,
            joined,
        });
        self.literal_from = end;
        self.separators_only = true;
        joined
    }

    fn after_blank(&self) -> bool {
        self.list.last().is_some_and(|p| p.kind == Kind::Blank)
    }

    /// Marks what was folded since the last mask as belonging to it.
    fn join_back(&mut self) {
        for piece in self.list.iter_mut().rev() {
            if piece.kind != Kind::Blank {
                break;
            }
            piece.joined = true;
            self.size -= (piece.literal.1 - piece.literal.0) as usize + 1;
        }
    }

    /// Returns the first byte from `start` on that no mask holds yet.
    pub(super) fn from(&self, start: usize) -> usize {
        self.literal_from.max(start)
    }

    /// Folds the blanks from `start` to `end` into one.
    pub(super) fn blanks(&mut self, bytes: &[u8], start: usize, end: usize) {
        if end - start == 1 && at(bytes, start) == b' ' {
            return;
        }
        let gap = span(bytes, self.literal_from, start);
        self.separators_only = self.separators_only && gap.iter().all(|&b| is_separator(b));
        self.push(Piece {
            literal: (short(self.literal_from), short(start)),
            value: (short(start), short(end)),
            kind: Kind::Blank,
            joined: false,
        });
        self.literal_from = end;
    }

    /// Ends the scan: what is left up to `end` is literal.
    pub(super) fn finish(&mut self, end: usize) {
        if self.literal_from < end {
            self.push(Piece {
                literal: (short(self.literal_from), short(end)),
                value: (short(end), short(end)),
                kind: Kind::Nothing,
                joined: false,
            });
        }
    }

    /// Writes the form that is hashed: every mask is `<*>`, neighbours are one.
    pub(super) fn canonical(&self, text: &str, out: &mut String) {
        out.clear();
        for piece in self.list.iter().filter(|piece| !piece.joined) {
            out.push_str(slice(text, piece.literal));
            match piece.kind {
                Kind::Nothing => {}
                Kind::Blank => out.push(' '),
                _ => out.push_str("<*>"),
            }
        }
        trim(out);
    }

    /// Writes the form that people read: masks say what they hide.
    pub(super) fn template(&self, text: &str, out: &mut String) {
        out.clear();
        let mut run = Run::default();
        for piece in &self.list {
            if !piece.joined {
                run.close(out);
                out.push_str(slice(text, piece.literal));
            }
            match piece.kind {
                Kind::Nothing => {}
                Kind::Blank if piece.joined => run.blank = true,
                Kind::Blank => out.push(' '),
                Kind::Placeholder => {
                    let gap = if piece.joined {
                        slice(text, piece.literal)
                    } else {
                        ""
                    };
                    run.placeholder(gap, slice(text, piece.value), out);
                }
                Kind::AutoStr if has_secret_key(slice(text, piece.literal)) => {
                    run.add(Kind::Secret, "");
                }
                kind => {
                    let gap = if piece.joined {
                        slice(text, piece.literal)
                    } else {
                        ""
                    };
                    run.add(shape::resolve(kind, slice(text, piece.value)), gap);
                }
            }
        }
        run.close(out);
        trim(out);
    }

    /// Visits the text that is shown as it is.
    pub(super) fn each_literal<'t>(&self, text: &'t str, mut visit: impl FnMut(&'t str)) {
        for piece in &self.list {
            visit(slice(text, piece.literal));
        }
    }
}

/// The masks that are joined to each other, while they are written.
#[derive(Debug, Default)]
struct Run {
    kind: Option<Kind>,
    after_placeholder: bool,
    /// A folded blank stood before what comes next.
    blank: bool,
}

impl Run {
    fn add(&mut self, kind: Kind, gap: &str) {
        self.kind = Some(match self.kind {
            None => kind,
            // `1,190 bytes`: the unit of a grouped number is the unit of all of it.
            Some(Kind::Num) if kind == Kind::Size => kind,
            // `includes/User.php:3811`, `db1:3306`: what is behind the colon only adds to it.
            Some(before @ (Kind::Path | Kind::Host | Kind::Ip | Kind::Id))
                if kind == Kind::Num && gap == ":" =>
            {
                before
            }
            Some(before) if before == kind => kind,
            Some(_) => Kind::Any,
        });
    }

    /// Writes a placeholder; what stood between two of them stays.
    fn placeholder(&mut self, gap: &str, name: &str, out: &mut String) {
        let after_mask = self.kind.is_some();
        self.flush(out);
        if after_mask {
            out.push(' ');
        } else {
            out.push_str(if self.blank { " " } else { gap });
        }
        self.blank = false;
        out.push_str(name);
        self.after_placeholder = true;
    }

    fn flush(&mut self, out: &mut String) {
        let Some(kind) = self.kind.take() else { return };
        if self.after_placeholder {
            out.push(' ');
        }
        out.push_str(kind.mask());
        self.after_placeholder = true;
    }

    fn close(&mut self, out: &mut String) {
        self.flush(out);
        *self = Self::default();
    }
}

/// Says whether a literal ends with the key of a secret, as in `password=`.
fn has_secret_key(literal: &str) -> bool {
    let front = literal.strip_suffix('=').unwrap_or_default().as_bytes();
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
    let len = front.iter().rev().take_while(|b| part(b)).count();
    secret::is_key(span(front, front.len() - len, front.len()))
}

fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

fn trim(out: &mut String) {
    let kept = out
        .trim_end_matches(|c: char| c.is_ascii() && is_blank(c as u8))
        .len();
    out.truncate(kept);
}
