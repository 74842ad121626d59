//! Message templates of a scenario and the values that fill them.
//!
//! Values look like the real ones: base-32 session ids, user names in many scripts, addresses of the
//! documentation ranges. Everything is written already escaped for the shape in use.

use std::collections::BTreeMap;

use super::random::Rng;

/// What stands between the constant parts of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Param {
    ExceptionId,
    ExceptionMessage,
    RequestId,
    Url,
    Line,
    Path,
    Version,
    Wiki,
    Server,
    Session,
    SessionInfo,
    Bit,
    UserId,
    UserName,
    Ip,
    Method,
    Millis,
    Number,
    Hex,
    Value(usize),
}

const NAMES: [(&str, Param); 19] = [
    ("exception_id", Param::ExceptionId),
    ("exception_message", Param::ExceptionMessage),
    ("reqId", Param::RequestId),
    ("url", Param::Url),
    ("line", Param::Line),
    ("path", Param::Path),
    ("mwversion", Param::Version),
    ("wiki", Param::Wiki),
    ("server", Param::Server),
    ("session", Param::Session),
    ("session_info", Param::SessionInfo),
    ("bit", Param::Bit),
    ("user_id", Param::UserId),
    ("user", Param::UserName),
    ("client_ip", Param::Ip),
    ("method", Param::Method),
    ("ms", Param::Millis),
    ("number", Param::Number),
    ("hex", Param::Hex),
];

#[derive(Clone, Debug)]
enum Piece {
    Constant(String),
    Param(Param, String),
}

/// Lists of values from the scenario, escaped for the shape in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    json: bool,
    names: Vec<String>,
    values: Vec<Vec<String>>,
}

/// A text with parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// What is the same for all records of one occurrence, and where values come from.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) lists: &'a Lists,
    pub(crate) exception_id: u32,
    pub(crate) request_id: &'a str,
    pub(crate) url: &'a str,
    pub(crate) wiki: &'a str,
    pub(crate) server: &'a str,
    pub(crate) version: &'a str,
    pub(crate) path: &'a str,
    pub(crate) line: u32,
    pub(crate) method: &'a str,
    pub(crate) exception_message: &'a str,
}

/// Where a parameter's value stands in the rendered text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) piece: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Lists {
    /// Takes the scenario's lists.
    pub(crate) fn new(values: &BTreeMap<String, Vec<String>>, json: bool) -> Self {
        let escaped = |list: &Vec<String>| list.iter().map(|it| escape(it, json)).collect();
        Self {
            json,
            names: values.keys().cloned().collect(),
            values: values.values().map(escaped).collect(),
        }
    }

    /// Picks a value from a list; empty if there is no such list.
    pub(crate) fn pick(&self, name: &str, rng: &mut Rng) -> &str {
        self.names
            .iter()
            .position(|it| it == name)
            .map_or("", |it| self.pick_at(it, rng))
    }

    fn pick_at(&self, place: usize, rng: &mut Rng) -> &str {
        let Some(list) = self.values.get(place) else {
            return "";
        };
        list.get(rng.index(list.len())).map_or("", |it| it)
    }

    /// Escapes a text for the shape in use.
    pub(crate) fn escape(&self, text: &str) -> String {
        escape(text, self.json)
    }
}

