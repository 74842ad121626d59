//! Two series that turned out to be one: the rates add up, and so does what is expected from now on.
//!
//! It must never make a rise of a merge: after it the expected count is the sum of both. Invariant: both were
//! integrated to the same minute.

use super::super::params::Params;
use super::super::rate::GroupRate;
use super::Series;

impl Series {
    /// Takes another series over.
    pub(crate) fn absorb(&mut self, other: Self, p: &Params) {
        let stronger = GroupRate::strength(&other.groups) > GroupRate::strength(&self.groups);
        for theirs in other.groups {
            match self.groups.iter_mut().find(|it| it.group == theirs.group) {
                Some(mine) => mine.absorb(&theirs),
                None => self.groups.push(theirs),
            }
        }
        GroupRate::rebalance(&mut self.groups, p);
        for theirs in other.versions {
            let same = |it: &&mut super::VersionState| it.version == theirs.version;
            match self.versions.iter_mut().find(same) {
                Some(mine) => mine.absorb(theirs),
                None => self.versions.push(theirs),
            }
        }
        self.noise.absorb(&other.noise);
        self.profile = match (self.profile.take(), other.profile) {
            (Some(mut mine), Some(theirs)) => {
                mine.absorb(&theirs);
                Some(mine)
            }
            (mine, theirs) => mine.or(theirs),
        };
        for (hour, x, m) in other.waiting {
            match self.waiting.iter_mut().find(|it| it.0 == hour) {
                Some(mine) => {
                    mine.1 += x;
                    mine.2 += m;
                }
                None => self.waiting.push((hour, x, m)),
            }
        }
        if stronger {
            self.ledger = other.ledger.or(self.ledger.take());
            self.tail = other.tail;
        } else if self.ledger.is_none() {
            self.ledger = other.ledger;
        }
        self.best_raw = self.best_raw.max(other.best_raw);
        self.best = self.best.max(other.best);
        self.held = self.held.max(other.held);
        self.longest_gap = self.longest_gap.min(other.longest_gap);
        self.due = self.due.min(other.due);
    }
}
