//! One signature: its rate per group, its noise, its profile, its jobs and its versions.
//!
//! It must never look at another signature. Invariant: `last` is the minute up to which all
//! expectations are integrated; integrating a stretch in one step or in many gives the same state.

mod absorb;
mod minute;
mod timer;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::clock::{CellSpan, Clock, HourRow};
use super::ledger::{self, Ledger};
use super::noise::{Closing, Noise, Scale};
use super::params::Params;
use super::profile::Profile;
use super::rate::{GroupRate, Rates};
use super::score::Evidence;
use super::version::{Bucket, VersionState};
use super::{Firing, Kind};

/// Decayed events from which a signature keeps an hour profile: fewer cannot make one significant.
const PROFILE_EVENTS_MIN: f64 = 10.0;
/// Squared deviations of a minute are capped at this multiple of the expected variance (7 sd).
const MINUTE_CAP: f64 = 49.0;
/// Tail decay per hour: a half-life of five days.
const TAIL_DECAY: f64 = 0.9942;
/// Minutes after which a version without traffic is forgotten by a series: a week, so that the
/// version of last week's train is still known.
const VERSION_IDLE_MINUTES: i32 = 7 * 1440;

/// Holds everything the detector knows of one signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub(crate) last: i32,
    /// Minute of the next timer.
    pub(crate) due: i32,
    groups: Vec<GroupRate>,
    versions: Vec<VersionState>,
    noise: Noise,
    profile: Option<Box<Profile>>,
    /// Hours that wait to enter the profile: hour of day, guarded count, expected count.
    waiting: SmallVec<[(u8, f32, f32); 1]>,
    ledger: Option<Box<Ledger>>,
    /// Best raw and penalised scores of this hour on reference versions.
    best_raw: f64,
    best: f64,
    tail: [f64; 2],
    held: i32,
    /// Longest empty stretch that was not said to be a silence, expected events, decayed.
    longest_gap: f64,
    #[serde(skip)]
    pub(crate) dirty: bool,
}

/// What a series may see of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World<'a> {
    pub(crate) p: &'a Params,
    pub(crate) clock: &'a Clock,
    pub(crate) decay: f64,
    pub(crate) noise_decay: f64,
}

/// Whose turn it is, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) signature: u32,
    pub(crate) t: i32,
}

/// When a stretch is, and how much reference time came before its hour.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: i32,
    minutes: u32,
    reference_minutes: u32,
}

impl Stretch {
    fn hour_of_day(&self) -> u8 {
        hour_of_day(self.from)
    }
}

fn hour_of_day(t: i32) -> u8 {
    u8::try_from(t.div_euclid(60).rem_euclid(24)).unwrap_or(0)
}

type Buckets = SmallVec<[Bucket; 4]>;

/// What a stretch taught.
#[derive(Clone, Copy, Debug, Default)]
struct Taught {
    any: bool,
    x: f64,
    m: f64,
}

impl Series {
    /// Starts a series whose first event is in the clock's present hour.
    pub(crate) fn new(clock: &Clock, p: &Params) -> Self {
        let start = clock.hour * 60;
        let pristine = clock.pristine.iter();
        let mut groups: Vec<GroupRate> = pristine.map(|(g, b)| GroupRate::new(*g, *b)).collect();
        GroupRate::rebalance(&mut groups, p);
        Self {
            last: start - 1,
            due: i32::MAX,
            groups,
            versions: Vec::new(),
            noise: Noise::default(),
            profile: None,
            waiting: SmallVec::new(),
            ledger: None,
            best_raw: 0.0,
            best: 0.0,
            tail: [0.0; 2],
            held: 0,
            longest_gap: 0.0,
            dirty: false,
        }
    }

    /// Integrates empty minutes up to and including `to`, a minute of the present hour or the last
    /// one of the hour before it.
    pub(crate) fn catch_up(&mut self, world: &World<'_>, to: i32) {
        let hour_start = world.clock.hour * 60;
        if self.last < hour_start - 1 {
            let first = (self.last + 1).div_euclid(60);
            for row in world.clock.rows_from(first) {
                self.empty_hour(world, row);
            }
            self.last = hour_start - 1;
        }
        while self.last < to {
            let from = self.last + 1;
            let end = to.min(from + 9 - from.rem_euclid(10));
            let stretch = Stretch {
                from,
                minutes: u32::try_from(end - from + 1).unwrap_or(0),
                reference_minutes: world.clock.reference_minutes_at_hour(),
            };
            let taught = self.empty(world, world.clock.span(from, end), stretch);
            self.teach(world, taught, stretch.hour_of_day());
            self.last = end;
            self.end_of_block(world);
        }
    }

    /// Ends the present hour, after `catch_up` to its last minute.
    pub(crate) fn end_hour(&mut self, world: &World<'_>) {
        self.close_hour(
            world,
            world.clock.hour,
            world.clock.reference_minutes_at_hour(),
        );
    }