impl Template {
    /// Reads a text with `{parameters}`, in which `{{` and `}}` stand for braces; the error names what is unknown.
    pub(crate) fn parse(text: &str, lists: &Lists) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut constant = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(place);
            constant.push_str(before);
            if let Some(tail) = after.strip_prefix("{{") {
                constant.push('{');
                rest = tail;
                continue;
            }
            if let Some(tail) = after.strip_prefix("}}") {
                constant.push('}');
                rest = tail;
                continue;
            }
            let named = after.strip_prefix('{').and_then(|it| it.split_once('}'));
            let Some((name, tail)) = named else {
                return Err(format!(
                    "`{text}` has a brace without its partner; write it twice to mean it"
                ));
            };
            if !constant.is_empty() {
                pieces.push(Piece::Constant(lists.escape(&constant)));
                constant.clear();
            }
            let known = NAMES.iter().find(|it| it.0 == name).map(|it| it.1);
            let listed = || lists.names.iter().position(|it| it == name);
            match known.or_else(|| listed().map(Param::Value)) {
                Some(param) => pieces.push(Piece::Param(param, name.to_owned())),
                None => return Err(format!("`{{{name}}}` is neither known nor in [values]")),
            }
            rest = tail;
        }
        constant.push_str(rest);
        if !constant.is_empty() {
            pieces.push(Piece::Constant(lists.escape(&constant)));
        }
        Ok(Self { pieces })
    }

    /// Writes the text with its values; notes where each value stands.
    pub(crate) fn render(
        &self,
        scene: &Scene<'_>,
        rng: &mut Rng,
        out: &mut String,
        filled: &mut Vec<Filled>,
    ) {
        filled.clear();
        for (place, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Constant(text) => out.push_str(text),
                Piece::Param(param, _) => {
                    let from = out.len();
                    write_param(*param, scene, rng, out);
                    filled.push(Filled {
                        piece: place,
                        from,
                        to: out.len(),
                    });
                }
            }
        }
    }

    /// Writes the text with its parameters as `{name}`.
    pub(crate) fn write_names(&self, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Constant(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Param(_, name) => {
                    out.push(b'{');
                    out.extend_from_slice(name.as_bytes());
                    out.push(b'}');
                }
            }
        }
    }

    /// Returns the name of the parameter at a piece.
    pub(crate) fn name_at(&self, piece: usize) -> &str {
        match self.pieces.get(piece) {
            Some(Piece::Param(_, name)) => name,
            _ => "",
        }
    }
}

fn write_param(param: Param, scene: &Scene<'_>, rng: &mut Rng, out: &mut String) {
    match param {
        Param::ExceptionId => push_hex(scene.exception_id, out),
        Param::ExceptionMessage => out.push_str(scene.exception_message),
        Param::RequestId => out.push_str(scene.request_id),
        Param::Url => out.push_str(scene.url),
        Param::Line => push_number(u64::from(scene.line), out),
        Param::Path => out.push_str(scene.path),
        Param::Version => out.push_str(scene.version),
        Param::Wiki => out.push_str(scene.wiki),
        Param::Server => out.push_str(scene.server),
        Param::Session => push_session(rng, out),
        Param::SessionInfo => push_session_info(scene.lists, rng, out),
        Param::Bit => out.push(if rng.below(2) == 0 { '0' } else { '1' }),
        Param::UserId => push_number(u64::from(rng.below(26_000_000)) + 1, out),
        Param::UserName => push_user(scene.lists, rng, out),
        Param::Ip => push_ip(rng, out),
        Param::Method => out.push_str(scene.method),
        Param::Millis => push_number(skewed(rng, 30_000), out),
        Param::Number => push_number(skewed(rng, 40_000_000), out),
        Param::Hex => push_hex(rng.below(u32::MAX), out),
        Param::Value(place) => out.push_str(scene.lists.pick_at(place, rng)),
    }
}

/// Draws a number up to `max` that is mostly far smaller.
fn skewed(rng: &mut Rng, max: u32) -> u64 {
    let limit = rng.below(max) + 1;
    u64::from(rng.below(limit)) + 1
}

/// Writes a decimal number.
pub(crate) fn push_number(number: u64, out: &mut String) {
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    for digit in digits.iter().skip(digits.len() - used) {
        out.push(char::from(*digit));
    }
}

