//! Kind `storm`: many new signatures of one version and group at once, told as one; and effects that were planned.
//!
//! Invariant: what is withheld is still an alert in the list, with the reason.

use super::World;
use super::lifecycle::Condition;
use super::words;
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, Severity};

impl World {
    /// Raises one alert for many.
    pub(super) fn raise_storm(&mut self, one: &Condition, count: usize, at: EventTime) {
        let place = words::place(&one.key.version, &one.key.group);
        let key = AlertKey {
            kind: AlertKind::Storm,
            channel: "*".to_owned(),
            signature: None,
            ..one.key.clone()
        };
        let condition = Condition {
            key,
            severity: Severity::Critical,
            started_at: one.started_at,
            last_at: at,
            resolve_after: self.rules.detect.resolve_after_seconds,
            template: String::new(),
            summary: words::summary(&format!(
                "Storm of new errors in {place}: {count} new signatures at once"
            )),
            description: format!(
                "{count} signatures that no earlier release had fire in {place} at the same time. \
                 They are listed one by one, and told only as this alert. The latest: {}",
                one.template
            ),
            evidence: Evidence {
                count: count as u64,
                ..Evidence::default()
            },
            withheld: None,
        };
        self.raise(at, condition);
    }

    /// Returns `planned` where a marker declared this effect and its bound is not passed.
    pub(super) fn planned(&self, key: &AlertKey, template: &str, per_min: f64) -> Option<String> {
        let now = self.clock.closed?;
        let covered = self.releases.markers.values().any(|marker| {
            let Some(expected) = &marker.expected else {
                return false;
            };
            let channel = expected
                .channel
                .as_deref()
                .is_none_or(|it| it == key.channel);
            let text = expected
                .template
                .as_deref()
                .is_none_or(|it| mentions(template, it));
            let some = expected.channel.is_some() || expected.template.is_some();
            marker.at <= now
                && some
                && channel
                && text
                && per_min <= expected.rate_max_per_min
                && super::releases::concerns(marker, &key.group)
        });
        covered.then(|| "planned".to_owned())
    }
}

/// Tells whether a template holds the constant parts of a declared text, in order; `{name}` and `<name>` stand for anything.
pub(super) fn mentions(template: &str, declared: &str) -> bool {
    let mut rest = template;
    for part in declared.split(['{', '}', '<', '>']).step_by(2) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_declared_text_matches_whatever_its_masks_are_called() {
        let template = "Session <session>: User token mismatch";
        assert!(mentions(
            template,
            "Session {session_info}: User token mismatch"
        ));
        assert!(mentions(template, "User token mismatch"));
        assert!(!mentions(template, "Metadata merge failed"));
    }
}
