//! Our own small randomness: the same seed gives the same numbers on every machine.
//!
//! It must never be used where a number has to be hard to guess.

/// A generator of 64-bit numbers (`SplitMix64`, Steele, Lea and Flood 2014): one word of state, so a
/// stream can start afresh at every second of event time.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

/// Step of `SplitMix64`: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns a number that looks unrelated to both arguments.
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(STEP) ^ b.rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a number for a text, the same on every machine.
pub(crate) fn mix_text(text: &str) -> u64 {
    text.bytes()
        .fold(STEP, |state, byte| mix(state, u64::from(byte)))
}

impl Rng {
    /// Makes a generator.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`; 0 if the limit is 0.
    pub(crate) const fn below(&mut self, limit: u32) -> u32 {
        (((self.bits() >> 32) * limit as u64) >> 32) as u32
    }

    /// Returns an index below `limit`; 0 if the limit is 0.
    pub(crate) fn index(&mut self, limit: usize) -> usize {
        self.below(u32::try_from(limit).unwrap_or(u32::MAX)) as usize
    }

    /// Returns a number from 0 up to, but not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws from a Poisson distribution.
    pub(crate) fn poisson(&mut self, mean: &PoissonMean) -> u32 {
        let mut drawn = 0;
        for _ in 0..mean.whole {
            drawn += self.invert(POISSON_PART, mean.exp_part);
        }
        drawn + self.invert(mean.rest, mean.exp_rest)
    }

    /// Draws by inversion: walks up the distribution until it passes a uniform number.
    fn invert(&mut self, mean: f64, exp: f64) -> u32 {
        let mut left = self.unit() - exp;
        let mut term = exp;
        let mut drawn = 0;
        while left >= 0.0 && drawn < POISSON_MAX {
            drawn += 1;
            term *= mean / f64::from(drawn);
            left -= term;
        }
        drawn
    }
}

/// The largest mean that is inverted in one go; `exp(-30)` is far above the smallest double.
const POISSON_PART: f64 = 30.0;

/// End of the walk: past it the terms of a mean of 30 are below the precision of a double.
const POISSON_MAX: u32 = 200;

/// A mean with its exponentials, so that a draw needs none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoissonMean {
    whole: u32,
    exp_part: f64,
    rest: f64,
    exp_rest: f64,
}

impl PoissonMean {
    /// Prepares draws with this mean; a negative one counts as 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the quotient is not negative and `as` saturates"
    )]
    pub(crate) fn new(mean: f64) -> Self {
        let mean = mean.max(0.0);
        let whole = (mean / POISSON_PART).floor() as u32;
        let rest = mean - f64::from(whole) * POISSON_PART;
        Self {
            whole,
            exp_part: (-POISSON_PART).exp(),
            rest,
            exp_rest: (-rest).exp(),
        }
    }
}

/// Picks indices with given weights in constant time (Vose's alias table).
#[derive(Clone, Debug, Default)]
pub(crate) struct Weighted {
    cells: Vec<(u32, u32)>,
}

impl Weighted {
    /// Builds the table; weights that are not positive are never picked unless all are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "tables have a few thousand cells, shares lie between 0 and 1"
    )]
    pub(crate) fn new(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().map(|it| it.max(0.0)).sum();
        let n = weights.len() as f64;
        let mut share: Vec<f64> = weights
            .iter()
            .map(|it| {
                if sum > 0.0 {
                    it.max(0.0) * n / sum
                } else {
                    1.0
                }
            })
            .collect();
        let mut cells: Vec<(u32, u32)> =
            (0..weights.len()).map(|it| (u32::MAX, it as u32)).collect();
        let mut small: Vec<usize> = (0..share.len())
            .filter(|&it| share.get(it).is_some_and(|&it| it < 1.0))
            .collect();
        let mut large: Vec<usize> = (0..share.len())
            .filter(|&it| share.get(it).is_some_and(|&it| it >= 1.0))
            .collect();
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            let part = share.get(low).copied().unwrap_or_default();
            if let Some(cell) = cells.get_mut(low) {
                *cell = ((part * f64::from(u32::MAX)) as u32, high as u32);
            }
            if let Some(rest) = share.get_mut(high) {
                *rest -= 1.0 - part;
                if *rest < 1.0 {
                    large.pop();
                    small.push(high);
                }
            }
        }
        Self { cells }
    }

    /// Picks an index; 0 from an empty table.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(crate) fn pick(&self, rng: &mut Rng) -> usize {
        let bits = rng.bits();
        let place = ((bits >> 32) as usize * self.cells.len()) >> 32;
        match self.cells.get(place) {
            Some(&(limit, other)) if (bits as u32) > limit => other as usize,
            _ => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_draws_have_the_mean_and_variance_asked_for() {
        for mean in [0.02, 1.0, 17.5, 95.0] {
            let mut rng = Rng::new(7);
            let prepared = PoissonMean::new(mean);
            let n = 200_000;
            let draws: Vec<f64> = (0..n).map(|_| f64::from(rng.poisson(&prepared))).collect();
            let average = draws.iter().sum::<f64>() / f64::from(n);
            let variance =
                draws.iter().map(|it| (it - average).powi(2)).sum::<f64>() / f64::from(n);
            let error = 5.0 * (mean / f64::from(n)).sqrt();
            assert!((average - mean).abs() < error, "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.1, "{mean}: {variance}");
        }
    }

    #[test]
    fn weighted_picks_follow_the_weights() {
        let table = Weighted::new(&[1.0, 0.0, 3.0, 6.0]);
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 4];
        for _ in 0..100_000 {
            seen[table.pick(&mut rng)] += 1;
        }
        assert_eq!(seen[1], 0);
        for (place, share) in [(0, 0.1), (2, 0.3), (3, 0.6)] {
            let got = f64::from(seen[place]) / 100_000.0;
            assert!((got - share).abs() < 0.01, "{place}: {got}");
        }
    }

    #[test]
    fn numbers_below_a_limit_reach_all_of_it() {
        let mut rng = Rng::new(3);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[rng.index(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(rng.below(0), 0);
    }
}