    fn empty_hour(&mut self, world: &World<'_>, row: &HourRow) {
        let stretch = Stretch {
            from: row.hour * 60,
            minutes: row.minutes,
            reference_minutes: row.reference_minutes,
        };
        let taught = self.empty(world, row.cells.iter().copied(), stretch);
        if taught.any {
            self.wait(stretch.hour_of_day(), taught, world.p);
            let closing = self.closing(world, row.reference_minutes);
            self.noise.add_empty_hour(taught.m, &closing);
        }
        self.close_hour(world, row.hour, row.reference_minutes);
    }

    fn end_of_block(&mut self, world: &World<'_>) {
        if self.last.rem_euclid(10) == 9 {
            let closing = self.closing(world, world.clock.reference_minutes_at_hour());
            self.noise.close(Scale::TenMinutes, &closing);
        }
    }

    fn closing<'a>(&self, world: &World<'a>, reference_minutes: u32) -> Closing<'a> {
        Closing {
            params: world.p,
            phi: self.phi(world.p),
            decay: world.noise_decay,
            learning: half_day(reference_minutes),
        }
    }

    /// Minute dispersion of the whole signature, at least one.
    fn phi(&self, p: &Params) -> f64 {
        let square: f64 = self.groups.iter().map(|g| g.deviation.0).sum();
        let expected: f64 = self.groups.iter().map(|g| g.deviation.1).sum();
        ((p.phi_weight * p.phi + square) / (p.phi_weight + expected)).max(1.0)
    }

    fn factor(&self, hour: u8, p: &Params) -> f64 {
        self.profile
            .as_ref()
            .map_or(1.0, |profile| profile.factor(hour, p))
    }

    /// Integrates a stretch without events, in one step.
    fn empty(
        &mut self,
        world: &World<'_>,
        cells: impl Iterator<Item = CellSpan>,
        stretch: Stretch,
    ) -> Taught {
        let p = world.p;
        let factor = self.factor(stretch.hour_of_day(), p);
        let rates = Rates::new(&self.groups, factor, p);
        let mut buckets = Buckets::new();
        let mut taught = Taught::default();
        let mut control = 0.0;
        for cell in cells {
            let learning = cell.reference && self.learning(cell.version, stretch.from, p);
            let group = group_mut(&mut self.groups, cell.group);
            let per_exposure = group.rate(&rates, p);
            let m = per_exposure * cell.span.sum;
            let squares = per_exposure * per_exposure * cell.span.squares;
            let phi = group.phi(p);
            let bucket = bucket_of(&mut buckets, cell.version, cell.reference);
            bucket.m += m;
            bucket.v += squares / group.shape(&rates, p);
            bucket.mphi += m * phi;
            bucket.minutes = bucket.minutes.max(cell.span.minutes);
            if cell.reference {
                control += m;
            }
            if learning {
                let minutes = f64::from(cell.span.minutes);
                let cap = if stretch.reference_minutes > 2160 {
                    MINUTE_CAP * phi * (m / minutes).max(1.0) * minutes
                } else {
                    f64::INFINITY
                };
                group.learn(
                    0.0,
                    &cell.span,
                    half_day(stretch.reference_minutes).then_some((squares.min(cap), m)),
                );
                taught.any = true;
                taught.m += m;
            }
        }
        if stretch.reference_minutes >= p.warm_minutes {
            for bucket in &mut buckets {
                if !bucket.reference {
                    bucket.cm =
                        control * f64::from(bucket.minutes) / f64::from(stretch.minutes.max(1));
                }
                self.version_mut(bucket.version, world.clock).pass(bucket);
            }
        }
        taught
    }

    fn learning(&self, version: u32, t: i32, p: &Params) -> bool {
        self.versions
            .iter()
            .find(|v| v.version == version)
            .is_none_or(|v| v.learning(t, p))
    }

    fn version_mut(&mut self, version: u32, clock: &Clock) -> &mut VersionState {
        let i = self
            .versions
            .iter()
            .position(|v| v.version == version)
            .unwrap_or_else(|| {
                let first = clock.version(version).map_or(self.last + 1, |v| v.first);
                self.versions.reserve_exact(1);
                self.versions.push(VersionState::new(version, first));
                self.due = self.due.min(self.last + 2); // its silence timer has to be set
                self.versions.len() - 1
            });
        #[expect(
            clippy::indexing_slicing,
            reason = "the index was just found or pushed"
        )]
        &mut self.versions[i]
    }

    fn teach(&mut self, world: &World<'_>, taught: Taught, hour: u8) {
        if taught.any {
            self.wait(hour, taught, world.p);
            self.noise.add(taught.x, taught.m);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits are enough for a profile"
    )]
    fn wait(&mut self, hour: u8, taught: Taught, p: &Params) {
        let (x, m) = (taught.x as f32, (taught.m / self.factor(hour, p)) as f32);
        match self.waiting.iter_mut().find(|w| w.0 == hour) {
            Some(waiting) => {
                waiting.1 += x;
                waiting.2 += m;
            }
            None => self.waiting.push((hour, x, m)),
        }
    }

    fn close_hour(&mut self, world: &World<'_>, hour: i32, reference_minutes: u32) {
        let p = world.p;
        let closing = self.closing(world, reference_minutes);
        self.noise.close(Scale::Hour, &closing);
        if hour.rem_euclid(4) == 3 {
            self.noise.close(Scale::FourHours, &closing);
        }
        let commit = self.best_raw < p.hold || self.held > p.hold_minutes_max;
        for group in &mut self.groups {
            group.close_hour(world.decay, world.noise_decay, commit);
        }
        GroupRate::rebalance(&mut self.groups, p);
        if commit {
            self.held = 0;
            self.commit_profile(p, hour, reference_minutes);
        } else {
            self.held += 60;
        }
        self.best_raw = 0.0;
        let [count, sum] = &mut self.tail;
        *count *= TAIL_DECAY;
        *sum *= TAIL_DECAY;
        self.longest_gap *= TAIL_DECAY;
        if self.best > p.tail_from {
            *count += 1.0;
            *sum += (self.best - p.tail_from).min(p.tail_cap);
        }
        self.best = 0.0;
        if hour.rem_euclid(24) == 23 {
            let oldest = hour * 60 - VERSION_IDLE_MINUTES;
            self.versions.retain(|v| {
                v.ringing.is_some()
                    || world
                        .clock
                        .version(v.version)
                        .is_some_and(|c| c.last >= oldest)
            });
        }
    }

    fn commit_profile(&mut self, p: &Params, hour: i32, reference_minutes: u32) {
        let waiting = std::mem::take(&mut self.waiting);
        if self.profile.is_none() && GroupRate::strength(&self.groups) >= PROFILE_EVENTS_MIN {
            self.profile = Some(Box::default());
        }
        let phi = self.phi(p);
        let Some(profile) = &mut self.profile else {
            return;
        };
        for (hour_of_day, x, m) in waiting {
            profile.add(hour_of_day, f64::from(x), f64::from(m));
        }
        if reference_minutes >= 1440 && hour.rem_euclid(6) == 5 {
            profile.judge(phi, p);
        }
    }

    fn tail_scale(&self, p: &Params) -> f64 {
        let [count, sum] = self.tail;
        ((p.tail_weight + sum) / (p.tail_weight + count)).max(1.0)
    }

    /// Gives the bytes that the series holds, its heap included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.groups.capacity() * size_of::<GroupRate>()
            + self.versions.capacity() * size_of::<VersionState>()
            + self
                .versions
                .iter()
                .map(VersionState::heap_bytes)
                .sum::<usize>()
            + self.profile.as_ref().map_or(0, |_| size_of::<Profile>())
            + self
                .ledger
                .as_ref()
                .map_or(0, |_| size_of::<Ledger>() + ledger::BURSTS_MAX * 16)
    }
}