fn push_hex(number: u32, out: &mut String) {
    for shift in (0..8).rev() {
        let digit = (number >> (shift * 4)) & 15;
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// Writes a session id: 32 characters of base 32.
fn push_session(rng: &mut Rng, out: &mut String) {
    for n_digits in [12, 12, 8] {
        let mut bits = rng.bits();
        for _ in 0..n_digits {
            let digit = u32::try_from(bits & 31).unwrap_or_default();
            out.push(char::from_digit(digit, 32).unwrap_or('0'));
            bits >>= 5;
        }
    }
}

/// Writes a user: `[30]MediaWiki\Session\CookieSessionProvider<+:4821:Name>id`, or without a name.
fn push_session_info(lists: &Lists, rng: &mut Rng, out: &mut String) {
    out.push('[');
    push_number(u64::from(rng.below(100)) + 1, out);
    out.push(']');
    let provider = if rng.below(10) < 7 {
        ["CentralAuthSessionProvider", "CentralAuthSessionProvider"]
    } else if lists.json {
        [
            "MediaWiki\\\\Session\\\\CookieSessionProvider",
            "MediaWiki\\\\Session\\\\BotPasswordSessionProvider",
        ]
    } else {
        [
            "MediaWiki\\Session\\CookieSessionProvider",
            "MediaWiki\\Session\\BotPasswordSessionProvider",
        ]
    };
    out.push_str(if rng.below(8) == 0 {
        provider.last().copied().unwrap_or_default()
    } else {
        provider.first().copied().unwrap_or_default()
    });
    match rng.below(20) {
        0 => out.push_str("<anon>"),
        1 => out.push_str("<null>"),
        roll => {
            out.push_str(if roll == 2 { "<-:" } else { "<+:" });
            push_number(u64::from(rng.below(26_000_000)) + 1, out);
            out.push(':');
            push_user(lists, rng, out);
            out.push('>');
        }
    }
    push_session(rng, out);
}

/// Writes a user name, often with a number, so that there are very many.
fn push_user(lists: &Lists, rng: &mut Rng, out: &mut String) {
    out.push_str(lists.pick("user_name", rng));
    if rng.below(3) > 0 {
        push_number(u64::from(rng.below(9_999)), out);
    }
}

/// Writes an address of the ranges that RFC 5737 and RFC 3849 keep for examples.
pub(crate) fn push_ip(rng: &mut Rng, out: &mut String) {
    if rng.below(5) == 0 {
        out.push_str("2001:db8:");
        push_short_hex(rng.below(0xffff), out);
        out.push(':');
        push_short_hex(rng.below(0xffff), out);
        out.push_str("::");
        push_short_hex(rng.below(0xffff), out);
        return;
    }
    out.push_str(match rng.below(3) {
        0 => "192.0.2.",
        1 => "198.51.100.",
        _ => "203.0.113.",
    });
    push_number(u64::from(rng.below(254)) + 1, out);
}

fn push_short_hex(number: u32, out: &mut String) {
    let mut started = false;
    for shift in (0..4).rev() {
        let digit = (number >> (shift * 4)) & 15;
        started |= digit != 0 || shift == 0;
        if started {
            out.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
    }
}

/// Escapes a text for a JSON string, or leaves it as it is.
pub(crate) fn escape(text: &str, json: bool) -> String {
    if !json {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if other < ' ' => {
                out.push_str("\\u00");
                let code = u32::from(other);
                out.push(char::from_digit(code >> 4, 16).unwrap_or('0'));
                out.push(char::from_digit(code & 15, 16).unwrap_or('0'));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_32_characters_of_base_32() {
        let mut rng = Rng::new(5);
        for _ in 0..100 {
            let mut out = "x".to_owned();
            push_session(&mut rng, &mut out);
            assert_eq!(out.len(), 33);
            assert!(
                out.bytes()
                    .skip(1)
                    .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'v'))
            );
        }
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let error = Template::parse("a {nope} b", &Lists::default()).unwrap_err();
        assert!(error.contains("{nope}"), "{error}");
        assert!(Template::parse("a { b", &Lists::default()).is_err());
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 26_000_000, u64::MAX] {
            let mut out = String::new();
            push_number(number, &mut out);
            assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn escaping_gives_a_json_string() {
        let text = "a\"b\\c\nd\te\u{1}é";
        let back: String = serde_json::from_str(&format!("\"{}\"", escape(text, true))).unwrap();
        assert_eq!(back, text);
    }
}
