//! The accept loop: as many connections as are allowed, each with a limited time to say what it wants.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::feed;
use super::state::ApiState;

/// Connections at once (RELIABILITY.md §4.8), plus the places for streams.
const CONNECTIONS_MAX: usize = 256 + 200;

/// Time to send the headers of a request (RELIABILITY.md §4.8).
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time for open requests to end when the process stops.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Serves until the token is cancelled, then lets open requests end.
pub async fn serve(listener: TcpListener, state: ApiState, token: CancellationToken) {
    let router = super::router(state.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    connections.spawn(feed::run(state, token.clone()));
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Ended ones are taken out, so that the set does not grow with the age of the process.
        while connections.try_join_next().is_some() {}
        let connection = connection(stream, router.clone(), token.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::warn!("requests were cut off at shutdown");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, token: CancellationToken) {
    // Without it small answers wait for the client's delayed acknowledgement.
    stream.set_nodelay(true).ok();
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away is no news.
        tracing::debug!(%error, "a connection ended early");
    }
}
