//! Bounded counts of open-ended things: hosts of a signature, values of a facet, events by minute.
//!
//! Past a limit detail is given up, sums are not. Invariant: two tallies that took the same adds in the
//! same order are equal, and nothing depends on where a name lies in memory.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::buckets::{NameCounts, add_count};
use super::name::Name;
use super::view::{FacetView, HostsView, ValueCount};

/// Hosts of one signature that are counted one by one; past it their number is estimated.
// ARCHITECTURE.md: exact to 4,096.
const HOSTS_EXACT_MAX: usize = 4096;

/// Registers of the sketch that estimates the number of hosts past the exact limit.
// 2^12 registers of one byte: a standard error of 1.04/64 = 1.6 %.
const SKETCH_BITS: u32 = 12;

/// Values of one facet that are counted one by one.
const FACET_VALUES_MAX: usize = 256;

/// How many of the top hosts or values are shown.
const TOP: usize = 10;

/// Minutes that a [`Minutes`] remembers.
const MINUTES: i64 = 60;

/// Events by host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HostTally {
    counts: NameCounts,
    /// `HyperLogLog` registers, once there are more hosts than are counted one by one.
    sketch: Option<Vec<u8>>,
}

impl HostTally {
    pub(super) fn add(&mut self, host: &Name, events: u64) {
        let known = self.counts.binary_search_by(|(it, _)| it.cmp(host)).is_ok();
        if known || self.counts.len() < HOSTS_EXACT_MAX {
            add_count(&mut self.counts, host, events);
            return;
        }
        let sketch = match self.sketch.take() {
            Some(sketch) => sketch,
            None => {
                self.counts
                    .iter()
                    .fold(vec![0; 1 << SKETCH_BITS], |mut registers, (known, _)| {
                        observe(&mut registers, known);
                        registers
                    })
            }
        };
        let sketch = self.sketch.insert(sketch);
        observe(sketch, host);
    }

    /// Takes the hosts of another signature over.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (host, events) in &other.counts {
            self.add(host, *events);
        }
        let Some(theirs) = &other.sketch else { return };
        let counts = &self.counts;
        let mine = self.sketch.get_or_insert_with(|| {
            let mut registers = vec![0; 1 << SKETCH_BITS];
            for (known, _) in counts {
                observe(&mut registers, known);
            }
            registers
        });
        for (register, other) in mine.iter_mut().zip(theirs) {
            *register = (*register).max(*other);
        }
    }

    /// Returns the number of distinct hosts: exact, or estimated past the limit.
    pub(super) fn distinct(&self) -> u64 {
        match &self.sketch {
            None => self.counts.len() as u64,
            Some(registers) => estimate(registers).max(HOSTS_EXACT_MAX as u64 + 1),
        }
    }

    pub(super) fn view(&self) -> HostsView {
        HostsView {
            distinct: self.distinct(),
            exact: self.sketch.is_none(),
            top: top(&self.counts),
        }
    }

    /// Returns the host with most events and its share of `total`.
    pub(super) fn main(&self, total: u64) -> Option<(&Name, f64)> {
        let (host, events) = most(&self.counts)?;
        Some((host, ratio(events, total)))
    }
}

/// Events by value of one facet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FacetTally {
    counts: NameCounts,
    other: u64,
}

impl FacetTally {
    pub(super) fn add(&mut self, value: &Name, events: u64) {
        let known = self
            .counts
            .binary_search_by(|(it, _)| it.cmp(value))
            .is_ok();
        if known || self.counts.len() < FACET_VALUES_MAX {
            add_count(&mut self.counts, value, events);
        } else {
            self.other += events;
        }
    }

    /// Takes the values of another signature over.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (value, events) in &other.counts {
            self.add(value, *events);
        }
        self.other += other.other;
    }

    /// Returns how many values there are, and the most frequent one.
    pub(super) fn main(&self) -> (usize, Option<&Name>) {
        (self.counts.len(), most(&self.counts).map(|(name, _)| name))
    }

    pub(super) fn view(&self, name: &Name) -> FacetView {
        let top = top(&self.counts);
        let all = self.counts.iter().map(|(_, n)| n).sum::<u64>() + self.other;
        FacetView {
            name: name.to_string(),
            other_events: all - top.iter().map(|it| it.events).sum::<u64>(),
            top,
        }
    }
}

/// Events by minute over the last hour; minutes without events cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Minutes {
    /// Minute since the epoch and its events, oldest first.
    counts: VecDeque<(i64, u64)>,
}

impl Minutes {
    pub(super) fn add(&mut self, minute: i64, events: u64) {
        match self.counts.iter_mut().rev().find(|(it, _)| *it <= minute) {
            Some((it, n)) if *it == minute => *n += events,
            _ => {
                if self.counts.is_empty() {
                    self.counts.reserve_exact(1);
                }
                let place = self.counts.partition_point(|(it, _)| *it < minute);
                self.counts.insert(place, (minute, events));
            }
        }
        self.keep(MINUTES);
    }

