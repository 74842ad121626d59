//! Starts the configured sources, each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::serve::{DELIVERIES_MAX, ServeOptions};
use super::stage2::AdvisoryPositions;
use crate::api::{IngestReceipt, IngestRequest, OperationError};
use crate::config::{SourceConfig, SourceKind};
use crate::detect::Position;
use crate::ingest::Ingest;
use crate::ingest::decode::Dialect;
use crate::source::file::{FileOptions, FileReader};
use crate::source::http;
#[cfg(feature = "kafka")]
use crate::source::kafka::{KafkaOptions, KafkaReader, StoredPositions};
use crate::source::{Careful, Outlet, Row};

/// What the sources need to be talked to.
pub(super) struct Started {
    pub(super) advisory: AdvisoryPositions,
    pub(super) ingest: Option<mpsc::Sender<IngestRequest>>,
}

/// What sources stored.
pub(super) struct Stored {
    pub(super) positions: Vec<Position>,
    /// Rows of their own: kind, key, value.
    pub(super) rows: Vec<Row>,
}

/// Starts a thread for every source.
pub(super) fn start_sources(
    options: &ServeOptions,
    stored: &Stored,
    (outlet, stop): (&Outlet, &CancellationToken),
    threads: &mut Vec<std::thread::JoinHandle<()>>,
) -> anyhow::Result<Started> {
    let mut started = Started {
        advisory: BTreeMap::new(),
        ingest: None,
    };
    for source in &options.config.source {
        let work = source_work(options, source, stored, &mut started)?;
        let (outlet, stop) = (outlet.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("source-{}", source.name))
            .spawn(move || work(&outlet, &stop))
            .context("cannot start a thread")?;
        threads.push(thread);
    }
    Ok(started)
}

/// The work of a source's thread.
type Work = Box<dyn FnOnce(&Outlet, &CancellationToken) + Send>;

fn source_work(
    options: &ServeOptions,
    source: &SourceConfig,
    stored: &Stored,
    started: &mut Started,
) -> anyhow::Result<Work> {
    let dialect: Dialect = source.dialect.parse().map_err(|error| {
        anyhow::anyhow!(
            "source `{}`: dialect \"{}\": {error}",
            source.name,
            source.dialect
        )
    })?;
    let ingest = Ingest::new(Arc::clone(&options.rules), dialect, options.clock);
    let commit_interval_ms = options.config.limits.commit_interval_ms;
    let positions = stored.positions.clone();
    let noted = options.config.data_dir.join("attempts");
    let careful = Careful::start(&noted, &source.name, &positions);
    let work = (ingest, careful);
    match &source.kind {
        #[cfg(feature = "kafka")]
        SourceKind::Kafka(kafka) => {
            let advised: StoredPositions = Arc::new(Mutex::new(BTreeMap::new()));
            started
                .advisory
                .insert(source.name.clone(), Arc::clone(&advised));
            let reader = KafkaReader::new(
                KafkaOptions {
                    name: source.name.clone(),
                    config: kafka.clone(),
                    commit_interval_ms,
                    metadata_refresh_seconds: options.config.limits.metadata_refresh_seconds,
                    clock: clock::now,
                    finite: options.finite.clone(),
                },
                work,
                positions,
                advised,
            )?;
            Ok(Box::new(move |outlet, stop| {
                report(&reader.run(outlet, stop));
            }))
        }
        #[cfg(not(feature = "kafka"))]
        SourceKind::Kafka(_) => {
            anyhow::bail!(
                "source `{}`: this program was built without Kafka: build it with the feature `kafka`",
                source.name
            )
        }
        SourceKind::File(file) => {
            let file = FileOptions {
                name: source.name.clone(),
                config: file.clone(),
                commit_interval_ms,
                clock: clock::now,
            };
            let reader = FileReader::new(file, work, positions);
            Ok(Box::new(move |outlet, stop| {
                report(&reader.run(outlet, stop));
            }))
        }
        SourceKind::Http(_) => {
            let (requests, posts) = ingest_bridge();
            started.ingest = Some(requests);
            let reader = http::HttpReader::new(
                source.name.clone(),
                work,
                (&positions, &stored.rows),
                clock::now,
            );
            Ok(Box::new(move |outlet, stop| {
                report(&reader.run(posts, outlet, stop));
            }))
        }
    }
}

/// Turns the API's requests into the source's posts and their answers back.
fn ingest_bridge() -> (mpsc::Sender<IngestRequest>, mpsc::Receiver<http::Post>) {
    let (requests, mut requests_in) = mpsc::channel::<IngestRequest>(DELIVERIES_MAX);
    let (posts, posts_in) = mpsc::channel(DELIVERIES_MAX);
    tokio::spawn(async move {
        while let Some(request) = requests_in.recv().await {
            let (stored, answer) = tokio::sync::oneshot::channel();
            let post = http::Post {
                body: request.lines,
                key: request.key,
                stored,
            };
            if posts.send(post).await.is_err() {
                break;
            }
            tokio::spawn(async move {
                let answer = match answer.await {
                    Ok(receipt) => Ok(IngestReceipt {
                        read: receipt.sums.read,
                        counted: receipt.sums.counted,
                        capped: receipt.sums.capped,
                        rejected: receipt.sums.rejected,
                        duplicate: receipt.duplicate,
                    }),
                    Err(_) => Err(OperationError::Unavailable(
                        "the server is stopping; send it again".to_owned(),
                    )),
                };
                // Whoever asked may have gone away.
                request.reply.send(answer).ok();
            });
        }
    });
    (requests, posts_in)
}

fn report(result: &Result<(), crate::source::OutletClosed>) {
    if result.is_err() {
        tracing::debug!("a source stopped because stage 2 did");
    }
}
