//! A value that may be used but never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret: `file:PATH`, `env:NAME`, or the value itself. It is never printed.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Makes a secret from its written form.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Fetches the value. The error names the file or variable, not the value.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where configuration reads the environment"
    )]
    pub fn resolve(&self) -> Result<String, String> {
        if let Some(path) = self.0.strip_prefix("file:") {
            return std::fs::read_to_string(path)
                .map(|it| it.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read the secret in {path}: {error}"));
        }
        if let Some(name) = self.0.strip_prefix("env:") {
            return std::env::var(name).map_err(|_| {
                format!("the environment variable {name} that holds a secret is not set")
            });
        }
        Ok(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A reference says where the secret is, not what it is, and helps the reader.
        let shown = if self.0.starts_with("file:") || self.0.starts_with("env:") {
            &self.0
        } else {
            "<secret>"
        };
        serializer.serialize_str(shown)
    }
}
