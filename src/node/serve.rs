//! `fatalmonitor serve`: everything at work until a signal.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acks::Acks;
use super::sources::{Started, Stored, start_sources};
use super::stage2::{End, Stage2};
use super::status::StatusBoard;
use super::upkeep::Upkeep;
use super::view::WorldView;
use super::watermark::Watermarks;
use super::{clock, view};
use crate::api::{self, ApiParts, ApiState, IngestRequest, Request};
use crate::config::{Config, SourceKind};
use crate::detect::{Position, World};
use crate::ingest::Clock;
use crate::model::Alert;
use crate::notify::{self, Notice, NotifyStats};
use crate::rules::RuleSet;
use crate::source::Delivery;
use crate::source::Finite;
use crate::store::{self, HistoryReader, Store};
use crate::telemetry::{Metrics, Mode, RulesStatus, SharedStatus, Status, StoreStatus};

/// Deliveries that may wait for stage 2; past that, sources read no further.
pub(super) const DELIVERIES_MAX: usize = 4;

/// Operations that may wait.
const REQUESTS_MAX: usize = 64;

/// Notices that may wait for the notifier.
const NOTICES_MAX: usize = 256;

/// How serving came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Told to stop; everything is committed.
    Stopped,
    /// Every source is over.
    SourcesEnded,
    /// The store failed; a fresh start goes on from the last commit.
    Restart,
}

/// Why serving could not start or go on, where a caller tells it apart.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken.
    #[error(
        "cannot listen on {address}: {source}: stop what listens there, or choose another `listen` address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A source cannot work.
    #[error("{0}")]
    Source(String),
}

/// What serving needs beside the configuration.
#[derive(Debug)]
pub struct ServeOptions {
    /// Configuration.
    pub config: Config,
    /// Rules.
    pub rules: Arc<RuleSet>,
    /// How the process runs.
    pub mode: Mode,
    /// What tells whether a record's time can be true.
    pub clock: Clock,
    /// Whether the API listens at all.
    pub listens: bool,
    /// Called once with the address, when the API listens.
    pub on_listen: Option<fn(SocketAddr)>,
    /// For a stream that ends: how far it was read, and where it ends.
    pub finite: Option<Arc<Finite>>,
}

/// State that serving shares with whoever started it.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What stage 2 knows.
    pub world: Arc<RwLock<World>>,
    /// Status.
    pub status: SharedStatus,
}

/// Serves until told to stop.
pub async fn serve(
    options: ServeOptions,
    stop: CancellationToken,
    started: impl FnOnce(Shared),
    ended: impl FnOnce(),
) -> anyhow::Result<Served> {
    notify::install_crypto();
    let config = &options.config;
    // The address first: when it is taken, nothing else should have happened.
    let listener = if options.listens {
        Some(listen(&options).await?)
    } else {
        None
    };
    let Opened {
        mut store,
        stored,
        world,
        reader,
    } = open_store(&options)?;
    let active = world.active_alerts();
    let world = Arc::new(RwLock::new(world));
    let status: SharedStatus = Arc::new(RwLock::new(first_status(&options)));
    let metrics = Arc::new(Metrics::new(Arc::clone(&status)).context("cannot set up metrics")?);
    started(Shared {
        world: Arc::clone(&world),
        status: Arc::clone(&status),
    });

    let (outlet, deliveries) = mpsc::channel(DELIVERIES_MAX);
    let (requests, requests_in) = mpsc::channel::<Request>(REQUESTS_MAX);
    let sources_stop = stop.child_token();
    let mut threads = Vec::new();
    let Started { advisory, ingest } =
        start_sources(&options, &stored, (&outlet, &sources_stop), &mut threads)?;
    drop(outlet);

    let mut tasks = tokio::task::JoinSet::new();
    let Telling {
        acks,
        notices,
        notified,
    } = start_telling(config, (&mut store, &reader), active, (&mut tasks, &stop)).await?;
    if let Some(listener) = listener {
        let view = WorldView::new(Arc::clone(&world), view::History::new(reader));
        let state = api_state(config, view, (&metrics, &status), (requests, ingest));
        tasks.spawn(api::serve(listener, state, stop.clone()));
    }
    let names: Vec<String> = config.source.iter().map(|it| it.name.clone()).collect();
    let stage2 = Stage2 {
        world,
        upkeep: Upkeep::new(config, &store, Arc::clone(&status)),
        store: Some(store),
        acks,
        quieted: BTreeSet::new(),
        watermarks: watermarks(&options, &stored.positions),
        clock: options.clock,
        metrics,
        board: StatusBoard::new(status, names.clone(), notified),
        notify: Some(notices),
        advisory,
        commit_interval: Duration::from_millis(config.limits.commit_interval_ms),
        sources: names,
        ends_with_sources: options.mode != Mode::Live,
    };
    let end = run_stage2(stage2, deliveries, requests_in, stop.clone()).await?;
    if matches!(end, End::SourcesEnded) {
        ended();
        if options.listens {
            // The pages stay open for whoever is looking.
            stop.cancelled().await;
        }
    }
    wind_down(&stop, tasks, threads, config.limits.shutdown_seconds).await;
    served(end)
}

