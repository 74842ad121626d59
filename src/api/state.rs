//! What the API needs from the rest of the program: something to read, and a way to ask for changes.
//!
//! The API never changes state itself: every operation goes to `node` through a bounded queue and is
//! answered after the commit.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::error::ApiError;
use super::feed::Feed;
use crate::detect::fix::FixReport;
use crate::detect::gate::{GateDecision, GateQuery};
use crate::detect::planned::PlannedEffect;
use crate::detect::rollout::Rollouts;
use crate::detect::timeline::{Timeline, TimelineQuery};
use crate::detect::view::{
    ChannelView, DoctorView, NewSince, ReleaseView, SignatureDetail, SignatureState,
    SignatureSummary,
};
use crate::model::{
    Alert, AlertState, DeployMarker, EventTime, ExposureRecord, Level, Severity, SignatureId,
    Totals,
};
use crate::telemetry::{Metrics, SharedStatus};

/// Server-sent event streams at once (RELIABILITY: a browser tab holds one for hours).
const STREAMS_MAX: usize = 200;

/// What the pages and the API read. Calls may take some milliseconds; they run on blocking threads.
pub trait ReadView: Send + Sync + 'static {
    /// Returns the event time up to which everything is decided.
    fn clock(&self) -> Option<EventTime>;
    /// Returns the signatures that the filter asks for, highest score first.
    fn signatures(&self, filter: &SignatureFilter) -> SignaturePage;
    /// Returns everything about one signature.
    fn signature(&self, id: SignatureId) -> Option<SignatureDetail>;
    /// Returns the ids that start with these hex digits, sorted, at most 20.
    fn find_prefix(&self, prefix: &str) -> Vec<SignatureId>;
    /// Returns the counts of one signature over time.
    fn history(&self, filter: &HistoryFilter) -> Result<History, ReadError>;
    /// Answers "new errors since version X".
    fn new_since(&self, filter: &NewFilter) -> Result<NewSince, ReadError>;
    /// Returns every channel, sorted by name.
    fn channels(&self) -> Vec<ChannelView>;
    /// Says how many texts each channel uses, and what varies in them.
    fn doctor(&self, channel: Option<&str>) -> DoctorView;
    /// Returns every release, newest first.
    fn releases(&self) -> Vec<ReleaseView>;
    /// Returns every deploy marker, oldest first.
    fn markers(&self) -> Vec<DeployMarker>;
    /// Returns alerts, newest first.
    fn alerts(&self, filter: &AlertFilter) -> Vec<Alert>;
    /// Returns what was read and what became of it.
    fn accounting(&self) -> Accounting;
    /// Returns the planned effects that stand, earliest first.
    fn planned(&self) -> Vec<PlannedEffect>;
    /// Says what became of what a marker was to fix.
    fn fix(&self, marker: &str) -> Result<FixReport, ReadError>;
    /// Says what runs where, beside what was announced.
    fn rollouts(&self) -> Result<Rollouts, ReadError>;
    /// Retells a stretch of time.
    fn timeline(&self, query: TimelineQuery) -> Result<Timeline, ReadError>;
    /// Says what the gate decides.
    fn gate(&self, query: &GateQuery) -> Result<GateDecision, ReadError>;
    /// Returns a decision as it was taken.
    fn kept_gate(&self, id: &str) -> Option<GateDecision>;
    /// Returns the decisions that are kept, latest first.
    fn kept_gates(&self, limit: usize) -> Vec<GateDecision>;
}

/// A question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The thing asked about is not known; the second text says what is.
    #[error("{0}")]
    NotFound(String, String),
    /// The store could not be read.
    #[error("cannot read the store: {0}")]
    Failed(String),
}

/// Which signatures to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignatureFilter {
    /// Start of the range in which `count` is taken.
    pub from: Option<EventTime>,
    /// End of that range.
    pub to: Option<EventTime>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Only signatures seen on this version.
    pub version: Option<String>,
    /// Only signatures seen in this group.
    pub group: Option<String>,
    /// Only this service.
    pub service: Option<String>,
    /// Only what this person or team looks after.
    pub owner: Option<String>,
    /// Only this level and above.
    pub level: Option<Level>,
    /// Only these states; empty means all.
    pub states: Vec<SignatureState>,
    /// Only signatures whose template, channel, exception or id contains this text, in any case.
    pub text: Option<String>,
    /// Only signatures with at least this many events in the range; the others are counted as hidden.
    pub min_hits: u64,
    /// At most this many rows.
    pub limit: usize,
}

