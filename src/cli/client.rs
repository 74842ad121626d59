//! Asks a running server.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use serde_json::Value;

/// Longest wait for an answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Gets JSON from a server; `query` pairs are encoded.
pub(super) fn get(base: &str, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
    let mut url = format!("{}{path}", base.trim_end_matches('/'));
    for (place, (name, value)) in query.iter().enumerate() {
        url.push(if place == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        url.push_str(&encoded(value));
    }
    ask(base, |client| client.get(&url))
}

/// Posts JSON to a server.
pub(super) fn post(base: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let url = format!("{}{path}", base.trim_end_matches('/'));
    ask(base, |client| client.post(&url).json(body))
}

/// Deletes something on a server.
pub(super) fn delete(base: &str, path: &str) -> anyhow::Result<Value> {
    let url = format!("{}{path}", base.trim_end_matches('/'));
    ask(base, |client| client.delete(&url))
}

fn ask(
    base: &str,
    make: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> anyhow::Result<Value> {
    crate::notify::install_crypto();
    super::serve::runtime()?.block_on(async {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().context("cannot make an HTTP client")?;
        let answer = make(&client).send().await.with_context(|| {
            format!("cannot reach a fatalmonitor server at {base}: is it running? (--url or FATALMONITOR_URL names another, --data-dir reads a store)")
        })?;
        let status = answer.status();
        let text = answer.text().await.context("the answer broke off")?;
        let value: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
        if !status.is_success() {
            let error = value.get("error").and_then(Value::as_str).unwrap_or("no reason given");
            let hint = value.get("hint").and_then(Value::as_str).map_or_else(String::new, |it| format!(": {it}"));
            bail!("{base} answered {}: {error}{hint}", status.as_u16());
        }
        Ok(value)
    })
}

/// Encodes text for a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}
