//! Live updates as server-sent events: changed rows at most once a second, health, deploys.
//!
//! It must never queue without bound: a slow reader is told to start over (`reset`). Invariant: a reader
//! either gets every event after the one it names, in order, or a `reset` first.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::health;
use super::row::SignatureRow;
use super::signatures::DEFAULT_RANGE_SECONDS;
use super::state::{ApiState, SignatureFilter};
use crate::detect::view::SignatureSummary;
use crate::model::{EventTime, SignatureId};

/// Time between updates.
const TICK: Duration = Duration::from_secs(1);

/// Time between pings on a quiet stream.
const PING: Duration = Duration::from_secs(15);

/// Events kept for readers that come back: two minutes of busy updates.
const KEPT_MAX: usize = 120;

/// Events that a reader may be behind before it has to start over.
const BEHIND_MAX: usize = 64;

/// Rows that are watched: those that need attention most.
const ROWS_MAX: usize = 500;

/// Ticks after which health is said even if nothing changed, so that a page can tell a quiet server from a dead one.
const HEALTH_TICKS: u64 = 5;

/// Ends every stream, so that a shutdown need not wait for readers.
const BYE: &str = "bye";

#[derive(Debug)]
struct Published {
    number: u64,
    kind: &'static str,
    data: String,
}

/// The stream of updates that all readers share.
#[derive(Debug)]
pub struct Feed {
    boot: i64,
    sender: broadcast::Sender<Arc<Published>>,
    kept: Mutex<VecDeque<Arc<Published>>>,
}

#[derive(Serialize)]
struct Delta<'a> {
    clock: Option<EventTime>,
    total: u64,
    rows: Vec<SignatureRow<'a>>,
}

impl Feed {
    /// Makes a feed; `boot` tells this run of the process from the one before.
    pub fn new(boot: EventTime) -> Self {
        let (sender, _) = broadcast::channel(BEHIND_MAX);
        Self {
            boot: boot.millis(),
            sender,
            kept: Mutex::default(),
        }
    }

    /// Publishes an event to all readers.
    fn publish(&self, kind: &'static str, data: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.back().map_or(1, |it| it.number + 1);
        let event = Arc::new(Published { number, kind, data });
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&event));
        // An error means that nobody reads.
        self.sender.send(event).ok();
    }

    /// Subscribes: what was missed since `last` (`None`: it cannot be told, start over), and what comes.
    fn subscribe(
        &self,
        last: Option<&str>,
    ) -> (
        Option<Vec<Arc<Published>>>,
        broadcast::Receiver<Arc<Published>>,
    ) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let Some(last) = last else {
            return (Some(Vec::new()), receiver);
        };
        let number = last
            .split_once('-')
            .filter(|(boot, _)| *boot == self.boot.to_string())
            .and_then(|(_, number)| number.parse::<u64>().ok());
        let newest = kept.back().map_or(0, |it| it.number);
        let oldest = kept.front().map_or(1, |it| it.number);
        let missed = number
            .filter(|&it| it <= newest && it + 1 >= oldest)
            .map(|number| {
                kept.iter()
                    .filter(|it| it.number > number)
                    .map(Arc::clone)
                    .collect()
            });
        (missed, receiver)
    }

    fn event(&self, published: &Published) -> Event {
        Event::default()
            .id(format!("{}-{}", self.boot, published.number))
            .event(published.kind)
            .data(&published.data)
    }
}

/// Publishes updates until the token is cancelled.
pub(super) async fn run(state: ApiState, token: CancellationToken) {
    let mut watch = Watch::default();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = token.cancelled() => {
                state.feed.publish(BYE, String::new());
                return;
            }
            _ = tick.tick() => {}
        }
        watch = watch.step(&state).await;
    }
}

/// What was said last.
#[derive(Debug, Default)]
struct Watch {
    ticks: u64,
    rows: BTreeMap<SignatureId, u64>,
    markers: Option<usize>,
    health: String,
}

