//! Plays a scenario: records in the order of event time, one second after the other.
//!
//! Every second starts the generator afresh from the seed, so a stretch of a scenario is the same
//! whether it is played alone or within the whole. It must never allocate per record.

mod calendar;
mod occurrence;

use std::collections::{BTreeMap, VecDeque};

use super::Scenario;
use super::file::Shape;
use super::plan::Plan;
use super::random::{PoissonMean, Rng, mix};
use super::record::Scratch;
use super::rollout::Running;
use crate::model::{DeployMarker, EventTime, ExposureRecord};
use calendar::{regular_minute, syslog_stamp, write_control};
use occurrence::Occurrence;

/// Topic of markers and exposure records.
pub const MARKERS_TOPIC: &str = "fatalmonitor-markers";

/// Topic of the lines of January 2016.
pub const UDP2LOG_TOPIC: &str = "udp2log";

/// How a scenario is to be played.
#[derive(Clone, Debug, Default)]
pub struct StreamOptions {
    /// Another seed gives another run of the same story.
    pub seed: u64,
    /// Multiplies every rate except the regular health checks; `None` is 1.
    pub rate_factor: Option<f64>,
    /// Traffic of the groups, where it is not the scenario's own.
    pub shares: Option<BTreeMap<String, f64>>,
    /// Start, if not the scenario's own.
    pub from: Option<EventTime>,
    /// End, if not the scenario's own.
    pub to: Option<EventTime>,
    /// Shape of the records, if not the scenario's own.
    pub shape: Option<Shape>,
    /// Whether a record of the traffic of each version and group is sent every minute.
    pub exposure: bool,
}

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScenarioItem {
    /// When it happened.
    pub at: EventTime,
    /// Topic that it goes to.
    pub topic: &'static str,
    /// A number that is the same for all records of one host; its remainder chooses a partition.
    pub key: u32,
}

/// A record with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioRecord {
    /// Where it belongs.
    pub item: ScenarioItem,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Something that happens within the second at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    milli: u16,
    order: u32,
    window: u16,
    /// Place of the host within its emitter, if it is not drawn.
    host: Option<u16>,
}

/// A scenario being played.
#[derive(Debug)]
pub struct Stream {
    plan: Plan,
    seed: u64,
    curve: (f64, f64),
    second: i64,
    end: i64,
    means: Vec<PoissonMean>,
    means_minute: i64,
    running: Vec<Running>,
    rng: Rng,
    due: Vec<Due>,
    cursor: usize,
    /// For each second of a minute: the window, and the hosts that report then, with their millisecond.
    regular: Vec<Vec<Due>>,
    markers: VecDeque<DeployMarker>,
    exposures: VecDeque<ExposureRecord>,
    send_exposure: bool,
    occurrence: Occurrence,
    scratch: Scratch,
    stamp: String,
    syslog_stamp: String,
}

impl Scenario {
    /// Starts to play.
    ///
    /// # Panics
    /// Never: `Scenario::parse` has built the same plan before.
    pub fn stream(&self, options: &StreamOptions) -> Stream {
        let shares = options.shares.as_ref().unwrap_or(&self.file.shares);
        let shape = options.shape.unwrap_or(self.file.shape);
        let factor = options.rate_factor.unwrap_or(1.0);
        #[expect(clippy::expect_used, reason = "`Scenario::parse` built this plan once")]
        let plan = Plan::new(&self.file, shape, shares, factor).expect("the scenario was checked");
        let from = options.from.unwrap_or(self.file.from);
        let to = options.to.unwrap_or(self.file.to);
        let ratio = self.file.curve.peak_to_trough.max(1.0);
        let markers = self.markers().into_iter();
        let regular = regular_minute(&plan);
        Stream {
            seed: options.seed,
            curve: ((ratio - 1.0) / (ratio + 1.0), self.file.curve.peak_hour),
            second: from.seconds(),
            end: to.seconds(),
            means: Vec::new(),
            means_minute: i64::MIN,
            running: Vec::new(),
            rng: Rng::new(options.seed),
            due: Vec::new(),
            cursor: 0,
            regular,
            markers: markers.filter(|it| it.at >= from && it.at < to).collect(),
            exposures: VecDeque::new(),
            send_exposure: options.exposure,
            occurrence: Occurrence::default(),
            scratch: Scratch::default(),
            stamp: String::new(),
            syslog_stamp: String::new(),
            plan,
        }
    }
}

