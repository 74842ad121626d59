//! Tokens of canonical templates: what stands at a position, and how likely it is a value.
//!
//! It must never depend on the order in which tokens were met: hashes are of text, and weights of
//! the token and its neighbours alone.

use std::collections::HashMap;

/// A token of a table; the leading blank belongs to it, so that templates re-join exactly.
pub(super) type Token = u32;

/// The mask, without a leading blank.
pub(super) const MASK: Token = 0;
/// The mask, with a leading blank.
pub(super) const BLANK_MASK: Token = 1;

/// How likely an alternating token is a value, in thousandths: 1000 is needed over a column.
pub(super) type Weight = u32;

/// An identifier: dots, slashes, underscores or two hyphens inside.
const IDENTIFIER: Weight = 500;
/// A word with a capital inside.
const CAMEL: Weight = 500;
/// One hyphen between words.
const HYPHEN: Weight = 400;
/// One token in quotes.
const QUOTED: Weight = 340;
/// A plain word, lower-case or capitalised.
const WORD: Weight = 200;
/// A word of another script in mixed case.
const FOREIGN: Weight = 250;
/// A word in capitals: most often a constant of the code.
const CAPITALS: Weight = 150;
/// One letter, or the name of an option.
const LETTER: Weight = 100;
/// The first token of a message: most often a verb or a component.
const FIRST: Weight = 100;
/// The first token, when it is an identifier of several parts.
const FIRST_IDENTIFIER: Weight = 340;
/// A value that was seen in another variable column, and the same as first token.
const KNOWN: Weight = 500;
const KNOWN_FIRST: Weight = 340;
/// Names that a word has to be a part of to be a value by itself.
const NAMES_MIN: u32 = 2;
/// Dots from which on a name is the path of a package or class.
const PACKAGE_DOTS_MIN: usize = 3;

/// What a token is by itself.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one token"
)]
struct Info {
    text: Box<str>,
    /// The same token without its leading blank.
    bare: Token,
    hash: u64,
    blank: bool,
    word: bool,
    /// Its weight where its neighbours say nothing.
    weight: Weight,
    capitals: bool,
    single: bool,
    first: Weight,
    letters: u32,
    /// Only bytes that may stand between masks of one value.
    separator: bool,
    /// It was in a column that became variable.
    known: bool,
    /// Values of variable columns that it is a part of.
    names: u32,
    /// The words of a name in capitals, in lower case.
    parts: Box<[Token]>,
}

/// All tokens of one run.
#[derive(Debug)]
pub(super) struct Tokens {
    list: Vec<Info>,
    by_text: HashMap<Box<str>, Token>,
}

impl Tokens {
    pub(super) fn new() -> Self {
        let mut tokens = Self {
            list: Vec::new(),
            by_text: HashMap::new(),
        };
        tokens.intern("<*>");
        tokens.intern(" <*>");
        tokens
    }

    pub(super) fn intern(&mut self, text: &str) -> Token {
        if let Some(&token) = self.by_text.get(text) {
            return token;
        }
        let bare_text = text.strip_prefix(' ').unwrap_or(text);
        let bare = (bare_text.len() < text.len()).then(|| self.intern(bare_text));
        let mut info = Info::of(text);
        if info.capitals && bare.is_none() {
            let parts = text.split('_').filter(|_| text.contains('_'));
            info.parts = parts.map(|p| self.intern(&p.to_lowercase())).collect();
        }
        let token = Token::try_from(self.list.len()).unwrap_or(MASK);
        info.bare = bare.unwrap_or(token);
        self.list.push(info);
        self.by_text.insert(text.into(), token);
        token
    }

