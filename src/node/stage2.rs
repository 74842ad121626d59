//! The thread that owns stage 2: it alone writes the world and the store.
//!
//! Every delivery goes: apply, advance the clock, commit state and positions in one transaction, and only
//! then tell: notifier, acknowledgements, advisory offsets. When the disk is full it takes in nothing more
//! and tries again; alerts that are already firing go on being sent meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::acks::Acks;
use super::clock;
use super::status::StatusBoard;
use super::upkeep::Upkeep;
use super::watermark::Watermarks;
use crate::api::{Operation, OperationError, Request};
use crate::detect::{Checkpoint, StateRow, World};
use crate::ingest::Clock;
use crate::link;
use crate::model::{AlertId, AlertState, AlertTransition, EventTime};
use crate::notify::Notice;
use crate::source::Delivery;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// How long we wait between two tries to write to a full disk.
// 5 s: RELIABILITY.md §3, "disk full".
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Positions by source, for the advisory commits of Kafka sources.
pub(super) type AdvisoryPositions =
    BTreeMap<String, Arc<std::sync::Mutex<BTreeMap<(String, i32), u64>>>>;

/// Why stage 2 ended.
#[derive(Debug)]
pub(super) enum End {
    /// Told to stop; everything taken in is committed.
    Stopped,
    /// Every source is over and everything is decided.
    SourcesEnded,
    /// A source cannot work: its words.
    SourceFailed(String),
    /// The store failed under us; start again from its last commit.
    StoreFailed(StoreError),
}

/// What stage 2 is made of.
#[derive(Debug)]
pub(super) struct Stage2 {
    /// State, read by the API.
    pub world: Arc<RwLock<World>>,
    /// Store; `None` keeps nothing.
    pub store: Option<Store>,
    /// Snapshots, and the forgetting of old history.
    pub upkeep: Upkeep,
    /// What webhooks have taken.
    pub acks: Acks,
    /// Firing alerts that nobody is told of, as of the last commit.
    pub quieted: BTreeSet<AlertId>,
    /// Clock of all partitions.
    pub watermarks: Watermarks,
    /// What tells "now" for idle partitions.
    pub clock: Clock,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    /// Status page.
    pub board: StatusBoard,
    /// Where alert transitions go after the commit.
    pub notify: Option<mpsc::Sender<Notice>>,
    /// Positions for advisory commits.
    pub advisory: AdvisoryPositions,
    /// Longest time between two commits.
    pub commit_interval: Duration,
    /// Names of the sources that are still at work.
    pub sources: Vec<String>,
    /// Whether the end of all sources ends everything (demo), or they may be quiet for ever (serve).
    pub ends_with_sources: bool,
}

/// What waits for the next commit.
#[derive(Debug, Default)]
struct Waiting {
    stored: Vec<oneshot::Sender<()>>,
    rows: Vec<StateRow>,
    requests: Vec<oneshot::Sender<Result<(), OperationError>>>,
    dirty: bool,
}

