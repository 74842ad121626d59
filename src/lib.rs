//! fatalmonitor watches application logs in Kafka and says what is new, worse, silent or coming from one
//! bad host after a deploy.
//!
//! ```text
//! source ─► ingest (decode ─► cap ─► fingerprint ─► combine) ─► CountBatch ─► link ─► detect ─► alerts, views
//!                                                                                      │
//!                                            store ◄─ state and positions together ────┘
//! ```
//!
//! Modules in layer order; each names only modules of a lower layer, and the first five are pure
//! (`tests/tidy.rs` checks both). ARCHITECTURE.md has the whole picture.

pub mod model;

pub mod rules;

pub mod detect;
pub mod ingest;
pub mod scenario;

pub mod config;
pub mod telemetry;

pub mod link;
pub mod notify;
pub mod source;
pub mod store;

pub mod api;

pub mod node;

pub mod cli;
