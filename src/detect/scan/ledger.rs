//! The job ledger: past bursts of one signature, from which the next run of a job is foreseen.
//!
//! It must never suppress an alarm: it only grants a budget of events, so that a run three times
//! its usual size still alarms. Invariant: at most `BURSTS_MAX` bursts are remembered.

use serde::{Deserialize, Serialize};

/// Bursts remembered per signature (three hourly runs, a day and a week fit beside some noise).
pub(crate) const BURSTS_MAX: usize = 16;
/// Minutes within which bursts are one, and for which a budget holds.
const MERGE_MINUTES: i32 = 10;
const BUDGET_MINUTES: i32 = 12;

/// Bursts as old as this tell the phase of an hourly job: half a day.
const PHASE_MINUTES: i32 = 725;

/// Runs in half a day, and events in each, that make an hourly job sure enough to miss it.
const JOB_RUNS_MIN: u32 = 7;
const JOB_SIZE_MIN: f64 = 8.0;

/// One past burst.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Burst {
    at: i32,
    size: f64,
}

/// Remembers bursts and holds the present budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    bursts: Vec<Burst>,
    next: u8,
    current: Option<u8>,
    budget: f64,
    budget_until: i32,
    /// Last minute with more than one event at the phase of the last burst, or of a burst.
    run_at: i32,
    /// Whether the present silence of a job was said.
    said: bool,
}

/// What a minute looks like to the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Minute {
    pub(crate) t: i32,
    pub(crate) count: f64,
    pub(crate) expected: f64,
    /// How late the feed may be at this minute.
    pub(crate) lag: i32,
    pub(crate) phi: f64,
}

impl Minute {
    /// Tells whether the minute alone is a burst.
    pub(crate) fn is_burst(&self) -> bool {
        self.count > 3.0 + 2.0 * self.expected + 3.0 * (self.expected * self.phi).sqrt()
    }
}

impl Ledger {
    /// Notes the minute and gives the factor by which its counts are to be scaled down.
    pub(crate) fn scale(&mut self, minute: Minute) -> f64 {
        let running = self.running(minute.t);
        let burst = minute.is_burst();
        let more = minute.count > 2.0 * minute.expected + 1.0;
        if minute.t > self.budget_until && more {
            let known = self.known(minute, burst);
            if known > 0.0 {
                self.budget = known;
                self.budget_until = minute.t + BUDGET_MINUTES;
            }
        }
        if burst || (minute.count > 1.0 && self.at_phase(minute.t)) {
            self.run_at = minute.t;
            self.said = false;
        }
        if burst || (running && more) {
            self.note(minute, running);
        }
        if minute.t > self.budget_until || self.budget <= 0.0 {
            return 1.0;
        }
        let explained = (minute.count - minute.expected).min(self.budget).max(0.0);
        self.budget -= explained;
        (minute.count - explained) / minute.count
    }

    fn last(&self) -> Option<Burst> {
        let newest = self.current.and_then(|i| self.bursts.get(usize::from(i)));
        newest.copied()
    }

    fn at_phase(&self, t: i32) -> bool {
        self.last()
            .is_some_and(|last| (t - last.at + 5).rem_euclid(60) <= 10)
    }

    /// Gives the minute at which an hourly job that has not run since is silent; none when the
    /// bursts are not those of an hourly job.
    pub(crate) fn overdue_at(&self, minutes: i32) -> Option<i32> {
        let last = self.last().filter(|_| !self.said)?;
        let (mut on_phase, mut off_phase) = (0_u32, 0_u32);
        for burst in &self.bursts {
            let age = last.at - burst.at;
            if burst.size < JOB_SIZE_MIN || !(1..=PHASE_MINUTES).contains(&age) {
                continue;
            }
            if (age + 3) % 60 <= 6 {
                on_phase += 1;
            } else {
                off_phase += 1;
            }
        }
        let job = on_phase >= JOB_RUNS_MIN && off_phase == 0 && last.size >= JOB_SIZE_MIN;
        job.then_some(self.run_at + minutes)
    }

    /// Notes that the silence of the job was said.
    pub(crate) fn say(&mut self) {
        self.said = true;
    }

