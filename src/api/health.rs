//! Whether the process lives, is ready, and can be believed.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::schema;
use super::state::ApiState;
use crate::model::EventTime;
use crate::telemetry::{
    Freshness, Mode, PartitionStatus, RulesStatus, StageLatency, StoreStatus, TargetStatus, read,
};

/// Why it is not ready.
#[derive(Serialize, ToSchema)]
struct ReadyBody {
    /// Whether it is.
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
}

/// Says that the process lives.
#[utoipa::path(get, path = "/-/healthy", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn healthy() -> &'static str {
    "fatalmonitor lives\n"
}

/// Says whether it is ready: store open, partitions assigned, checkpoint read.
#[utoipa::path(
    get,
    path = "/-/ready",
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
)]
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let reasons = read(&state.status).not_ready.clone();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadyBody { ready, reasons })).into_response()
}

/// Shows the metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let text = state.metrics.render().map_err(|error| {
        tracing::error!(%error, "metrics cannot be shown");
        ApiError::internal("the metrics cannot be shown")
    })?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Whether what pages show can be believed; stands on every page.
#[derive(Serialize, ToSchema)]
pub(super) struct SummaryBody {
    /// Version of the program.
    version: String,
    /// `live`, `demo` or `replay`.
    #[schema(value_type = String)]
    mode: Mode,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: EventTime,
    /// Now, by the records.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) clock: Option<EventTime>,
    /// Whether it is current and complete.
    #[schema(value_type = schema::Freshness)]
    pub(super) freshness: Freshness,
    /// Why it is not ready; empty if it is.
    not_ready: Vec<String>,
    /// Whether it listens beyond loopback without authentication.
    insecure: bool,
}

/// Returns the part of the status that every page shows.
pub(super) fn summary(state: &ApiState) -> SummaryBody {
    let status = read(&state.status);
    SummaryBody {
        version: status.version.clone(),
        mode: status.mode,
        started_at: status.started_at,
        clock: status.clock,
        freshness: status.freshness(),
        not_ready: status.not_ready.clone(),
        insecure: status.insecure,
    }
}

/// Everything that the monitor says about itself.
#[derive(Serialize, ToSchema)]
struct StatusBody {
    /// `fatalmonitor/status/v1`.
    schema: &'static str,
    /// What stands on every page.
    #[serde(flatten)]
    summary: SummaryBody,
    /// Commit that it was built from.
    revision: String,
    /// Rules in force.
    #[schema(value_type = schema::RulesStatus)]
    rules: RulesStatus,
    /// Source partitions.
    #[schema(value_type = Vec<schema::PartitionStatus>)]
    partitions: Vec<PartitionStatus>,
    /// Latency of each stage.
    #[schema(value_type = Vec<schema::StageLatency>)]
    stages: Vec<StageLatency>,
    /// Store.
    #[schema(value_type = schema::StoreStatus)]
    store: StoreStatus,
    /// Where alerts go.
    #[schema(value_type = Vec<schema::TargetStatus>)]
    targets: Vec<TargetStatus>,
    /// Channels whose cap is engaged now.
    channels_capped: Vec<String>,
}

/// Shows what the monitor knows about itself.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = StatusBody)))]
pub(super) async fn status(State(state): State<ApiState>) -> Response {
    let summary = summary(&state);
    let stages = state.metrics.stages();
    let status = read(&state.status).clone();
    Json(StatusBody {
        schema: "fatalmonitor/status/v1",
        summary,
        revision: status.revision,
        rules: status.rules,
        partitions: status.partitions,
        stages,
        store: status.store,
        targets: status.targets,
        channels_capped: status.channels_capped,
    })
    .into_response()
}