    /// Adds the minutes of another signature.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (minute, events) in &other.counts {
            self.add(*minute, *events);
        }
    }

    /// Forgets all but the newest minutes.
    pub(super) fn keep(&mut self, minutes: i64) {
        let newest = self.counts.back().map_or(0, |(it, _)| *it);
        while self
            .counts
            .front()
            .is_some_and(|(it, _)| *it <= newest - minutes)
        {
            self.counts.pop_front();
        }
    }

    /// Returns the events of the `minutes` minutes that end with `minute`.
    pub(super) fn sum(&self, minute: i64, minutes: i64) -> u64 {
        self.counts
            .iter()
            .filter(|(it, _)| *it <= minute && *it > minute - minutes)
            .map(|(_, n)| n)
            .sum()
    }

    /// Returns the first minute of the unbroken run of minutes with events that ends at (or just before) `minute`.
    pub(super) fn onset(&self, minute: i64) -> Option<i64> {
        let mut first = None;
        let mut expected = minute;
        for (it, _) in self.counts.iter().rev().filter(|(it, _)| *it <= minute) {
            if *it < expected - 1 {
                break;
            }
            first = Some(*it);
            expected = *it - 1;
        }
        first
    }

    /// Returns the last 60 minutes, oldest first.
    pub(super) fn spark(&self, minute: i64) -> Vec<u32> {
        let mut spark = vec![0_u32; 60];
        for (it, n) in &self.counts {
            let age = minute - it;
            let slot = usize::try_from(MINUTES - 1 - age)
                .ok()
                .and_then(|place| spark.get_mut(place));
            if let Some(slot) = slot {
                *slot = u32::try_from(*n).unwrap_or(u32::MAX);
            }
        }
        spark
    }
}

/// Returns the entries with most events, most first, then by name.
pub(super) fn top(counts: &NameCounts) -> Vec<ValueCount> {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted
        .into_iter()
        .take(TOP)
        .map(|(value, events)| ValueCount {
            value: value.to_string(),
            events: *events,
        })
        .collect()
}

/// Returns the entry with most events; of equal ones the first by name.
pub(super) fn most(counts: &NameCounts) -> Option<(&Name, u64)> {
    counts
        .iter()
        .rev()
        .max_by_key(|(_, n)| *n)
        .map(|(name, n)| (name, *n))
}

/// Returns `part / whole`, 0 for an empty whole.
#[expect(clippy::cast_precision_loss, reason = "a share, shown with two digits")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// Hashes a name the same way on every node and in every release.
fn hash(name: &str) -> u64 {
    // FNV-1a, then the finisher of SplitMix64, which spreads it over all bits.
    let mut it = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

fn observe(registers: &mut [u8], name: &str) {
    let hash = hash(name);
    let rank = (hash << SKETCH_BITS).leading_zeros().min(64 - SKETCH_BITS) + 1;
    let place = usize::try_from(hash >> (64 - SKETCH_BITS)).unwrap_or_default();
    if let Some(register) = registers.get_mut(place) {
        *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a count far below 2^53"
)]
fn estimate(registers: &[u8]) -> u64 {
    let m = registers.len() as f64;
    let sum: f64 = registers.iter().map(|&it| (-f64::from(it)).exp2()).sum();
    let zeros = registers
        .iter()
        .map(|&it| usize::from(it == 0))
        .sum::<usize>();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
    // Linear counting below 2.5 m, as in the original paper.
    let estimate = if raw <= 2.5 * m && zeros > 0 {
        m * (m / zeros as f64).ln()
    } else {
        raw
    };
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_to_4096_and_close_beyond() {
        let mut tally = HostTally::default();
        for n in 0..4096 {
            tally.add(&Name::from(format!("mw{n}").as_str()), 1);
        }
        assert_eq!(tally.distinct(), 4096);
        assert!(tally.view().exact);
        for n in 4096..50_000 {
            tally.add(&Name::from(format!("mw{n}").as_str()), 1);
        }
        assert!(!tally.view().exact);
        let error = (ratio(tally.distinct(), 50_000) - 1.0).abs();
        assert!(error < 0.06, "{}", tally.distinct());
    }

    #[test]
    fn equal_hosts_are_listed_by_name() {
        let mut tally = HostTally::default();
        for host in ["c", "a", "b"] {
            tally.add(&host.into(), 2);
        }
        assert_eq!(tally.main(6).unwrap().0.as_str(), "a");
        let top = tally.view().top;
        assert_eq!(
            top.iter().map(|it| it.value.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn minutes_forget_what_is_older_than_an_hour() {
        let mut minutes = Minutes::default();
        minutes.add(100, 5);
        minutes.add(130, 7);
        minutes.add(129, 1);
        assert_eq!(minutes.sum(130, 5), 8);
        let spark = minutes.spark(130);
        assert_eq!((spark[59], spark[58], spark[29]), (7, 1, 5));
        minutes.add(161, 1);
        assert_eq!(minutes.sum(161, 60), 9);
    }
}