    fn running(&self, t: i32) -> bool {
        self.current
            .and_then(|i| self.bursts.get(usize::from(i)))
            .is_some_and(|b| t - b.at <= MERGE_MINUTES)
    }

    fn note(&mut self, minute: Minute, running: bool) {
        let current = self
            .current
            .and_then(|i| self.bursts.get_mut(usize::from(i)));
        if let (true, Some(burst)) = (running, current) {
            burst.size += minute.count;
            return;
        }
        let burst = Burst {
            at: minute.t,
            size: minute.count,
        };
        match self.bursts.get_mut(usize::from(self.next)) {
            Some(slot) => *slot = burst,
            None => self.bursts.push(burst),
        }
        self.current = Some(self.next);
        self.next = (self.next + 1) % u8::try_from(BURSTS_MAX).unwrap_or(u8::MAX);
    }

    /// Size that a periodic job explains: the same minute of the hour often enough today, or the
    /// same time of day yesterday, or of the week.
    fn known(&self, minute: Minute, burst: bool) -> f64 {
        let (mut hours, mut hourly) = ([false; 3], 0.0_f64);
        let (mut on_phase, mut off_phase, mut phased) = (0_u32, 0_u32, 0.0_f64);
        let (mut daily, mut weekly, mut recent) = (0.0_f64, 0.0_f64, 0_u32);
        let (mut yesterday, mut days) = (false, 0_u32);
        let lag = minute.lag;
        for burst in &self.bursts {
            let age = minute.t - burst.at;
            if age <= BUDGET_MINUTES {
                continue;
            }
            if age > 20 && age <= 1500 && burst.size >= minute.count / 4.0 {
                recent += 1;
            }
            for (seen, phase) in hours.iter_mut().zip([60, 120, 180]) {
                if (phase - 3..=phase + 3 + lag).contains(&age) {
                    *seen = true;
                    hourly = hourly.max(burst.size);
                    break;
                }
            }
            if age <= PHASE_MINUTES {
                if (age + 3) % 60 <= 6 + lag {
                    on_phase += 1;
                    phased = phased.max(burst.size);
                } else {
                    off_phase += 1;
                }
            }
            if (age + 12) % 1440 <= 24 + lag && age >= 1428 {
                yesterday |= age <= 1452 + lag;
                days += 1;
                daily = daily.max(burst.size);
            }
            if (10_068..=10_092 + lag).contains(&age) {
                weekly = weekly.max(burst.size);
            }
        }
        let enough = if burst { 3 } else { 4 };
        let size = if on_phase >= enough && on_phase >= 3 * off_phase {
            phased
        } else if burst && hours.iter().filter(|h| **h).count() >= 2 {
            hourly
        } else if !burst || recent > 6 {
            0.0
        } else if yesterday || days >= 2 {
            daily
        } else {
            weekly
        };
        1.5 * size + 3.0 * size.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(t: i32, count: f64) -> Minute {
        Minute {
            t,
            count,
            expected: 0.1,
            lag: 0,
            phi: 1.3,
        }
    }

    #[test]
    fn third_hourly_run_is_explained_and_a_larger_one_is_not() {
        let mut ledger = Ledger::default();
        assert!((ledger.scale(burst(100, 30.0)) - 1.0).abs() < 1e-12);
        assert!((ledger.scale(burst(160, 30.0)) - 1.0).abs() < 1e-12);
        assert!(ledger.scale(burst(220, 30.0)) < 0.01);
        assert!(ledger.scale(burst(280, 300.0)) > 0.5);
    }

    #[test]
    fn hourly_job_is_overdue_after_two_missed_runs_and_noise_never_is() {
        let mut ledger = Ledger::default();
        for hour in 0..10 {
            ledger.scale(burst(100 + 60 * hour, 30.0));
        }
        assert_eq!(ledger.overdue_at(130), Some(640 + 130));
        let mut noise = Ledger::default();
        for i in 0..10 {
            noise.scale(burst(100 + 37 * i, 30.0));
        }
        assert_eq!(noise.overdue_at(130), None);
    }

    #[test]
    fn ledger_never_grows_past_its_limit() {
        let mut ledger = Ledger::default();
        for i in 0..500 {
            ledger.scale(burst(i * 17, 40.0));
        }
        assert_eq!(ledger.bursts.len(), BURSTS_MAX);
    }
}
