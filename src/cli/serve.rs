//! `fatalmonitor serve`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::args::{Overrides, ServeArgs};
use crate::config::{AlertmanagerTarget, Config, SYSTEM_PATH};
use crate::ingest::Clock;
use crate::node::{self, Served};
use crate::telemetry::Mode;

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let (config, name) = read_config(args.config.as_deref())?;
    let config = overridden(config, &args.overrides);
    config.check(&name)?;
    let rules = Arc::new(config.read_rules()?);
    if config.source.is_empty() {
        super::output::hint(
            "fatalmonitor: no [[source]] is configured, so nothing will be read; `fatalmonitor init --help` shows how to make a configuration",
        );
    }
    let options = node::ServeOptions {
        config,
        rules,
        mode: Mode::Live,
        clock: Clock::Arrival,
        listens: true,
        on_listen: Some(|address| {
            tracing::info!("dashboard, API and metrics on http://{address}/");
        }),
        finite: None,
    };
    let served = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(&stop);
        node::serve(options, stop, |_| {}, || {}).await
    })?;
    Ok(match served {
        Served::Stopped | Served::SourcesEnded => Outcome::Done,
        Served::Restart => Outcome::Restart,
    })
}

/// Makes the runtime for everything that is not a source or stage 2.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// The first SIGINT or SIGTERM asks everything to stop; a second one ends the process at once.
pub(super) fn stop_on_signals(stop: &CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stop = stop.clone();
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_cancelled() {
                    tracing::warn!(
                        "second signal: ending at once; the state is that of the last commit"
                    );
                    #[expect(
                        clippy::exit,
                        reason = "the operator insists, and the state is transactional"
                    )]
                    std::process::exit(130);
                }
                tracing::info!("stopping");
                stop.cancel();
            }
        });
    }
}

fn read_config(path: Option<&Path>) -> anyhow::Result<(Config, String)> {
    let path = match path {
        Some(path) => path,
        None if Path::new(SYSTEM_PATH).exists() => Path::new(SYSTEM_PATH),
        None => return Ok((Config::default(), "defaults".to_owned())),
    };
    Ok((Config::read(path)?, path.display().to_string()))
}

/// Puts flags and variables over the file's values.
pub(super) fn overridden(mut config: Config, overrides: &Overrides) -> Config {
    if let Some(listen) = overrides.listen {
        config.listen = listen;
    }
    if let Some(dir) = &overrides.data_dir {
        config.data_dir.clone_from(dir);
    }
    if !overrides.rules.is_empty() {
        config.rules.clone_from(&overrides.rules);
    }
    if !overrides.alertmanager.is_empty() {
        config.alertmanager = overrides
            .alertmanager
            .iter()
            .map(|url| AlertmanagerTarget {
                url: url.clone(),
                username: None,
                password: None,
                bearer_token: None,
                ca_file: None,
            })
            .collect();
    }
    config
}
