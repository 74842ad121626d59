//! Dispersion of one signature's counts: clusters longer than a minute, and drift of the rate.
//!
//! It must never learn from stretches that the baseline does not learn from. Invariant: the result
//! of closing blocks does not depend on whether their minutes came one by one or as one stretch.

use serde::{Deserialize, Serialize};

use super::params::Params;

/// A block in the making: guarded count and expected count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Block {
    x: f64,
    m: f64,
}

/// Decayed sums of an information-weighted mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Weighted {
    sum: f64,
    weight: f64,
}

/// Scales of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    TenMinutes,
    Hour,
    FourHours,
}

/// Holds the block statistics of one signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    blocks: [Block; 3],
    drift: [Weighted; 3],
    /// Squared deviation, expected count and number of ten-minute blocks, decayed.
    cluster: [f64; 3],
}

impl Noise {
    /// Adds the noise of another signature: sums of squares and of expectations add up.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            mine.x += theirs.x;
            mine.m += theirs.m;
        }
        for (mine, theirs) in self.drift.iter_mut().zip(&other.drift) {
            mine.sum += theirs.sum;
            mine.weight += theirs.weight;
        }
        let [square, m, blocks] = &mut self.cluster;
        *square += other.cluster[0];
        *m += other.cluster[1];
        *blocks = blocks.max(other.cluster[2]);
    }

    /// Adds a stretch to the open blocks.
    pub(crate) fn add(&mut self, x: f64, m: f64) {
        for block in &mut self.blocks {
            block.x += x;
            block.m += m;
        }
    }

    /// Adds an hour without events and closes its ten-minute blocks, taken as equal.
    pub(crate) fn add_empty_hour(&mut self, m: f64, closing: &Closing<'_>) {
        let [ten, hour, long] = &mut self.blocks;
        hour.m += m;
        long.m += m;
        *ten = Block::default();
        for _ in 0..6 {
            self.blocks[0].m = m / 6.0;
            self.close(Scale::TenMinutes, closing);
        }
    }

    /// Closes the block of a scale.
    pub(crate) fn close(&mut self, scale: Scale, closing: &Closing<'_>) {
        let (i, minutes) = match scale {
            Scale::TenMinutes => (0, 10),
            Scale::Hour => (1, 60),
            Scale::FourHours => (2, 240),
        };
        let p = closing.params;
        let (Some(block), Some(drift), Some(prior)) = (
            self.blocks.get_mut(i),
            self.drift.get_mut(i),
            p.drift.get(i),
        ) else {
            return;
        };
        let Block { x, m } = std::mem::take(block);
        if !closing.learning || m <= 0.0 {
            return;
        }
        let square = (x - m) * (x - m);
        let decay = closing.decay.powi(minutes);
        if i == 0 {
            // 100: a block ten deviations off says no more than that
            let capped = square.min(100.0 * m.max(1.0));
            for (sum, term) in self.cluster.iter_mut().zip([capped, m, 1.0]) {
                *sum = *sum * decay + term;
            }
        }
        let now = estimate(drift, *prior, p.drift_weight);
        let weight = m / (closing.phi + prior * m); // a block of a low rate says nothing
        let deviation = (square - closing.phi * m) / (m * m);
        let deviation = deviation.min(p.drift_cap.max(p.drift_cap_ratio * now));
        drift.sum = drift.sum * decay + weight * deviation;
        drift.weight = drift.weight * decay + weight;
    }

    /// Gives the relative variances at the three scales.
    pub(crate) fn drift(&self, p: &Params) -> [f64; 3] {
        let mut out = p.drift;
        for (value, drift) in out.iter_mut().zip(&self.drift) {
            *value = estimate(drift, *value, p.drift_weight);
        }
        out
    }

    /// Gives the dispersion with clusters longer than a minute, from that of a minute.
    pub(crate) fn long(&self, phi: f64, p: &Params) -> f64 {
        let [square, m, blocks] = self.cluster;
        if blocks <= 0.0 {
            return phi;
        }
        let pooled = (p.phi_weight * phi + square) / (p.phi_weight + m);
        phi + (pooled - phi).max(0.0) / (1.0 + m / blocks / p.cluster_events)
    }
}

fn estimate(drift: &Weighted, prior: f64, weight: f64) -> f64 {
    ((weight + drift.sum) / (weight / prior + drift.weight)).max(0.0)
}

/// What closing a block needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a> {
    pub(crate) params: &'a Params,
    /// Minute dispersion of the whole signature, at least one.
    pub(crate) phi: f64,
    /// Decay per minute.
    pub(crate) decay: f64,
    /// Whether enough reference time was seen.
    pub(crate) learning: bool,
}