fn half_day(reference_minutes: u32) -> bool {
    reference_minutes > 720
}

fn group_mut(groups: &mut Vec<GroupRate>, group: u32) -> &mut GroupRate {
    let i = groups
        .iter()
        .position(|g| g.group == group)
        .unwrap_or_else(|| {
            groups.reserve_exact(1);
            groups.push(GroupRate::new(group, 0.0));
            groups.len() - 1
        });
    #[expect(
        clippy::indexing_slicing,
        reason = "the index was just found or pushed"
    )]
    &mut groups[i]
}

fn bucket_of(buckets: &mut Buckets, version: u32, reference: bool) -> &mut Bucket {
    let i = buckets
        .iter()
        .position(|b| b.version == version)
        .unwrap_or_else(|| {
            buckets.push(Bucket {
                version,
                reference,
                ..Bucket::default()
            });
            buckets.len() - 1
        });
    #[expect(
        clippy::indexing_slicing,
        reason = "the index was just found or pushed"
    )]
    &mut buckets[i]
}

fn plain(at: At, version: u32, kind: Kind) -> Firing {
    Firing {
        t_minute: i64::from(at.t),
        signature: at.signature,
        version,
        kind,
        ends: None,
        renewal: false,
        page: false,
        score: 0.0,
        window_minutes: 0,
        count: 0.0,
        expected: 0.0,
        ratio: 0.0,
        ratio_low: 0.0,
        ratio_high: 0.0,
    }
}

fn fill(firing: &mut Firing, evidence: &Evidence) {
    let half = 1.645 * evidence.variance.max(0.0).sqrt(); // 90 % of a normal log ratio
    firing.score = evidence.score;
    firing.window_minutes = u32::try_from(evidence.minutes).unwrap_or(0);
    firing.count = evidence.count;
    firing.expected = evidence.expected;
    firing.ratio = evidence.count / evidence.expected.max(1e-6);
    firing.ratio_low = firing.ratio * (-half).exp();
    firing.ratio_high = firing.ratio * half.exp();
}
