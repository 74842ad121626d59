//! The life of alerts: raised, kept alive while the condition holds, resolved after a quiet time, muted by people.
//!
//! The sequence of transitions is the alert log. Invariant: a problem has at most one firing alert, and
//! the log depends only on conditions and their event times.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::StateRow;
use super::mute::Mutes;
use super::table::Table;
use crate::model::{
    Alert, AlertId, AlertKey, AlertKind, AlertState, AlertTransition, EventTime, Evidence,
    Severity, SignatureId,
};
use crate::rules::Known;

/// Resolved alerts that are kept for people to look at.
const RESOLVED_MAX: usize = 2_000;

/// Alerts that may fire at once; past it new ones are only counted.
const FIRING_MAX: usize = 2_000;

/// A problem as a detector sees it now.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) key: AlertKey,
    pub(super) severity: Severity,
    pub(super) started_at: EventTime,
    pub(super) last_at: EventTime,
    /// Seconds without the condition after which the alert is over.
    pub(super) resolve_after: i64,
    pub(super) template: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) evidence: Evidence,
    pub(super) withheld: Option<String>,
}

/// An alert with what its life needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    alert: Alert,
    resolve_after: i64,
}

/// All alerts.
#[derive(Debug, Default)]
pub(super) struct Book {
    table: Table<AlertId, Entry>,
    pub(super) mutes: Mutes,
    firing: BTreeSet<AlertId>,
    by_signature: BTreeMap<SignatureId, BTreeSet<AlertId>>,
    /// Signatures that firing alerts name by an id that became an alias, by that id.
    adopted: BTreeMap<SignatureId, SignatureId>,
    /// Place of the next transition in the log.
    pub(super) next_seq: u64,
    /// Alerts that could not fire because too many did.
    pub(super) refused: u64,
    log: Vec<AlertTransition>,
    notify: Vec<AlertTransition>,
}

impl Book {
    /// Raises a problem or keeps its alert alive; returns whether it began to fire now.
    pub(super) fn raise(
        &mut self,
        at: EventTime,
        mut condition: Condition,
        known: Known<'_>,
    ) -> bool {
        if known.noise.is_some() && condition.withheld.is_none() {
            condition.withheld = Some("noise".to_owned());
        }
        if let Some(id) = self.find(&condition.key) {
            let planned = self
                .get(&id)
                .is_some_and(|it| it.withheld.as_deref() == Some("planned"));
            let past_bound = planned && condition.withheld.is_none();
            let worse = self
                .get(&id)
                .is_some_and(|it| condition.severity > it.severity);
            if !past_bound && !worse {
                self.refresh(&id, condition);
                return false;
            }
            // Severity and being told belong to an alert's identity, so from here on it is another one.
            self.resolve(&id, at);
        }
        if self.firing.len() >= FIRING_MAX {
            self.refused += 1;
            return false;
        }
        let mut started_at = condition.started_at;
        let mut id = AlertId::of(&condition.key, started_at);
        if self.table.contains(&id) {
            // The same problem once more, after it was over: a new instance begins now.
            started_at = at;
            id = AlertId::of(&condition.key, started_at);
        }
        let mut alert = Alert {
            id: id.clone(),
            severity: condition.severity,
            state: AlertState::Firing,
            started_at,
            fired_at: at,
            resolved_at: None,
            last_at: condition.last_at,
            template: condition.template,
            summary: condition.summary,
            description: condition.description,
            evidence: condition.evidence,
            muted: None,
            withheld: condition.withheld,
            owner: known.owner.map(str::to_owned),
            ticket: known.ticket.map(str::to_owned),
            key: condition.key,
        };
        alert.muted = self.mutes.reason_for(&alert, self.subject(&alert.key));
        self.index(&alert);
        self.table.insert(
            id,
            Entry {
                alert: alert.clone(),
                resolve_after: condition.resolve_after,
            },
        );
        self.say(at, alert);
        true
    }

    fn refresh(&mut self, id: &AlertId, condition: Condition) {
        let Some(entry) = self.table.get_mut(id) else {
            return;
        };
        let alert = &mut entry.alert;
        alert.last_at = alert.last_at.max(condition.last_at);
        alert.summary = condition.summary;
        alert.description = condition.description;
        alert.evidence = condition.evidence;
        if alert.withheld.as_deref() != Some("storm") {
            alert.withheld = condition.withheld;
        }
        entry.resolve_after = condition.resolve_after;
    }

    /// Keeps an alert alive without a word changing.
    pub(super) fn touch(&mut self, id: &AlertId, last_at: EventTime) {
        if let Some(entry) = self.table.get_mut(id) {
            entry.alert.last_at = entry.alert.last_at.max(last_at);
        }
    }

