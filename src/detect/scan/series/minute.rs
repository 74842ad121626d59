//! One minute of one signature: its counts are explained by jobs, guarded, learned and scanned.

use smallvec::SmallVec;

use super::super::clock::{Clock, Span};
use super::super::ledger;
use super::super::params::Params;
use super::super::rate::{GroupRate, Rates};
use super::super::score::Frame;
use super::super::version::{Bucket, Thresholds};
use super::super::{CellCount, Firing, Kind};
use super::MINUTE_CAP;
use super::{
    At, Buckets, Series, Taught, World, bucket_of, fill, group_mut, half_day, hour_of_day, plain,
};

/// One cell in one minute.
#[derive(Clone, Copy, Debug)]
struct CellMinute {
    version: u32,
    group: u32,
    reference: bool,
    raw: f64,
    exposure: f64,
}

type Cells = SmallVec<[CellMinute; 8]>;

impl Series {
    /// Takes the counts of minute `t` (all of this signature; may be none) and scans.
    pub(crate) fn minute(
        &mut self,
        world: &World<'_>,
        at: At,
        counts: &[CellCount],
        out: &mut Vec<Firing>,
    ) {
        let t = at.t;
        let cells = cells_of(world.clock, t, counts);
        let (buckets, taught) = self.sort_counts(world, t, &cells);
        let reference_minutes = world.clock.reference_minutes_at_hour();
        self.teach(world, taught, hour_of_day(t));
        self.last = t;
        if reference_minutes >= world.p.warm_minutes {
            for bucket in &buckets {
                if bucket.x > 0.0 {
                    self.scan(world, at, bucket, out);
                } else {
                    self.version_mut(bucket.version, world.clock).pass(bucket);
                }
            }
        }
        self.end_of_block(world);
    }

    /// Explains, guards and learns the minute's counts; gives them by version.
    fn sort_counts(&mut self, world: &World<'_>, t: i32, cells: &Cells) -> (Buckets, Taught) {
        let p = world.p;
        let factor = self.factor(hour_of_day(t), p);
        let rates = Rates::new(&self.groups, factor, p);
        let reference_minutes = world.clock.reference_minutes_at_hour();
        let scale = self.job_scale(world, t, cells, &rates);
        let mut buckets = Buckets::new();
        let mut taught = Taught::default();
        let (mut cx, mut cm) = (0.0, 0.0);
        for cell in cells {
            let learning =
                cell.reference && cell.exposure > 0.0 && self.learning(cell.version, t, p);
            let group = group_mut(&mut self.groups, cell.group);
            let m = group.rate(&rates, p) * cell.exposure;
            let phi = group.phi(p);
            let x = guard(cell.raw * scale, m, phi, p);
            let bucket = bucket_of(&mut buckets, cell.version, cell.reference);
            bucket.x += x;
            bucket.raw += cell.raw;
            bucket.m += m;
            bucket.v += m * m / group.shape(&rates, p);
            bucket.mphi += m * phi;
            bucket.minutes = 1;
            if cell.reference && cell.exposure > 0.0 {
                cx += x;
                cm += m;
            }
            if learning {
                let mut square = (x - m) * (x - m);
                if reference_minutes > 2160 {
                    square = square.min(MINUTE_CAP * phi * m.max(1.0));
                }
                let span = Span {
                    sum: cell.exposure,
                    squares: 0.0,
                    minutes: 1,
                };
                group.learn(x, &span, half_day(reference_minutes).then_some((square, m)));
                taught.any = true;
                taught.x += x;
                taught.m += m;
            }
        }
        for bucket in buckets.iter_mut().filter(|b| !b.reference) {
            (bucket.cx, bucket.cm) = (cx, cm);
        }
        (buckets, taught)
    }

