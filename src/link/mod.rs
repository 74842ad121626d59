//! The way from stage 1 to stage 2. Today a queue in memory; the codec is the one that a Kafka link will use.
//!
//! Invariant: what goes in comes out, once and in order. In debug builds every batch passes through the
//! codec, so that its form on the wire cannot rot unseen.

mod codec;

pub use codec::{CodecError, decode, encode};

use crate::model::CountBatch;

/// Passes a batch through the link's own form.
///
/// # Panics
///
/// In debug builds, if a batch does not survive its own codec: that would be a lost count later.
pub fn carry(batch: CountBatch) -> CountBatch {
    if cfg!(debug_assertions) {
        let back = decode(&encode(&batch));
        assert!(
            back.as_ref().is_ok_and(|it| *it == batch),
            "a batch did not survive its codec: {:?}",
            batch.range
        );
    }
    batch
}
