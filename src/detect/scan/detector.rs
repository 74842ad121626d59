//! All series, their timers and the minute loop.
//!
//! It must never visit a series that has neither events nor a timer due, but for the hour's end,
//! when those visited during the hour are integrated to it. Invariant: a detector restored from
//! `globals` and every `series` gives the same firings as one that was never stopped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rapidhash::RapidHashMap;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::params::Params;
use super::series::{At, Series, World};
use super::{CellCount, CellExposure, Firing, narrow};

/// State that belongs to no single signature: clocks, references, lateness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Globals {
    clock: Clock,
}

/// The detector: per-minute counts and exposure in, firings out.
#[derive(Debug)]
pub struct Detector {
    p: Params,
    /// Per-minute decays of the baseline and of the dispersion.
    decays: (f64, f64),
    clock: Clock,
    series: RapidHashMap<u32, Box<Series>>,
    timers: BinaryHeap<Reverse<(i32, u32)>>,
    /// Signatures visited in the present hour.
    visited: Vec<u32>,
    dirty: Vec<u32>,
    scratch: Vec<CellCount>,
    refused: u64,
    /// Visits every series every minute: the dense form, which the lazy one is tested against.
    #[cfg(test)]
    pub(crate) eager: bool,
}

impl Detector {
    /// Makes a detector that has seen nothing.
    pub fn new(p: Params) -> Self {
        let decays = (p.baseline_decay(), p.dispersion_decay());
        Self {
            p,
            decays,
            clock: Clock::default(),
            series: RapidHashMap::default(),
            timers: BinaryHeap::new(),
            visited: Vec::new(),
            dirty: Vec::new(),
            scratch: Vec::new(),
            refused: 0,
            #[cfg(test)]
            eager: false,
        }
    }

    /// Takes one minute: its exposure, its counts (any order, cells may repeat), and adds what is
    /// to be said to `out`, ordered by (signature, version).
    ///
    /// Minutes must rise; one that does not is refused and counted (`minutes_refused`). Every
    /// minute of live traffic has to be given, those without counts too.
    pub fn minute(
        &mut self,
        t_minute: i64,
        exposure: &[CellExposure],
        counts: &[CellCount],
        out: &mut Vec<Firing>,
    ) {
        let t = narrow(t_minute);
        if self.clock.minute.is_some_and(|last| t <= last) {
            self.refused += 1;
            return;
        }
        if self.clock.minute.is_some() && t.div_euclid(60) != self.clock.hour {
            self.close_hour();
        }
        let said = out.len();
        self.clock.advance(t, exposure, &self.p);
        let mut cells = std::mem::take(&mut self.scratch);
        cells.clear();
        cells.extend(counts.iter().filter(|c| c.count > 0).copied());
        cells.sort_unstable();
        for own in cells.chunk_by(|a, b| a.signature == b.signature) {
            if let Some(first) = own.first() {
                self.visit(
                    At {
                        signature: first.signature,
                        t,
                    },
                    own,
                    out,
                );
            }
        }
        self.scratch = cells;
        self.run_timers(t, out);
        if let Some(new) = out.get_mut(said..) {
            new.sort_by_key(|f| (f.signature, f.version)); // stable: an end stays before a start
        }
    }

    fn run_timers(&mut self, t: i32, out: &mut Vec<Firing>) {
        #[cfg(test)]
        if self.eager {
            let mut all: Vec<u32> = self.series.keys().copied().collect();
            all.sort_unstable();
            for signature in all {
                self.visit(At { signature, t }, &[], out);
            }
            self.timers.clear();
            return;
        }
        while let Some(Reverse((due, signature))) = self.timers.peek().copied() {
            if due > t {
                break;
            }
            self.timers.pop();
            if self.series.get(&signature).is_some_and(|s| s.due == due) {
                self.visit(At { signature, t }, &[], out);
            }
        }
    }

