//! The latest state of every alert that one Alertmanager is to know.
//!
//! A map, not a queue: a target that was away for an hour is told how things are, not how they became so. It must
//! never read a clock. Invariant: for one [`AlertKey`] at most one severity is firing, because severity is part of an
//! alert's identity in Alertmanager; the others are resolved or absent.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Alert, AlertKey, AlertState, EventTime, Severity};

/// Alerts of one book at most.
// 10,000: at 2 kB each 20 MB, and 157 requests of 64 a minute.
pub(super) const ALERTS_MAX: usize = 10_000;

/// Times of the resend interval after which an alert that was refused is tried again.
const REFUSED_RETRY_ROUNDS: i64 = 10;

/// Identity of an alert in Alertmanager, as far as it varies.
pub(super) type BookKey = (AlertKey, Severity);

/// How long things are said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Milliseconds between two tellings.
    pub(super) resend_ms: i64,
    /// Milliseconds for which a resolved alert is told.
    pub(super) resolved_ms: i64,
}

/// One alert to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Telling {
    /// Which one.
    pub(super) key: BookKey,
    /// Which state of it.
    pub(super) revision: u64,
    /// The alert.
    pub(super) alert: Alert,
    /// When it was over; `None` while it fires.
    pub(super) resolved_at: Option<EventTime>,
    /// Whether it was refused before.
    pub(super) was_refused: bool,
}

/// Whether Alertmanager has the latest state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not told yet.
    Waiting,
    /// Told.
    Told,
    /// Refused, to be tried again at that time.
    Refused(EventTime),
}

#[derive(Clone, Debug)]
struct Entry {
    alert: Alert,
    resolved_at: Option<EventTime>,
    revision: u64,
    standing: Standing,
}

/// The latest state of every alert.
#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<BookKey, Entry>,
    timing: Timing,
    revision: u64,
}

impl Book {
    /// Makes an empty book.
    pub(super) const fn new(timing: Timing) -> Self {
        Self {
            entries: BTreeMap::new(),
            timing,
            revision: 0,
        }
    }

    /// Takes the latest state of an alert; returns how many others had to be given up for it.
    pub(super) fn put(&mut self, alert: &Alert, now: EventTime) -> usize {
        let is_quieted = alert.muted.is_some() || alert.withheld.is_some();
        match alert.state {
            AlertState::Firing if !is_quieted => {
                self.resolve_severities(&alert.key, Some(alert.severity), now);
                self.fire(alert)
            }
            // Said before it was quieted: it is over for those whom it was said to.
            AlertState::Firing => {
                self.resolve_severities(&alert.key, None, now);
                0
            }
            AlertState::Resolved => {
                let was_known = self.resolve_severities(&alert.key, None, now);
                if was_known || is_quieted {
                    return 0;
                }
                // Perhaps said before a restart.
                self.insert(alert, Some(now))
            }
        }
    }

    /// Takes the whole truth: what fires here and is not among these is over.
    pub(super) fn reconcile(&mut self, alerts: &[Alert], now: EventTime) -> usize {
        let given_up = alerts.iter().map(|it| self.put(it, now)).sum();
        let known: BTreeSet<&AlertKey> = alerts.iter().map(|it| &it.key).collect();
        let forgotten: Vec<AlertKey> = self
            .entries
            .keys()
            .map(|(key, _)| key)
            .filter(|it| !known.contains(it))
            .cloned()
            .collect();
        for key in &forgotten {
            self.resolve_severities(key, None, now);
        }
        given_up
    }

    /// Lists what is to be told now: everything, or what changed. Forgets what has been over for long enough.
    pub(super) fn due(&mut self, is_everything: bool, now: EventTime) -> Vec<Telling> {
        let resolved_ms = self.timing.resolved_ms;
        self.entries.retain(|_, entry| {
            entry
                .resolved_at
                .is_none_or(|at| now.millis_since(at) < resolved_ms)
        });
        self.entries
            .iter()
            .filter(|(_, entry)| match entry.standing {
                Standing::Waiting => true,
                Standing::Told => is_everything,
                Standing::Refused(until) => is_everything && until <= now,
            })
            .map(|(key, entry)| Telling {
                key: key.clone(),
                revision: entry.revision,
                alert: entry.alert.clone(),
                resolved_at: entry.resolved_at,
                was_refused: matches!(entry.standing, Standing::Refused(_)),
            })
            .collect()
    }

