//! The rate of one signature per unit of exposure, per group, shrunk to the signature's own.
//!
//! It must never divide by an exposure that was not seen. Invariant: what a minute teaches waits
//! until its hour is committed or dropped.

use serde::{Deserialize, Serialize};

use super::clock::Span;
use super::params::Params;

/// Least share of the exposure that a group is taken to have.
const SHARE_MIN: f64 = 1e-4;

/// Rate statistics of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRate {
    pub(crate) group: u32,
    /// Minutes learned in this hour.
    minutes: u32,
    /// Decayed guarded events and exposure.
    events: f64,
    exposure: f64,
    pending: (f64, f64),
    /// How far above its share a thin group is expected; set each hour.
    boost: f64,
    /// Decayed squared deviations and expected events of single minutes.
    pub(crate) deviation: (f64, f64),
    pending_deviation: (f64, f64),
}

/// The signature's own rate, to which groups are shrunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    strength: f64,
    base: f64,
    /// Factor of the hour.
    factor: f64,
}

impl Rates {
    /// Sums the groups; `factor` is that of the hour.
    pub(crate) fn new(groups: &[GroupRate], factor: f64, p: &Params) -> Self {
        let strength = GroupRate::strength(groups);
        let exposure: f64 = groups.iter().map(|g| g.exposure).sum();
        let base = if exposure > 0.0 {
            (strength + p.prior_count) / exposure
        } else {
            0.0
        };
        Self {
            strength,
            base,
            factor,
        }
    }
}

impl GroupRate {
    /// Starts a group that saw `exposure` without an event.
    pub(crate) fn new(group: u32, exposure: f64) -> Self {
        Self {
            group,
            minutes: 0,
            events: 0.0,
            exposure,
            pending: (0.0, 0.0),
            boost: 1.0,
            deviation: (0.0, 0.0),
            pending_deviation: (0.0, 0.0),
        }
    }

    /// Sets each group's boost from its share of the exposure.
    pub(crate) fn rebalance(groups: &mut [Self], p: &Params) {
        let total: f64 = groups.iter().map(|g| g.exposure).sum();
        for group in groups.iter_mut().filter(|_| total > 0.0) {
            let share = (group.exposure / total).clamp(SHARE_MIN, 1.0);
            group.boost = share.powf(-p.thin_group_power);
        }
    }

    /// Gives the decayed events of all groups.
    pub(crate) fn strength(groups: &[Self]) -> f64 {
        groups.iter().map(|g| g.events).sum()
    }

    /// Gives the expected events per unit of exposure.
    pub(crate) fn rate(&self, rates: &Rates, p: &Params) -> f64 {
        if rates.base <= 0.0 {
            return 0.0;
        }
        let prior = rates.base * self.boost;
        rates.factor * (self.events + p.kappa) / (self.exposure + p.kappa / prior)
    }

    /// Gives the Gamma shape of that rate.
    pub(crate) fn shape(&self, rates: &Rates, p: &Params) -> f64 {
        self.events + p.kappa * (rates.strength + p.prior_count).min(1.0)
    }

    /// Gives the minute dispersion, at least one.
    pub(crate) fn phi(&self, p: &Params) -> f64 {
        let (square, expected) = self.deviation;
        ((p.phi_weight * p.phi + square) / (p.phi_weight + expected)).max(1.0)
    }

    /// Adds a stretch to what waits.
    pub(crate) fn learn(&mut self, x: f64, span: &Span, deviation: Option<(f64, f64)>) {
        self.pending.0 += x;
        self.pending.1 += span.sum;
        self.minutes += span.minutes;
        if let Some((square, m)) = deviation {
            self.pending_deviation.0 += square;
            self.pending_deviation.1 += m;
        }
    }

    /// Adds the rate of another signature in the same group; both were integrated over the same clock.
    pub(crate) fn absorb(&mut self, other: &Self) {
        let exposure = self.exposure.max(other.exposure);
        let events = |it: &Self| {
            if it.exposure > 0.0 {
                it.events * exposure / it.exposure
            } else {
                it.events
            }
        };
        self.events = events(self) + events(other);
        self.exposure = exposure;
        self.pending.0 += other.pending.0;
        self.pending.1 = self.pending.1.max(other.pending.1);
        self.minutes = self.minutes.max(other.minutes);
        for (mine, theirs) in [
            (&mut self.deviation, other.deviation),
            (&mut self.pending_deviation, other.pending_deviation),
        ] {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
    }

    /// Forgets the events that wait: they belong to an alarm.
    pub(crate) fn drop_pending(&mut self) {
        self.pending = (0.0, 0.0);
    }

    /// Ends an hour: decays, takes over the dispersion and, if `commit`, the rate.
    pub(crate) fn close_hour(&mut self, decay: f64, noise_decay: f64, commit: bool) {
        let minutes = i32::try_from(self.minutes.min(60)).unwrap_or(60);
        self.minutes = 0;
        let (rate_decay, noise_decay) = (decay.powi(minutes), noise_decay.powi(minutes));
        self.events *= rate_decay;
        self.exposure *= rate_decay;
        self.deviation.0 = self.deviation.0 * noise_decay + self.pending_deviation.0;
        self.deviation.1 = self.deviation.1 * noise_decay + self.pending_deviation.1;
        self.pending_deviation = (0.0, 0.0);
        if commit {
            self.events += self.pending.0;
            self.exposure += self.pending.1;
            self.pending = (0.0, 0.0);
        }
    }
}
