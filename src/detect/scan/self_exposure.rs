//! Exposure from the logs alone: one factor a minute for the whole feed, a slow share per group and
//! a split by version inside a group.
//!
//! Every signature votes with count over baseline, winsorised and weighted (`DESeq`'s size factors as
//! an M-estimator). It must never look ahead. Invariant: a fault that hits most of the weight of
//! all signatures is read as traffic, so the source has to be shown wherever a rate is.

use std::collections::{BTreeSet, VecDeque};

use rapidhash::RapidHashMap;
use serde::{Deserialize, Serialize};

use super::{CellCount, CellExposure};

/// Units of exposure per minute at factor one (any number does; request-like for reading).
const UNIT: f64 = 1000.0;
/// Minutes of the slow and of the fast window.
const SLOW: usize = 20;
const FAST: usize = 3;
/// Minutes of the version split, and of the fast split when it has `SPLIT_EVENTS` events.
const SPLIT: usize = 30;
const SPLIT_FAST: usize = 4;
const SPLIT_EVENTS: f64 = 25.0;
/// Half-life of the baseline, days.
const HALF_LIFE_DAYS: f64 = 3.0;
/// Minutes before counts are winsorised: half a day.
const WINSOR_FROM: u32 = 720;
/// Learning rate and weight of the hourly group shares.
const SHARE_RATE: f64 = 0.1;
const SHARE_WEIGHT: f64 = 200.0;
/// Vote: dispersion and relative variance of one signature's count.
const VOTE_PHI: f64 = 2.0;
const VOTE_SPREAD: f64 = 0.15;
/// Expectation above which a silent signature votes on its own instead of in the pool.
const POOL_BELOW: f64 = 0.25;

/// Decayed events below which a signature is forgotten (one event, thirty days later).
const FORGET_BELOW: f64 = 0.001;
/// Most events of one cell and signature in a minute that the version split counts.
const SPLIT_CAP: u32 = 3;

/// Baseline and window counts of one signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Voter {
    /// Decayed events per group, as of minute `at`.
    sums: Vec<(u32, f64)>,
    at: u32,
    slow: u32,
    fast: u32,
}

impl Voter {
    fn decay_to(&mut self, now: u32, decay: f64) {
        if self.at < now {
            let factor = decay.powf(f64::from(now - self.at));
            self.sums.iter_mut().for_each(|(_, sum)| *sum *= factor);
            self.at = now;
        }
    }

    fn total(&self) -> f64 {
        self.sums.iter().map(|(_, sum)| sum).sum()
    }
}

/// Running sums of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GroupShare {
    group: u32,
    share: f64,
    /// Decayed events of all signatures.
    sum: f64,
    /// This hour's winsorised and expected events.
    counted: f64,
    expected: f64,
}

/// One vote: window counts, expectation at factor one.
#[derive(Clone, Copy, Debug)]
struct Vote {
    slow: f64,
    fast: f64,
    expected: f64,
}

/// Estimates exposure, minute by minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfExposure {
    voters: RapidHashMap<u32, Voter>,
    /// Signatures with events in the slow window, or with much to expect.
    single: BTreeSet<u32>,
    groups: Vec<GroupShare>,
    window: VecDeque<Vec<(u32, u32)>>,
    /// Winsorised events per (version, group) of the last minutes.
    splits: VecDeque<Vec<(u32, u32, u32)>>,
    last_seen: Vec<(u32, u32, u32)>,
    factor: f64,
    weight: f64,
    minutes: u32,
}

impl Default for SelfExposure {
    fn default() -> Self {
        Self {
            voters: RapidHashMap::default(),
            single: BTreeSet::new(),
            groups: Vec::new(),
            window: VecDeque::new(),
            splits: VecDeque::new(),
            last_seen: Vec::new(),
            factor: 1.0,
            weight: 0.0,
            minutes: 0,
        }
    }
}

