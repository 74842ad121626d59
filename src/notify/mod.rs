//! Telling people: alerts to every Alertmanager, transitions to webhooks.
//!
//! It must never hold up detection (the receiver of [`Notice`] is emptied at once, whatever the network does), never
//! read a clock of its own, and never send what is muted or withheld. Invariant: an Alertmanager that can be reached
//! knows the latest state of every alert within a second or so of the commit, and again once per resend interval,
//! since a restarted Alertmanager has forgotten its alerts.

mod alertmanager;
mod book;
mod client;
mod payload;
mod plain_text;
mod stats;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::model::{Alert, AlertTransition, EventTime};

use self::alertmanager::AlertmanagerSender;
use self::payload::Letterhead;
use self::webhook::WebhookSender;

pub use self::stats::{NotifyStats, TargetStats};

/// A password or token; it shows in no log and no error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How we say who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By user and password.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: Secret,
    },
    /// By a token.
    Bearer(Secret),
}

/// Where alerts or transitions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// Base URL of an Alertmanager (`/api/v2/alerts` is added), or the whole URL of a webhook.
    pub url: String,
    /// How we say who we are.
    pub auth: Auth,
    /// Certificates to trust besides those of the system, PEM.
    pub tls_ca_pem: Option<Vec<u8>>,
    /// Time for one request.
    pub timeout: Duration,
    /// Whether private and loopback addresses may be connected to. Link-local ones never are.
    pub is_private_allowed: bool,
}

impl TargetConfig {
    /// Makes a target with the usual settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            tls_ca_pem: None,
            timeout: Duration::from_secs(10),
            is_private_allowed: true,
        }
    }
}

/// What is sent where, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Alertmanagers; each gets every alert.
    pub alertmanagers: Vec<TargetConfig>,
    /// Webhooks; each gets every transition.
    pub webhooks: Vec<TargetConfig>,
    /// Labels of this installation on every alert, such as `site`.
    pub external_labels: BTreeMap<String, String>,
    /// Where the pages of this installation are.
    pub external_url: Option<String>,
    /// Link to what to do; `{alertname}`, `{kind}`, `{channel}` and so on are filled in.
    pub runbook_url: Option<String>,
    /// Link to the raw log; `{signature}`, `{channel}`, `{version}`, `{host}`, `{from}`, `{to}` are filled in.
    pub logs_url: Option<String>,
    /// Time between two tellings of an alert that goes on; it lapses after four of them.
    pub resend: Duration,
    /// Time for which changes are gathered into one request.
    pub coalesce: Duration,
    /// Time for which a resolved alert is told.
    pub resolved_for: Duration,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            alertmanagers: Vec::new(),
            webhooks: Vec::new(),
            external_labels: BTreeMap::new(),
            external_url: None,
            runbook_url: None,
            logs_url: None,
            resend: Duration::from_mins(1),
            coalesce: Duration::from_secs(1),
            resolved_for: Duration::from_mins(15),
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A URL cannot be used.
    #[error("cannot use URL {url}: {problem}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An external label cannot be used.
    #[error("cannot use external label {name}: {problem}")]
    Label {
        /// The label's name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The certificates cannot be read.
    #[error("cannot read the certificates to trust")]
    Ca(#[source] reqwest::Error),
    /// The client cannot be made.
    #[error("cannot make the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// What the node tells the sender.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Transitions that were committed, in the order of the alert log: for Alertmanagers and webhooks.
    Transitions(Vec<AlertTransition>),
    /// Every alert that is firing or was resolved lately, sent at start and after a mute: for Alertmanagers.
    Active(Vec<Alert>),
    /// Transitions that one webhook may have missed while we were down, read from the alert log: for that one only.
    Missed {
        /// Place of the webhook in the configuration.
        webhook: usize,
        /// What it may have missed, in the order of the alert log.
        transitions: Vec<AlertTransition>,
    },
}

/// Sends alerts and transitions until it is told to stop.
#[derive(Debug)]
pub struct Notifier {
    alertmanagers: Vec<Arc<AlertmanagerSender>>,
    webhooks: Vec<Arc<WebhookSender>>,
    stats: Arc<NotifyStats>,
    wall: fn() -> EventTime,
}

/// Chooses the cryptography of every TLS connection of this process. It may be called more than once.
pub fn install_crypto() {
    // It fails only if one is chosen already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Notifier {
    /// Checks the configuration and makes the clients; `wall` tells the time of day.
    pub fn new(config: &NotifyConfig, wall: fn() -> EventTime) -> Result<Self, NotifyError> {
        let head = Arc::new(Letterhead::new(config)?);
        let mut alertmanagers = Vec::new();
        for (index, target) in config.alertmanagers.iter().enumerate() {
            let sender = AlertmanagerSender::new(index, target, config, Arc::clone(&head))?;
            alertmanagers.push(Arc::new(sender));
        }
        let mut webhooks = Vec::new();
        for (index, target) in config.webhooks.iter().enumerate() {
            webhooks.push(Arc::new(WebhookSender::new(index, target)?));
        }
        let stats = NotifyStats {
            alertmanagers: alertmanagers.iter().map(|it| it.stats()).collect(),
            webhooks: webhooks.iter().map(|it| it.stats()).collect(),
        };
        Ok(Self {
            alertmanagers,
            webhooks,
            stats: Arc::new(stats),
            wall,
        })
    }

    /// Returns the counters.
    pub fn stats(&self) -> Arc<NotifyStats> {
        Arc::clone(&self.stats)
    }

    /// Sends until the token is cancelled. What is not sent by then is in the store, and sent after the next start.
    pub async fn run(self, mut notices: mpsc::Receiver<Notice>, token: CancellationToken) {
        let mut senders = JoinSet::new();
        for sender in &self.alertmanagers {
            senders.spawn(Arc::clone(sender).run(self.wall, token.clone()));
        }
        for sender in &self.webhooks {
            senders.spawn(Arc::clone(sender).run(self.wall, token.clone()));
        }
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => self.take(&notice),
                    None => break,
                },
                () = token.cancelled() => break,
            }
        }
        // A closed queue alone does not end the resending.
        while senders.join_next().await.is_some() {}
    }

    fn take(&self, notice: &Notice) {
        let now = (self.wall)();
        match notice {
            Notice::Transitions(transitions) => {
                for sender in &self.alertmanagers {
                    sender.take(transitions, now);
                }
                for sender in &self.webhooks {
                    sender.take(transitions);
                }
            }
            Notice::Active(alerts) => {
                for sender in &self.alertmanagers {
                    sender.reconcile(alerts, now);
                }
            }
            Notice::Missed {
                webhook,
                transitions,
            } => {
                if let Some(sender) = self.webhooks.get(*webhook) {
                    sender.take(transitions);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
