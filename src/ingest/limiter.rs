//! The cap: how many records of a channel are looked at in detail in one second of event time.
//!
//! Deterministic: it depends only on the records of one source partition in their order, never on a clock
//! or on where batches are cut, so that a replay keeps exactly the same records.

use std::collections::BTreeMap;

use crate::model::LimiterRow;

/// Seconds of event time behind the watermark for which each second has its own allowance.
// RELIABILITY.md §3: the state of the last 60 event-seconds is stored with the position.
const SECONDS_KEPT: i64 = 60;

/// What every channel of one source partition has used of its cap.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter {
    /// Records kept by (second, channel number).
    used: BTreeMap<(i64, u32), u32>,
    newest: Option<i64>,
}

impl Limiter {
    /// Tells whether one more record of a channel may be looked at in detail, and notes it.
    ///
    /// A record more than a minute behind the newest second draws on the newest second's allowance.
    pub(super) fn admit(&mut self, channel: u32, second: i64, cap: u32) -> bool {
        let newest = self.newest.map_or(second, |it| it.max(second));
        if self.newest != Some(newest) {
            self.newest = Some(newest);
            let oldest = newest.saturating_sub(SECONDS_KEPT);
            self.used = self.used.split_off(&(oldest, 0));
        }
        let second = if second < newest.saturating_sub(SECONDS_KEPT) {
            newest
        } else {
            second
        };
        let used = self.used.entry((second, channel)).or_insert(0);
        if *used >= cap {
            return false;
        }
        *used += 1;
        true
    }

    /// Returns the state, with channel names, to be stored with the position.
    pub(super) fn rows(&self, name: impl Fn(u32) -> String) -> Vec<LimiterRow> {
        let mut rows: Vec<LimiterRow> = self
            .used
            .iter()
            .map(|(&(second, channel), &used)| LimiterRow {
                channel: name(channel),
                second,
                used,
            })
            .collect();
        rows.sort_by(|a, b| (a.second, &a.channel).cmp(&(b.second, &b.channel)));
        rows
    }

    /// Goes on from a stored state.
    pub(super) fn restore(rows: &[LimiterRow], mut number: impl FnMut(&str) -> u32) -> Self {
        let used = rows
            .iter()
            .map(|row| ((row.second, number(&row.channel)), row.used))
            .collect();
        Self {
            used,
            newest: rows.iter().map(|it| it.second).max(),
        }
    }

    /// Gives channels new numbers, when the worker's name table starts afresh.
    pub(super) fn renumber(&mut self, mut number: impl FnMut(u32) -> u32) {
        let old = std::mem::take(&mut self.used);
        self.used = old
            .into_iter()
            .map(|((second, channel), used)| ((second, number(channel)), used))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_n_records_of_a_second_pass() {
        let mut limiter = Limiter::default();
        let passed = (0..5).filter(|_| limiter.admit(1, 100, 3)).count();
        assert_eq!(passed, 3);
        assert!(
            limiter.admit(1, 101, 3),
            "the next second has its own allowance"
        );
        assert!(
            limiter.admit(2, 100, 3),
            "another channel has its own allowance"
        );
        assert!(!limiter.admit(1, 100, 3), "an earlier second stays used up");
    }

    #[test]
    fn very_late_records_draw_on_the_newest_second() {
        let mut limiter = Limiter::default();
        assert!(limiter.admit(1, 1000, 2));
        assert!(limiter.admit(1, 5, 2));
        assert!(!limiter.admit(1, 6, 2));
    }

    #[test]
    fn a_restored_limiter_goes_on_where_it_was() {
        let mut limiter = Limiter::default();
        for second in [1, 1, 2] {
            limiter.admit(7, second, 2);
        }
        let rows = limiter.rows(|_| "session".to_owned());
        let mut restored = Limiter::restore(&rows, |_| 3);
        assert!(!restored.admit(3, 1, 2));
        assert!(restored.admit(3, 2, 2));
        assert!(!restored.admit(3, 2, 2));
    }
}