impl SelfExposure {
    /// Takes a minute's counts (any order) and adds the exposure of its live cells to `out`.
    pub fn minute(&mut self, counts: &[CellCount], out: &mut Vec<CellExposure>) {
        let mut cells: Vec<CellCount> = counts.iter().filter(|c| c.count > 0).copied().collect();
        cells.sort_unstable();
        let decay = 0.5_f64.powf(1.0 / (HALF_LIFE_DAYS * 1440.0));
        self.note(&cells);
        let now = self.factor_now(&cells, decay);
        self.learn(&cells, now, decay);
        self.minutes += 1;
        if self.minutes.is_multiple_of(60) {
            self.end_hour(decay);
        }
        self.cells(now, out);
    }

    /// Gives the present factor of the feed: one is the baseline's own traffic.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Lets one signature vote with what another has voted with so far.
    pub fn absorb(&mut self, signature: u32, other: u32) {
        let Some(mut theirs) = self.voters.remove(&other).filter(|_| signature != other) else {
            return;
        };
        let decay = 0.5_f64.powf(1.0 / (HALF_LIFE_DAYS * 1440.0));
        let mine = self.voters.entry(signature).or_default();
        let now = mine.at.max(theirs.at);
        mine.decay_to(now, decay);
        theirs.decay_to(now, decay);
        for (group, events) in theirs.sums {
            match mine.sums.iter_mut().find(|(it, _)| *it == group) {
                Some((_, sum)) => *sum += events,
                None => mine.sums.push((group, events)),
            }
        }
        mine.slow = mine.slow.saturating_add(theirs.slow);
        mine.fast = mine.fast.saturating_add(theirs.fast);
        if self.single.remove(&other) {
            self.single.insert(signature);
        }
        for (it, _) in self.window.iter_mut().flatten() {
            if *it == other {
                *it = signature;
            }
        }
    }

    fn note(&mut self, cells: &[CellCount]) {
        let mut row: Vec<(u32, u32)> = Vec::new();
        for own in cells.chunk_by(|a, b| a.signature == b.signature) {
            let total = own.iter().fold(0_u32, |sum, c| sum.saturating_add(c.count));
            let Some(first) = own.first() else { continue };
            row.push((first.signature, total));
            let voter = self.voters.entry(first.signature).or_default();
            voter.slow = voter.slow.saturating_add(total);
            voter.fast = voter.fast.saturating_add(total);
            self.single.insert(first.signature);
        }
        self.window.push_back(row);
        if let Some(i) = self.window.len().checked_sub(FAST + 1) {
            for (signature, total) in self.window.get(i).into_iter().flatten() {
                if let Some(voter) = self.voters.get_mut(signature) {
                    voter.fast = voter.fast.saturating_sub(*total);
                }
            }
        }
        if self.window.len() > SLOW {
            for (signature, total) in self.window.pop_front().unwrap_or_default() {
                if let Some(voter) = self.voters.get_mut(&signature) {
                    voter.slow = voter.slow.saturating_sub(total);
                }
            }
        }
        let mut split: Vec<(u32, u32, u32)> = Vec::new();
        for cell in cells {
            let (version, group, count) = (cell.version, cell.group, cell.count.min(SPLIT_CAP));
            match split.iter_mut().find(|s| s.0 == version && s.1 == group) {
                Some(found) => found.2 += count,
                None => split.push((version, group, count)),
            }
            match self
                .last_seen
                .iter_mut()
                .find(|s| s.0 == version && s.1 == group)
            {
                Some(found) => found.2 = self.minutes,
                None => self.last_seen.push((version, group, self.minutes)),
            }
            if !self.groups.iter().any(|g| g.group == group) {
                let (share, sum) = (1.0, 0.0);
                self.groups.push(GroupShare {
                    group,
                    share,
                    sum,
                    counted: 0.0,
                    expected: 0.0,
                });
            }
        }
        self.splits.push_back(split);
        if self.splits.len() > SPLIT {
            self.splits.pop_front();
        }
    }