impl Watch {
    async fn step(mut self, state: &ApiState) -> Self {
        let asked = state
            .ask(|view| {
                let clock = view.clock();
                let filter = SignatureFilter {
                    from: clock.map(|it| it.plus_seconds(-DEFAULT_RANGE_SECONDS)),
                    to: clock,
                    limit: ROWS_MAX,
                    ..SignatureFilter::default()
                };
                (clock, view.signatures(&filter), view.markers())
            })
            .await;
        let Ok((clock, page, markers)) = asked else {
            return self;
        };
        let feed = &state.feed;
        let rows = self.changed(&page.rows);
        if !rows.is_empty() {
            let delta = Delta {
                clock,
                total: page.total,
                rows: rows.into_iter().map(SignatureRow::from).collect(),
            };
            feed.publish("delta", serde_json::to_string(&delta).unwrap_or_default());
        }
        if self.markers.is_some_and(|it| it != markers.len()) {
            let data = serde_json::to_string(&markers.last()).unwrap_or_default();
            feed.publish("deploy", data);
        }
        self.markers = Some(markers.len());
        let health = serde_json::to_string(&health::summary(state)).unwrap_or_default();
        if health != self.health || self.ticks.is_multiple_of(HEALTH_TICKS) {
            feed.publish("health", health.clone());
        }
        self.health = health;
        self.ticks += 1;
        self
    }

    /// Returns the rows that differ from what was said last, and remembers all of them.
    fn changed<'a>(&mut self, rows: &'a [SignatureSummary]) -> Vec<&'a SignatureSummary> {
        let first = self.ticks == 0;
        let mut now = BTreeMap::new();
        let mut changed = Vec::new();
        for row in rows {
            let print = fingerprint(row);
            if self.rows.get(&row.id) != Some(&print) {
                changed.push(row);
            }
            now.insert(row.id, print);
        }
        self.rows = now;
        if first {
            changed.clear();
        }
        changed
    }
}

fn fingerprint(row: &SignatureSummary) -> u64 {
    let mut hasher = DefaultHasher::new();
    (
        row.total,
        row.count,
        row.state as u8,
        row.hosts,
        row.last_seen,
    )
        .hash(&mut hasher);
    (row.score.to_bits(), row.rate_per_min.to_bits(), &row.spark).hash(&mut hasher);
    hasher.finish()
}

/// Streams live updates.
///
/// Events: `delta` (changed rows, at most one a second), `deploy` (a marker), `health` (as `/api/v1/status`,
/// without its lists) and `reset` (read everything anew). `Last-Event-ID` resumes.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    responses((status = 200, description = "Events", content_type = "text/event-stream", body = String)),
)]
pub(super) async fn stream(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let permit = Arc::clone(&state.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::busy("too many pages are open"))?;
    let last = headers
        .get(HeaderName::from_static("last-event-id"))
        .and_then(|it| it.to_str().ok());
    let feed = Arc::clone(&state.feed);
    let (missed, receiver) = feed.subscribe(last);
    let reset = || Event::default().event("reset").data("{}");
    let mut first = vec![
        Event::default()
            .retry(Duration::from_secs(3))
            .comment("hello"),
    ];
    match missed {
        Some(missed) => first.extend(missed.iter().map(|it| feed.event(it))),
        None => first.push(reset()),
    }
    let health = serde_json::to_string(&health::summary(&state)).unwrap_or_default();
    first.push(Event::default().event("health").data(health));
    let live = BroadcastStream::new(receiver).map_while(move |it| match it {
        Ok(published) if published.kind == BYE => None,
        Ok(published) => Some(feed.event(&published)),
        Err(BroadcastStreamRecvError::Lagged(_)) => Some(reset()),
    });
    let events = tokio_stream::iter(first).chain(live);
    let held = Held { permit };
    let events = events.map(move |it| {
        let _still = &held.permit;
        Ok(it)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(PING).text("ping")))
}

/// Keeps a stream's place until the stream ends.
struct Held {
    permit: OwnedSemaphorePermit,
}
