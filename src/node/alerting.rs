//! From the configuration to the notifier, and from its counters to the status page.

use std::time::Duration;

use anyhow::Context;

use super::clock;
use crate::config::{AlertmanagerTarget, Config, Secret};
use crate::notify::{self, Auth, Notifier, NotifyConfig, NotifyStats, TargetConfig, TargetStats};
use crate::telemetry::TargetStatus;

/// Makes the notifier that the configuration asks for; without targets it sends nothing.
pub(super) fn notifier(config: &Config) -> anyhow::Result<Notifier> {
    let mut wanted = NotifyConfig {
        external_labels: config.alert_labels.clone(),
        external_url: config
            .external_url
            .clone()
            .or_else(|| Some(format!("http://{}", config.listen))),
        resend: Duration::from_secs(config.limits.alert_resend_seconds),
        ..NotifyConfig::default()
    };
    for target in &config.alertmanager {
        wanted
            .alertmanagers
            .push(alertmanager(target).with_context(|| format!("alertmanager {}", target.url))?);
    }
    for target in &config.webhook {
        let mut webhook = TargetConfig::new(&target.url);
        if let Some(token) = &target.bearer_token {
            webhook.auth = Auth::Bearer(secret(token)?);
        }
        wanted.webhooks.push(webhook);
    }
    Notifier::new(&wanted, clock::now).context("cannot set up alerting")
}

fn alertmanager(target: &AlertmanagerTarget) -> anyhow::Result<TargetConfig> {
    let mut wanted = TargetConfig::new(&target.url);
    if let Some(token) = &target.bearer_token {
        wanted.auth = Auth::Bearer(secret(token)?);
    } else if let (Some(user), Some(password)) = (&target.username, &target.password) {
        wanted.auth = Auth::Basic {
            user: user.clone(),
            password: secret(password)?,
        };
    }
    if let Some(path) = &target.ca_file {
        let pem = std::fs::read(path)
            .with_context(|| format!("cannot read ca_file {}", path.display()))?;
        wanted.tls_ca_pem = Some(pem);
    }
    Ok(wanted)
}

fn secret(secret: &Secret) -> anyhow::Result<notify::Secret> {
    secret
        .resolve()
        .map(notify::Secret::new)
        .map_err(|problem| anyhow::anyhow!(problem))
}

/// Brings the targets of the status page up to date.
pub(super) fn update(targets: &mut Vec<TargetStatus>, stats: &NotifyStats) {
    let all = stats
        .alertmanagers
        .iter()
        .map(|it| ("alertmanager", it))
        .chain(stats.webhooks.iter().map(|it| ("webhook", it)));
    *targets = all
        .enumerate()
        .map(|(index, (kind, it))| status(index, kind, it))
        .collect();
}

fn status(index: usize, kind: &str, stats: &TargetStats) -> TargetStatus {
    TargetStatus {
        index,
        kind: kind.to_owned(),
        address: String::new(),
        sent: stats.sent(),
        errors: stats.errors(),
        queued: stats.queue_length(),
        success_at: stats.last_success(),
        problem: String::new(),
    }
}
