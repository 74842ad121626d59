//! Exposure clocks: how much traffic each (version, group) served, by minute within this hour and
//! by hour before it; which versions are references; how late the feed may be.
//!
//! It must never know of signatures. Invariant: spans add up — the span of two adjoining stretches
//! is the sum of theirs — so that a series may integrate its expectation in any cuts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::CellExposure;
use super::params::Params;

/// Exposure of a stretch of minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Sum of the exposure.
    pub(crate) sum: f64,
    /// Sum of its squares by minute.
    pub(crate) squares: f64,
    /// Minutes with exposure.
    pub(crate) minutes: u32,
}

/// Exposure of one cell over a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellSpan {
    pub(crate) version: u32,
    pub(crate) group: u32,
    pub(crate) reference: bool,
    pub(crate) span: Span,
}

/// One past hour: its live cells, ordered by (version, group).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HourRow {
    pub(crate) hour: i32,
    pub(crate) minutes: u32,
    pub(crate) reference_minutes: u32,
    pub(crate) cells: Vec<CellSpan>,
}

/// A cell of the present hour with its running totals at each minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct CellClock {
    version: u32,
    group: u32,
    reference: bool,
    marks: Vec<Span>,
    idle_hours: u32,
}

/// What is known of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VersionClock {
    pub(crate) version: u32,
    pub(crate) first: i32,
    pub(crate) last: i32,
    pub(crate) reference: bool,
    forced: Option<bool>,
    above_half: u32,
    total: f64,
    now: f64,
}

/// Lateness of the feed, from gaps of the whole feed and the catch-up after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lateness {
    mean: Option<f64>,
    gap_from: Option<i32>,
    catching_up_until: i32,
}

impl Lateness {
    fn minute(&mut self, t: i32, total: f64) -> i32 {
        let mean = *self.mean.get_or_insert(total);
        if total < 0.05 * mean {
            self.gap_from.get_or_insert(t);
        } else {
            let catching_up = total > 1.5 * mean;
            if self.gap_from.is_some_and(|from| t - from >= 2)
                && (catching_up || t <= self.catching_up_until)
            {
                if catching_up {
                    self.catching_up_until = t + 3;
                }
            } else if t > self.catching_up_until {
                self.gap_from = None;
            }
            if !catching_up {
                self.mean = Some(mean + 0.05 * (total - mean));
            }
        }
        self.gap_from.map_or(0, |from| t - from)
    }
}

/// Holds the clocks of all cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clock {
    pub(crate) hour: i32,
    pub(crate) minute: Option<i32>,
    /// Minutes with reference exposure so far.
    pub(crate) reference_minutes: u32,
    /// Reference minutes at the start of this hour.
    reference_minutes_before: u32,
    pub(crate) lag: i32,
    cells: Vec<CellClock>,
    pub(crate) versions: Vec<VersionClock>,
    rows: VecDeque<HourRow>,
    /// Decayed reference exposure of each group: the baseline exposure of a series without events.
    pub(crate) pristine: Vec<(u32, f64)>,
    lateness: Lateness,
    minutes_this_hour: u32,
}

impl Clock {
    /// Moves to minute `t` of the present hour and adds its exposure.
    pub(crate) fn advance(&mut self, t: i32, exposure: &[CellExposure], p: &Params) {
        self.hour = t.div_euclid(60);
        self.minute = Some(t);
        let index = usize::try_from(t.rem_euclid(60)).unwrap_or(0);
        self.minutes_this_hour += 1;
        for cell in exposure
            .iter()
            .filter(|e| e.exposure > 0.0 && e.exposure.is_finite())
        {
            self.register(cell.version, cell.group);
            self.version_entry(cell.version, t).now += cell.exposure;
        }
        self.judge_versions(t, p);
        let mut total = 0.0;
        let mut reference_live = false;
        for cell in &mut self.cells {
            let live = self
                .versions
                .binary_search_by_key(&cell.version, |v| v.version);
            cell.reference = live
                .ok()
                .and_then(|i| self.versions.get(i))
                .is_some_and(|v| v.reference);
            let last = cell.marks.last().copied().unwrap_or_default();
            cell.marks.resize(index + 1, last);
            let own: f64 = exposure
                .iter()
                .filter(|e| e.version == cell.version && e.group == cell.group)
                .map(|e| {
                    if e.exposure.is_finite() {
                        e.exposure.max(0.0)
                    } else {
                        0.0
                    }
                })
                .sum();
            cell.marks.push(Span {
                sum: last.sum + own,
                squares: last.squares + own * own,
                minutes: last.minutes + u32::from(own > 0.0),
            });
            total += own;
            reference_live |= cell.reference && own > 0.0;
        }
        self.reference_minutes += u32::from(reference_live);
        self.lag = self.lateness.minute(t, total);
    }

    fn register(&mut self, version: u32, group: u32) {
        if let Err(i) = self
            .cells
            .binary_search_by_key(&(version, group), |c| (c.version, c.group))
        {
            let cell = CellClock {
                version,
                group,
                reference: false,
                marks: Vec::new(),
                idle_hours: 0,
            };
            self.cells.insert(i, cell);
        }
    }

