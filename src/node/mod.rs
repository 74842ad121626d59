//! Wires sources, stage 1, stage 2, store, notifier and API together; owns every task, thread, clock and
//! queue, and the stop. The only place that knows how the process runs.

mod acks;
mod alerting;
mod clock;
pub mod demo;
pub mod lines;
mod operate;
mod replay;
mod serve;
mod snapshot;
mod sources;
mod stage2;
mod status;
mod upkeep;
mod view;
mod watermark;

pub use clock::{instant, logging, now};
pub use replay::Player;
pub use serve::{ServeError, ServeOptions, Served, Shared, serve};
pub use view::WorldView;