    fn info(&self, token: Token) -> &Info {
        #[expect(
            clippy::indexing_slicing,
            reason = "every token was made by this table"
        )]
        &self.list[token as usize]
    }

    /// Splits a canonical template into its tokens.
    pub(super) fn split(&mut self, text: &str) -> Vec<Token> {
        let mut out = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let len = token_len(rest);
            let (token, tail) = rest.split_at(len);
            if token != " " {
                out.push(self.intern(token));
            }
            rest = tail;
        }
        out
    }

    pub(super) fn text(&self, token: Token) -> &str {
        &self.info(token).text
    }

    pub(super) fn bare(&self, token: Token) -> Token {
        self.info(token).bare
    }

    pub(super) fn bare_text(&self, token: Token) -> &str {
        self.text(self.bare(token))
    }

    pub(super) fn hash(&self, token: Token) -> u64 {
        self.info(token).hash
    }

    pub(super) fn is_word(&self, token: Token) -> bool {
        self.info(token).word
    }

    pub(super) fn has_blank(&self, token: Token) -> bool {
        self.info(token).blank
    }

    pub(super) fn is_known(&self, token: Token) -> bool {
        self.info(self.bare(token)).known
    }

    pub(super) fn is_separator(&self, token: Token) -> bool {
        self.info(token).separator
    }

    pub(super) fn letters(&self, token: Token) -> u32 {
        self.info(token).letters
    }

    /// Returns the mask that stands where `token` stood.
    pub(super) fn mask_for(&self, token: Token) -> Token {
        if self.has_blank(token) {
            BLANK_MASK
        } else {
            MASK
        }
    }

    /// Remembers that a token was a value; says whether that is new.
    pub(super) fn learn(&mut self, token: Token) -> bool {
        let bare = self.bare(token);
        let Some(info) = self.list.get_mut(bare as usize) else {
            return false;
        };
        let new = !info.known && !info.capitals && info.text.chars().count() > 2;
        info.known |= new;
        let text = info.text.clone();
        if new {
            self.learn_parts(&text);
        }
        new
    }

    /// Remembers what the name `orders_feed` is made of: a part of two names is a name itself.
    fn learn_parts(&mut self, name: &str) {
        let is_mark = |c: char| "._-".contains(c);
        // The path of a package or class is made of words that name nothing by themselves.
        let package = name.matches('.').count() >= PACKAGE_DOTS_MIN;
        if package || !name.contains(is_mark) {
            return;
        }
        for part in name.split(is_mark).filter(|part| part.len() > 2) {
            let part = self.intern(part);
            if let Some(info) = self.list.get_mut(part as usize) {
                info.names += 1;
                info.known |= info.names >= NAMES_MIN && !info.capitals;
            }
        }
    }

    /// Says whether each part of a name in capitals, such as `ORDERS_FEED`, is a known value.
    fn is_compound(&self, info: &Info) -> bool {
        !info.parts.is_empty() && info.parts.iter().all(|&part| self.info(part).known)
    }

    /// Returns how likely the token at `i` is a value.
    pub(super) fn weight(&self, template: &[Token], i: usize) -> Weight {
        let Some(&token) = template.get(i) else {
            return 0;
        };
        if is_mask(token) {
            return 500;
        }
        let info = self.info(self.bare(token));
        let plain = self.plain_weight(template, i, info);
        match (info.known || (i > 0 && self.is_compound(info)), i) {
            (false, _) => plain,
            (true, 0) => plain.max(KNOWN_FIRST),
            (true, _) => plain.max(KNOWN),
        }
    }

    fn plain_weight(&self, template: &[Token], i: usize, info: &Info) -> Weight {
        if info.capitals {
            return CAPITALS;
        }
        if i == 0 {
            return info.first;
        }
        let near = |i: usize| template.get(i).map_or("", |&t| self.bare_text(t));
        let before = near(i - 1);
        if info.single || before == "-" {
            return LETTER;
        }
        if before == "=" {
            return IDENTIFIER;
        }
        if matches!(before, "\"" | "'") && near(i + 1) == before {
            return QUOTED;
        }
        info.weight
    }
}

impl Info {
    fn of(text: &str) -> Self {
        let trimmed = text.strip_prefix(' ').unwrap_or(text);
        let last = trimmed.chars().next_back().unwrap_or(' ');
        let letters = trimmed.chars().filter(|c| c.is_alphabetic()).count();
        let count = trimmed.chars().count();
        let marks = trimmed.chars().filter(|c| "._/@#$-".contains(*c)).count();
        let alphabetic = letters == count;
        Self {
            text: text.into(),
            bare: MASK,
            hash: hash(text),
            blank: trimmed.len() < text.len(),
            word: letters > 0 && (last.is_alphanumeric() || "$@#".contains(last)),
            weight: by_shape(trimmed, alphabetic),
            capitals: is_capitals(trimmed),
            single: count == 1,
            first: if alphabetic || marks < 2 {
                FIRST
            } else {
                FIRST_IDENTIFIER
            },
            letters: u32::try_from(letters).unwrap_or(u32::MAX),
            separator: trimmed.bytes().all(|b| b",;:|/_#@+-".contains(&b)),
            known: false,
            names: 0,
            parts: Box::default(),
        }
    }
}

