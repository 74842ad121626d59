//! Knows which keys and which words carry credentials.
//!
//! It must stay a list of classes that any reader knows; it never decides by context alone.

/// Parts of a key that make its value a secret, in lower case.
const KEY_PARTS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "private_key",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
    "csrf",
    "sessionid",
];
/// Whole keys that make their value a secret, in lower case.
const KEYS: [&str; 9] = [
    "pwd",
    "pass",
    "auth",
    "bearer",
    "session",
    "session_id",
    "sid",
    "jwt",
    "signature",
];

/// Says whether the value of this key is a secret.
pub(super) fn is_key(key: &[u8]) -> bool {
    KEYS.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(key))
        || KEY_PARTS.iter().any(|part| contains(key, part.as_bytes()))
}

/// Says whether a word before a colon announces a secret even when the next word is plain.
pub(super) fn announces(word: &[u8]) -> bool {
    const WORDS: [&str; 8] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "api_key",
        "api-key",
        "private_key",
    ];
    WORDS
        .iter()
        .any(|w| w.as_bytes().eq_ignore_ascii_case(word))
}

fn contains(key: &[u8], part: &[u8]) -> bool {
    key.windows(part.len())
        .any(|w| w.eq_ignore_ascii_case(part))
}

/// Says whether a word is a credential by its own shape.
pub(super) fn is_word(word: &[u8]) -> bool {
    let tail = |prefix: &[u8], min: usize| {
        word.strip_prefix(prefix)
            .is_some_and(|t| t.len() >= min && t.iter().all(|&b| is_token_byte(b)))
    };
    match word.first() {
        Some(b'e') => tail(b"eyJ", 12),
        Some(b'A') => tail(b"AKIA", 12) || tail(b"ASIA", 12),
        Some(b'g') => {
            [b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"]
                .iter()
                .any(|p| tail(*p, 16))
                || tail(b"github_pat_", 16)
                || tail(b"glpat-", 16)
        }
        Some(b'x') => [b"xoxb-", b"xoxp-", b"xoxa-", b"xoxr-", b"xoxs-"]
            .iter()
            .any(|p| tail(*p, 8)),
        Some(b's') => tail(b"sk_live_", 8) || tail(b"sk-", 20),
        _ => false,
    }
}

/// Says whether a byte may stand in a token.
pub(super) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+' | b'/' | b'=' | b'~')
}
