//! What each host does: how much it writes, which versions it runs, since when it is quiet.
//!
//! It holds a bounded number of hosts (the pool of names bounds it). Invariant: a host's rate is learned
//! from whole minutes only, so it does not depend on how batches were cut.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::buckets::ChannelCell;
use super::channels::{as_f64, minute_before};
use super::learned::Learned;
use super::name::Name;
use super::table::Table;
use super::tally::Minutes;
use crate::model::{BUCKET_SECONDS, EventTime};

/// Versions that one host is remembered to have run.
const VERSIONS_MAX: usize = 4;

/// Minutes of a quarter of an hour.
const QUARTER: i64 = 15;

/// Part that a quarter keeps of what is known: a half-life of two days.
const QUARTER_KEEP: f64 = 0.996_4;

/// Quarters (decayed) that are needed to call a host regular: a day of them.
const REGULAR_QUARTERS: f64 = 80.0;

/// Share of them with a record.
const REGULAR_SHARE: f64 = 0.95;

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) first: EventTime,
    /// End of the last bucket with a record.
    pub(super) last: EventTime,
    pub(super) records: Minutes,
    pub(super) rate: Learned,
    /// Longest stretch without a record that was normal, in seconds.
    pub(super) quiet_longest: i64,
    /// Quarters of an hour that were looked at, and those with a record; decayed.
    pub(super) quarters: (f64, f64),
    pub(super) silent: bool,
    /// Versions and the end of the last bucket with a record of each, newest last.
    pub(super) versions: Vec<(Name, EventTime)>,
}

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) table: Table<Name, Host>,
}

impl Hosts {
    /// Counts one closed bucket of all channels.
    pub(super) fn count(&mut self, channels: &BTreeMap<Name, Vec<ChannelCell>>, bucket: EventTime) {
        let end = bucket.plus_seconds(BUCKET_SECONDS);
        let minute = minute_before(end);
        for cell in channels.values().flatten() {
            for (name, records) in &cell.hosts {
                if name.is_empty() {
                    continue;
                }
                let host = self.table.entry(name, || Host::new(bucket));
                if end > host.last {
                    if !host.silent && host.last > host.first {
                        let quiet = bucket.millis_since(host.last) / 1000;
                        host.quiet_longest = host.quiet_longest.max(quiet);
                    }
                    host.last = end;
                }
                host.records.add(minute, *records);
                host.ran(&cell.version, end);
            }
        }
    }

    /// Learns from the minute that just closed.
    pub(super) fn learn(&mut self, minute: i64) {
        self.table.update_all(|_, host| {
            if host.silent {
                return;
            }
            host.rate.learn(as_f64(host.records.sum(minute, 1)));
            if (minute + 1) % QUARTER == 0 {
                let (all, busy) = host.quarters;
                let seen = host.records.sum(minute, QUARTER) > 0;
                host.quarters = (
                    all * QUARTER_KEEP + 1.0,
                    busy * QUARTER_KEEP + f64::from(u8::from(seen)),
                );
            }
        });
    }

    /// Lists the hosts that ran a version within the last `seconds`, in the order of their names.
    pub(super) fn running<'a>(
        &'a self,
        version: &'a Name,
        since: EventTime,
    ) -> impl Iterator<Item = &'a Name> {
        self.table
            .iter()
            .filter(move |(_, host)| {
                host.versions
                    .iter()
                    .any(|(it, last)| it == version && *last >= since)
            })
            .map(|(name, _)| name)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("host", out);
    }
}

impl Host {
    fn new(bucket: EventTime) -> Self {
        Self {
            first: bucket,
            last: bucket,
            records: Minutes::default(),
            rate: Learned::default(),
            quiet_longest: 0,
            quarters: (0.0, 0.0),
            silent: false,
            versions: Vec::new(),
        }
    }

    /// Tells whether it has written in nearly every quarter of an hour for a day or more.
    pub(super) fn is_regular(&self) -> bool {
        let (all, busy) = self.quarters;
        all >= REGULAR_QUARTERS && busy >= REGULAR_SHARE * all
    }

    fn ran(&mut self, version: &Name, end: EventTime) {
        if let Some((_, last)) = self.versions.iter_mut().find(|(it, _)| it == version) {
            *last = end.max(*last);
        } else {
            self.versions.push((version.clone(), end));
        }
        self.versions
            .sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        if self.versions.len() > VERSIONS_MAX {
            self.versions.remove(0);
        }
    }
}
