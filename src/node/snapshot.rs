//! What metrics show of stage 2: a small copy made after each commit.

use crate::detect::World;
use crate::ingest::Clock;
use crate::model::{AlertKind, AlertState, AlertTransition, EventTime};
use crate::telemetry::{ChannelGauge, Metrics, Snapshot, Stage};

/// Makes the copy.
pub(super) fn snapshot(world: &World) -> Snapshot {
    let counts = world.signature_states();
    let channels = world
        .channel_gauges()
        .into_iter()
        .map(|it| ChannelGauge {
            channel: it.channel,
            capped: it.capped,
            last_seen: it.last_seen,
        })
        .collect();
    let snapshot = Snapshot {
        signatures: [
            ("active", counts.active),
            ("quiet", counts.quiet),
            ("muted", counts.muted),
        ]
        .into(),
        channels,
        ..Snapshot::default()
    };
    snapshot.with_alerts(&world.active_alerts())
}

/// Counts what was just told, and how long after the event.
pub(super) fn count_transitions(
    metrics: &Metrics,
    transitions: &[AlertTransition],
    now: EventTime,
    clock: Clock,
) {
    for transition in transitions.iter().filter(|it| it.to == AlertState::Firing) {
        let alert = &transition.alert;
        if alert.key.kind == AlertKind::New {
            metrics.add_new_signatures(&alert.key.version, &alert.key.group, 1);
        }
        // In replay and demo the wall clock says nothing about how late an alert is.
        if clock == Clock::Arrival {
            let late = u64::try_from(now.millis_since(alert.started_at)).unwrap_or_default();
            metrics.observe_latency(Stage::Alert, late, 1);
        }
    }
}