    /// Solves for the factor of this minute.
    fn factor_now(&mut self, cells: &[CellCount], decay: f64) -> f64 {
        if self.minutes < 30 || self.weight <= 0.0 {
            return self.factor;
        }
        let minutes = f64::from(u32::try_from(self.window.len()).unwrap_or(1));
        let per_minute = self.groups.iter().map(|g| g.sum).sum::<f64>() / self.weight;
        let mut ballot = Vec::with_capacity(self.single.len());
        let mut pool = per_minute;
        for signature in &self.single {
            let Some(voter) = self.voters.get_mut(signature) else {
                continue;
            };
            voter.decay_to(self.minutes, decay);
            let expected = voter.total() / self.weight;
            pool -= expected;
            ballot.push(Vote {
                slow: f64::from(voter.slow),
                fast: f64::from(voter.fast),
                expected,
            });
        }
        let pool = pool.max(0.0);
        self.factor = solve(&ballot, pool, minutes, self.factor, |v| v.slow);
        let span = 3.0; // FAST, as a number of minutes
        let fast = solve(&ballot, pool, span, self.factor, |v| v.fast);
        let mut now = self.factor;
        let moved = (fast.max(1e-3) / self.factor).ln().abs() > 0.35;
        if moved
            && (fast - self.factor).abs() * (per_minute * span).sqrt() > 8.0 * self.factor.sqrt()
        {
            now = fast;
        }
        if cells.is_empty() && per_minute * self.factor > 12.0 {
            now = 0.0;
        }
        now
    }

    fn learn(&mut self, cells: &[CellCount], now: f64, decay: f64) {
        let weight = self.weight;
        for group in &mut self.groups {
            if weight > 0.0 {
                group.expected += group.sum / weight * now * group.share;
            }
            group.sum *= decay;
        }
        let minute = self.minutes;
        for own in cells.chunk_by(|a, b| a.signature == b.signature) {
            let Some(voter) = own.first().and_then(|c| self.voters.get_mut(&c.signature)) else {
                continue;
            };
            voter.decay_to(minute, decay);
            for group in &mut self.groups {
                let count: u32 = own
                    .iter()
                    .filter(|c| c.group == group.group)
                    .fold(0, |sum, c| sum.saturating_add(c.count));
                if count == 0 {
                    continue;
                }
                if !voter.sums.iter().any(|(g, _)| *g == group.group) {
                    voter.sums.push((group.group, 0.0));
                }
                let Some((_, sum)) = voter.sums.iter_mut().find(|(g, _)| *g == group.group) else {
                    continue;
                };
                let m = if weight > 0.0 {
                    *sum / weight * now * group.share
                } else {
                    0.0
                };
                let cap = m + 4.0 * (2.0 * m).sqrt() + 3.0;
                let x = f64::from(count).min(if minute > WINSOR_FROM { cap } else { f64::MAX });
                *sum += x;
                group.sum += x;
                group.counted += x;
            }
        }
        self.weight = self.weight * decay + now;
    }

    fn end_hour(&mut self, decay: f64) {
        if self.minutes > WINSOR_FROM {
            for group in self.groups.iter_mut().filter(|g| g.expected > 0.0) {
                let ratio = (group.counted + SHARE_WEIGHT) / (group.expected + SHARE_WEIGHT);
                group.share *= ratio.powf(SHARE_RATE);
            }
            let count = f64::from(u32::try_from(self.groups.len()).unwrap_or(1).max(1));
            let mean = self.groups.iter().map(|g| g.share).sum::<f64>() / count;
            for group in self.groups.iter_mut().filter(|_| mean > 0.0) {
                group.share /= mean;
            }
        }
        for group in &mut self.groups {
            (group.counted, group.expected) = (0.0, 0.0);
        }
        let (now, weight) = (self.minutes, self.weight);
        self.voters.retain(|_, voter| {
            voter.decay_to(now, decay);
            voter.slow > 0 || voter.total() > FORGET_BELOW
        });
        let much = |v: &Voter| v.slow > 0 || v.total() * 20.0 > POOL_BELOW * weight;
        self.single = self
            .voters
            .iter()
            .filter(|(_, v)| much(v))
            .map(|(s, _)| *s)
            .collect();
        let dead = now.saturating_sub(30 * 1440);
        self.last_seen.retain(|s| s.2 >= dead);
    }

