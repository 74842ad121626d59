//! The shapes of things that must not be kept, each recognised from its first byte.
//!
//! Every function looks at a bounded stretch of bytes or at what it will take.

use super::super::class::{at, is_blank, is_word, run, span};
use super::super::shape;

/// Returns the end of a PEM block that starts here; one that was cut off ends with the text.
pub(super) fn pem(bytes: &[u8], i: usize) -> Option<usize> {
    let tail = bytes.get(i..)?;
    if !tail.starts_with(b"-----BEGIN") {
        return None;
    }
    let Some(end) = tail.windows(8).position(|w| w == b"-----END") else {
        return Some(bytes.len());
    };
    let label = run(bytes, i + end + 8, |b| b != b'-');
    Some(run(bytes, label, |b| b == b'-'))
}

/// Returns the credentials in `scheme://user:password@host`, for the word that starts here.
pub(super) fn userinfo(bytes: &[u8], i: usize) -> Option<(usize, usize)> {
    let scheme = run(bytes, i, |b| b.is_ascii_alphanumeric() || b == b'+');
    if scheme == i || span(bytes, scheme, scheme + 3) != b"://" {
        return None;
    }
    let start = scheme + 3;
    let end = run(bytes, start, |b| !is_blank(b) && !b"/?#\"'<>@".contains(&b));
    let has_password = span(bytes, start, end).contains(&b':');
    (at(bytes, end) == b'@' && has_password).then_some((start, end))
}

/// Returns the end of an e-mail address that starts here.
pub(super) fn email(bytes: &[u8], i: usize) -> Option<usize> {
    let local = run(bytes, i, |b| is_word(b) || b"._+%-".contains(&b));
    if local == i || at(bytes, local) != b'@' {
        return None;
    }
    let mut end = run(bytes, local + 1, |b| is_word(b) || b == b'.' || b == b'-');
    while at(bytes, end - 1) == b'.' || at(bytes, end - 1) == b'-' {
        end -= 1;
    }
    let domain = span(bytes, local + 1, end);
    domain.contains(&b'.').then_some(end)
}

/// Returns the end of a payment card number that starts here: 13 to 19 digits, Luhn-valid.
pub(super) fn card(bytes: &[u8], i: usize) -> Option<usize> {
    let mut digits = Vec::new();
    let mut end = i;
    let mut j = i;
    while digits.len() < 20 {
        let b = at(bytes, j);
        if b.is_ascii_digit() {
            digits.push(u32::from(b - b'0'));
            end = j + 1;
        } else if !matches!(b, b' ' | b'-') || end != j {
            break;
        }
        j += 1;
    }
    if !(13..=19).contains(&digits.len()) || is_word(at(bytes, end)) {
        return None;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, &d)| {
            if n % 2 == 0 {
                d
            } else {
                d * 2 - if d > 4 { 9 } else { 0 }
            }
        })
        .sum();
    let varied = digits.iter().any(|d| Some(d) != digits.first());
    (sum.is_multiple_of(10) && varied).then_some(end)
}

/// Returns the end and the /24 of an IPv4 address that starts here.
pub(super) fn ipv4(text: &str, i: usize) -> Option<(usize, String)> {
    let bytes = text.as_bytes();
    if !at(bytes, i).is_ascii_digit() {
        return None;
    }
    let mut end = run(bytes, i, |b| b.is_ascii_digit() || b == b'.');
    while end > i && at(bytes, end - 1) == b'.' {
        end -= 1;
    }
    let address = text.get(i..end)?;
    if !shape::is_ipv4(address) || is_word(at(bytes, end)) {
        return None;
    }
    let (network, host) = address.rsplit_once('.')?;
    if host == "0" && span(bytes, end, end + 3) == b"/24" {
        return None;
    }
    let stop = if at(bytes, end) == b'/' {
        run(bytes, end + 1, |b| b.is_ascii_digit())
    } else {
        end
    };
    Some((stop, format!("{network}.0/24")))
}

/// Returns the end and the /48 of an IPv6 address that starts here.
pub(super) fn ipv6(text: &str, i: usize) -> Option<(usize, String)> {
    let bytes = text.as_bytes();
    if i > 0 && at(bytes, i - 1) == b':' {
        return None;
    }
    // 45: the longest address that is printed.
    let window = span(bytes, i, bytes.len().min(i + 46));
    let len = window
        .iter()
        .take_while(|b| b.is_ascii_hexdigit() || **b == b':')
        .count();
    let end = i + len;
    let address = text.get(i..end)?.trim_end_matches(':');
    let stop = if text.get(i..end)?.ends_with("::") {
        end
    } else {
        i + address.len()
    };
    let address = text.get(i..stop)?;
    if !shape::is_ipv6(address) || is_word(at(bytes, stop)) {
        return None;
    }
    if span(bytes, stop, stop + 3) == b"/48" && address.ends_with("::") {
        return None;
    }
    let head: Vec<&str> = address
        .split("::")
        .next()
        .unwrap_or_default()
        .split(':')
        .take(3)
        .collect();
    let zone = if at(bytes, stop) == b'%' {
        run(bytes, stop + 1, is_word)
    } else {
        stop
    };
    let whole = if at(bytes, zone) == b'/' {
        run(bytes, zone + 1, |b| b.is_ascii_digit())
    } else {
        zone
    };
    Some((whole, format!("{}::/48", head.join(":"))))
}

/// Says whether a word is a base-32 session id: 32 of `[0-9a-v]`, not a hexadecimal digest.
pub(super) fn is_session_id(word: &[u8]) -> bool {
    word.len() == 32
        && word.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'))
        && word.iter().any(|b| matches!(b, b'g'..=b'v'))
        && word.iter().any(u8::is_ascii_digit)
}

/// Returns the end of an edit token: at least 32 hexadecimal digits, then `+\`.
pub(super) fn edit_token(bytes: &[u8], i: usize) -> Option<usize> {
    let hex = run(bytes, i, |b| b.is_ascii_hexdigit());
    if hex - i < 32 || at(bytes, hex) != b'+' {
        return None;
    }
    let slashes = run(bytes, hex + 1, |b| b == b'\\');
    (slashes > hex + 1).then_some(slashes)
}

/// Says whether a header carries credentials over its whole line.
pub(super) fn is_header(key: &[u8]) -> bool {
    [
        &b"cookie"[..],
        b"set-cookie",
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
    ]
    .iter()
    .any(|header| header.eq_ignore_ascii_case(key))
}

/// Says whether a value looks drawn at random: at least 32 token bytes, letters and digits mixed.
pub(super) fn is_random(value: &[u8]) -> bool {
    if value.len() < 32 || value.len() > 4096 {
        return false;
    }
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(b);
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let slashes = value.iter().filter(|&&b| b == b'/' || b == b'-').count();
    value.iter().all(token)
        && digits * 16 >= value.len()
        && slashes * 8 < value.len()
        && value.iter().any(u8::is_ascii_alphabetic)
}
