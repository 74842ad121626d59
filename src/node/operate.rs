//! Carries out what people ask for, on the thread that owns the world.

use crate::api::{MuteUntil, Operation, OperationError, Subject};
use crate::detect::{self, Action, ActionError, MuteTarget, World};
use crate::model::{AlertId, EventTime};
use crate::telemetry::Metrics;

/// Carries out one operation; it is answered after the next commit.
pub(super) fn operate(
    world: &mut World,
    metrics: &Metrics,
    operation: &Operation,
    now: EventTime,
) -> Result<(), OperationError> {
    let actions = match operation {
        Operation::Marker(marker) => {
            let (version, group) = (
                marker.version.as_deref().unwrap_or("-"),
                marker.group.as_deref().unwrap_or("all"),
            );
            metrics.add_deploy(
                &world.rules().fields.service_default,
                group,
                version,
                marker.at,
            );
            vec![Action::Marker(marker.clone())]
        }
        Operation::Exposure(records) => records.iter().cloned().map(Action::Exposure).collect(),
        Operation::EndPlanned(marker) => vec![Action::EndPlanned {
            marker: marker.clone(),
        }],
        Operation::Gate(decision) => {
            let mut decision = decision.clone();
            decision.asked_at = Some(now);
            vec![Action::Gate(decision)]
        }
        Operation::Mute(request) => vec![Action::Mute {
            target: target(&request.subject),
            until: match &request.until {
                MuteUntil::Time(at) => detect::MuteUntil::Time(*at),
                MuteUntil::Version(version) => detect::MuteUntil::Version(version.clone()),
                MuteUntil::Escalating => detect::MuteUntil::Escalates { ratio: ESCALATES },
            },
            reason: request.reason.clone(),
            by: SOMEBODY.to_owned(),
        }],
        Operation::Unmute(it) => vec![Action::Unmute { target: target(it) }],
        Operation::Acknowledge { alert, by } => vec![Action::Acknowledge {
            alert: AlertId(alert.clone()),
            by: by.clone(),
            note: format!("acknowledged by {by}"),
        }],
    };
    // Mutes and acknowledgements are by the story's clock where that lies in the past.
    let now = world.clock().map_or(now, |it| it.min(now));
    for action in actions {
        world.act(now, action).map_err(|error| match error {
            ActionError::NoSuchAlert(_) | ActionError::NotMuted | ActionError::NotPlanned(_) => {
                OperationError::NotFound(error.to_string())
            }
            other => OperationError::Refused(other.to_string()),
        })?;
    }
    Ok(())
}

/// Times its present rate at which a signature that is muted until it escalates is told again.
const ESCALATES: f64 = 3.0;

/// Who muted something, until requests carry a name.
const SOMEBODY: &str = "somebody at the dashboard";

fn target(subject: &Subject) -> MuteTarget {
    match subject {
        Subject::Signature(id) => MuteTarget::Signature(*id),
        Subject::Alert(id) => MuteTarget::Alert(AlertId(id.clone())),
    }
}