    /// Splits the groups' exposure by version.
    fn cells(&self, now: f64, out: &mut Vec<CellExposure>) {
        let count = |version: u32, group: u32, minutes: usize| -> f64 {
            let rows = self.splits.iter().rev().take(minutes).flatten();
            f64::from(
                rows.filter(|s| s.0 == version && s.1 == group)
                    .map(|s| s.2)
                    .sum::<u32>(),
            )
        };
        let mut known = self.last_seen.clone();
        known.sort_unstable();
        for group in &self.groups {
            let exposure = UNIT * now * group.share;
            let own = || known.iter().filter(|s| s.1 == group.group);
            let fast: f64 = own().map(|s| count(s.0, s.1, SPLIT_FAST)).sum();
            let minutes = if fast >= SPLIT_EVENTS {
                SPLIT_FAST
            } else {
                SPLIT
            };
            let total: f64 = own().map(|s| count(s.0, s.1, minutes)).sum();
            let newest = own().map(|s| s.2).max();
            for seen in own() {
                let part = if total > 0.0 {
                    count(seen.0, seen.1, minutes) / total
                } else {
                    f64::from(u8::from(Some(seen.2) == newest))
                };
                if part > 0.0 && exposure > 0.0 {
                    let (version, group) = (seen.0, seen.1);
                    out.push(CellExposure {
                        version,
                        group,
                        exposure: exposure * part,
                    });
                }
            }
        }
    }
}

/// Robust size factor: weighted winsorised sum of counts over that of expectations, four rounds.
fn solve(votes: &[Vote], pool: f64, minutes: f64, start: f64, count: impl Fn(&Vote) -> f64) -> f64 {
    let mut factor = start;
    for _ in 0..4 {
        // The pool: signatures with little to expect and no event, all alike.
        let (mut counted, mut expected) = (0.0, pool * minutes / VOTE_PHI);
        for vote in votes {
            let e = vote.expected * minutes;
            let m = e * factor;
            if m <= 0.0 {
                continue;
            }
            let variance = VOTE_PHI * m + VOTE_SPREAD * m * m;
            let limit = 2.0 * variance.sqrt() + 0.5;
            let weight = 1.0 / (VOTE_PHI + VOTE_SPREAD * m);
            counted += weight * (m + (count(vote) - m).clamp(-limit, limit));
            expected += weight * e;
        }
        if expected <= 0.0 {
            return factor;
        }
        let next = counted / expected;
        if (next.max(1e-6) / factor).ln().abs() < 0.002 {
            return next.max(1e-3);
        }
        factor = next.max(1e-3);
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of 60 signatures, one to three a minute each, scaled by `traffic`.
    fn feed(t: u32, traffic: u32) -> Vec<CellCount> {
        (0..60_u32)
            .map(|signature| {
                let count = (1 + (signature * 7 + t * 13) % 3) * traffic / 10;
                CellCount {
                    signature,
                    version: 0,
                    group: 0,
                    count,
                }
            })
            .collect()
    }

    #[test]
    fn traffic_twice_as_high_gives_exposure_twice_as_high() {
        let mut exposure = SelfExposure::default();
        let mut out = Vec::new();
        for t in 0..1500 {
            out.clear();
            exposure.minute(&feed(t, 10), &mut out);
        }
        let before = out[0].exposure;
        for t in 1500..1540 {
            out.clear();
            exposure.minute(&feed(t, 20), &mut out);
        }
        let ratio = out[0].exposure / before;
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn one_bursting_signature_is_not_traffic() {
        let mut exposure = SelfExposure::default();
        let mut out = Vec::new();
        for t in 0..1500 {
            out.clear();
            exposure.minute(&feed(t, 10), &mut out);
        }
        let before = out[0].exposure;
        for t in 1500..1540 {
            out.clear();
            let mut counts = feed(t, 10);
            counts[0].count = 500;
            exposure.minute(&counts, &mut out);
        }
        assert!((out[0].exposure / before - 1.0).abs() < 0.1);
    }

    #[test]
    fn gap_of_the_feed_has_no_exposure() {
        let mut exposure = SelfExposure::default();
        let mut out = Vec::new();
        for t in 0..1500 {
            out.clear();
            exposure.minute(&feed(t, 10), &mut out);
        }
        assert!(!out.is_empty());
        out.clear();
        exposure.minute(&[], &mut out);
        assert!(out.is_empty());
    }
}
