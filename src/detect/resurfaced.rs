//! Kind `resurfaced`: a signature that comes back after a long absence.
//!
//! Invariant: one event does not make a return; it takes as many as a new signature needs.

use super::World;
use super::catalogue::Signature;
use super::lifecycle::Condition;
use super::words;
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, LevelClass, Severity, SignatureId};

/// Seconds within which the events of a return have to come.
const RETURN_SECONDS: i64 = 3_600;

impl World {
    /// Notes that a signature is about to get events after a long absence; called before they are counted.
    pub(super) fn note_return(&mut self, id: SignatureId, first: EventTime) {
        // Days on which the feed itself was gone are no absence.
        let absence = self.rules.detect.resurfaced_after_days * 1440;
        let live = self.clock.live_minutes;
        if let Some(signature) = self.catalogue.get_mut(id)
            && signature.events > 0
            && live - signature.last_live >= absence
        {
            signature.back = Some((signature.last, first, signature.events));
        }
    }

    /// Tells of signatures that came back, at the close of every bucket.
    pub(super) fn look_for_returns(&mut self, touched: &[(SignatureId, u64)], at: EventTime) {
        for &(id, _) in touched {
            let Some(signature) = self.catalogue.get(id) else {
                continue;
            };
            let Some((gone, back, before)) = signature.back else {
                continue;
            };
            let enough = signature.events - before >= self.rules.detect.new_events_min;
            let over = at.millis_since(back) > RETURN_SECONDS * 1000;
            if !enough && !over {
                continue;
            }
            let condition = (enough && self.alerts_in(&signature.def.channel))
                .then(|| self.return_condition(id, signature, (gone, back, before)));
            if let Some(signature) = self.catalogue.get_mut(id) {
                signature.back = None;
            }
            if let Some(condition) = condition {
                self.raise(at, condition);
            }
        }
    }

    fn return_condition(
        &self,
        id: SignatureId,
        signature: &Signature,
        (gone, back, before): (EventTime, EventTime, u64),
    ) -> Condition {
        let absent = words::duration(back.millis_since(gone) / 1000);
        let version = signature
            .cells
            .iter()
            .max_by(|a, b| (a.last, &a.version).cmp(&(b.last, &b.version)))
            .map_or_else(|| "*".into(), |it| it.version.clone());
        let group = signature.recent_group(&version, signature.last);
        let key = AlertKey {
            kind: AlertKind::Resurfaced,
            service: signature.service.to_string(),
            group: group.to_string(),
            version: version.to_string(),
            channel: signature.def.channel.clone(),
            signature: Some(id),
            host: None,
        };
        let count = signature.events - before;
        Condition {
            severity: if signature.class() == LevelClass::Error {
                Severity::Warning
            } else {
                Severity::Info
            },
            started_at: back,
            last_at: signature.last,
            resolve_after: self.resolve_after(count, back, signature.last),
            template: signature.def.template.clone(),
            summary: words::summary(&format!(
                "Back after {absent} in {}: [{}] {}",
                words::place(&version, &group),
                signature.def.channel,
                signature.def.template
            )),
            description: format!(
                "Not seen from {} to {} ({absent}); {} events since, {} before.",
                words::time(gone),
                words::time(back),
                words::count(count),
                words::count(before)
            ),
            evidence: Evidence {
                count,
                hosts: signature.hosts.distinct(),
                ..Evidence::default()
            },
            withheld: None,
            key,
        }
    }
}