    fn visit(&mut self, at: At, counts: &[CellCount], out: &mut Vec<Firing>) {
        let At { signature, t } = at;
        let (decay, noise_decay) = self.decays;
        let world = World {
            p: &self.p,
            clock: &self.clock,
            decay,
            noise_decay,
        };
        let hour_start = self.clock.hour * 60;
        let oldest = hour_start - self.p.forget_days * 1440;
        let series = self
            .series
            .entry(signature)
            .or_insert_with(|| Box::new(Series::new(&self.clock, &self.p)));
        if series.last < oldest {
            **series = Series::new(&self.clock, &self.p);
        }
        let first_this_hour = series.last < hour_start;
        if !series.dirty {
            series.dirty = true;
            self.dirty.push(signature);
        }
        let due = series.due;
        if series.last < t {
            series.catch_up(&world, t - 1);
            series.expire(at, out);
            series.minute(&world, at, counts, out);
        }
        #[cfg(test)]
        let eager = self.eager;
        #[cfg(not(test))]
        let eager = false;
        if series.due <= t || due == i32::MAX || eager {
            series.timers(&world, at, out);
        }
        if series.due != due {
            self.timers.push(Reverse((series.due, signature)));
        }
        if first_this_hour {
            self.visited.push(signature);
        }
    }

    fn close_hour(&mut self) {
        let (decay, noise_decay) = self.decays;
        let world = World {
            p: &self.p,
            clock: &self.clock,
            decay,
            noise_decay,
        };
        let end = self.clock.hour * 60 + 59;
        for signature in self.visited.drain(..) {
            let Some(series) = self.series.get_mut(&signature) else {
                continue;
            };
            let due = series.due;
            series.catch_up(&world, end);
            series.end_hour(&world);
            if series.due != due {
                self.timers.push(Reverse((series.due, signature)));
            }
            if !series.dirty {
                series.dirty = true;
                self.dirty.push(signature);
            }
        }
        self.clock.close_hour(&self.p);
        if self.clock.hour.rem_euclid(24) == 0 {
            let oldest = (self.clock.hour - self.p.forget_days * 24) * 60;
            self.series.retain(|_, s| s.last >= oldest);
        }
    }

    /// Lets the series of one signature take that of another over, as of the last minute given; what a
    /// look at both says is added to `out`.
    pub fn absorb(&mut self, signature: u32, other: u32, out: &mut Vec<Firing>) {
        let Some(t) = self.clock.minute.filter(|_| signature != other) else {
            return;
        };
        if !self.series.contains_key(&other) {
            return;
        }
        self.visit(At { signature, t }, &[], out);
        let own = At {
            signature: other,
            t,
        };
        self.visit(own, &[], out);
        let Some(theirs) = self.series.remove(&other) else {
            return;
        };
        if let Some(mine) = self.series.get_mut(&signature) {
            mine.absorb(*theirs, &self.p);
            self.timers.push(Reverse((mine.due, signature)));
        }
    }

    /// Lets the caller decide that a version is (or is not) a reference; `None` gives the decision
    /// back to the rule. It holds from the next hour on.
    pub fn set_reference(&mut self, version: u32, reference: Option<bool>) {
        self.clock.force(version, reference);
    }

    /// Lists the present reference versions, ascending.
    pub fn references(&self) -> Vec<u32> {
        self.clock
            .versions
            .iter()
            .filter(|v| v.reference)
            .map(|v| v.version)
            .collect()
    }

    /// Gives the signatures touched since the last call, ascending.
    pub fn dirty(&mut self) -> Vec<u32> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for signature in &dirty {
            if let Some(series) = self.series.get_mut(signature) {
                series.dirty = false;
            }
        }
        dirty
    }

    /// Finds the state of a signature; none when it has none or was forgotten.
    pub fn series(&self, signature: u32) -> Option<&Series> {
        self.series.get(&signature).map(Box::as_ref)
    }

    /// Gives the number of series held.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Tells whether no series is held.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Gives the bytes held by all series and the map.
    pub fn bytes(&self) -> usize {
        let map = self.series.capacity() * (size_of::<(u32, Box<Series>)>() + 1);
        let timers = self.timers.capacity() * size_of::<(i32, u32)>();
        map + timers + self.series.values().map(|s| s.bytes()).sum::<usize>()
    }

    /// Counts the minutes that were refused because time did not rise.
    pub fn minutes_refused(&self) -> u64 {
        self.refused
    }

    /// Gives the state that belongs to no single signature.
    pub fn globals(&self) -> Globals {
        Globals {
            clock: self.clock.clone(),
        }
    }

    /// Takes back the state that `globals` gave.
    pub fn restore_globals(&mut self, globals: Globals) {
        self.clock = globals.clock;
    }

    /// Takes back the state of one signature; `restore_globals` must have come first.
    pub fn restore(&mut self, signature: u32, series: Series) {
        if series.last >= self.clock.hour * 60 {
            self.visited.push(signature);
        }
        self.timers.push(Reverse((series.due, signature)));
        self.series.insert(signature, Box::new(series));
    }
}
