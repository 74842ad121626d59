//! Releases: what is new since one, what was deployed when, and the traffic that each served.
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
use super::extract::{Body, Params};
use super::schema;
use super::state::{ApiState, NewFilter, Operation, ReadView};
use crate::detect::view::ReleaseView;
use crate::model::{DeployMarker, ExposureRecord};

/// Exposure records in one request.
const EXPOSURES_MAX: usize = 10_000;

/// Longest text of a marker's field in bytes.
const FIELD_MAX: usize = 200;

/// What "new since" asks.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct NewParams {
    /// Version or marker id on the baseline side.
    #[param(required)]
    since: String,
    /// Last version to look at.
    until: Option<String>,
    /// Only this group.
    group: Option<String>,
    /// Only this channel.
    channel: Option<String>,
    /// Only signatures with at least this many events.
    min_hits: u64,
}

/// Lists what first appears, gets worse or disappears after a version.
#[utoipa::path(
    get,
    path = "/api/v1/new",
    params(NewParams),
    responses((status = 200, body = schema::NewSince), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(super) async fn new_since(
    State(state): State<ApiState>,
    Params(params): Params<NewParams>,
) -> Result<Response, ApiError> {
    if params.since.is_empty() {
        return Err(ApiError::bad_request(
            "since is missing",
            "name a version such as 1.27.0-wmf.10, or a deploy marker",
        ));
    }
    let given = |it: Option<String>| it.filter(|it| !it.is_empty() && it != "*");
    let filter = NewFilter {
        since: params.since,
        until: given(params.until),
        group: given(params.group),
        channel: given(params.channel),
        min_hits: params.min_hits,
    };
    let answer = state.ask(move |view| view.new_since(&filter)).await??;
    Ok(Json(answer).into_response())
}

/// Releases, newest first.
#[derive(Serialize, ToSchema)]
struct ReleasesBody {
    /// `fatalmonitor/releases/v1`.
    schema: &'static str,
    /// Releases.
    #[schema(value_type = Vec<schema::Release>)]
    releases: Vec<ReleaseView>,
}

/// Lists the releases seen or announced.
#[utoipa::path(get, path = "/api/v1/releases", responses((status = 200, body = ReleasesBody)))]
pub(super) async fn releases(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let releases = state.ask(ReadView::releases).await?;
    Ok(Json(ReleasesBody {
        schema: "fatalmonitor/releases/v1",
        releases,
    })
    .into_response())
}

/// Deploy markers, oldest first.
#[derive(Serialize, ToSchema)]
struct DeploysBody {
    /// `fatalmonitor/deploys/v1`.
    schema: &'static str,
    /// Markers.
    #[schema(value_type = Vec<schema::DeployMarker>)]
    markers: Vec<DeployMarker>,
}

/// Lists the deploy markers.
#[utoipa::path(get, path = "/api/v1/deploys", responses((status = 200, body = DeploysBody)))]
pub(super) async fn deploys(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let markers = state.ask(ReadView::markers).await?;
    Ok(Json(DeploysBody {
        schema: "fatalmonitor/deploys/v1",
        markers,
    })
    .into_response())
}

/// Adds a deploy marker, or replaces the one of the same id.
#[utoipa::path(
    post,
    path = "/api/v1/deploys",
    request_body = schema::DeployMarker,
    responses(
        (status = 201, body = schema::DeployMarker, description = "Stored"),
        (status = 422, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub(super) async fn add_deploy(
    State(state): State<ApiState>,
    Body(marker): Body<DeployMarker>,
) -> Result<Response, ApiError> {
    let fields = [
        ("id", Some(&marker.id)),
        ("version", marker.version.as_ref()),
        ("group", marker.group.as_ref()),
        ("host", marker.host.as_ref()),
        ("ref", marker.reference.as_ref()),
    ];
    for (name, value) in fields {
        if value.is_some_and(|it| it.len() > FIELD_MAX || it.chars().any(char::is_control)) {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{name} is too long or has control characters"),
                format!("at most {FIELD_MAX} bytes of plain text"),
            ));
        }
    }
    if marker.id.is_empty() {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "id is empty",
            "name the marker, for example wmf.11-group1",
        ));
    }
    state.operate(Operation::Marker(marker.clone())).await?;
    Ok((StatusCode::CREATED, Json(marker)).into_response())
}

/// How many records were stored.
#[derive(Serialize, ToSchema)]
struct StoredBody {
    /// Records.
    stored: usize,
}

/// Adds exposure counts.
#[utoipa::path(
    post,
    path = "/api/v1/exposure",
    request_body = Vec<schema::ExposureRecord>,
    responses((status = 200, body = StoredBody), (status = 422, body = ErrorBody), (status = 429, body = ErrorBody)),
)]
pub(super) async fn add_exposure(
    State(state): State<ApiState>,
    Body(records): Body<Vec<ExposureRecord>>,
) -> Result<Response, ApiError> {
    let stored = records.len();
    if stored > EXPOSURES_MAX {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("{stored} records are too many"),
            format!("at most {EXPOSURES_MAX} in one request"),
        ));
    }
    if let Some(bad) = records
        .iter()
        .find(|it| !it.exposure.is_finite() || it.exposure < 0.0)
    {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("exposure is no count: {}", bad.exposure),
            "a number from 0 on",
        ));
    }
    state.operate(Operation::Exposure(records)).await?;
    Ok(Json(StoredBody { stored }).into_response())
}
