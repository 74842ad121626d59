//! The timers of one signature: silences, and alarms whose time is over.

use super::super::rate::Rates;
use super::super::{Firing, Kind};
use super::{At, Buckets, Series, World, bucket_of, group_mut, hour_of_day, plain};

/// Longest wait of a silence timer: rates change, so it is looked at every two days.
const WAIT_MINUTES_MAX: i32 = 2880;
/// Traffic may rise before the timer is due; it then comes early enough.
const WAIT_MARGIN: f64 = 1.2;

impl Series {
    /// Ends alarms whose time is over; `catch_up` to the minute before must have come first.
    pub(crate) fn expire(&mut self, at: At, out: &mut Vec<Firing>) {
        for version in &mut self.versions {
            if let Some(ended) = version.expire(at.t) {
                let mut firing = plain(at, version.version, Kind::Resolved);
                firing.ends = Some(ended);
                out.push(firing);
            }
        }
    }

    /// Says which versions are silent at `t` and sets the next timer.
    pub(crate) fn timers(&mut self, world: &World<'_>, at: At, out: &mut Vec<Firing>) {
        let (p, t) = (world.p, at.t);
        // Nothing to expect: look again soon in a gap, late before the first day is over.
        let mut due = t + if world.clock.reference_minutes_at_hour() < p.warm_minutes {
            60
        } else {
            10
        };
        let mut live = false;
        let factor = self.factor(hour_of_day(t), p);
        let rates = Rates::new(&self.groups, factor, p);
        let mut buckets = Buckets::new();
        for cell in world.clock.span(t, t) {
            let group = group_mut(&mut self.groups, cell.group);
            let m = group.rate(&rates, p) * cell.span.sum;
            let bucket = bucket_of(&mut buckets, cell.version, cell.reference);
            bucket.m += m;
            bucket.mphi += m * group.phi(p);
        }
        for bucket in &buckets {
            let frame = self.frame(world, t, bucket);
            let Some(version) = self
                .versions
                .iter_mut()
                .find(|v| v.version == bucket.version)
            else {
                continue;
            };
            if version.silent.is_some() {
                continue;
            }
            let need = version
                .silence_need(bucket.phi(), &frame, p)
                .max(p.silence_gap_ratio * self.longest_gap);
            if version.quiet_minutes > 0 && version.quiet > need {
                let kind = version.silence_kind(bucket.reference);
                version.silent = Some(kind);
                let mut firing = plain(at, bucket.version, kind);
                firing.score = version.quiet / need * p.silence;
                firing.expected = version.quiet;
                firing.window_minutes = version.quiet_minutes;
                out.push(firing);
                continue;
            }
            if bucket.m > 0.0 {
                let wait = wait_minutes((need - version.quiet) / bucket.m);
                due = if live { due.min(t + wait) } else { t + wait };
                live = true;
            }
        }
        if !live && !buckets.is_empty() {
            due = due.max(t + WAIT_MINUTES_MAX);
        }
        if let Some(overdue) = self.job_silence(world, at, &buckets, out) {
            due = due.min(overdue);
        }
        for ringing in self.versions.iter().filter_map(|v| v.ringing.as_ref()) {
            due = due.min(ringing.until + 1);
        }
        self.due = due.max(t + 1);
    }

    /// Says that an hourly job has stopped; gives the minute to look at when it has not yet.
    fn job_silence(
        &mut self,
        world: &World<'_>,
        at: At,
        buckets: &Buckets,
        out: &mut Vec<Firing>,
    ) -> Option<i32> {
        let ledger = self.ledger.as_mut()?;
        let overdue = ledger.overdue_at(world.p.job_minutes)?;
        if at.t < overdue {
            return Some(overdue);
        }
        if world.clock.lag > 0 {
            return Some(at.t + 10); // late, perhaps: wait for the catch-up
        }
        let busiest = buckets.iter().max_by(|a, b| a.m.total_cmp(&b.m))?;
        ledger.say();
        let versions = &mut self.versions;
        let version = versions.iter_mut().find(|v| v.version == busiest.version)?;
        if world.clock.reference_minutes_at_hour() >= world.p.warm_minutes
            && version.silent.is_none()
        {
            version.silent = Some(Kind::Silent);
            let mut firing = plain(at, busiest.version, Kind::Silent);
            firing.score = world.p.silence;
            firing.expected = version.quiet;
            firing.window_minutes = u32::try_from(world.p.job_minutes).unwrap_or(0);
            out.push(firing);
        }
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the longest wait first"
)]
fn wait_minutes(minutes: f64) -> i32 {
    (minutes / WAIT_MARGIN).clamp(1.0, f64::from(WAIT_MINUTES_MAX)) as i32
}
