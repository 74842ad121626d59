//! Which transitions each webhook has taken, kept in the store, so that none is missed over our own restart.
//!
//! Invariant: a transition after the noted one is sent at the next start; one that was taken shortly before an
//! abrupt end may be sent again, with the same number.

use std::sync::Arc;

use crate::config::Config;
use crate::notify::{Notice, NotifyStats};
use crate::store::{HistoryReader, Store, StoreError};

/// Transitions read back for one webhook at a start.
// As many as the notifier keeps for a webhook that is away.
const MISSED_MAX: u64 = 10_000;

/// What is noted of one webhook.
#[derive(Debug)]
struct Noted {
    /// Name of the note.
    note: String,
    /// Number of the last transition that the store says was taken.
    stored: u64,
}

/// What each webhook has taken.
#[derive(Debug)]
pub(super) struct Acks {
    noted: Vec<Noted>,
    stats: Arc<NotifyStats>,
}

impl Acks {
    /// Reads what the webhooks of the configuration have taken; one that is new begins with the next transition.
    pub(super) fn open(
        config: &Config,
        store: &mut Store,
        last_seq: u64,
        stats: Arc<NotifyStats>,
    ) -> Result<Self, StoreError> {
        let mut noted = Vec::new();
        for target in &config.webhook {
            // By its address, so that another order in the configuration changes nothing; hashed, since it may hold a token.
            let hash = blake3::hash(target.url.as_bytes()).to_hex();
            let note = format!("webhook_acked/{hash}");
            let known = store.note(&note)?.and_then(|it| it.parse().ok());
            let stored = known.unwrap_or(last_seq);
            if known.is_none() {
                store.set_note(&note, &stored.to_string())?;
            }
            noted.push(Noted { note, stored });
        }
        Ok(Self { noted, stats })
    }

    /// Returns what each webhook may have missed.
    pub(super) fn missed(&self, reader: &HistoryReader) -> Result<Vec<Notice>, StoreError> {
        let last = reader.last_seq()?;
        let mut notices = Vec::new();
        for (webhook, noted) in self.noted.iter().enumerate() {
            let oldest = last.saturating_sub(MISSED_MAX - 1);
            if noted.stored + 1 < oldest {
                tracing::error!(
                    webhook,
                    given_up = oldest - noted.stored - 1,
                    "a webhook is too far behind, its oldest transitions are given up"
                );
            }
            let from = (noted.stored + 1).max(oldest);
            if from <= last {
                let transitions = reader.alert_log(from, u32::MAX)?;
                notices.push(Notice::Missed {
                    webhook,
                    transitions,
                });
            }
        }
        Ok(notices)
    }

    /// Stores what was taken since the last call.
    pub(super) fn store(&mut self, store: &mut Store) -> Result<(), StoreError> {
        for (noted, stats) in self.noted.iter_mut().zip(&self.stats.webhooks) {
            let acked = stats.acked_seq();
            if acked > noted.stored {
                store.set_note(&noted.note, &acked.to_string())?;
                noted.stored = acked;
            }
        }
        Ok(())
    }
}
