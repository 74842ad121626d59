//! The recent past of a signature: its hosts of the last minutes, and its learned hourly rate.

use serde::{Deserialize, Serialize};

use super::buckets::NameCounts;
use super::name::Name;
use super::tally::{most, ratio};
use crate::model::EventTime;

/// Hosts of a signature that are followed within one recent block.
const RECENT_HOSTS_MAX: usize = 32;

/// Length of a recent block in seconds; the recent past is this block and the one before.
const RECENT_SECONDS: i64 = 300;

/// Events by host in the last five to ten minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    block: i64,
    now: NameCounts,
    now_events: u64,
    before: NameCounts,
    before_events: u64,
    /// Distinct buckets with events in both blocks.
    buckets: (u32, u32),
}

/// The learned rate of a signature over whole hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HourRate {
    hour: i64,
    events: u64,
    hours: u32,
    per_min: f64,
}

impl Recent {
    /// Counts the hosts of one bucket.
    pub(super) fn add(&mut self, bucket: EventTime, hosts: &NameCounts, events: u64) {
        self.roll(bucket);
        self.now_events += events;
        self.buckets.1 += 1;
        for (host, n) in hosts {
            let known = self.now.binary_search_by(|(it, _)| it.cmp(host)).is_ok();
            if known || self.now.len() < RECENT_HOSTS_MAX {
                super::buckets::add_count(&mut self.now, host, *n);
                continue;
            }
            // A host that is louder than the quietest one takes its place.
            let quietest = self.now.iter().enumerate().min_by_key(|(_, (_, n))| *n);
            if let Some((place, (_, least))) = quietest
                && *least < *n
            {
                self.now.remove(place);
                super::buckets::add_count(&mut self.now, host, *n);
            }
        }
    }

    fn roll(&mut self, bucket: EventTime) {
        self.roll_to(bucket.seconds().div_euclid(RECENT_SECONDS));
    }

    /// Takes the recent past of another signature over.
    pub(super) fn absorb(&mut self, other: &Self) {
        let block = self.block.max(other.block);
        let mut other = other.clone();
        other.roll_to(block);
        self.roll_to(block);
        for (mine, theirs) in [
            (&mut self.now, &other.now),
            (&mut self.before, &other.before),
        ] {
            for (host, events) in theirs {
                let known = mine.binary_search_by(|(it, _)| it.cmp(host)).is_ok();
                if known || mine.len() < RECENT_HOSTS_MAX {
                    super::buckets::add_count(mine, host, *events);
                }
            }
        }
        self.now_events += other.now_events;
        self.before_events += other.before_events;
        self.buckets.0 = self.buckets.0.max(other.buckets.0);
        self.buckets.1 = self.buckets.1.max(other.buckets.1);
    }

    fn roll_to(&mut self, block: i64) {
        if block == self.block {
            return;
        }
        let follows = block == self.block + 1;
        self.before = std::mem::take(&mut self.now);
        self.before_events = std::mem::take(&mut self.now_events);
        self.buckets = (self.buckets.1, 0);
        if !follows {
            self.before.clear();
            self.before_events = 0;
            self.buckets.0 = 0;
        }
        self.block = block;
    }

    /// Counts the hosts that had events recently, as far as they are followed.
    pub(super) fn hosts(&self, at: EventTime) -> u64 {
        let behind = at.plus_millis(-1).seconds().div_euclid(RECENT_SECONDS) - self.block;
        let mut names: Vec<&Name> = Vec::new();
        if behind <= 0 {
            names.extend(self.before.iter().map(|(name, _)| name));
        }
        if behind <= 1 {
            names.extend(self.now.iter().map(|(name, _)| name));
        }
        names.sort();
        names.dedup();
        names.len() as u64
    }

    /// Tells whether a host had events recently.
    pub(super) fn has(&self, host: &Name) -> bool {
        [&self.now, &self.before]
            .iter()
            .any(|it| it.binary_search_by(|(name, _)| name.cmp(host)).is_ok())
    }

    /// Returns the host with most recent events, its events, its share, and the buckets with events.
    pub(super) fn main(&self) -> Option<(Name, u64, f64, u32)> {
        let mut both = self.now.clone();
        for (host, n) in &self.before {
            super::buckets::add_count(&mut both, host, *n);
        }
        let (host, events) = most(&both)?;
        let share = ratio(events, self.now_events + self.before_events);
        Some((host.clone(), events, share, self.buckets.0 + self.buckets.1))
    }
}

impl HourRate {
    pub(super) fn add(&mut self, hour: i64, events: u64) {
        if hour < self.hour {
            return;
        }
        if self.hour != hour {
            (self.per_min, self.hours) = self.learned(hour);
            self.hour = hour;
            self.events = 0;
        }
        self.events += events;
    }

    /// Adds the rate of another signature.
    pub(super) fn absorb(&mut self, other: &Self) {
        let hour = self.hour.max(other.hour);
        let at = |it: &Self| {
            if it.hour == hour {
                (it.per_min, it.hours, it.events)
            } else {
                let (per_min, hours) = it.learned(hour);
                (per_min, hours, 0)
            }
        };
        let (mine, theirs) = (at(self), at(other));
        *self = Self {
            hour,
            per_min: mine.0 + theirs.0,
            hours: mine.1.max(theirs.1),
            events: mine.2 + theirs.2,
        };
    }

    /// Returns the rate and the hours behind it at the start of `hour`.
    fn learned(&self, hour: i64) -> (f64, u32) {
        if self.hour == 0 {
            return (0.0, 0);
        }
        let mut rate = self.per_min;
        let mut hours = self.hours;
        let gone = hour - self.hour;
        // A day's memory; a week without an event has forgotten everything.
        for step in 0..gone.clamp(0, 168) {
            #[expect(clippy::cast_precision_loss, reason = "events of an hour")]
            let seen = if step == 0 {
                self.events as f64 / 60.0
            } else {
                0.0
            };
            hours = hours.saturating_add(1);
            rate += (seen - rate) / f64::from(hours.min(24));
        }
        (rate, hours)
    }

    /// Returns events per minute as of the hours before `hour`; `None` before three hours were seen.
    pub(super) fn expected(&self, hour: i64) -> Option<f64> {
        let (rate, hours) = self.learned(hour);
        (hours >= 3).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loud_host_is_seen_among_many_quiet_ones() {
        let mut recent = Recent::default();
        let quiet: NameCounts = (0..40)
            .map(|n| (Name::from(format!("mw1{n:03}").as_str()), 1))
            .collect();
        recent.add(EventTime::from_seconds(0), &quiet, 40);
        recent.add(
            EventTime::from_seconds(10),
            &vec![("mw2020".into(), 960)],
            960,
        );
        let (host, events, share, buckets) = recent.main().unwrap();
        assert_eq!((host.as_str(), events, buckets), ("mw2020", 960, 2));
        assert!((share - 0.96).abs() < 1e-9);
    }

    #[test]
    fn the_learned_rate_is_of_past_hours_only() {
        let mut rate = HourRate::default();
        for hour in 100..110 {
            rate.add(hour, 60);
        }
        rate.add(110, 1_000_000);
        let expected = rate.expected(110).unwrap();
        assert!((expected - 1.0).abs() < 1e-9, "{expected}");
    }
}
