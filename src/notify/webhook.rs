//! The sender to one generic webhook: every transition at least once, in order.
//!
//! Invariant: a request that may have arrived is repeated with the same body and the same `Idempotency-Key`, so a
//! receiver that remembers keys sees each transition once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderName;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::{AlertTransition, EventTime};

use super::client::{Outcome, Target};
use super::stats::TargetStats;
use super::{NotifyError, TargetConfig};

/// Name and version of the body.
const SCHEMA: &str = "fatalmonitor/webhook/v1";

/// Header by which a receiver knows a repeated request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Transitions in one request at most.
const BATCH_MAX: usize = 64;

/// Transitions that wait at most; past it the oldest are given up.
const QUEUE_MAX: usize = 10_000;

/// First and longest wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// Body of a request.
#[derive(Debug, Serialize)]
struct Body<'a> {
    schema: &'static str,
    transitions: &'a [AlertTransition],
}

/// Sends to one webhook.
#[derive(Debug)]
pub(super) struct WebhookSender {
    index: usize,
    target: Target,
    queue: Mutex<VecDeque<AlertTransition>>,
    changed: Notify,
    stats: Arc<TargetStats>,
}

impl WebhookSender {
    /// Checks the configuration and makes the client.
    pub(super) fn new(index: usize, target: &TargetConfig) -> Result<Self, NotifyError> {
        Ok(Self {
            index,
            target: Target::new(target, &[])?,
            queue: Mutex::new(VecDeque::new()),
            changed: Notify::new(),
            stats: Arc::default(),
        })
    }

    /// Returns the counters.
    pub(super) fn stats(&self) -> Arc<TargetStats> {
        Arc::clone(&self.stats)
    }

    /// Queues transitions that people are to know of.
    pub(super) fn take(&self, transitions: &[AlertTransition]) {
        let mut queue = self.queue();
        queue.extend(transitions.iter().filter(|it| is_told(it)).cloned());
        let given_up = queue.len().saturating_sub(QUEUE_MAX);
        queue.drain(..given_up);
        self.stats.set_queue_length(queue.len());
        drop(queue);
        if given_up > 0 {
            self.stats.add_dropped(given_up);
            warn!(
                webhook = self.index,
                given_up, "a webhook is too far behind, its oldest transitions are given up"
            );
        }
        self.changed.notify_one();
    }

    /// Sends until the token is cancelled.
    pub(super) async fn run(self: Arc<Self>, wall: fn() -> EventTime, token: CancellationToken) {
        let mut batch_max = BATCH_MAX;
        loop {
            let batch: Vec<AlertTransition> =
                self.queue().iter().take(batch_max).cloned().collect();
            if batch.is_empty() {
                tokio::select! {
                    () = token.cancelled() => return,
                    () = self.changed.notified() => continue,
                }
            }
            let outcome = tokio::select! {
                () = token.cancelled() => return,
                it = self.deliver(&batch) => it,
            };
            match outcome {
                Ok(()) => self.stats.add_sent(batch.len(), wall()),
                Err(answer) if batch.len() <= 1 => {
                    self.stats.add_refused();
                    warn!(
                        webhook = self.index,
                        answer, "a webhook refused a transition, it is left out"
                    );
                }
                Err(_) => {
                    // One of them is bad: find it by smaller requests.
                    batch_max = batch.len() / 2;
                    continue;
                }
            }
            self.done(&batch);
            batch_max = BATCH_MAX;
        }
    }

    /// Posts one batch again and again until it is taken, or refused with these words.
    async fn deliver(&self, batch: &[AlertTransition]) -> Result<(), String> {
        let body = Body {
            schema: SCHEMA,
            transitions: batch,
        };
        let body = match serde_json::to_vec(&body) {
            Ok(it) => it,
            Err(error) => return Err(error.to_string()),
        };
        let key = blake3::hash(&body).to_hex();
        let mut backoff = BACKOFF_MIN;
        let mut has_failed = false;
        loop {
            let header = Some((IDEMPOTENCY_KEY, key.as_str()));
            match self.target.post(body.clone(), header).await {
                Outcome::Taken => {
                    if has_failed {
                        info!(webhook = self.index, "webhook takes transitions again");
                    }
                    return Ok(());
                }
                Outcome::Refused(answer) => {
                    self.stats.add_error();
                    return Err(answer);
                }
                Outcome::Failed(reason) => {
                    self.stats.add_error();
                    warn!(webhook = self.index, reason, "cannot send transitions");
                }
            }
            has_failed = true;
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Takes a batch off the queue; some of it may have been given up meanwhile.
    fn done(&self, batch: &[AlertTransition]) {
        let Some(last) = batch.last().map(|it| it.seq) else {
            return;
        };
        let mut queue = self.queue();
        while queue.front().is_some_and(|it| it.seq <= last) {
            queue.pop_front();
        }
        self.stats.set_queue_length(queue.len());
        self.stats.set_acked_seq(last);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<AlertTransition>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether people are to know of a transition.
fn is_told(transition: &AlertTransition) -> bool {
    transition.alert.muted.is_none() && transition.alert.withheld.is_none()
}