    fn job_scale(&mut self, world: &World<'_>, t: i32, cells: &Cells, rates: &Rates) -> f64 {
        let p = world.p;
        let count: f64 = cells.iter().map(|c| c.raw).sum();
        if count <= 0.0 {
            return 1.0;
        }
        let expected: f64 = cells
            .iter()
            .map(|c| group_mut(&mut self.groups, c.group).rate(rates, p) * c.exposure)
            .sum();
        let minute = ledger::Minute {
            t,
            count,
            expected,
            lag: world.clock.lag,
            phi: p.phi,
        };
        if self.ledger.is_none() && minute.is_burst() {
            self.ledger = Some(Box::default());
        }
        if minute.is_burst() {
            self.due = self.due.min(t + p.job_minutes); // a job may be missed from then on
        }
        self.ledger
            .as_mut()
            .map_or(1.0, |ledger| ledger.scale(minute))
    }

    pub(super) fn frame(&self, world: &World<'_>, t: i32, bucket: &Bucket) -> Frame {
        let p = world.p;
        let phi = bucket.phi();
        Frame {
            phi,
            phi_long: self.noise.long(phi, p),
            drift: self.noise.drift(p),
            strength: GroupRate::strength(&self.groups),
            shape: if bucket.v > 0.0 {
                bucket.m * bucket.m / bucket.v
            } else {
                p.prior_count
            },
            reference: bucket.reference,
            t,
        }
    }

    fn scan(&mut self, world: &World<'_>, at: At, bucket: &Bucket, out: &mut Vec<Firing>) {
        let p = world.p;
        let frame = self.frame(world, at.t, bucket);
        let young = world.clock.reference_minutes_at_hour() < 2880;
        let known = frame.strength >= p.baseline_min;
        let limits = Thresholds::new(p, self.tail_scale(p), young, known);
        let version = self.version_mut(bucket.version, world.clock);
        let quiet = version.quiet;
        let said = version.silent.is_some();
        if version.silent.take() == Some(Kind::Silent) {
            let mut firing = plain(at, bucket.version, Kind::Resolved);
            firing.ends = Some(Kind::Silent);
            out.push(firing);
        }
        let (best, verdict) = version.hit(bucket, &frame, &limits, p);
        let until = version.ringing.as_ref().map_or(i32::MAX - 1, |r| r.until);
        if !said {
            self.longest_gap = self.longest_gap.max(quiet);
        }
        if bucket.reference || best.minutes <= p.tail_minutes {
            self.best = self.best.max(best.score);
        }
        if bucket.reference {
            self.best_raw = self.best_raw.max(best.raw);
        }
        let Some(verdict) = verdict else { return };
        self.due = self.due.min(until + 1);
        if bucket.reference {
            for group in &mut self.groups {
                group.drop_pending();
            }
            self.waiting.clear();
            self.held = 0;
            self.best_raw = 0.0;
        }
        let mut firing = plain(at, bucket.version, verdict.kind);
        firing.renewal = verdict.renewal;
        firing.page = verdict.page;
        fill(&mut firing, &verdict.evidence);
        out.push(firing);
    }
}

/// Joins the live cells of a minute with its counts.
fn cells_of(clock: &Clock, t: i32, counts: &[CellCount]) -> Cells {
    let mut cells: Cells = clock
        .span(t, t)
        .map(|c| CellMinute {
            version: c.version,
            group: c.group,
            reference: c.reference,
            raw: 0.0,
            exposure: c.span.sum,
        })
        .collect();
    for count in counts {
        let raw = f64::from(count.count);
        let same = |c: &&mut CellMinute| c.version == count.version && c.group == count.group;
        match cells.iter_mut().find(same) {
            Some(cell) => cell.raw += raw,
            None => cells.push(CellMinute {
                version: count.version,
                group: count.group,
                reference: clock.version(count.version).is_some_and(|v| v.reference),
                raw,
                exposure: 0.0,
            }),
        }
    }
    cells
}

/// Counts a clump on a log scale.
fn guard(x: f64, m: f64, phi: f64, p: &Params) -> f64 {
    if x <= 1.0 {
        return x;
    }
    let limit = 1.0 + m + p.clump * (m * phi).sqrt();
    if x > limit {
        limit * (1.0 + (x / limit).log2())
    } else {
        x
    }
}
