//! What people and deploy tools do: markers, exposure counts, mutes, acknowledgements.
//!
//! An action is part of the log like any batch. Invariant: an action that is refused changes nothing.

use serde::{Deserialize, Serialize};

use super::World;
use super::channels::{as_f64, minute_before};
use super::gate::GateDecision;
use super::mute::{Mute, MuteTarget, MuteUntil};
use super::world::Sort;
use crate::model::{AlertId, AlertState, DeployMarker, EventTime, ExposureRecord};

/// Longest name, reason or reference in an action, in bytes.
const TEXT_MAX: usize = 500;

/// An action of a person or a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A deploy marker was posted.
    Marker(DeployMarker),
    /// An exposure count was posted.
    Exposure(ExposureRecord),
    /// Alerts are to be quiet.
    Mute {
        /// About what.
        target: MuteTarget,
        /// Until when.
        until: MuteUntil,
        /// Why.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// A gate was asked and decided.
    Gate(Box<GateDecision>),
    /// A planned effect is over.
    EndPlanned {
        /// Name of its marker.
        marker: String,
    },
    /// A mute is lifted.
    Unmute {
        /// About what.
        target: MuteTarget,
    },
    /// Somebody has taken an alert: it is quiet until it is over.
    Acknowledge {
        /// Which.
        alert: AlertId,
        /// Who.
        by: String,
        /// A note or a ticket.
        note: String,
    },
}

/// Why an action was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// There is no such alert, or it is over.
    #[error("no alert {0} is firing")]
    NoSuchAlert(AlertId),
    /// There is no mute to lift.
    #[error("nothing is muted there")]
    NotMuted,
    /// No planned effect has this name.
    #[error("no planned effect is called `{0}`")]
    NotPlanned(String),
    /// A decision of this name is kept already.
    #[error("gate {0} is decided already")]
    GateKept(String),
    /// Too many mutes stand.
    #[error("too many mutes stand: lift some first")]
    TooManyMutes,
    /// A mute would end before it begins.
    #[error("the mute would end at {until}, before the present event time {now}")]
    MuteInThePast {
        /// Its end.
        until: EventTime,
        /// Event time now.
        now: EventTime,
    },
    /// A text is empty or too long.
    #[error("{field} has {bytes} bytes: 1 to {TEXT_MAX} are allowed")]
    BadText {
        /// Which.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A number is not one that can be counted with.
    #[error("{field} has to be a number of 0 or more")]
    BadNumber {
        /// Which.
        field: &'static str,
    },
}

impl World {
    /// Does what a person or a tool asks.
    pub fn act(&mut self, now: EventTime, action: Action) -> Result<(), ActionError> {
        match action {
            Action::Marker(marker) => self.post_marker(marker),
            Action::Exposure(record) => self.post_exposure(&record),
            Action::EndPlanned { marker } => self.end_planned(marker),
            Action::Gate(decision) => self.keep_gate(now, *decision),
            Action::Mute {
                target,
                until,
                reason,
                by,
            } => self.mute(now, target, until, (reason, by)),
            Action::Unmute { target } => {
                let target = self.resolved(target);
                if !self.book.mutes.lift(&target) {
                    return Err(ActionError::NotMuted);
                }
                self.book.apply_mutes();
                Ok(())
            }
            Action::Acknowledge { alert, by, note } => {
                let firing = self
                    .book
                    .get(&alert)
                    .is_some_and(|it| it.state == AlertState::Firing);
                if !firing {
                    return Err(ActionError::NoSuchAlert(alert));
                }
                let target = MuteTarget::Alert(alert);
                self.mute(now, target, MuteUntil::Lifted, (note, by))
            }
        }
    }

