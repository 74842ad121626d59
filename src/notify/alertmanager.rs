//! The sender to one Alertmanager.
//!
//! Invariant: an alert that Alertmanager refuses costs no other alert: a refused request is cut in two until the one
//! is found, and that one is left out for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::{Alert, AlertTransition, EventTime};

use super::book::{Book, Telling, Timing, batches};
use super::client::{Outcome, Target};
use super::payload::{Letterhead, PostedAlert};
use super::stats::TargetStats;
use super::{NotifyConfig, NotifyError, TargetConfig};

/// Alerts in one request at most.
// 64, as Prometheus sends them.
const BATCH_MAX: usize = 64;

/// Tellings after which an alert that is told no more lapses.
// 4, as in Prometheus: shorter, and one lost request makes the alert flap.
const LAPSE_ROUNDS: i64 = 4;

/// First and longest wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Time for what is still to be told when we stop.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Sends to one Alertmanager.
#[derive(Debug)]
pub(super) struct AlertmanagerSender {
    index: usize,
    target: Target,
    head: Arc<Letterhead>,
    book: Mutex<Book>,
    changed: Notify,
    stats: Arc<TargetStats>,
    resend: Duration,
    coalesce: Duration,
}

/// The target could not be reached, or can take nothing now.
#[derive(Debug)]
struct Unreachable;

impl AlertmanagerSender {
    /// Checks the configuration and makes the client.
    pub(super) fn new(
        index: usize,
        target: &TargetConfig,
        config: &NotifyConfig,
        head: Arc<Letterhead>,
    ) -> Result<Self, NotifyError> {
        let timing = Timing {
            resend_ms: millis(config.resend),
            resolved_ms: millis(config.resolved_for),
        };
        Ok(Self {
            index,
            target: Target::new(target, &["api", "v2", "alerts"])?,
            head,
            book: Mutex::new(Book::new(timing)),
            changed: Notify::new(),
            stats: Arc::default(),
            resend: config.resend,
            coalesce: config.coalesce,
        })
    }

    /// Returns the counters.
    pub(super) fn stats(&self) -> Arc<TargetStats> {
        Arc::clone(&self.stats)
    }

    /// Notes the state that each transition leads to.
    pub(super) fn take(&self, transitions: &[AlertTransition], now: EventTime) {
        let mut book = self.book();
        let given_up = transitions.iter().map(|it| book.put(&it.alert, now)).sum();
        self.noted(book, given_up);
    }

    /// Notes the whole truth.
    pub(super) fn reconcile(&self, alerts: &[Alert], now: EventTime) {
        let mut book = self.book();
        let given_up = book.reconcile(alerts, now);
        self.noted(book, given_up);
    }

    fn noted(&self, book: MutexGuard<'_, Book>, given_up: usize) {
        let waiting = book.waiting();
        drop(book);
        self.stats.set_queue_length(waiting);
        if given_up > 0 {
            self.stats.add_dropped(given_up);
            warn!(
                alertmanager = self.index,
                given_up,
                "more alerts than can be kept for an Alertmanager, the oldest are given up"
            );
        }
        if waiting > 0 {
            self.changed.notify_one();
        }
    }

    /// Sends until the token is cancelled.
    pub(super) async fn run(self: Arc<Self>, wall: fn() -> EventTime, token: CancellationToken) {
        let started = wall();
        let mut next_full = Instant::now();
        let mut backoff: Option<Duration> = None;
        while !token.is_cancelled() {
            let is_full = Instant::now() >= next_full;
            let sent = self.round(is_full, started, wall).await;
            if sent.is_err() {
                let wait = backoff.map_or(BACKOFF_MIN, |it| (it * 2).min(BACKOFF_MAX));
                backoff = Some(wait);
                // Everything then: whoever was away may have forgotten it.
                next_full = Instant::now() + wait.min(self.resend);
            } else {
                if backoff.take().is_some() {
                    info!(alertmanager = self.index, "Alertmanager takes alerts again");
                }
                if is_full {
                    next_full = Instant::now() + self.resend;
                }
            }
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep_until(next_full) => {}
                () = self.changed.notified(), if backoff.is_none() => {
                    tokio::select! {
                        () = token.cancelled() => {}
                        () = tokio::time::sleep(self.coalesce) => {}
                    }
                }
            }
        }
        let last = tokio::time::timeout(LAST_WORDS, self.round(false, started, wall)).await;
        if !matches!(last, Ok(Ok(()))) {
            info!(
                alertmanager = self.index,
                "stopped with alerts to send; they are sent after the next start"
            );
        }
    }

    /// Tells everything, or what changed.
    async fn round(
        &self,
        is_full: bool,
        started: EventTime,
        wall: fn() -> EventTime,
    ) -> Result<(), Unreachable> {
        let now = wall();
        let due = self.book().due(is_full, now);
        let (again, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|it| it.was_refused);
        if is_full {
            let watchdog = self.head.watchdog(started, self.lapses(now));
            match self.post(&[watchdog]).await {
                Outcome::Taken => self.stats.add_sent(1, now),
                Outcome::Refused(answer) => self.warn_refused("the watchdog", &answer),
                Outcome::Failed(_) => return Err(Unreachable),
            }
        }
        // Those that were refused before come last and apart from the good ones.
        for batch in batches(due, BATCH_MAX)
            .into_iter()
            .chain(batches(again, BATCH_MAX))
        {
            self.tell(batch, wall).await?;
        }
        self.stats.set_queue_length(self.book().waiting());
        Ok(())
    }

    /// Tells a batch; halves it while it is refused.
    async fn tell(&self, batch: Vec<Telling>, wall: fn() -> EventTime) -> Result<(), Unreachable> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let now = wall();
            let posted: Vec<PostedAlert> = part
                .iter()
                .map(|it| {
                    let ends_at = it.resolved_at.unwrap_or_else(|| self.lapses(now));
                    self.head.write(&it.alert, now, ends_at)
                })
                .collect();
            match self.post(&posted).await {
                Outcome::Taken => {
                    self.stats.add_sent(part.len(), now);
                    let mut book = self.book();
                    for it in &part {
                        book.taken(&it.key, it.revision);
                    }
                }
                Outcome::Failed(_) => return Err(Unreachable),
                Outcome::Refused(answer) if part.len() <= 1 => {
                    for it in &part {
                        self.warn_refused(&it.alert.id.0, &answer);
                        self.book().refused(&it.key, it.revision, now);
                    }
                }
                // After 400 the good ones are in, after 422 none is: telling them again serves both.
                Outcome::Refused(_) => {
                    let half = part.split_off(part.len() / 2);
                    parts.push(half);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    async fn post(&self, alerts: &[PostedAlert]) -> Outcome {
        let outcome = match serde_json::to_vec(alerts) {
            Ok(body) => self.target.post(body, None).await,
            Err(error) => Outcome::Refused(error.to_string()),
        };
        match &outcome {
            Outcome::Taken => {}
            Outcome::Refused(_) => self.stats.add_error(),
            Outcome::Failed(reason) => {
                self.stats.add_error();
                warn!(alertmanager = self.index, reason, "cannot send alerts");
            }
        }
        outcome
    }

    fn warn_refused(&self, alert: &str, answer: &str) {
        self.stats.add_refused();
        warn!(
            alertmanager = self.index,
            alert, answer, "Alertmanager refused an alert"
        );
    }

    /// Returns when an alert that is told now lapses.
    fn lapses(&self, now: EventTime) -> EventTime {
        now.plus_millis(millis(self.resend).saturating_mul(LAPSE_ROUNDS))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
