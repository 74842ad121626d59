//! The entry to stage 1: a text in, its template or its canonical form out.
//!
//! It must never allocate once its buffers have grown, and never return more than the bound.

use super::class::is_blank;
use super::piece::Pieces;
use super::scan::{Expect, Scan};
use super::structure::Fuel;

/// Bytes of a message that are looked at; the rest cannot change what it is.
pub const LOOKED_AT_BYTES_MAX: usize = 8 * 1024;
/// Longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 2 * 1024;

/// Rounds after which a text that still changes is taken as it is; two are the usual number.
const ROUNDS_MAX: usize = 6;

/// Scans messages, keeping its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Masker {
    pieces: Pieces,
    out: String,
    again: String,
}

/// The two forms that one scan can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Template,
    Canonical,
}

impl Masker {
    /// Makes a masker with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the text with each value replaced by a typed mask, for people to read.
    pub fn template<'a>(&'a mut self, text: &str) -> &'a str {
        self.form(text, Form::Template);
        &self.out
    }

    /// Returns the text with each value replaced by `<*>`, which is what an identity is made of.
    pub fn canonical<'a>(&'a mut self, text: &str) -> &'a str {
        self.form(text, Form::Canonical);
        &self.out
    }

    fn form(&mut self, text: &str, form: Form) {
        let text = looked_at(text);
        self.scan(text, false);
        if self.settled(text) {
            return self.write(text, form);
        }
        self.intermediate(text);
        // What is rare is repeated until it is stable, so that a template is its own template.
        for _ in 0..ROUNDS_MAX {
            std::mem::swap(&mut self.out, &mut self.again);
            let before = std::mem::take(&mut self.again);
            self.scan(&before, false);
            if self.minority_script(&before) {
                self.scan(&before, true);
            }
            self.intermediate(&before);
            let stable = self.out == before;
            if stable {
                self.write(&before, form);
            }
            self.again = before;
            if stable {
                return;
            }
        }
    }

    /// Says whether one scan is all that a text needs.
    fn settled(&self, text: &str) -> bool {
        !self.pieces.full
            && !self.pieces.unsettled
            && (!self.pieces.foreign || !self.minority_script(text))
    }

    /// Writes what the next round starts from.
    fn intermediate(&mut self, text: &str) {
        if self.pieces.full {
            self.pieces.canonical(text, &mut self.out);
            cut(&mut self.out);
        } else {
            self.pieces.template(text, &mut self.out);
        }
    }

    fn write(&mut self, text: &str, form: Form) {
        if form == Form::Template {
            self.pieces.template(text, &mut self.out);
        }
        if form == Form::Canonical || self.out.len() > TEMPLATE_BYTES_MAX {
            self.pieces.canonical(text, &mut self.out);
        }
    }

    fn scan(&mut self, text: &str, mask_scripts: bool) {
        let bytes = text.as_bytes();
        let start = bytes.iter().take_while(|&&b| is_blank(b)).count();
        self.pieces.start(start, TEMPLATE_BYTES_MAX);
        let scan = Scan {
            bytes,
            i: start,
            fuel: Fuel(4 * bytes.len() + 64),
            expect: Expect::default(),
            mask_scripts,
            bracket_open: false,
            out: &mut self.pieces,
        };
        scan.run();
    }

    /// Says whether what is shown as text holds a few letters of a script that is not ASCII.
    ///
    /// 40 %: below it the letters are names inside a message of another language.
    fn minority_script(&self, text: &str) -> bool {
        let (mut foreign, mut letters) = (0_usize, 0_usize);
        self.pieces.each_literal(text, |literal| {
            for c in literal.chars().filter(|c| c.is_alphabetic()) {
                letters += 1;
                foreign += usize::from(!c.is_ascii());
            }
        });
        foreign > 0 && (foreign * 5 < letters * 2 || foreign < 3)
    }
}

/// Returns the first line that holds anything, at most as long as what is looked at.
pub fn looked_at(text: &str) -> &str {
    let start = text.bytes().take_while(|&b| is_blank(b)).count();
    let text = text.get(start..).unwrap_or_default();
    let mut end = text.len().min(LOOKED_AT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end).unwrap_or_default();
    let line = memchr::memchr2(b'\n', b'\r', head.as_bytes()).unwrap_or(end);
    head.get(..line).unwrap_or_default()
}

/// Cuts a template that is too long behind its last blank within the bound.
fn cut(out: &mut String) {
    if out.len() <= TEMPLATE_BYTES_MAX {
        return;
    }
    let mut end = TEMPLATE_BYTES_MAX;
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    let head = out.get(..end).unwrap_or_default();
    let blank = head.rfind(' ').filter(|&at| at > TEMPLATE_BYTES_MAX / 2);
    let stop = blank.or_else(|| head.rfind(|c: char| c.is_ascii_punctuation() && c != '>'));
    out.truncate(stop.unwrap_or(0));
}

/// Returns the canonical form of a template: the one that identities and merges are made of.
pub fn canonical_of(template: &str) -> String {
    let mut masker = Masker::new();
    masker.canonical(template).to_owned()
}
