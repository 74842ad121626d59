//! One (signature, version): its open windows, its whole life, its alarm and its silence.
//!
//! It must never learn a rate: expectations are handed in. Invariant: an alarm that started ends
//! exactly once, and never twice without a start between.

use serde::{Deserialize, Serialize};

use super::Kind;
use super::hull::{Hull, Sums};
use super::params::Params;
use super::score::{Evidence, Frame, Life};

/// Counts and expectation of one version over one minute or one stretch without events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) version: u32,
    pub(crate) reference: bool,
    /// Guarded count and count as it came.
    pub(crate) x: f64,
    pub(crate) raw: f64,
    /// Expected count, and sum of its squares over their shapes.
    pub(crate) m: f64,
    pub(crate) v: f64,
    /// Expected count times dispersion.
    pub(crate) mphi: f64,
    /// Live minutes.
    pub(crate) minutes: u32,
    /// Guarded and expected count of the control.
    pub(crate) cx: f64,
    pub(crate) cm: f64,
}

impl Bucket {
    /// Gives the dispersion of the bucket's cells.
    pub(crate) fn phi(&self) -> f64 {
        if self.m > 0.0 {
            self.mphi / self.m
        } else {
            1.0
        }
    }
}

/// A ringing alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ringing {
    pub(crate) since: i32,
    pub(crate) until: i32,
    pub(crate) kind: Kind,
    pub(crate) paged: bool,
    /// Start of the window that fired, watched for the page threshold.
    from: Option<Sums>,
}

/// State of one version of one signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VersionState {
    pub(crate) version: u32,
    sums: Sums,
    hull: Hull,
    life: Life,
    life_fired: bool,
    pub(crate) ringing: Option<Box<Ringing>>,
    /// Guarded events and expected events since the first.
    seen: f64,
    expected: f64,
    /// Expected events and live minutes since the last event.
    pub(crate) quiet: f64,
    pub(crate) quiet_minutes: u32,
    /// What was said of the present silence.
    pub(crate) silent: Option<Kind>,
}

/// What a minute with events led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) kind: Kind,
    pub(crate) page: bool,
    pub(crate) renewal: bool,
    pub(crate) evidence: Evidence,
}

/// Thresholds of one signature at one minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) scan: f64,
    pub(crate) scan_page: f64,
    pub(crate) life: f64,
    pub(crate) life_page: f64,
}

impl Thresholds {
    /// Gives the thresholds from the tail scale, the youth and the strength of the baseline.
    pub(crate) fn new(p: &Params, tail: f64, young: bool, known: bool) -> Self {
        let factor = if young { p.young } else { 1.0 };
        let gain = (tail - 1.0) * p.tail_gain;
        let (scan, page) = if known {
            (p.spike + gain, p.spike_page + gain)
        } else {
            (p.new, p.new_page)
        };
        let life = factor * (1.0 + 0.5 * (tail - 1.0));
        Self {
            scan: scan * factor,
            scan_page: page * factor,
            life: p.version * life,
            life_page: p.version_page * life,
        }
    }
}

impl VersionState {
    /// Starts the state of a version that was first live at `first`.
    pub(crate) fn new(version: u32, first: i32) -> Self {
        Self {
            version,
            sums: Sums::default(),
            hull: Hull::default(),
            life: Life {
                from: first,
                ..Life::default()
            },
            life_fired: false,
            ringing: None,
            seen: 0.0,
            expected: 0.0,
            quiet: 0.0,
            quiet_minutes: 0,
            silent: None,
        }
    }

    /// Tells whether the baseline may learn from this version at `t`.
    pub(crate) fn learning(&self, t: i32, p: &Params) -> bool {
        match &self.ringing {
            Some(ringing) => t - ringing.since > p.hold_minutes_max,
            None => self.silent.is_none(),
        }
    }

