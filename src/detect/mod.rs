//! Stage 2: from counts to what people are told. Pure.

mod checkpoint;
pub mod view;

pub use checkpoint::{ChannelPoint, Checkpoint, Position, SeriesPoint, SignatureRow, StateRow};
