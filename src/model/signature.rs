//! The identity of a problem.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Level;

/// The stable id of a signature: 128 bits of BLAKE3 over its identity, shown as 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureId(pub u128);

/// The id text is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hex digits")]
pub struct ParseSignatureIdError;

impl SignatureId {
    /// Returns the first 8 hex digits, as people read them.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 96)
    }
}

impl fmt::Display for SignatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for SignatureId {
    type Err = ParseSignatureIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(ParseSignatureIdError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ParseSignatureIdError)
    }
}

impl Serialize for SignatureId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for SignatureId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(Self)
        }
    }
}

/// What a signature is made of; the same wherever the same event is seen. Its text is already redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureDef {
    /// Stable id.
    pub id: SignatureId,
    /// Logger channel; `-` if the record names none.
    pub channel: String,
    /// Level of the event by which it was first seen.
    pub level: Level,
    /// Message text with the variable parts masked.
    pub template: String,
    /// Class of the exception, if any.
    pub exception: Option<String>,
    /// Top in-app frame, function and file without line or version, if any.
    pub frame: Option<String>,
    /// Context fields that a rule joined to the identity, such as `status=need_token`.
    pub joined: Vec<(String, String)>,
}