    /// Adds a stretch without events.
    pub(crate) fn pass(&mut self, b: &Bucket) {
        self.expected += b.m;
        if !self.hull.is_empty() || self.ringing.is_some() {
            self.sums.m += b.m;
            self.sums.cx += b.cx;
            self.sums.cm += b.cm;
        }
        self.live(b);
        self.quiet += b.m;
        self.quiet_minutes += b.minutes;
    }

    fn live(&mut self, b: &Bucket) {
        self.life.x += b.x;
        self.life.raw += b.raw;
        self.life.m += b.m;
        self.life.v += b.v;
        self.life.cx += b.cx;
        self.life.cm += b.cm;
    }

    /// Adds a minute with events and scans all windows that end with it.
    pub(crate) fn hit(
        &mut self,
        b: &Bucket,
        frame: &Frame,
        limits: &Thresholds,
        p: &Params,
    ) -> (Evidence, Option<Verdict>) {
        self.expected += b.m;
        self.seen += b.x;
        self.quiet = 0.0;
        self.quiet_minutes = 0;
        let before = Sums {
            t: frame.t,
            ..self.sums
        };
        self.hull.push(before, p.hull_points_max);
        self.sums.x += b.x;
        self.sums.raw += b.raw;
        self.sums.m += b.m;
        self.sums.cx += b.cx;
        self.sums.cm += b.cm;
        self.sums.n += 1;
        self.live(b);
        self.life.n += 1;
        self.hull
            .prune(&self.sums, p.interest_ratio, frame.t - p.window_minutes_max);
        let (best, start) = self.best_window(frame, p);
        let life = if frame.reference || frame.strength < p.baseline_min {
            0.0
        } else {
            frame.life(&self.life, p)
        };
        let verdict = self.judge(Found { best, start, life }, frame, limits, p);
        if self.hull.is_empty() && self.ringing.as_ref().is_none_or(|r| r.from.is_none()) {
            self.sums = Sums::default();
        }
        (best, verdict)
    }

    fn best_window(&self, frame: &Frame, p: &Params) -> (Evidence, Option<Sums>) {
        let mut best = Evidence::default();
        let mut start = None;
        let mut raw_max = 0.0_f64;
        for point in self.hull.starts() {
            if let Some(evidence) = frame.window(&self.sums.since(point), p) {
                raw_max = raw_max.max(evidence.raw);
                if evidence.score > best.score {
                    best = evidence;
                    start = Some(*point);
                }
            }
        }
        best.raw = raw_max;
        (best, start)
    }

    fn judge(
        &mut self,
        found: Found,
        frame: &Frame,
        limits: &Thresholds,
        p: &Params,
    ) -> Option<Verdict> {
        let Found { best, start, life } = found;
        let by_scan = best.score > limits.scan;
        let by_life = life > limits.life && !self.life_fired;
        let mut page = best.score > limits.scan_page || life > limits.life_page;
        let mut evidence = if by_scan {
            best
        } else {
            self.life_evidence(life, frame, p)
        };
        let mut kind = if frame.strength < p.baseline_min {
            Kind::New
        } else if by_scan {
            Kind::Spike
        } else {
            Kind::Regressed
        };
        let mut late_page = false;
        if let Some(ringing) = self.ringing.as_mut().filter(|r| !r.paged) {
            let watched = ringing
                .from
                .and_then(|from| frame.window(&self.sums.since(&from), p));
            if let Some(found) = watched.filter(|found| found.score > limits.scan_page) {
                (evidence, kind) = (found, ringing.kind);
                late_page = true;
            } else if life > limits.life_page {
                late_page = true;
            }
        }
        page |= late_page;
        if !(by_scan || by_life || late_page) {
            return None;
        }
        let renewal = self.ringing.is_some();
        let until = frame.t + p.ring_minutes;
        let mut ringing = self.ringing.take().unwrap_or_else(|| {
            Box::new(Ringing {
                since: frame.t,
                until,
                kind,
                paged: false,
                from: None,
            })
        });
        ringing.until = until;
        ringing.paged |= page;
        if ringing.paged {
            ringing.from = None;
        } else if ringing.from.is_none() {
            ringing.from = start;
        }
        self.ringing = Some(ringing);
        if by_scan {
            self.hull.clear();
        }
        self.life_fired |= by_life;
        if life > limits.life_page {
            self.restart_life(frame.t);
        }
        Some(Verdict {
            kind,
            page,
            renewal,
            evidence,
        })
    }