    fn post_marker(&mut self, marker: DeployMarker) -> Result<(), ActionError> {
        check_text("id", &marker.id, 1)?;
        for (field, text) in [
            ("version", &marker.version),
            ("group", &marker.group),
            ("host", &marker.host),
            ("ref", &marker.reference),
        ] {
            check_text(field, text.as_deref().unwrap_or_default(), 0)?;
        }
        if let Some(expected) = &marker.expected {
            check_number("expected.rate_max_per_min", expected.rate_max_per_min)?;
        }
        self.releases.mark(marker);
        Ok(())
    }

    fn post_exposure(&mut self, record: &ExposureRecord) -> Result<(), ActionError> {
        check_number("exposure", record.exposure)?;
        check_text("version", &record.version, 1)?;
        check_text("group", &record.group, 0)?;
        let key = (
            self.name(Sort::Version, &record.version),
            self.name(Sort::Group, &record.group),
        );
        self.exposure.give(key, record);
        Ok(())
    }

    fn mute(
        &mut self,
        now: EventTime,
        target: MuteTarget,
        until: MuteUntil,
        (reason, by): (String, String),
    ) -> Result<(), ActionError> {
        check_text("reason", &reason, 0)?;
        check_text("by", &by, 0)?;
        match &until {
            MuteUntil::Time(until) if *until <= now => {
                return Err(ActionError::MuteInThePast { until: *until, now });
            }
            MuteUntil::Escalates { ratio } => check_number("escalates", *ratio)?,
            MuteUntil::Version(version) => check_text("version", version, 1)?,
            MuteUntil::Time(_) | MuteUntil::Lifted => {}
        }
        let target = self.resolved(target);
        let rate_per_min = self.rate_of(&target);
        let mute = Mute {
            target,
            until,
            reason,
            by,
            since: now,
            rate_per_min,
        };
        if !self.book.mutes.set(mute) {
            return Err(ActionError::TooManyMutes);
        }
        self.book.apply_mutes();
        Ok(())
    }

    /// Lets an old id name the signature that it belongs to today.
    fn resolved(&self, target: MuteTarget) -> MuteTarget {
        match target {
            MuteTarget::Signature(id) => MuteTarget::Signature(self.resolve(id)),
            other => other,
        }
    }

    /// Lists the mutes that stand.
    pub fn mutes(&self) -> Vec<Mute> {
        self.book.mutes.iter().cloned().collect()
    }

    /// Lifts the mutes that have run out, at the close of every minute.
    pub(super) fn lift_mutes(&mut self, at: EventTime) {
        if self.book.mutes.is_empty() {
            return;
        }
        let mut mutes = std::mem::take(&mut self.book.mutes);
        let changed = mutes.lift_due(
            at,
            |version| {
                self.releases
                    .versions
                    .contains(&super::name::Name::from(version))
            },
            |target| self.rate_of(target),
        );
        self.book.mutes = mutes;
        if changed {
            self.book.apply_mutes();
        }
    }

    /// Returns events per minute over the last five minutes of what a mute is about.
    fn rate_of(&self, target: &MuteTarget) -> f64 {
        let Some(now) = self.clock.closed else {
            return 0.0;
        };
        let minute = minute_before(now);
        let events = match target {
            MuteTarget::Signature(id) => {
                self.catalogue.get(*id).map(|it| it.minutes.sum(minute, 5))
            }
            MuteTarget::Channel(channel) => self
                .channels
                .table
                .get(&channel.as_str().into())
                .map(|it| it.records.sum(minute, 5)),
            MuteTarget::Alert(id) => self
                .book
                .get(id)
                .and_then(|it| it.key.signature)
                .and_then(|id| self.catalogue.get(id))
                .map(|it| it.minutes.sum(minute, 5)),
        };
        as_f64(events.unwrap_or_default()) / 5.0
    }
}

fn check_text(field: &'static str, text: &str, bytes_min: usize) -> Result<(), ActionError> {
    let bytes = text.len();
    if (bytes_min..=TEXT_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(ActionError::BadText { field, bytes })
}

fn check_number(field: &'static str, value: f64) -> Result<(), ActionError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(ActionError::BadNumber { field })
}
