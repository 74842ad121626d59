//! Bounds on label values that come from records, so that a flood of names cannot flood Prometheus.
//!
//! Invariant: at most [`Label::limit`] distinct values of a label ever leave this guard, plus `_other`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;

use prometheus::IntCounterVec;

/// What stands in place of a value past the limit.
pub(super) const OTHER: &str = "_other";

/// Longest label value in bytes; longer ones become `_other`.
const VALUE_BYTES_MAX: usize = 128;

/// A label whose values come from records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Logger channel.
    Channel,
    /// Deployed version.
    Version,
    /// Rollout group.
    Group,
    /// Topic or file.
    Topic,
    /// Service.
    Service,
}

impl Label {
    /// Returns the label's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Version => "version",
            Self::Group => "group",
            Self::Topic => "topic",
            Self::Service => "service",
        }
    }

    /// Returns how many distinct values it may have.
    pub const fn limit(self) -> usize {
        match self {
            Self::Channel => 200,
            // A log topic rarely carries more than a handful of services.
            Self::Version | Self::Service => 8,
            Self::Group => 16,
            Self::Topic => 32,
        }
    }

    /// Returns what stands for an empty value.
    const fn empty(self) -> &'static str {
        match self {
            Self::Version => "unknown",
            _ => "-",
        }
    }
}

/// Lets the first values of each label through and turns the rest into `_other`.
#[derive(Debug)]
pub struct LabelGuard {
    values: RwLock<BTreeMap<Label, BTreeSet<Box<str>>>>,
    sets: RwLock<BTreeMap<&'static str, BTreeSet<Box<str>>>>,
    overflow: IntCounterVec,
}

impl LabelGuard {
    /// Makes a guard that counts what it refuses.
    pub fn new(overflow: IntCounterVec) -> Self {
        Self {
            values: RwLock::default(),
            sets: RwLock::default(),
            overflow,
        }
    }

    /// Returns the value itself, or `_other` if the label is full.
    pub fn admit<'a>(&self, label: Label, value: &'a str) -> &'a str {
        if value.is_empty() {
            return label.empty();
        }
        if value.len() <= VALUE_BYTES_MAX && admit(&self.values, label, value, label.limit()) {
            return value;
        }
        self.overflow.with_label_values(&[label.name()]).inc();
        OTHER
    }

    /// Tells whether this combination of labels of a metric may have a series of its own.
    pub fn admit_set(&self, metric: &'static str, set: &str, limit: usize) -> bool {
        let admitted = admit(&self.sets, metric, set, limit);
        if !admitted {
            self.overflow.with_label_values(&[metric]).inc();
        }
        admitted
    }
}

fn admit<K: Ord + Copy>(
    table: &RwLock<BTreeMap<K, BTreeSet<Box<str>>>>,
    key: K,
    value: &str,
    limit: usize,
) -> bool {
    {
        let table = super::read(table);
        if let Some(known) = table.get(&key) {
            if known.contains(value) {
                return true;
            }
            if known.len() >= limit {
                return false;
            }
        }
    }
    let mut table = super::write(table);
    let known = table.entry(key).or_default();
    if known.len() >= limit {
        return known.contains(value);
    }
    known.insert(value.into());
    true
}