/// Says whether a word is a constant of the code: capitals and underscores alone.
fn is_capitals(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn by_shape(text: &str, alphabetic: bool) -> Weight {
    if !alphabetic {
        // `intent.action.SCREEN_ON`: the constant behind the last dot is what it says.
        if text
            .rsplit_once('.')
            .is_some_and(|(_, last)| is_capitals(last))
        {
            return CAPITALS;
        }
        let hyphens = text.bytes().filter(|&b| b == b'-').count();
        let other = text.contains(['.', '_', '/', '@', '#', '$']);
        return if hyphens == 1 && !other {
            HYPHEN
        } else {
            IDENTIFIER
        };
    }
    let tail = text.get(1..).unwrap_or_default();
    let lower = |s: &str| s.chars().all(char::is_lowercase);
    let capitalised = text.starts_with(|c: char| c.is_ascii_uppercase())
        && tail.bytes().all(|b| b.is_ascii_lowercase());
    if lower(text) || capitalised {
        return WORD;
    }
    if !text.is_ascii() {
        return FOREIGN;
    }
    let inner = text.as_bytes().windows(2);
    let camel = inner
        .into_iter()
        .any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    if camel { CAMEL } else { WORD }
}

/// Says whether a token is the mask.
pub(super) fn is_mask(token: Token) -> bool {
    token <= BLANK_MASK
}

/// Returns the length of the token that a text starts with, its leading blank included.
fn token_len(text: &str) -> usize {
    let lead = usize::from(text.starts_with(' '));
    let body = text.get(lead..).unwrap_or_default();
    if body.starts_with("<*>") {
        return lead + 3;
    }
    let is_part = |c: char| c.is_alphanumeric() || "_$@#".contains(c);
    let mut end = 0;
    for (at, c) in body.char_indices() {
        let part = is_part(c);
        let inner = "./-".contains(c) && end > 0;
        if part {
            end = at + c.len_utf8();
        } else if !inner {
            break;
        }
    }
    if end > 0 {
        return lead + end;
    }
    lead + body.chars().next().map_or(0, char::len_utf8)
}

/// Hashes a text, the same on every machine.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0x9e37_79b9_7f4a_7c15, |state, b| {
        mix(state, u64::from(b) + 1)
    })
}

/// Mixes a value into a hash: a folded 128-bit product, whose halves both reach every bit.
pub(super) fn mix(state: u64, value: u64) -> u64 {
    let a = u128::from(state ^ 0xa076_1d64_78bd_642f);
    let b = u128::from(value ^ 0xe703_7ed1_a0b4_28db);
    let product = a.wrapping_mul(b);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.rotate_left(23) ^ state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut tokens = Tokens::new();
        let list = tokens.split(text);
        list.iter().map(|&t| tokens.text(t).to_owned()).collect()
    }

    #[test]
    fn a_template_is_the_join_of_its_tokens() {
        for text in [
            "a b.c: <*>, d-e",
            "x=<*> \"q\" (y)",
            "...",
            "état <*>",
            "a--b -c",
        ] {
            assert_eq!(split(text).concat(), text);
        }
        assert_eq!(split("a b.c: <*>"), ["a", " b.c", ":", " <*>"]);
        assert_eq!(split("end."), ["end", "."]);
    }

    #[test]
    fn weights_follow_the_shape_of_a_token() {
        let mut tokens = Tokens::new();
        for (text, i, expected) in [
            ("took ACTIVE", 1, 150),
            ("state running", 1, 200),
            ("topic my-topic", 1, 400),
            ("topic my.topic", 1, 500),
            ("class FooBar", 1, 500),
            ("k=vv", 2, 500),
            ("is \"x1y\" ok", 2, 340),
            ("First word", 0, 100),
        ] {
            let template = tokens.split(text);
            assert_eq!(tokens.weight(&template, i), expected, "{text}");
        }
    }

    #[test]
    fn a_part_of_two_names_is_a_name_but_not_of_two_packages() {
        let mut tokens = Tokens::new();
        let template = tokens.split("topic orders of ORDERS_FEED or org");
        for name in ["orders_feed", "new.orders.feed", "org.a.b.C", "org.a.b.D"] {
            let name = tokens.intern(name);
            assert!(tokens.learn(name));
        }
        let weight = |i: usize| tokens.weight(&template, i);
        assert_eq!((weight(1), weight(3), weight(5)), (500, 500, 200));
    }

    #[test]
    fn a_known_value_weighs_more() {
        let mut tokens = Tokens::new();
        let template = tokens.split("volume data");
        assert!(tokens.learn(template[1]));
        assert!(!tokens.learn(template[1]));
        assert_eq!(tokens.weight(&template, 1), 500);
    }
}
