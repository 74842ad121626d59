//! The story of a rollout: what was planned, what really runs, whether fixes worked, and the timeline of it all.
#![expect(
    unused_qualifications,
    reason = "the OpenAPI macro qualifies parameter types"
)]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, ErrorBody};
use super::extract::{Params, Part, choice, time};
use super::schema::story as schema;
use super::state::{ApiState, Operation, ReadView};
use crate::detect::planned::PlannedEffect;
use crate::detect::timeline::TimelineQuery;
use crate::model::Severity;

/// Seconds that a timeline covers if nothing else is asked for: a day.
const TIMELINE_SECONDS: i64 = 86_400;

/// Planned effects, earliest first.
#[derive(Serialize, ToSchema)]
struct PlannedBody {
    /// `fatalmonitor/planned/v1`.
    schema: &'static str,
    /// Planned effects that stand.
    #[schema(value_type = Vec<schema::PlannedEffect>)]
    planned: Vec<PlannedEffect>,
}

/// Lists the planned effects that stand.
#[utoipa::path(get, path = "/api/v1/planned", responses((status = 200, body = PlannedBody)))]
pub(super) async fn planned(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let planned = state.ask(ReadView::planned).await?;
    Ok(Json(PlannedBody {
        schema: "fatalmonitor/planned/v1",
        planned,
    })
    .into_response())
}

/// Ends a planned effect; its marker stays.
#[utoipa::path(
    delete,
    path = "/api/v1/planned/{marker}",
    params(("marker" = String, Path, description = "Name of the marker")),
    responses((status = 204), (status = 404, body = ErrorBody)),
)]
pub(super) async fn end_planned(
    State(state): State<ApiState>,
    Part(marker): Part<String>,
) -> Result<StatusCode, ApiError> {
    state.operate(Operation::EndPlanned(marker)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what became of what a marker was to fix.
#[utoipa::path(
    get,
    path = "/api/v1/deploys/{marker}/fix",
    params(("marker" = String, Path, description = "Name of the marker")),
    responses((status = 200, body = schema::FixReport), (status = 404, body = ErrorBody)),
)]
pub(super) async fn fix(
    State(state): State<ApiState>,
    Part(marker): Part<String>,
) -> Result<Response, ApiError> {
    let report = state.ask(move |view| view.fix(&marker)).await??;
    Ok(Json(report).into_response())
}

/// Says what runs where, beside what was announced.
#[utoipa::path(get, path = "/api/v1/rollouts", responses((status = 200, body = schema::Rollouts)))]
pub(super) async fn rollouts(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let rollouts = state.ask(ReadView::rollouts).await??;
    Ok(Json(rollouts).into_response())
}

/// Which stretch of time is retold.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineParams {
    /// Start: RFC 3339, or seconds since 1970; a day before the end if absent.
    from: Option<String>,
    /// End, exclusive; now if absent.
    to: Option<String>,
    /// Least severity of the alerts that are told: `info`, `warning` (if absent), `critical`.
    severity: Option<String>,
}

/// Retells a stretch of time: deploys, first seen, alerts, caps, silences, fixes.
#[utoipa::path(
    get,
    path = "/api/v1/timeline",
    params(TimelineParams),
    responses((status = 200, body = schema::Timeline), (status = 400, body = ErrorBody)),
)]
pub(super) async fn timeline(
    State(state): State<ApiState>,
    Params(params): Params<TimelineParams>,
) -> Result<Response, ApiError> {
    let severity = choice(
        "severity",
        params.severity.as_deref(),
        "info, warning, critical",
    )?;
    let to = match time("to", params.to.as_deref())? {
        Some(to) => to,
        None => state.ask(ReadView::clock).await?.unwrap_or_default(),
    };
    let query = TimelineQuery {
        from: time("from", params.from.as_deref())?
            .unwrap_or_else(|| to.plus_seconds(-TIMELINE_SECONDS)),
        to,
        severity_min: severity.unwrap_or(Severity::Warning),
    };
    let timeline = state.ask(move |view| view.timeline(query)).await??;
    Ok(Json(timeline).into_response())
}