    /// Gives the version's entry, adding one when it is new.
    pub(crate) fn version_entry(&mut self, version: u32, t: i32) -> &mut VersionClock {
        let i = match self.versions.binary_search_by_key(&version, |v| v.version) {
            Ok(i) => i,
            Err(i) => {
                self.versions.insert(
                    i,
                    VersionClock {
                        version,
                        first: t,
                        last: t,
                        reference: false,
                        forced: None,
                        above_half: 0,
                        total: 0.0,
                        now: 0.0,
                    },
                );
                i
            }
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "the index was just found or inserted"
        )]
        &mut self.versions[i]
    }

    /// Finds a version.
    pub(crate) fn version(&self, version: u32) -> Option<&VersionClock> {
        let i = self
            .versions
            .binary_search_by_key(&version, |v| v.version)
            .ok()?;
        self.versions.get(i)
    }

    /// Lets the caller decide whether a version is a reference; none gives it back to the rule.
    pub(crate) fn force(&mut self, version: u32, reference: Option<bool>) {
        let t = self.minute.unwrap_or(0);
        self.version_entry(version, t).forced = reference;
    }

    /// The rule: the first version above half of all exposure so far is a reference at once, a
    /// later one after a day above half without a break.
    fn judge_versions(&mut self, t: i32, p: &Params) {
        let total: f64 = self.versions.iter().map(|v| v.now).sum();
        let none_yet = !self.versions.iter().any(|v| v.reference);
        let seen: f64 = self.versions.iter().map(|v| v.total + v.now).sum();
        let may_change = none_yet || t.rem_euclid(60) == 0; // within an hour a series may lag behind
        for v in &mut self.versions {
            if v.now > 0.0 {
                if v.total <= 0.0 {
                    v.first = t;
                }
                v.last = t;
            }
            v.total += v.now;
            let above = v.total > 0.0 && (total <= 0.0 || v.now > 0.5 * total);
            v.above_half = if above { v.above_half + 1 } else { 0 };
            let by_rule = v.reference
                || v.above_half > p.reference_minutes
                || (none_yet && v.total > 0.5 * seen);
            if may_change {
                v.reference = v.forced.unwrap_or(by_rule);
            }
            v.now = 0.0;
        }
    }

    /// Walks the cells' exposure over the minutes `from..=to` of the present hour.
    pub(crate) fn span(&self, from: i32, to: i32) -> impl Iterator<Item = CellSpan> + Clone {
        let start = usize::try_from(from - self.hour * 60).unwrap_or(0);
        let end = usize::try_from(to + 1 - self.hour * 60).unwrap_or(0);
        self.cells.iter().filter_map(move |cell| {
            let a = cell
                .marks
                .get(start)
                .or(cell.marks.last())
                .copied()
                .unwrap_or_default();
            let b = cell
                .marks
                .get(end)
                .or(cell.marks.last())
                .copied()
                .unwrap_or_default();
            (b.minutes > a.minutes).then_some(CellSpan {
                version: cell.version,
                group: cell.group,
                reference: cell.reference,
                span: Span {
                    sum: b.sum - a.sum,
                    squares: b.squares - a.squares,
                    minutes: b.minutes - a.minutes,
                },
            })
        })
    }

    /// Gives the past hours from `hour` on, oldest first.
    pub(crate) fn rows_from(&self, hour: i32) -> impl Iterator<Item = &HourRow> {
        let start = self.rows.partition_point(|row| row.hour < hour);
        self.rows.range(start..)
    }

    /// Ends the present hour: notes its row and moves the pristine exposure on.
    pub(crate) fn close_hour(&mut self, p: &Params) {
        let decay = p.baseline_decay();
        let hour = self.hour;
        let cells: Vec<CellSpan> = self.span(hour * 60, hour * 60 + 59).collect();
        for cell in &mut self.cells {
            let live = cell.marks.last().is_some_and(|m| m.minutes > 0);
            cell.idle_hours = if live { 0 } else { cell.idle_hours + 1 };
            cell.marks.clear();
        }
        for cell in cells.iter().filter(|c| c.reference) {
            if !self.pristine.iter().any(|(g, _)| *g == cell.group) {
                self.pristine.push((cell.group, 0.0));
                self.pristine.sort_by_key(|(g, _)| *g);
            }
        }
        for (group, b) in &mut self.pristine {
            let own = || cells.iter().filter(|c| c.reference && c.group == *group);
            let minutes = own().map(|c| c.span.minutes).max().unwrap_or(0);
            *b = *b * decay.powf(f64::from(minutes)) + own().map(|c| c.span.sum).sum::<f64>();
        }
        self.rows.push_back(HourRow {
            hour,
            minutes: self.minutes_this_hour,
            reference_minutes: self.reference_minutes_before,
            cells,
        });
        self.minutes_this_hour = 0;
        self.reference_minutes_before = self.reference_minutes;
        let hours_max = p.forget_days * 24;
        while self
            .rows
            .front()
            .is_some_and(|row| row.hour < hour - hours_max)
        {
            self.rows.pop_front();
        }
        let idle_max = u32::try_from(hours_max).unwrap_or(u32::MAX);
        self.cells.retain(|c| c.idle_hours <= idle_max);
        self.versions
            .retain(|v| v.last >= (hour - hours_max) * 60 || v.forced.is_some());
    }

    /// Gives the reference minutes at the start of the present hour.
    pub(crate) fn reference_minutes_at_hour(&self) -> u32 {
        self.reference_minutes_before
    }
}
