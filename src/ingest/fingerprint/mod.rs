//! Turns one log message into a template and a template into a 128-bit signature id (stage 1).
//!
//! It must never read a clock, a file or a random source, never allocate per call once warm, never
//! look beyond 8 KiB and never panic, whatever bytes arrive. Invariants: the template of a template
//! is itself; the id depends on the canonical form alone, in which every mask is `<*>`, so neither
//! the type shown for a value nor any redaction setting can change an identity.
//!
//! One scan yields both forms. The *template* is what people read (`user <num> from <ip>`), the
//! *canonical* form is what is hashed and learned from (`user <*> from <*>`).

mod class;
mod date;
mod identity;
mod kind;
mod masker;
mod piece;

pub mod prefix;
pub mod redact;

mod scan;
mod secret;
mod shape;
mod size;
mod structure;

pub mod trace;
mod word;

pub use identity::{Identity, signature_id};
pub use kind::Kind;
pub use masker::{LOOKED_AT_BYTES_MAX, Masker, TEMPLATE_BYTES_MAX, canonical_of, looked_at};

#[cfg(test)]
mod tests;
