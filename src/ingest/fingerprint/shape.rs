//! Names the type of a masked value from its text.
//!
//! It is only asked when a template is shown; it must never decide whether something is masked.

use super::class::{DIGIT, DOT, HIGH, NON_HEX, at, class};
use super::kind::Kind;

/// Returns the kind that is shown for a value that the scan left undecided.
pub(super) fn resolve(kind: Kind, value: &str) -> Kind {
    match kind {
        Kind::Auto => of(value).unwrap_or(Kind::Id),
        Kind::AutoStr => of(value).unwrap_or(Kind::Str),
        other => other,
    }
}

/// Returns the kind of a value, or nothing for a plain text.
pub(super) fn of(value: &str) -> Option<Kind> {
    let value = value.trim_matches(|c: char| matches!(c, '"' | '\'' | '`'));
    let bytes = value.as_bytes();
    let flags = bytes.iter().fold(0, |flags, &b| flags | class(b));
    if flags & DIGIT == 0 && !value.contains(['/', '\\', '@', ':']) {
        return word(value);
    }
    if value.contains("://") {
        return Some(Kind::Url);
    }
    if (flags & HIGH == 0 || value.contains(['µ', '€', '£']))
        && let Some(kind) = digits(value, flags & NON_HEX == 0, flags & DOT != 0)
    {
        return Some(kind);
    }
    if let Some((_, domain)) = value.split_once('@') {
        return Some(if domain.contains('.') {
            Kind::Email
        } else {
            Kind::Id
        });
    }
    let home = value.starts_with('~') && value.contains('/');
    if home || value.starts_with(['/', '\\']) || value.matches('/').count() > 1 {
        return Some(Kind::Path);
    }
    if at(bytes, 1) == b':' && at(bytes, 2) == b'\\' {
        return Some(Kind::Path);
    }
    (flags & DIGIT != 0).then_some(Kind::Id)
}

fn word(value: &str) -> Option<Kind> {
    let known = |list: &[&str]| list.iter().any(|word| word.eq_ignore_ascii_case(value));
    if known(&["true", "false"]) {
        return Some(Kind::Bool);
    }
    if known(&["null", "none", "nil"]) {
        return Some(Kind::Null);
    }
    if value.len() >= 8 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(Kind::Hex);
    }
    None
}

fn digits(value: &str, hex_only: bool, dotted: bool) -> Option<Kind> {
    if is_time(value) {
        return Some(Kind::Time);
    }
    if is_number(value) {
        return Some(Kind::Num);
    }
    if hex_only && is_uuid(value) {
        return Some(Kind::Uuid);
    }
    if hex_only && is_mac(value) {
        return Some(Kind::Mac);
    }
    if is_ipv4(value) || is_ipv6(value) {
        return Some(Kind::Ip);
    }
    let hex = value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
        .unwrap_or(value);
    if (hex.len() >= 7 || hex.len() < value.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(Kind::Hex);
    }
    if let Some(kind) = unit(value) {
        return Some(kind);
    }
    (dotted && is_version(value)).then_some(Kind::Version)
}

fn is_number(value: &str) -> bool {
    if let Some((part, whole)) = value.split_once('/') {
        return is_number(part) && is_number(whole) && !whole.starts_with(['-', '+']);
    }
    if let Some((from, to)) = value.split_once('-')
        && !from.is_empty()
        && [from, to]
            .iter()
            .all(|n| n.bytes().all(|b| b.is_ascii_digit()))
    {
        return !to.is_empty();
    }
    let core = value
        .trim_start_matches(['+', '-', '~', '#', '$', '*', '€', '£'])
        .trim_end_matches('%');
    let dots = core.bytes().filter(|&b| b == b'.').count();
    let (mantissa, exponent) = core.split_once(['e', 'E']).unwrap_or((core, "0"));
    let plain = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
    };
    dots < 2
        && plain(mantissa)
        && mantissa.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && plain(exponent.trim_start_matches(['+', '-']))
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value
            .bytes()
            .enumerate()
            .all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23))
}

/// Says whether a text is a MAC address as `00-1b-44-11-3a-b7` or `001b.4411.3ab7`.
fn is_mac(value: &str) -> bool {
    let groups = |mark: char, len: usize| value.split(mark).all(|group| group.len() == len);
    (value.len() == 17 && groups('-', 2)) || (value.len() == 14 && groups('.', 4))
}

