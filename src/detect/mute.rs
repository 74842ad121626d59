//! What people do about alerts: mute until a time, a version or until it escalates; acknowledge.
//!
//! A mute never stops the counting and never hides that an alert fires: it only says that nobody is to be
//! told. Invariant: a mute that has run out is gone at the next bucket that closes.

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::table::Table;
use crate::model::{Alert, AlertId, EventTime, SignatureId};

/// Mutes that may stand at once.
const MUTES_MAX: usize = 10_000;

/// What a mute is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteTarget {
    /// Every alert about a signature.
    Signature(SignatureId),
    /// Every alert about a channel or a signature in it.
    Channel(String),
    /// One alert, until it is over.
    Alert(AlertId),
}

/// When a mute runs out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteUntil {
    /// At a time.
    Time(EventTime),
    /// When a version is first seen.
    Version(String),
    /// When the rate is this many times what it was when the mute was set.
    Escalates {
        /// Times the rate of then.
        ratio: f64,
    },
    /// Never by itself.
    Lifted,
}

/// A mute that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// What it is about.
    pub target: MuteTarget,
    /// When it runs out.
    pub until: MuteUntil,
    /// Why, in a person's words.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When it was set, event time.
    pub since: EventTime,
    /// Events per minute when it was set, for `escalates`.
    pub rate_per_min: f64,
}

/// All mutes.
#[derive(Debug, Default)]
pub(super) struct Mutes {
    table: Table<MuteTarget, Mute>,
}

impl Mutes {
    /// Sets a mute; returns whether there was room.
    pub(super) fn set(&mut self, mute: Mute) -> bool {
        if self.table.len() >= MUTES_MAX && !self.table.contains(&mute.target) {
            return false;
        }
        self.table.insert(mute.target.clone(), mute);
        true
    }

    /// Lets the mute of a signature hold for the one that it became an alias of, unless that has one of its own.
    pub(super) fn adopt(&mut self, younger: SignatureId, older: SignatureId) {
        let Some(mute) = self.table.remove(&MuteTarget::Signature(younger)) else {
            return;
        };
        let target = MuteTarget::Signature(older);
        if !self.table.contains(&target) {
            self.table.insert(target.clone(), Mute { target, ..mute });
        }
    }

    /// Lifts a mute; returns whether there was one.
    pub(super) fn lift(&mut self, target: &MuteTarget) -> bool {
        self.table.remove(target).is_some()
    }

    /// Forgets the mute of an alert that is over.
    pub(super) fn over(&mut self, id: &AlertId) {
        self.table.remove(&MuteTarget::Alert(id.clone()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mute> {
        self.table.values()
    }

    /// Lists the mutes that have run out, given a test for versions and one for rates.
    pub(super) fn lift_due(
        &mut self,
        at: EventTime,
        version_seen: impl Fn(&str) -> bool,
        rate_of: impl Fn(&MuteTarget) -> f64,
    ) -> bool {
        let due: Vec<MuteTarget> = self
            .table
            .values()
            .filter(|it| match &it.until {
                MuteUntil::Time(until) => *until <= at,
                MuteUntil::Version(version) => version_seen(version),
                MuteUntil::Escalates { ratio } => {
                    rate_of(&it.target) > ratio * it.rate_per_min.max(1.0)
                }
                MuteUntil::Lifted => false,
            })
            .map(|it| it.target.clone())
            .collect();
        for target in &due {
            self.table.remove(target);
        }
        !due.is_empty()
    }

    /// Returns the words of the mute that covers an alert.
    pub(super) fn reason_for(&self, alert: &Alert, about: Option<SignatureId>) -> Option<String> {
        let mut targets = vec![
            MuteTarget::Alert(alert.id.clone()),
            MuteTarget::Channel(alert.key.channel.clone()),
        ];
        targets.extend(about.map(MuteTarget::Signature));
        targets
            .iter()
            .find_map(|it| self.table.get(it))
            .map(Mute::words)
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("mute", out);
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), super::RestoreError> {
        self.table.restore("mute", key, value)
    }
}

impl Mute {
    /// Returns until when and why, in one line.
    pub fn words(&self) -> String {
        let until = match &self.until {
            MuteUntil::Time(at) => format!("until {at}"),
            MuteUntil::Version(version) => format!("until {version}"),
            MuteUntil::Escalates { ratio } => format!("until it escalates (x{ratio})"),
            MuteUntil::Lifted => match self.target {
                MuteTarget::Alert(_) => "acknowledged".to_owned(),
                _ => "until lifted".to_owned(),
            },
        };
        match (self.by.as_str(), self.reason.as_str()) {
            ("", "") => until,
            (by, "") => format!("{until}, by {by}"),
            ("", reason) => format!("{until}: {reason}"),
            (by, reason) => format!("{until}, by {by}: {reason}"),
        }
    }
}