/// The rows of one answer, with what is not among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignaturePage {
    /// Rows, highest score first.
    pub rows: Vec<SignatureSummary>,
    /// Signatures that match the filter.
    pub total: u64,
    /// Signatures that match but for `min_hits`.
    pub hidden: u64,
}

/// Which counts over time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryFilter {
    /// Signature.
    pub id: SignatureId,
    /// Start.
    pub from: EventTime,
    /// End, exclusive.
    pub to: EventTime,
    /// Bucket length: 10, 60 or 3,600 seconds.
    pub step_seconds: i64,
    /// How to split.
    pub by: HistoryBy,
}

/// How to split counts over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryBy {
    /// One series.
    #[default]
    Total,
    /// One series for each version.
    Version,
    /// One series for each group.
    Group,
}

/// Counts over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// Start of the first bucket.
    pub from: EventTime,
    /// End of the last bucket.
    pub to: EventTime,
    /// Bucket length.
    pub step_seconds: i64,
    /// Series, sorted by name.
    pub series: Vec<HistorySeries>,
}

/// One series of counts over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HistorySeries {
    /// Version or group; `total` if it is not split.
    pub name: String,
    /// Events in each bucket, oldest first.
    pub counts: Vec<u64>,
}

/// What `new --since` asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewFilter {
    /// Version or marker on the baseline side.
    pub since: String,
    /// Last version to look at.
    pub until: Option<String>,
    /// Only this group.
    pub group: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Only signatures with at least this many events.
    pub min_hits: u64,
}

/// Which alerts to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertFilter {
    /// Only this state.
    pub state: Option<AlertState>,
    /// Only this severity and above.
    pub severity: Option<Severity>,
    /// Only alerts of this signature.
    pub signature: Option<SignatureId>,
    /// At most this many.
    pub limit: usize,
}

/// What was read and what became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounting {
    /// Sums over everything.
    pub total: Totals,
    /// Sums by source partition, sorted.
    pub partitions: Vec<PartitionAccount>,
    /// Sums by channel and version, sorted.
    pub channels: Vec<ChannelAccount>,
}

/// Sums of one source partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionAccount {
    /// Name of the source.
    pub source: String,
    /// Topic or file.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next position to read.
    pub next: u64,
    /// Sums.
    pub totals: Totals,
    /// Records that the source no longer had.
    pub gaps: u64,
    /// Stretches that came twice and were ignored.
    pub duplicates: u64,
}

/// Sums of one channel and version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelAccount {
    /// Channel.
    pub channel: String,
    /// Version; empty if unknown.
    pub version: String,
    /// Records counted in full.
    pub counted: u64,
    /// Records past the cap.
    pub capped: u64,
    /// Records rejected.
    pub rejected: u64,
}

/// A change that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A version went out, or something else happened that counts may be compared with.
    Marker(DeployMarker),
    /// Traffic that releases served.
    Exposure(Vec<ExposureRecord>),
    /// End a planned effect; its marker stays.
    EndPlanned(String),
    /// Keep a decision of the gate.
    Gate(Box<GateDecision>),
    /// Quiet a signature or an alert.
    Mute(MuteRequest),
    /// Take the mute away.
    Unmute(Subject),
    /// Say that somebody is on it.
    Acknowledge {
        /// Alert.
        alert: String,
        /// Who, in their own words.
        by: String,
    },
}

/// What a mute is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A signature, whatever alerts it causes.
    Signature(SignatureId),
    /// One alert.
    Alert(String),
}

/// A mute.
#[derive(Clone, Debug, PartialEq)]
pub struct MuteRequest {
    /// What to quiet.
    pub subject: Subject,
    /// When it ends.
    pub until: MuteUntil,
    /// Why.
    pub reason: String,
}