/// Says whether a text is an IPv4 address, with or without port or mask.
pub(super) fn is_ipv4(value: &str) -> bool {
    let address = value.trim_start_matches('/');
    let address = address.split([':', '/']).next().unwrap_or_default();
    let mut parts = 0;
    for part in address.split('.') {
        parts += 1;
        if part.len() > 3 || part.parse::<u8>().is_err() {
            return false;
        }
    }
    parts == 4
}

/// Says whether a text is an IPv6 address, with or without zone or prefix length.
pub(super) fn is_ipv6(value: &str) -> bool {
    let address = value
        .trim_start_matches('[')
        .split([']', '%', '/'])
        .next()
        .unwrap_or_default();
    let groups = address.split(':').count();
    (3..=9).contains(&groups)
        && (groups == 8 || address.matches("::").count() == 1)
        && !address.contains(":::")
        && (address.starts_with("::") || !address.starts_with(':'))
        && (address.ends_with("::") || !address.ends_with(':'))
        && address.len() > 2
        && address
            .split(':')
            .all(|g| g.len() <= 4 && g.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_time(value: &str) -> bool {
    let b = value.as_bytes();
    let d = |i: usize| at(b, i).is_ascii_digit();
    let day = d(0) && d(3) && matches!(at(b, 4), b'-' | b'/') && d(5) && d(6);
    if day && at(b, 7) == at(b, 4) && d(8) && d(9) {
        return !d(10);
    }
    if b.len() <= 16 && is_date(value) {
        return true;
    }
    let colon = b.iter().position(|&c| c == b':');
    matches!(colon, Some(1 | 2))
        && value
            .bytes()
            .all(|c| c.is_ascii_digit() || b":.,".contains(&c))
}

/// Says whether a text is a day as `20.01.2016`, `01/20/2016`, `20-Jan-2016` or `20160120T012003Z`.
fn is_date(value: &str) -> bool {
    let digits =
        |s: &str, len: &[usize]| len.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if let Some((day, clock)) = value.split_once('T') {
        return digits(day, &[8]) && digits(clock.trim_end_matches('Z'), &[6]);
    }
    let parts = |mark: char| {
        let (first, rest) = value.split_once(mark)?;
        let (second, third) = rest.split_once(mark)?;
        Some((first, second, third))
    };
    ['.', '/', '-']
        .into_iter()
        .filter_map(parts)
        .any(|(a, b, c)| {
            let month = b.len() == 3 && b.bytes().all(|b| b.is_ascii_alphabetic());
            digits(a, &[1, 2]) && (digits(b, &[1, 2]) || month) && digits(c, &[4])
        })
}

const DURATIONS: [&str; 15] = [
    "ns", "us", "µs", "ms", "msec", "msecs", "s", "sec", "secs", "m", "min", "mins", "h", "hr", "d",
];
const SIZES: [&str; 18] = [
    "b", "B", "kb", "mb", "gb", "kB", "KB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB",
    "K", "M", "G",
];

fn unit(value: &str) -> Option<Kind> {
    let core = value.trim_start_matches(['+', '-', '~', '<', '>']);
    let number = core
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let suffix = core
        .get(number..)
        .unwrap_or_default()
        .trim_start_matches(' ');
    if number == 0 || suffix.is_empty() {
        return None;
    }
    if SIZES.contains(&suffix.trim_end_matches("/s")) {
        return Some(Kind::Size);
    }
    let letters = suffix.bytes().take_while(u8::is_ascii_alphabetic).count();
    let first = suffix.get(..letters).unwrap_or_default();
    let rest = suffix.get(letters..).unwrap_or_default();
    if DURATIONS.contains(&first) || first == "µs" {
        return (rest.is_empty() || unit(rest) == Some(Kind::Dur)).then_some(Kind::Dur);
    }
    (suffix == "µs").then_some(Kind::Dur)
}

fn is_version(value: &str) -> bool {
    let core = value.trim_start_matches(['v', 'V']);
    core.starts_with(|c: char| c.is_ascii_digit())
        && core
            .split('.')
            .take(2)
            .all(|p| p.starts_with(|c: char| c.is_ascii_digit()))
        && core
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-+~_".contains(&b))
}