/// The way to whoever is told.
struct Telling {
    acks: Acks,
    notices: mpsc::Sender<Notice>,
    notified: Arc<NotifyStats>,
}

/// Starts the notifier and tells it what was missed while we were away.
async fn start_telling(
    config: &Config,
    (store, reader): (&mut Store, &HistoryReader),
    active: Vec<Alert>,
    (tasks, stop): (&mut tokio::task::JoinSet<()>, &CancellationToken),
) -> anyhow::Result<Telling> {
    let (notices, notices_in) = mpsc::channel::<Notice>(NOTICES_MAX);
    let sender = super::alerting::notifier(config)?;
    let notified = sender.stats();
    tasks.spawn(sender.run(notices_in, stop.clone()));
    let acks = Acks::open(config, store, reader.last_seq()?, Arc::clone(&notified))?;
    let mut first = acks.missed(reader)?;
    first.push(Notice::Active(active));
    for notice in first {
        notices
            .send(notice)
            .await
            .context("the notifier has stopped")?;
    }
    Ok(Telling {
        acks,
        notices,
        notified,
    })
}

fn served(end: End) -> anyhow::Result<Served> {
    match end {
        End::Stopped => Ok(Served::Stopped),
        End::SourcesEnded => Ok(Served::SourcesEnded),
        End::SourceFailed(problem) => Err(ServeError::Source(problem).into()),
        End::StoreFailed(error) => {
            tracing::error!(%error, "the store failed: start again to go on from the last commit");
            Ok(Served::Restart)
        }
    }
}

fn api_state(
    config: &Config,
    view: WorldView,
    (metrics, status): (&Arc<Metrics>, &SharedStatus),
    (operations, ingest): (mpsc::Sender<Request>, Option<mpsc::Sender<IngestRequest>>),
) -> ApiState {
    ApiState::new(ApiParts {
        view: Arc::new(view),
        metrics: Arc::clone(metrics),
        status: Arc::clone(status),
        operations,
        ingest,
        limits: api_limits(config),
    })
}

async fn listen(options: &ServeOptions) -> anyhow::Result<TcpListener> {
    let address = options.config.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    if let Some(tell) = options.on_listen {
        tell(listener.local_addr()?);
    }
    Ok(listener)
}

/// What the store held.
struct Opened {
    store: Store,
    stored: Stored,
    world: World,
    reader: HistoryReader,
}

