//! Decisions that were taken: kept as they were, under their names, and told where they failed.
//!
//! Invariant: a kept decision never changes; past the limit the oldest is forgotten.

use super::super::World;
use super::super::act::ActionError;
use super::super::lifecycle::Condition;
use super::super::table::Table;
use super::super::words;
use super::{Effect, GateDecision, Verdict};
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, Severity};

/// Decisions that are kept.
// Ten deployments a day with a gate each for half a year, at about 3 kB.
const GATES_MAX: usize = 2_000;

/// Longest name of a decision in bytes.
const ID_MAX: usize = 64;

/// Seconds after the last failing decision after which its alert is over by itself.
const FAILED_SECONDS: i64 = 3_600;

/// The kept decisions, by name.
#[derive(Debug, Default)]
pub(in crate::detect) struct Gates {
    pub(in crate::detect) table: Table<String, GateDecision>,
}

impl Gates {
    fn keep(&mut self, decision: GateDecision) {
        while self.table.len() >= GATES_MAX {
            let oldest = self
                .table
                .iter()
                .min_by(|a, b| (a.1.asked_at, a.1.at, a.0).cmp(&(b.1.asked_at, b.1.at, b.0)))
                .map(|(id, _)| id.clone());
            let Some(id) = oldest else { break };
            self.table.remove(&id);
        }
        self.table.insert(decision.id.clone(), decision);
    }
}

impl World {
    /// Returns a decision as it was taken.
    pub fn kept_gate(&self, id: &str) -> Option<GateDecision> {
        self.gates.table.get(&id.to_owned()).cloned()
    }

    /// Lists the decisions that are kept, latest first, at most `limit`.
    pub fn kept_gates(&self, limit: usize) -> Vec<GateDecision> {
        let mut all: Vec<&GateDecision> = self.gates.table.values().collect();
        all.sort_by(|a, b| (b.asked_at, b.at, &b.id).cmp(&(a.asked_at, a.at, &a.id)));
        all.into_iter().take(limit).cloned().collect()
    }

    /// Keeps a decision, and says that a gate failed or no longer does.
    pub(in crate::detect) fn keep_gate(
        &mut self,
        now: EventTime,
        decision: GateDecision,
    ) -> Result<(), ActionError> {
        if decision.id.is_empty() || decision.id.len() > ID_MAX {
            return Err(ActionError::BadText {
                field: "id",
                bytes: decision.id.len(),
            });
        }
        if self.gates.table.contains(&decision.id) {
            return Err(ActionError::GateKept(decision.id));
        }
        let at = self.clock.closed.unwrap_or(now);
        if !decision.is_past {
            self.tell_gate(&decision, at);
        }
        self.gates.keep(decision);
        Ok(())
    }

    fn tell_gate(&mut self, decision: &GateDecision, at: EventTime) {
        let key = AlertKey {
            kind: AlertKind::GateFailed,
            service: self.rules.fields.service_default.clone(),
            group: decision.group.clone(),
            version: decision.version.clone(),
            channel: "*".to_owned(),
            signature: None,
            host: None,
        };
        if decision.verdict != Verdict::Fail {
            if let Some(id) = self.book.find(&key) {
                self.book.resolve(&id, at);
            }
            return;
        }
        let failing: Vec<&str> = decision
            .reasons
            .iter()
            .filter(|it| it.effect == Effect::Fail)
            .map(|it| it.text.as_str())
            .collect();
        let condition = Condition {
            severity: Severity::Warning,
            started_at: at,
            last_at: at,
            resolve_after: FAILED_SECONDS,
            template: String::new(),
            summary: words::summary(&format!("Gate failed: {}", decision.summary)),
            description: words::clip(
                &format!("Decision gate/{}: {}", decision.id, failing.join("; ")),
                1_000,
            ),
            evidence: Evidence {
                count: failing.len() as u64,
                ..Evidence::default()
            },
            withheld: None,
            key,
        };
        self.raise(at, condition);
    }
}