impl Stream {
    /// Writes the next record over `payload` and says where it belongs; `None` at the end.
    pub fn next_into(&mut self, payload: &mut Vec<u8>) -> Option<ScenarioItem> {
        payload.clear();
        loop {
            if self.occurrence.next < self.occurrence.end {
                if self.line_is_hushed() {
                    self.occurrence.next += 1;
                    continue;
                }
                return Some(self.write_line(payload));
            }
            if let Some(&due) = self.due.get(self.cursor) {
                self.cursor += 1;
                self.begin(due);
                continue;
            }
            let ready = EventTime::from_seconds(self.second);
            if self.markers.front().is_some_and(|it| it.at <= ready)
                && let Some(marker) = self.markers.pop_front()
            {
                return Some(write_control("deploy_marker", marker.at, &marker, payload));
            }
            if let Some(exposure) = self.exposures.pop_front() {
                return Some(write_control("exposure", ready, &exposure, payload));
            }
            if self.second >= self.end {
                return None;
            }
            self.begin_second();
        }
    }

    /// Draws what happens in the next second.
    fn begin_second(&mut self) {
        let second = self.second;
        self.second += 1;
        let at = EventTime::from_seconds(second);
        let minute = second.div_euclid(60);
        if minute != self.means_minute {
            self.begin_minute(minute);
        }
        self.stamp.clear();
        let text = at.to_string();
        self.stamp.push_str(text.trim_end_matches('Z'));
        if self.plan.shape == Shape::Jan2016 {
            self.syslog_stamp = syslog_stamp(&self.stamp);
        }
        self.running.clear();
        for unit in 0..self.plan.fleet.units.len() {
            self.running.push(self.plan.rollouts.running(unit, at));
        }
        self.rng = Rng::new(mix(self.seed, second.unsigned_abs()));
        self.due.clear();
        self.cursor = 0;
        let mut order = 0;
        for (place, window) in (0_u16..).zip(&self.plan.windows) {
            if at < window.from || at >= window.to {
                continue;
            }
            let Some(mean) = self.means.get(usize::from(place)) else {
                continue;
            };
            for _ in 0..self.rng.poisson(mean) {
                order += 1;
                self.due.push(Due {
                    milli: u16::try_from(self.rng.below(1000)).unwrap_or_default(),
                    order,
                    window: place,
                    host: None,
                });
            }
        }
        let of_minute = usize::try_from(second.rem_euclid(60)).unwrap_or_default();
        let windows = &self.plan.windows;
        let open = |it: &&Due| {
            windows
                .get(usize::from(it.window))
                .is_some_and(|it| at >= it.from && at < it.to)
        };
        self.due.extend(
            self.regular
                .get(of_minute)
                .into_iter()
                .flatten()
                .filter(open),
        );
        self.due.sort_unstable();
    }

    /// Sets the rates of a minute, which follow the day, and says what traffic the last one had.
    #[expect(clippy::cast_precision_loss, reason = "minutes of a day are few")]
    fn begin_minute(&mut self, minute: i64) {
        self.means_minute = minute;
        let hour = minute.rem_euclid(24 * 60) as f64 / 60.0;
        let (swing, peak) = self.curve;
        let curve = 1.0 + swing * ((hour - peak) / 24.0 * std::f64::consts::TAU).cos();
        self.means.clear();
        for window in &self.plan.windows {
            let emitter = self.plan.emitters.get(window.emitter);
            let mean = match emitter {
                Some(it) if it.regular => 0.0,
                Some(it) if it.curve => window.per_second * curve,
                _ => window.per_second,
            };
            self.means.push(PoissonMean::new(mean));
        }
        if self.send_exposure {
            self.add_exposures(minute - 1, curve);
        }
    }
}

impl Iterator for Stream {
    type Item = ScenarioRecord;

    /// Returns the next record with a buffer of its own; [`Stream::next_into`] is the fast way.
    fn next(&mut self) -> Option<ScenarioRecord> {
        let mut payload = Vec::new();
        let item = self.next_into(&mut payload)?;
        Some(ScenarioRecord { item, payload })
    }
}

#[cfg(test)]
mod tests;