    fn life_evidence(&self, life: f64, frame: &Frame, p: &Params) -> Evidence {
        let minutes = frame.t - self.life.from + 1;
        let shape = if self.life.v > 0.0 {
            self.life.m * self.life.m / self.life.v
        } else {
            1.0
        };
        Evidence {
            score: life,
            raw: life,
            count: self.life.raw,
            expected: self.life.m,
            minutes,
            variance: frame.phi_long.max(1.0) / self.life.x.max(1.0)
                + 1.0 / shape.max(p.prior_count)
                + frame.drift_over(f64::from(minutes.max(60)), p),
        }
    }

    fn restart_life(&mut self, t: i32) {
        self.life = Life {
            from: t,
            ..Life::default()
        };
        self.life_fired = false;
    }

    /// Ends the alarm when its time is over, giving the kind that ended.
    pub(crate) fn expire(&mut self, t: i32) -> Option<Kind> {
        if self.ringing.as_ref().is_none_or(|r| r.until >= t) {
            return None;
        }
        let ended = self.ringing.take()?;
        if self.life_fired {
            self.restart_life(t);
        }
        if self.hull.is_empty() {
            self.sums = Sums::default();
        }
        Some(ended.kind)
    }

    /// Expected events that an empty stretch needs before it is a silence.
    pub(crate) fn silence_need(&self, phi: f64, frame: &Frame, p: &Params) -> f64 {
        let minutes = f64::from(self.quiet_minutes.max(4));
        let spread = phi + self.quiet.min(20.0) * frame.drift_over(minutes, p);
        (p.silence * spread.max(1.0)).max(3.0)
    }

    /// Names an empty stretch that is long enough: the signature stopped, or was never here.
    pub(crate) fn silence_kind(&self, reference: bool) -> Kind {
        let belongs = reference || self.seen > 0.3 * (self.expected - self.quiet);
        if belongs && self.seen >= 5.0 {
            Kind::Silent
        } else {
            Kind::Resolved
        }
    }

    /// Adds the state of another signature on the same version: sums add up, open windows are those of the one
    /// with more events, and an alarm of either goes on.
    pub(crate) fn absorb(&mut self, other: Self) {
        if other.seen > self.seen {
            self.sums = other.sums;
            self.hull = other.hull;
        }
        self.seen += other.seen;
        self.expected += other.expected;
        self.quiet = self.quiet.min(other.quiet);
        self.quiet_minutes = self.quiet_minutes.min(other.quiet_minutes);
        self.silent = self.silent.and(other.silent);
        let life = &mut self.life;
        life.x += other.life.x;
        life.m += other.life.m;
        life.v += other.life.v;
        life.cx += other.life.cx;
        life.cm += other.life.cm;
        life.raw += other.life.raw;
        life.n = life.n.max(other.life.n);
        life.from = life.from.max(other.life.from);
        self.life_fired |= other.life_fired;
        self.ringing = match (self.ringing.take(), other.ringing) {
            (Some(mine), Some(theirs)) => Some(if theirs.since < mine.since {
                theirs
            } else {
                mine
            }),
            (mine, theirs) => mine.or(theirs),
        };
        if let Some(ringing) = &mut self.ringing {
            // Its first window began in sums of one of the two only.
            ringing.from = None;
        }
    }

    /// Gives the bytes held on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.hull.heap_bytes() + self.ringing.as_ref().map_or(0, |_| size_of::<Ringing>())
    }
}

/// The best window and the version test of one minute.
#[derive(Clone, Copy, Debug)]
struct Found {
    best: Evidence,
    start: Option<Sums>,
    life: f64,
}