    /// Notes that a state was taken.
    pub(super) fn taken(&mut self, key: &BookKey, revision: u64) {
        self.settle(key, revision, Standing::Told);
    }

    /// Notes that a state was refused.
    pub(super) fn refused(&mut self, key: &BookKey, revision: u64, now: EventTime) {
        let wait = self.timing.resend_ms.saturating_mul(REFUSED_RETRY_ROUNDS);
        self.settle(key, revision, Standing::Refused(now.plus_millis(wait)));
    }

    /// Returns how many alerts wait to be told.
    pub(super) fn waiting(&self) -> usize {
        self.entries
            .values()
            .filter(|it| it.standing == Standing::Waiting)
            .count()
    }

    fn settle(&mut self, key: &BookKey, revision: u64, standing: Standing) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.revision == revision
        {
            entry.standing = standing;
        }
    }

    fn fire(&mut self, alert: &Alert) -> usize {
        let key = (alert.key.clone(), alert.severity);
        let Some(entry) = self.entries.get_mut(&key) else {
            return self.insert(alert, None);
        };
        let is_same_problem =
            entry.resolved_at.is_none() && entry.alert.started_at == alert.started_at;
        if !is_same_problem {
            return self.insert(alert, None);
        }
        if entry.alert != *alert {
            // The same problem with newer numbers: they go out with the next telling, not at once.
            self.revision += 1;
            entry.revision = self.revision;
            entry.alert = alert.clone();
            if matches!(entry.standing, Standing::Refused(_)) {
                entry.standing = Standing::Waiting;
            }
        }
        0
    }

    fn insert(&mut self, alert: &Alert, resolved_at: Option<EventTime>) -> usize {
        self.revision += 1;
        let entry = Entry {
            alert: alert.clone(),
            resolved_at,
            revision: self.revision,
            standing: Standing::Waiting,
        };
        self.entries
            .insert((alert.key.clone(), alert.severity), entry);
        self.make_room()
    }

    /// Marks every severity of a problem but one as over; tells whether there was any.
    fn resolve_severities(
        &mut self,
        key: &AlertKey,
        but: Option<Severity>,
        now: EventTime,
    ) -> bool {
        let mut was_known = false;
        for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
            let Some(entry) = self.entries.get_mut(&(key.clone(), severity)) else {
                continue;
            };
            if but == Some(severity) {
                continue;
            }
            was_known = true;
            if entry.resolved_at.is_none() {
                self.revision += 1;
                entry.revision = self.revision;
                entry.resolved_at = Some(now);
                entry.standing = Standing::Waiting;
            }
        }
        was_known
    }

    /// Gives up what is over first, then the oldest, a sixteenth at a time so that a flood costs little.
    fn make_room(&mut self) -> usize {
        if self.entries.len() <= ALERTS_MAX {
            return 0;
        }
        let mut ranked: Vec<(bool, EventTime, BookKey)> = self
            .entries
            .iter()
            .map(|(key, it)| (it.resolved_at.is_none(), it.alert.fired_at, key.clone()))
            .collect();
        ranked.sort();
        let n_given_up = ALERTS_MAX / 16;
        for (_, _, key) in ranked.into_iter().take(n_given_up) {
            self.entries.remove(&key);
        }
        n_given_up
    }
}

/// Cuts a list into requests, keeping the severities of one problem in one request.
pub(super) fn batches(tellings: Vec<Telling>, batch_max: usize) -> Vec<Vec<Telling>> {
    let mut batches: Vec<Vec<Telling>> = Vec::new();
    let mut groups: Vec<Vec<Telling>> = Vec::new();
    for telling in tellings {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|it| it.key.0 == telling.key.0) => {
                group.push(telling);
            }
            _ => groups.push(vec![telling]),
        }
    }
    for group in groups {
        match batches.last_mut() {
            Some(batch) if batch.len() + group.len() <= batch_max => batch.extend(group),
            _ => batches.push(group),
        }
    }
    batches
}