fn open_store(options: &ServeOptions) -> anyhow::Result<Opened> {
    let config = &options.config;
    let mut store =
        Store::open(&config.data_dir, store_limits(config)).context("cannot open the store")?;
    if let Some(damage) = &store.opened().damage {
        tracing::error!(
            problem = damage.problem, moved_to = %damage.moved_to.display(), restored_from = ?damage.restored_from,
            "the store was corrupt"
        );
    }
    let loaded = store.load().context("cannot read the store")?;
    store.set_note("rules_hash", &options.rules.hash)?;
    let stored = Stored {
        positions: loaded.positions.clone(),
        rows: loaded.source_rows,
    };
    let mut world = World::restore(
        Arc::clone(&options.rules),
        loaded.rows.into_iter(),
        loaded.positions,
    )
    .context("cannot read the state in the store")?;
    // The rules may have changed since: what they say of merges holds for what was learned before.
    world.enforce_signature_rules();
    let reader = store
        .reader()
        .context("cannot open the store for reading")?;
    Ok(Opened {
        store,
        stored,
        world,
        reader,
    })
}

fn watermarks(options: &ServeOptions, positions: &[Position]) -> Watermarks {
    let mut watermarks = Watermarks::new(idle_seconds(options));
    for it in positions {
        watermarks.restore(&it.source, &it.topic, it.partition, it.watermark);
    }
    watermarks
}

/// Runs stage 2 on a thread of its own, with its own small runtime, since it works for long stretches.
async fn run_stage2(
    stage2: Stage2,
    deliveries: mpsc::Receiver<Delivery>,
    requests: mpsc::Receiver<Request>,
    stop: CancellationToken,
) -> anyhow::Result<End> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok::<End, std::io::Error>(runtime.block_on(stage2.run(deliveries, requests, stop)))
    })
    .await
    .context("stage 2 has panicked")?
    .context("cannot start stage 2")
}

/// Waits for everything to end, but not for ever: state is committed, so an abrupt end loses nothing.
async fn wind_down(
    stop: &CancellationToken,
    mut tasks: tokio::task::JoinSet<()>,
    threads: Vec<std::thread::JoinHandle<()>>,
    seconds: u64,
) {
    stop.cancel();
    let all = async {
        while tasks.join_next().await.is_some() {}
        tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a source thread panicked");
                }
            }
        })
        .await
        .ok();
    };
    if tokio::time::timeout(Duration::from_secs(seconds), all)
        .await
        .is_err()
    {
        tracing::warn!(
            seconds,
            "not everything stopped in time; state is committed, so nothing is lost"
        );
    }
}

fn first_status(options: &ServeOptions) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("FATALMONITOR_REVISION")
            .unwrap_or("unknown")
            .to_owned(),
        mode: options.mode,
        started_at: clock::now(),
        rules: RulesStatus {
            hash: options.rules.hash.clone(),
            loaded_at: Some(clock::now()),
            problem: String::new(),
        },
        store: StoreStatus {
            path: options.config.data_dir.display().to_string(),
            ..StoreStatus::default()
        },
        ..Status::default()
    }
}

/// In replay and demo the record's own time is the clock, and every partition is read to its end: none is idle.
const fn idle_seconds(options: &ServeOptions) -> i64 {
    match options.clock {
        Clock::Arrival => options.config.limits.partition_idle_seconds.cast_signed(),
        Clock::Record => i64::MAX / 1000,
    }
}

fn store_limits(config: &Config) -> store::Limits {
    let keep = |days: f64| -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "days to whole seconds")]
        let seconds = (days * 86_400.0) as i64;
        seconds
    };
    store::Limits {
        keep_10s_seconds: keep(config.limits.keep_10s_days),
        keep_1m_seconds: keep(config.limits.keep_1m_days),
        keep_1h_seconds: keep(config.limits.keep_1h_days),
        size_bytes_max: config.limits.store_bytes_max,
        // Kafka and files are their own log; a post that was answered is nowhere else.
        sync_full: config
            .source
            .iter()
            .any(|it| matches!(it.kind, SourceKind::Http(_))),
    }
}

fn api_limits(config: &Config) -> api::Limits {
    let mut hosts = config.hosts_allowed.clone();
    if let Some(url) = &config.external_url
        && let Some(host) = url
            .split("//")
            .nth(1)
            .and_then(|it| it.split(['/', ':']).next())
    {
        hosts.push(host.to_owned());
    }
    api::Limits {
        hosts,
        ..api::Limits::default()
    }
}
