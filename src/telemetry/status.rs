//! What the monitor knows about itself: plain values that `node` fills and pages show.
//!
//! Invariant: [`Status::freshness`] never says `fresh` while data is late, missing or cut short.

use serde::Serialize;

use crate::model::EventTime;

/// Lag past which no page may look healthy.
// 60 s: an on-call person decides within minutes of a deploy; older data answers another question.
const LAG_SECONDS_MAX: f64 = 60.0;

/// How the process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On real sources, by the wall clock.
    #[default]
    Live,
    /// On the built-in incident, by its clock.
    Demo,
    /// On recorded input, by its clock.
    Replay,
}

/// One source partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// Name of the `[[source]]`.
    pub source: String,
    /// Topic or file.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next position to read.
    pub next: u64,
    /// Position after the last record that the source has; `None` if unknown.
    pub end: Option<u64>,
    /// Records not read yet; `None` if unknown.
    pub lag_records: Option<u64>,
    /// Arrival time minus event time of what was read last, in seconds; `None` before the first record.
    pub lag_seconds: Option<f64>,
    /// Event time up to which it is complete.
    pub watermark: Option<EventTime>,
    /// Whether somebody reads it.
    pub assigned: bool,
    /// Whether it has had no record for so long that others do not wait for it.
    pub idle: bool,
    /// What is wrong with it, in words; empty if nothing.
    pub problem: String,
}

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoreStatus {
    /// Where it is; `memory` if it is not on disk.
    pub path: String,
    /// Size on disk.
    pub size_bytes: u64,
    /// When the last checkpoint was written, by the wall clock.
    pub checkpoint_at: Option<EventTime>,
    /// How long it took.
    pub checkpoint_millis: Option<u64>,
    /// Why nothing is written now (`no space left`); empty if all is well.
    pub problem: String,
    /// When the last snapshot was written, by the wall clock.
    pub snapshot_at: Option<EventTime>,
    /// Why the last snapshot could not be written; empty if it was.
    pub snapshot_problem: String,
}

/// One Alertmanager or webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetStatus {
    /// Place in the configuration, from 0; stands in metrics in place of the address.
    pub index: usize,
    /// Kind: `alertmanager` or `webhook`.
    pub kind: String,
    /// Address without credentials, for the page only.
    pub address: String,
    /// Notifications accepted.
    pub sent: u64,
    /// Notifications that failed.
    pub errors: u64,
    /// Notifications waiting.
    pub queued: u64,
    /// Last success by the wall clock.
    pub success_at: Option<EventTime>,
    /// The last error in words; empty if none.
    pub problem: String,
}

/// The rules in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RulesStatus {
    /// Short hash of their text.
    pub hash: String,
    /// When they were loaded, by the wall clock.
    pub loaded_at: Option<EventTime>,
    /// Why the last reload was refused; empty if it was not.
    pub problem: String,
}

/// Everything that the monitor says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Commit that it was built from; `unknown` if it was built outside git.
    pub revision: String,
    /// How it runs.
    pub mode: Mode,
    /// When it started, by the wall clock.
    pub started_at: EventTime,
    /// Event time up to which everything is decided.
    pub clock: Option<EventTime>,
    /// Why it is not ready to serve; empty if it is.
    pub not_ready: Vec<String>,
    /// Rules in force.
    pub rules: RulesStatus,
    /// Source partitions, sorted.
    pub partitions: Vec<PartitionStatus>,
    /// Store.
    pub store: StoreStatus,
    /// Where alerts go.
    pub targets: Vec<TargetStatus>,
    /// Channels whose cap is engaged now, sorted.
    pub channels_capped: Vec<String>,
    /// Places of records that stopped the process before and were stepped over since this start; the first few.
    pub stepped_over: Vec<String>,
    /// How many there were.
    pub stepped_over_total: u64,
    /// Whether it listens beyond loopback without authentication.
    pub insecure: bool,
}

/// Whether what pages show can be trusted as current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessLevel {
    /// Current and complete.
    Fresh,
    /// Current, but something is cut short.
    Degraded,
    /// Nothing has been read yet.
    Empty,
    /// Late or incomplete: a quiet page proves nothing.
    Stale,
}

/// The verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Freshness {
    /// How bad it is.
    pub level: FreshnessLevel,
    /// Largest lag over the partitions, in seconds.
    pub lag_seconds: Option<f64>,
    /// What is wrong, worst first, in words.
    pub reasons: Vec<String>,
}

impl Status {
    /// Judges whether what pages show can be trusted as current.
    pub fn freshness(&self) -> Freshness {
        let lag_seconds = self
            .partitions
            .iter()
            .filter(|it| !it.idle)
            .filter_map(|it| it.lag_seconds)
            .reduce(f64::max);
        let mut found = self.stale_reasons(lag_seconds);
        found.extend(self.degraded_reasons());
        // Stable, so reasons of one level keep the order above.
        found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        Freshness {
            level: found
                .first()
                .map_or(FreshnessLevel::Fresh, |(level, _)| *level),
            lag_seconds,
            reasons: found
                .into_iter()
                .map(|(_, reason)| reason)
                .take(20)
                .collect(),
        }
    }
}

impl Status {
    fn stale_reasons(&self, lag_seconds: Option<f64>) -> Vec<(FreshnessLevel, String)> {
        let mut found = Vec::new();
        let mut stale = |reason| found.push((FreshnessLevel::Stale, reason));
        if let Some(lag) = lag_seconds.filter(|&it| it > LAG_SECONDS_MAX) {
            stale(format!("data is {} old", span(lag)));
        }
        for partition in &self.partitions {
            let name = format!("{}/{}", partition.topic, partition.partition);
            if !partition.problem.is_empty() {
                stale(format!("{name}: {}", partition.problem));
            } else if !partition.assigned {
                stale(format!("nobody reads {name}"));
            }
        }
        if !self.store.problem.is_empty() {
            stale(format!("store: {}", self.store.problem));
        }
        if self.clock.is_none() {
            let is_counting = self.partitions.iter().any(|it| it.watermark.is_some());
            let reason = if is_counting {
                "nothing is decided yet: no bucket of time is complete"
            } else {
                "no record has been counted yet"
            };
            found.push((FreshnessLevel::Empty, reason.into()));
        }
        found
    }

    fn degraded_reasons(&self) -> Vec<(FreshnessLevel, String)> {
        let mut found = Vec::new();
        let mut degraded = |reason| found.push((FreshnessLevel::Degraded, reason));
        let capped = &self.channels_capped;
        if !capped.is_empty() {
            let names: Vec<&str> = capped.iter().map(|it| &**it).take(5).collect();
            let more = match capped.len().saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = names.join(", ");
            degraded(format!(
                "over the cap, counted without detail: {names}{more}"
            ));
        }
        if let Some(first) = self.stepped_over.first() {
            degraded(format!(
                "{} records stopped the process and were stepped over, the first is {first}",
                self.stepped_over_total
            ));
        }
        if !self.store.snapshot_problem.is_empty() {
            degraded(format!(
                "no snapshot of the store: {}",
                self.store.snapshot_problem
            ));
        }
        for target in self.targets.iter().filter(|it| !it.problem.is_empty()) {
            let name = format!("{} {}", target.kind, target.index);
            degraded(format!("alerts do not reach {name}: {}", target.problem));
        }
        found
    }
}

/// Says a number of seconds as people do.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a lag can be"
)]
fn span(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e12) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
