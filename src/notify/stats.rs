//! What the sender has done so far, readable from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::EventTime;

/// Counters of every target.
#[derive(Debug, Default)]
pub struct NotifyStats {
    /// The Alertmanagers, in the order of the configuration.
    pub alertmanagers: Vec<Arc<TargetStats>>,
    /// The webhooks, in the order of the configuration.
    pub webhooks: Vec<Arc<TargetStats>>,
}

/// Counters of one target.
#[derive(Debug, Default)]
pub struct TargetStats {
    sent: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    queue_length: AtomicU64,
    last_success_ms: AtomicI64,
    acked_seq: AtomicU64,
}

impl TargetStats {
    /// Returns how many alerts or transitions the target has taken, resent ones included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how many requests failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Returns how often the target refused one alert or transition as such.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns how many were given up because too many were waiting.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns how many wait to be sent.
    pub fn queue_length(&self) -> u64 {
        self.queue_length.load(Ordering::Relaxed)
    }

    /// Returns when the target last took a request; `None` if it never did.
    pub fn last_success(&self) -> Option<EventTime> {
        match self.last_success_ms.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(EventTime::from_millis(millis)),
        }
    }

    /// Returns the number of the last transition that a webhook has taken; 0 if none.
    pub fn acked_seq(&self) -> u64 {
        self.acked_seq.load(Ordering::Relaxed)
    }

    pub(super) fn add_sent(&self, n: usize, now: EventTime) {
        self.sent.fetch_add(n as u64, Ordering::Relaxed);
        self.last_success_ms.store(now.millis(), Ordering::Relaxed);
    }

    pub(super) fn add_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_dropped(&self, n: usize) {
        self.dropped.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn set_queue_length(&self, n: usize) {
        self.queue_length.store(n as u64, Ordering::Relaxed);
    }

    pub(super) fn set_acked_seq(&self, seq: u64) {
        self.acked_seq.fetch_max(seq, Ordering::Relaxed);
    }
}