    /// Ends an alert now.
    pub(super) fn resolve(&mut self, id: &AlertId, at: EventTime) {
        let Some(entry) = self.table.get_mut(id) else {
            return;
        };
        if entry.alert.state == AlertState::Resolved {
            return;
        }
        entry.alert.state = AlertState::Resolved;
        entry.alert.resolved_at = Some(at);
        let alert = entry.alert.clone();
        self.firing.remove(id);
        if let Some(signature) = self.subject(&alert.key)
            && let Some(ids) = self.by_signature.get_mut(&signature)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.by_signature.remove(&signature);
            }
        }
        self.mutes.over(id);
        self.say(at, alert);
    }

    /// Ends an alert now, and says why it should not have been.
    pub(super) fn withdraw(&mut self, id: &AlertId, words: &str, at: EventTime) {
        if let Some(entry) = self.table.get_mut(id) {
            entry.alert.description.insert_str(0, words);
        }
        self.resolve(id, at);
    }

    /// Ends every alert whose condition has not held for long enough, unless `held` says that we could not know.
    pub(super) fn expire(&mut self, at: EventTime, held: impl Fn(&AlertKey) -> bool) {
        let mut due: Vec<(AlertKey, EventTime, AlertId)> = self
            .firing
            .iter()
            .filter_map(|id| self.table.get(id))
            .filter(|it| at.millis_since(it.alert.last_at) >= it.resolve_after * 1000)
            .filter(|it| !held(&it.alert.key))
            .map(|it| {
                (
                    it.alert.key.clone(),
                    it.alert.started_at,
                    it.alert.id.clone(),
                )
            })
            .collect();
        due.sort();
        for (_, _, id) in due {
            self.resolve(&id, at);
        }
        self.forget();
    }

    fn forget(&mut self) {
        if !self.adopted.is_empty() {
            let named: BTreeSet<SignatureId> = self
                .firing
                .iter()
                .filter_map(|id| self.table.get(id)?.alert.key.signature)
                .collect();
            self.adopted.retain(|id, _| named.contains(id));
        }
        let surplus = (self.table.len() - self.firing.len()).saturating_sub(RESOLVED_MAX);
        if surplus == 0 {
            return;
        }
        let mut resolved: Vec<(Option<EventTime>, AlertId)> = self
            .table
            .iter()
            .filter(|(_, it)| it.alert.state == AlertState::Resolved)
            .map(|(id, it)| (it.alert.resolved_at, id.clone()))
            .collect();
        resolved.sort();
        for (_, id) in resolved.into_iter().take(surplus) {
            self.table.remove(&id);
        }
    }

    /// Finds the firing alert about the same problem.
    pub(super) fn find(&self, key: &AlertKey) -> Option<AlertId> {
        let same = |id: &&AlertId| {
            self.table
                .get(*id)
                .is_some_and(|it| same_problem(&it.alert.key, key))
        };
        match self.subject(key) {
            Some(signature) => self.by_signature.get(&signature)?.iter().find(same),
            None => self.firing.iter().find(same),
        }
        .cloned()
    }

    /// Returns the signature that an alert is about; its key may name it by an id that became an alias.
    fn subject(&self, key: &AlertKey) -> Option<SignatureId> {
        let id = key.signature?;
        Some(self.adopted.get(&id).copied().unwrap_or(id))
    }

    /// Hands what fires about a signature over to the one that it became an alias of. It goes on under the id that
    /// people know, unless the other fires for the same reason (then the one that fired first goes on) or it is no
    /// news any more: then it ends, with the reason.
    pub(super) fn adopt(
        &mut self,
        (younger, older): (SignatureId, SignatureId),
        at: EventTime,
        words: &str,
        is_news: impl Fn(AlertKind, EventTime) -> bool,
    ) {
        self.mutes.adopt(younger, older);
        let Some(ids) = self.by_signature.remove(&younger) else {
            return;
        };
        for root in self.adopted.values_mut().filter(|it| **it == younger) {
            *root = older;
        }
        self.adopted.insert(younger, older);
        let own = self.by_signature.entry(older).or_default();
        let own: Vec<AlertId> = std::mem::take(own).into_iter().collect();
        let mut all: Vec<(EventTime, AlertId)> = own
            .into_iter()
            .chain(ids)
            .filter_map(|id| Some((self.table.get(&id)?.alert.fired_at, id)))
            .collect();
        all.sort_unstable();
        let mut kept: Vec<AlertKey> = Vec::new();
        let mut over = Vec::new();
        for (fired_at, id) in all {
            let Some(key) = self.get(&id).map(|it| it.key.clone()) else {
                continue;
            };
            self.by_signature
                .entry(older)
                .or_default()
                .insert(id.clone());
            let again = kept.iter().any(|it| same_problem(it, &key));
            if again || !is_news(key.kind, fired_at) {
                over.push(id);
            } else {
                kept.push(key);
            }
        }
        for id in over {
            self.withdraw(&id, words, at);
        }
        self.apply_mutes();
    }

    /// Lists the firing alerts about a signature, by id.
    pub(super) fn about(&self, signature: SignatureId) -> Vec<&Alert> {
        self.by_signature
            .get(&signature)
            .into_iter()
            .flatten()
            .filter_map(|id| self.table.get(id))
            .map(|it| &it.alert)
            .collect()
    }

    /// Lists the firing alerts, by key.
    pub(super) fn firing(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self
            .firing
            .iter()
            .filter_map(|id| self.table.get(id))
            .map(|it| &it.alert)
            .collect();
        alerts.sort_by(|a, b| (&a.key, a.started_at).cmp(&(&b.key, b.started_at)));
        alerts
    }

    /// Counts the firing alerts of a kind on a version and group.
    pub(super) fn firing_on(&self, kind: AlertKind, version: &str, group: &str) -> usize {
        self.firing
            .iter()
            .filter_map(|id| self.table.get(id))
            .map(|it| &it.alert.key)
            .filter(|it| it.kind == kind && it.version == version && it.group == group)
            .count()
    }

    /// Lists every alert that is kept, firing and resolved.
    pub(super) fn all(&self) -> impl Iterator<Item = &Alert> {
        self.table.values().map(|it| &it.alert)
    }

    /// Returns one alert.
    pub(super) fn get(&self, id: &AlertId) -> Option<&Alert> {
        self.table.get(id).map(|it| &it.alert)
    }

    /// Looks again at what people muted; says nothing in the log.
    pub(super) fn apply_mutes(&mut self) {
        let ids: Vec<AlertId> = self.firing.iter().cloned().collect();
        for id in ids {
            let Some(alert) = self.get(&id) else { continue };
            let muted = self.mutes.reason_for(alert, self.subject(&alert.key));
            if alert.muted != muted
                && let Some(entry) = self.table.get_mut(&id)
            {
                entry.alert.muted = muted;
            }
        }
    }

    /// Returns the transitions since the last call, for the notifier.
    pub(super) fn take_notify(&mut self) -> Vec<AlertTransition> {
        std::mem::take(&mut self.notify)
    }

    /// Returns the transitions since the last call, for the alert log in the store.
    pub(super) fn take_log(&mut self) -> Vec<AlertTransition> {
        std::mem::take(&mut self.log)
    }

    fn say(&mut self, at: EventTime, alert: Alert) {
        self.next_seq += 1;
        let transition = AlertTransition {
            seq: self.next_seq,
            at,
            to: alert.state,
            alert,
        };
        self.log.push(transition.clone());
        self.notify.push(transition);
    }

    fn index(&mut self, alert: &Alert) {
        self.firing.insert(alert.id.clone());
        if let Some(signature) = self.subject(&alert.key) {
            self.by_signature
                .entry(signature)
                .or_default()
                .insert(alert.id.clone());
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<StateRow>) {
        self.table.flush("alert", out);
        self.mutes.flush(out);
    }

    /// Takes a stored alert back.
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), super::RestoreError> {
        self.table.restore("alert", key, value)
    }

    /// Rebuilds what follows from the rows, after they were read back.
    pub(super) fn reindex(&mut self, root: impl Fn(SignatureId) -> SignatureId) {
        let firing: Vec<Alert> = self
            .all()
            .filter(|it| it.state == AlertState::Firing)
            .cloned()
            .collect();
        for alert in firing {
            if let Some(id) = alert.key.signature.filter(|it| root(*it) != *it) {
                self.adopted.insert(id, root(id));
            }
            self.index(&alert);
        }
    }
}

/// Tells whether two keys about one signature, or about none, name one problem: the group of a signature's problem may grow, and what a whole
/// channel or host does is one problem wherever it shows.
fn same_problem(a: &AlertKey, b: &AlertKey) -> bool {
    let whole = matches!(
        a.kind,
        AlertKind::Flood | AlertKind::Capped | AlertKind::SilentChannel | AlertKind::SilentHost
    );
    a.kind == b.kind
        && a.channel == b.channel
        && a.signature.is_some() == b.signature.is_some()
        && a.host == b.host
        && (whole || a.version == b.version)
        && (whole || a.signature.is_some() || a.group == b.group)
}
