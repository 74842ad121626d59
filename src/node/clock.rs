//! The only place that reads the wall clock and sets up our own log.

use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::EnvFilter;

use crate::model::EventTime;

/// Returns the wall clock's time.
#[expect(
    clippy::disallowed_methods,
    reason = "`node` is the one module that reads a clock"
)]
pub fn now() -> EventTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns a monotonic instant, for durations that are shown.
#[expect(
    clippy::disallowed_methods,
    reason = "`node` is the one module that reads a clock"
)]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// Sets up our own log on stderr: lines for people on a terminal, JSON otherwise when serving.
pub fn logging(filter: Option<&str>, serving: bool) {
    let default = if serving { "info" } else { "warn" };
    let filter = filter.map_or_else(|| EnvFilter::new(default), EnvFilter::new);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call (tests) keeps the first log.
    if serving && !std::io::stderr().is_terminal() {
        builder.json().flatten_event(true).try_init().ok();
    } else {
        builder
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init()
            .ok();
    }
}