impl Stage2 {
    /// Works until told to stop or until there is nothing left to do.
    pub(super) async fn run(
        mut self,
        mut deliveries: mpsc::Receiver<Delivery>,
        mut requests: mpsc::Receiver<Request>,
        stop: CancellationToken,
    ) -> End {
        let mut waiting = Waiting::default();
        let mut ticks = tokio::time::interval(self.commit_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut committed_at = clock::instant();
        loop {
            let mut failed = None;
            tokio::select! {
                () = stop.cancelled() => {
                    // What sources still had in hand is read again from the stored positions.
                    while let Ok(delivery) = deliveries.try_recv() {
                        self.deliver(delivery, &mut waiting);
                    }
                    return self.commit(&mut waiting, &stop).await.err().map_or(End::Stopped, End::StoreFailed);
                }
                Some(delivery) = deliveries.recv() => failed = self.deliver(delivery, &mut waiting),
                Some(request) = requests.recv() => self.operate(request, &mut waiting),
                _ = ticks.tick() => {}
            }
            if let Some(problem) = failed {
                return End::SourceFailed(problem);
            }
            let over = self.ends_with_sources && self.sources.is_empty();
            if over {
                self.write().finish();
                waiting.dirty = true;
            }
            let due = committed_at.elapsed() >= self.commit_interval;
            let awaited = !waiting.stored.is_empty() || !waiting.requests.is_empty();
            if waiting.dirty && (due || awaited || over) {
                if let Err(error) = self.commit(&mut waiting, &stop).await {
                    return End::StoreFailed(error);
                }
                committed_at = clock::instant();
            }
            if over {
                return End::SourcesEnded;
            }
            self.keep_up();
        }
    }

    fn deliver(&mut self, delivery: Delivery, waiting: &mut Waiting) -> Option<String> {
        match delivery {
            Delivery::Counts {
                source,
                batches,
                partitions,
                rows,
                stored,
            } => {
                // Whoever waits is answered by a commit, even where there was nothing to count.
                waiting.dirty |= stored.is_some() || !rows.is_empty();
                waiting.stored.extend(stored);
                waiting.rows.extend(rows);
                if !partitions.is_empty() {
                    self.watermarks.only(&source, &partitions);
                }
                for status in &partitions {
                    self.watermarks.status(&source, status);
                }
                let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
                for batch in batches {
                    let batch = link::carry(batch);
                    self.metrics.add_batch(&batch);
                    self.watermarks.batch(&batch);
                    world.apply(&batch);
                    waiting.dirty = true;
                }
                let now = match self.clock {
                    Clock::Arrival => clock::now(),
                    Clock::Record => EventTime::MIN,
                };
                if let Some(low) = self.watermarks.low(now) {
                    world.advance(low);
                }
                drop(world);
                self.board
                    .partitions(&source, &partitions, &self.watermarks, now);
            }
            Delivery::Letters { delivered, lost } => self.metrics.add_letters(delivered, lost),
            Delivery::SteppedOver { places } => self.board.stepped_over(places),
            Delivery::Ended { source } => {
                self.watermarks.ended(&source);
                self.sources.retain(|it| *it != source);
                waiting.dirty = true;
            }
            Delivery::Trouble {
                source,
                problem,
                fatal,
            } => {
                if let Some(problem) = &problem {
                    tracing::error!(source, "{problem}");
                } else {
                    tracing::info!(source, "the source works again");
                }
                self.board.trouble(&source, problem.as_deref());
                return problem.filter(|_| fatal);
            }
        }
        None
    }

    fn operate(&mut self, request: Request, waiting: &mut Waiting) {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let answer =
            super::operate::operate(&mut world, &self.metrics, &request.operation, clock::now());
        drop(world);
        match answer {
            Ok(()) => {
                if let Operation::Marker(marker) = &request.operation {
                    tracing::info!(id = marker.id, kind = marker.kind.name(), "deploy marker");
                }
                waiting.dirty = true;
                waiting.requests.push(request.reply);
            }
            // Whoever asked may have gone away.
            Err(error) => drop(request.reply.send(Err(error))),
        }
    }

    /// Writes what changed, then tells everybody who waits for it.
    async fn commit(
        &mut self,
        waiting: &mut Waiting,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let (mut checkpoint, transitions) = {
            let mut world = self.write();
            (world.take_checkpoint(), world.take_transitions())
        };
        checkpoint.rows.append(&mut waiting.rows);
        let started = clock::instant();
        while let Some(store) = &mut self.store {
            match store.commit(&checkpoint) {
                Ok(_) => break,
                Err(error @ StoreError::Full(_)) => {
                    tracing::error!(%error, "nothing more is read until there is room");
                    self.board.store_problem(&error.to_string());
                    tokio::select! {
                        () = stop.cancelled() => return Err(error),
                        () = tokio::time::sleep(FULL_RETRY) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.observe_checkpoint(seconds);
        self.after_commit(&checkpoint, transitions, waiting).await;
        self.board
            .committed(self.store.as_ref(), seconds, &self.world);
        self.metrics
            .set_snapshot(super::snapshot::snapshot(&self.write()));
        Ok(())
    }

    async fn after_commit(
        &mut self,
        checkpoint: &Checkpoint,
        transitions: Vec<AlertTransition>,
        waiting: &mut Waiting,
    ) {
        for position in &checkpoint.positions {
            if let Some(advisory) = self.advisory.get(&position.source) {
                let key = (position.topic.clone(), position.partition);
                advisory
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key, position.next);
            }
        }
        super::snapshot::count_transitions(&self.metrics, &transitions, clock::now(), self.clock);
        for transition in &transitions {
            let alert = &transition.alert;
            tracing::info!(kind = alert.key.kind.name(), state = ?transition.to, summary = alert.summary, "alert");
        }
        if let Some(notify) = &self.notify
            && !transitions.is_empty()
            && notify.send(Notice::Transitions(transitions)).await.is_err()
        {
            tracing::error!("the notifier has stopped");
        }
        self.tell_mutes().await;
        // Whoever waited may have gone away; that changes nothing.
        for stored in waiting.stored.drain(..) {
            stored.send(()).ok();
        }
        for reply in waiting.requests.drain(..) {
            reply.send(Ok(())).ok();
        }
        waiting.dirty = false;
    }

    /// Tells Alertmanagers how things are when an alert was muted or a mute has ended: that is no transition.
    async fn tell_mutes(&mut self) {
        let active = self.write().active_alerts();
        let quieted: BTreeSet<AlertId> = active
            .iter()
            .filter(|it| it.state == AlertState::Firing)
            .filter(|it| it.muted.is_some() || it.withheld.is_some())
            .map(|it| it.id.clone())
            .collect();
        if quieted == self.quieted {
            return;
        }
        self.quieted = quieted;
        if let Some(notify) = &self.notify
            && notify.send(Notice::Active(active)).await.is_err()
        {
            tracing::error!("the notifier has stopped");
        }
    }

    /// Does between two commits what keeps the store in shape.
    fn keep_up(&mut self) {
        let event_now = self.write().clock();
        let Some(store) = &mut self.store else {
            return;
        };
        if let Err(error) = self.acks.store(store) {
            tracing::warn!(%error, "what webhooks have taken is not noted yet");
        }
        self.upkeep.work(store, event_now);
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }
}
