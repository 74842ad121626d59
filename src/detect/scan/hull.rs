//! Running sums of one (signature, version) and the lower convex hull of their past values.
//!
//! A window of any length ends now and starts at a past point; only points on the hull can give the
//! best one (`FOCuS`), so that all lengths are scanned at once. It must never keep a point that is
//! older than the longest window. Invariant: slopes count/expected rise from old to new.

use serde::{Deserialize, Serialize};

/// Sums since some origin, as of the start of minute `t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Guarded count.
    pub(crate) x: f64,
    /// Expected count.
    pub(crate) m: f64,
    /// Guarded count and expected count of the control (the reference cells).
    pub(crate) cx: f64,
    pub(crate) cm: f64,
    /// Count as it came.
    pub(crate) raw: f64,
    /// Minutes with events.
    pub(crate) n: u32,
    pub(crate) t: i32,
}

impl Sums {
    /// Gives what came since `start`.
    pub(crate) fn since(&self, start: &Self) -> Self {
        Self {
            x: self.x - start.x,
            m: self.m - start.m,
            cx: self.cx - start.cx,
            cm: self.cm - start.cm,
            raw: self.raw - start.raw,
            n: self.n - start.n,
            t: start.t,
        }
    }
}

/// The hull: candidate window starts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hull {
    points: Vec<Sums>,
}

impl Hull {
    /// Adds the point `at` (sums before a bucket with events), dropping those it makes useless.
    pub(crate) fn push(&mut self, at: Sums, points_max: usize) {
        while let [.., before, last] = self.points.as_slice() {
            let (dx, dm) = (last.x - before.x, last.m - before.m);
            if dx * (at.m - last.m) >= (at.x - last.x) * dm {
                self.points.pop();
            } else {
                break;
            }
        }
        if self.points.len() >= points_max {
            self.points.remove(0);
        }
        if self.points.len() == self.points.capacity() {
            self.points.reserve_exact(2); // hulls stay at 2-4 points: doubling would waste memory
        }
        self.points.push(at);
    }

    /// Drops starts whose window is too long or not above `ratio` times the expected.
    pub(crate) fn prune(&mut self, now: &Sums, ratio: f64, oldest: i32) {
        let useless = |p: &Sums| now.x - p.x <= ratio * (now.m - p.m) || p.t < oldest;
        let keep = self
            .points
            .iter()
            .position(|p| !useless(p))
            .unwrap_or(self.points.len());
        if keep > 0 {
            self.points.drain(..keep);
        }
    }

    /// Walks the window starts, oldest first.
    pub(crate) fn starts(&self) -> impl Iterator<Item = &Sums> {
        self.points.iter()
    }

    /// Forgets all window starts.
    pub(crate) fn clear(&mut self) {
        self.points = Vec::new();
    }

    /// Tells whether no window is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Gives the bytes held on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.points.capacity() * size_of::<Sums>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hull_keeps_the_best_window_start() {
        // Quiet, then a burst: the start of the burst has to survive whatever came before.
        let mut hull = Hull::default();
        let mut now = Sums::default();
        for t in 0..200 {
            let x = if t < 190 {
                f64::from(u8::from(t % 10 == 0))
            } else {
                3.0
            };
            if x > 0.0 {
                hull.push(Sums { t, ..now }, 48);
            }
            now.x += x;
            now.m += 0.1;
        }
        hull.prune(&now, 1.1, 0);
        assert!(hull.starts().any(|p| p.t == 190));
        assert!(hull.starts().count() <= 6);
    }
}