/// When a mute ends.
#[derive(Clone, Debug, PartialEq)]
pub enum MuteUntil {
    /// At a time.
    Time(EventTime),
    /// When this version is seen.
    Version(String),
    /// When it becomes worse than it was.
    Escalating,
}

/// An operation with the place for its answer, which comes after the commit.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<(), OperationError>>,
}

/// Lines posted to the HTTP source, with the place for the answer, which comes after the commit.
#[derive(Debug)]
pub struct IngestRequest {
    /// Records, one a line; at most 64 MiB.
    pub lines: Vec<u8>,
    /// The client's name for this body; the same name must be counted once.
    pub key: Option<String>,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<IngestReceipt, OperationError>>,
}

/// What became of posted lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IngestReceipt {
    /// Lines read.
    pub read: u64,
    /// Lines counted in full.
    pub counted: u64,
    /// Lines past a cap.
    pub capped: u64,
    /// Lines rejected.
    pub rejected: u64,
    /// Whether this body was counted before, and not again now.
    pub duplicate: bool,
}

/// An operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// What it is about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It makes no sense; the text says why.
    #[error("{0}")]
    Refused(String),
    /// It could not be stored now; try again.
    #[error("{0}")]
    Unavailable(String),
}

/// Which names and limits the server accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Host names under which it may be asked, besides loopback names and addresses.
    pub hosts: Vec<String>,
    /// Largest body of an ordinary request.
    pub body_bytes_max: usize,
    /// Largest body of `POST /api/v1/ingest`.
    pub ingest_bytes_max: usize,
    /// Largest such body after decompression.
    pub ingest_decompressed_max: usize,
    /// Longest time to answer, streams apart.
    pub request_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // RELIABILITY.md §4.8.
        Self {
            hosts: Vec::new(),
            body_bytes_max: 1 << 20,
            ingest_bytes_max: 8 << 20,
            ingest_decompressed_max: 64 << 20,
            request_seconds_max: 30,
        }
    }
}

/// Everything that handlers share.
#[derive(Clone)]
pub struct ApiState {
    /// What to read.
    pub view: Arc<dyn ReadView>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Status.
    pub status: SharedStatus,
    /// Where operations go.
    pub operations: mpsc::Sender<Request>,
    /// Where posted lines go; `None` if there is no HTTP source.
    pub ingest: Option<mpsc::Sender<IngestRequest>>,
    /// Limits.
    pub limits: Arc<Limits>,
    /// Live updates.
    pub feed: Arc<Feed>,
    /// Places for streams.
    pub streams: Arc<Semaphore>,
}

/// What an [`ApiState`] is made of.
#[expect(
    missing_debug_implementations,
    reason = "a read view has nothing to show"
)]
pub struct ApiParts {
    /// What to read.
    pub view: Arc<dyn ReadView>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Status.
    pub status: SharedStatus,
    /// Where operations go.
    pub operations: mpsc::Sender<Request>,
    /// Where posted lines go; `None` if there is no HTTP source.
    pub ingest: Option<mpsc::Sender<IngestRequest>>,
    /// Limits.
    pub limits: Limits,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl ApiState {
    /// Makes the state from its parts.
    pub fn new(parts: ApiParts) -> Self {
        let boot = crate::telemetry::read(&parts.status).started_at;
        Self {
            view: parts.view,
            metrics: parts.metrics,
            status: parts.status,
            operations: parts.operations,
            ingest: parts.ingest,
            limits: Arc::new(parts.limits),
            feed: Arc::new(Feed::new(boot)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }

    /// Runs a question on a blocking thread.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn ReadView) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let view = Arc::clone(&self.view);
        tokio::task::spawn_blocking(move || question(&*view))
            .await
            .map_err(|_| ApiError::internal("the question could not be answered"))
    }

    /// Hands an operation over and waits until it is committed.
    pub(super) async fn operate(&self, operation: Operation) -> Result<(), ApiError> {
        let (reply, answer) = oneshot::channel();
        self.operations
            .try_send(Request { operation, reply })
            .map_err(|_| ApiError::busy("too many operations wait"))?;
        answer
            .await
            .map_err(|_| ApiError::unavailable("the process is stopping"))?
            .map_err(ApiError::from)
    }
}
