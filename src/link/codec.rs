//! The form of a [`CountBatch`] on the wire: a version byte, then postcard.

use crate::model::CountBatch;

/// Version of the form; raised when the meaning of the bytes changes.
const VERSION: u8 = 1;

/// Why bytes are no batch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No bytes at all.
    #[error("the batch is empty")]
    Empty,
    /// Written by a version of the program that this one does not know.
    #[error("the batch has form {found}, this program reads form {VERSION}: update it")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The right version, but damaged.
    #[error("the batch is damaged")]
    Damaged,
}

/// Writes a batch.
pub fn encode(batch: &CountBatch) -> Vec<u8> {
    // Serialising plain data into memory has no way to fail; an empty result is refused by `decode`.
    postcard::to_extend(batch, vec![VERSION]).unwrap_or_default()
}

/// Reads a batch.
pub fn decode(bytes: &[u8]) -> Result<CountBatch, CodecError> {
    let (&version, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != VERSION {
        return Err(CodecError::Version { found: version });
    }
    match postcard::take_from_bytes(rest) {
        Ok((batch, [])) => Ok(batch),
        _ => Err(CodecError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventTime, SourceRange};

    fn batch() -> CountBatch {
        CountBatch {
            range: SourceRange {
                source: "a".into(),
                topic: "t".into(),
                partition: 3,
                from: 5,
                to: 9,
                gap: 1,
            },
            watermark: Some(EventTime::from_millis(1_453_245_247_250)),
            strings: vec!["wmf.11".into()],
            ..CountBatch::default()
        }
    }

    #[test]
    fn a_batch_survives_its_codec() {
        assert_eq!(decode(&encode(&batch())), Ok(batch()));
    }

    #[test]
    fn the_form_of_version_1_is_frozen() {
        let hex = encode(&batch())
            .iter()
            .fold(String::new(), |all, it| format!("{all}{it:02x}"));
        assert_eq!(decode(&from_hex(GOLDEN)), Ok(batch()));
        assert_eq!(hex, GOLDEN);
    }

    #[test]
    fn a_cut_off_or_foreign_batch_is_refused() {
        let bytes = encode(&batch());
        for end in 1..bytes.len() {
            assert_eq!(
                decode(&bytes[..end]),
                Err(CodecError::Damaged),
                "cut at {end}"
            );
        }
        assert_eq!(decode(&[]), Err(CodecError::Empty));
        assert_eq!(decode(&[9, 0]), Err(CodecError::Version { found: 9 }));
    }

    const GOLDEN: &str = "0101610174060509010001a4bcd5c2cb5400000000000000000000000000000000000000000106776d662e3131000000000000000000";

    #[expect(clippy::string_slice, reason = "a constant of hex digits")]
    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|it| u8::from_str_radix(&text[it..it + 2], 16).unwrap())
            .collect()
    }
}
