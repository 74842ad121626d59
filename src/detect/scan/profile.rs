//! The hour-of-day profile of one signature.
//!
//! It must never be used before its daily harmonic is significant: a profile for everybody overfits.
//! Invariant: 24 bins of guarded count and expected count, each decayed when it is added to.

use serde::{Deserialize, Serialize};

use super::params::Params;

/// Decay of a bin each time its hour comes round.
const DAILY_DECAY: f64 = 0.9;

/// Holds the bins and whether they are in use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    bins: [[f32; 2]; 24],
    used: bool,
}

impl Profile {
    /// Adds the profile of another signature.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
        self.used |= other.used;
    }

    /// Adds an hour's counts to its bin.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits are enough for a profile"
    )]
    pub(crate) fn add(&mut self, hour: u8, x: f64, m: f64) {
        if let Some([bx, bm]) = self.bins.get_mut(usize::from(hour % 24)) {
            *bx = (f64::from(*bx) * DAILY_DECAY + x) as f32;
            *bm = (f64::from(*bm) * DAILY_DECAY + m) as f32;
        }
    }

    /// Gives the factor of an hour: one while the profile is not in use.
    pub(crate) fn factor(&self, hour: u8, p: &Params) -> f64 {
        match self.bins.get(usize::from(hour % 24)) {
            Some([x, m]) if self.used => {
                (p.profile_weight + f64::from(*x)) / (p.profile_weight + f64::from(*m))
            }
            _ => 1.0,
        }
    }

    /// Tests the first daily harmonic against the dispersion of an hour.
    pub(crate) fn judge(&mut self, phi: f64, p: &Params) {
        let (mut cosine, mut sine, mut total) = (0.0, 0.0, 0.0);
        for (hour, [x, m]) in (0_u8..).zip(&self.bins) {
            let angle = std::f64::consts::TAU * f64::from(hour) / 24.0;
            let rest = f64::from(*x) - f64::from(*m);
            cosine += rest * angle.cos();
            sine += rest * angle.sin();
            total += f64::from(*m);
        }
        let [_, sixty, _] = p.drift;
        let variance = (total * (phi + 0.5 * sixty * total / 24.0)).max(1e-9);
        let z = (2.0 * (cosine * cosine + sine * sine) / variance).sqrt();
        self.used = z > p.profile_z;
    }
}
