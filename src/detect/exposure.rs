//! How much traffic each version served on each group, by minute, and how we know.
//!
//! Best first: counts that were posted or streamed; else an estimate from the logs themselves. Invariant:
//! within one hour of counts being given, no minute falls back to another unit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::releases::{ReleaseKey, Releases};
use super::scan::{CellCount, CellExposure, SelfExposure};
use super::table::Table;
use crate::model::{ExposureRecord, SCAN_SECONDS};

/// Minutes for which a missing count is filled from the latest one.
// A counter that is late by minutes is usual; one that is gone for an hour is gone.
const COUNTS_FRESH_MINUTES: i64 = 60;

/// Minutes of counts that may be waiting.
const WAITING_MAX: usize = 3_000;

/// Where the exposure comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// Counts that were given.
    Requests,
    /// An estimate from the logs.
    #[default]
    Logs,
}

impl Source {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Logs => "logs",
        }
    }
}

/// Exposure of each release by minute.
#[derive(Debug)]
pub(super) struct Exposure {
    /// Counts that were given, by minute; a repeated count of one cell keeps the larger one.
    pub(super) given: Table<i64, BTreeMap<ReleaseKey, f64>>,
    pub(super) state: ExposureState,
}

/// What is kept between minutes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ExposureState {
    pub(super) source: Source,
    given_at: Option<i64>,
    latest: BTreeMap<ReleaseKey, f64>,
    pub(super) estimate: SelfExposure,
}

impl Exposure {
    pub(super) fn new() -> Self {
        Self {
            given: Table::default(),
            state: ExposureState::default(),
        }
    }

    /// Takes a count that somebody gives.
    pub(super) fn give(&mut self, key: ReleaseKey, record: &ExposureRecord) {
        if !record.exposure.is_finite() || record.exposure < 0.0 {
            return;
        }
        let minute = record.t.seconds().div_euclid(SCAN_SECONDS);
        let cells = self.given.entry(&minute, BTreeMap::new);
        let mine = cells.entry(key).or_insert(0.0);
        *mine = mine.max(record.exposure);
        if self.given.len() > WAITING_MAX {
            self.given.pop_first();
        }
    }

    /// Returns the exposure of a minute that just closed, sorted by release.
    pub(super) fn close(
        &mut self,
        minute: i64,
        counts: &[CellCount],
        releases: &Releases,
    ) -> Vec<(ReleaseKey, f64)> {
        let mut estimated = Vec::new();
        self.state.estimate.minute(counts, &mut estimated);
        while self.given.first_key().is_some_and(|it| *it < minute) {
            self.given.pop_first();
        }
        if let Some(cells) = self.given.remove(&minute) {
            self.state.given_at = Some(minute);
            self.state.latest.clone_from(&cells);
        }
        let fresh = self
            .state
            .given_at
            .is_some_and(|it| minute - it < COUNTS_FRESH_MINUTES);
        self.state.source = if fresh {
            Source::Requests
        } else {
            Source::Logs
        };
        if fresh {
            return self
                .state
                .latest
                .iter()
                .map(|(key, it)| (key.clone(), *it))
                .collect();
        }
        named(&estimated, releases)
    }
}

/// Puts names to the numbers of the rate scan.
fn named(cells: &[CellExposure], releases: &Releases) -> Vec<(ReleaseKey, f64)> {
    let versions: BTreeMap<u32, &Name> = releases
        .versions
        .iter()
        .map(|(name, it)| (it.number, name))
        .collect();
    let groups: BTreeMap<u32, &Name> = releases
        .groups
        .iter()
        .map(|(name, number)| (*number, name))
        .collect();
    let mut out: Vec<(ReleaseKey, f64)> = cells
        .iter()
        .filter_map(|it| {
            let version = (*versions.get(&it.version)?).clone();
            let group = (*groups.get(&it.group)?).clone();
            Some(((version, group), it.exposure))
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}
