//! Planned effects: what somebody declared beforehand, how far it may go, and how far it went.
//!
//! Within its bound an effect is listed and told to nobody; past it, it is an alert like any other. Invariant: an
//! effect covers nothing before its marker's time and nothing after it was ended.

use serde::Serialize;

use super::World;
use super::act::ActionError;
use super::channels::{as_f64, minute_before};
use super::releases::concerns;
use super::storm::mentions;
use crate::model::{DeployMarker, EventTime, Expected};

/// Minutes over which the present rate is taken.
const MINUTES: i64 = 5;

/// Where a planned effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedState {
    /// Its time has not come.
    Waiting,
    /// It began, and nothing shows.
    Quiet,
    /// It shows, within its bound.
    Within,
    /// It shows, past its bound.
    Past,
}

/// A planned effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedEffect {
    /// Name of its marker.
    pub marker: String,
    /// From when on it counts.
    pub at: EventTime,
    /// The group it concerns; `*` for all.
    pub group: String,
    /// Change number or ticket, if given.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The channel that may rise, if declared.
    pub channel: Option<String>,
    /// The message that may rise, if declared.
    pub template: Option<String>,
    /// Events per minute of one signature past which it is an alert all the same.
    pub rate_max_per_min: f64,
    /// Events per minute of the loudest signature that it covers, over the last five minutes.
    pub rate_per_min: f64,
    /// Signatures with recent events that it covers.
    pub signatures: usize,
    /// Where it stands.
    pub state: PlannedState,
}

impl World {
    /// Lists the planned effects that stand, earliest first.
    pub fn planned_effects(&self) -> Vec<PlannedEffect> {
        self.markers()
            .iter()
            .filter_map(|marker| Some(self.planned_effect(marker, marker.expected.as_ref()?)))
            .collect()
    }

    fn planned_effect(&self, marker: &DeployMarker, expected: &Expected) -> PlannedEffect {
        let now = self.clock.closed.unwrap_or_default();
        let minute = minute_before(now);
        let (mut signatures, mut most) = (0, 0);
        let names_something = expected.channel.is_some() || expected.template.is_some();
        for (_, it) in self.catalogue.iter().filter(|_| names_something) {
            let channel = expected.channel.as_deref();
            let template = expected.template.as_deref();
            let covered = channel.is_none_or(|wanted| wanted == it.def.channel)
                && template.is_none_or(|wanted| mentions(&it.def.template, wanted))
                && it.cells.iter().any(|cell| concerns(marker, &cell.group));
            let events = it.minutes.sum(minute, MINUTES);
            if covered && events > 0 {
                signatures += 1;
                most = most.max(events);
            }
        }
        let rate = as_f64(most) / as_f64(MINUTES.unsigned_abs());
        PlannedEffect {
            marker: marker.id.clone(),
            at: marker.at,
            group: marker.group.clone().unwrap_or_else(|| "*".to_owned()),
            reference: marker.reference.clone(),
            channel: expected.channel.clone(),
            template: expected.template.clone(),
            rate_max_per_min: expected.rate_max_per_min,
            rate_per_min: rate,
            signatures,
            state: if marker.at > now {
                PlannedState::Waiting
            } else if rate > expected.rate_max_per_min {
                PlannedState::Past
            } else if most > 0 {
                PlannedState::Within
            } else {
                PlannedState::Quiet
            },
        }
    }

    /// Ends a planned effect: its marker stays, but covers nothing any more.
    pub(super) fn end_planned(&mut self, id: String) -> Result<(), ActionError> {
        match self.releases.markers.get_mut(&id) {
            Some(marker) if marker.expected.is_some() => {
                marker.expected = None;
                Ok(())
            }
            _ => Err(ActionError::NotPlanned(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::tests::{marker, rollout, story};
    use super::super::tests::{line, time};
    use super::*;
    use crate::detect::{Action, ActionError};
    use crate::model::{AlertKind, Level, MarkerKind};

    #[test]
    fn a_planned_effect_is_listed_with_where_it_stands_and_ends_when_told() {
        let mut lines = rollout(4_800);
        for second in 3_600..4_800 {
            let host = format!("mw{}", 1 + second % 12);
            let it = line(
                second * 1000,
                "session",
                Level::Error,
                "User token mismatch",
                &host,
            );
            lines.push(it.on("v2", "group1"));
        }
        let mut planned = marker("m1", 3_600, MarkerKind::Maintenance, "group1");
        planned.expected = Some(Expected {
            channel: Some("session".to_owned()),
            template: Some("token mismatch".to_owned()),
            rate_max_per_min: 100.0,
        });
        let (mut feed, _) = story("", lines.clone(), &[planned], 4_800);
        let effects = feed.world.planned_effects();
        assert_eq!(effects.len(), 1);
        assert_eq!(
            (
                effects[0].state,
                effects[0].rate_per_min,
                effects[0].signatures
            ),
            (PlannedState::Within, 60.0, 1)
        );
        assert_eq!(
            feed.only(AlertKind::New).alert.withheld.as_deref(),
            Some("planned")
        );

        let end = |id: &str| Action::EndPlanned {
            marker: id.to_owned(),
        };
        feed.world.act(time(4_800), end("m1")).unwrap();
        assert_eq!(feed.world.planned_effects(), []);
        assert_eq!(feed.world.markers().len(), 1, "the marker stays");
        assert_eq!(
            feed.world.act(time(4_800), end("m1")),
            Err(ActionError::NotPlanned("m1".to_owned()))
        );
        let more: Vec<_> = rollout(5_400).into_iter().chain(lines).collect();
        let more = more
            .into_iter()
            .filter(|it| it.at >= 4_800_000)
            .collect::<Vec<_>>();
        let mut more = more;
        for second in 4_800..5_400 {
            let it = line(
                second * 1000,
                "session",
                Level::Error,
                "User token mismatch",
                "mw1",
            );
            more.push(it.on("v2", "group1"));
        }
        feed.play(more, 5_400);
        let told = feed.firings(AlertKind::New);
        assert!(
            told.iter().any(|it| it.alert.withheld.is_none()),
            "{:#?}",
            feed.sentences()
        );
    }
}
