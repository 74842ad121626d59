//! The deploy gate: ask, decide, and read a decision again as it was.
#![expect(
    unused_qualifications,
    reason = "the OpenAPI macro qualifies parameter types"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, ErrorBody};
use super::extract::{Body, Params, Part, time};
use super::schema::gate as schema;
use super::state::{ApiState, Operation};
use crate::detect::gate::{GateDecision, GateQuery};
use crate::telemetry::FreshnessLevel;

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/gate/v1";

/// Longest version or group in bytes.
const NAME_MAX: usize = 1_000;

/// Decisions in one list.
const LIST_MAX: usize = 100;

/// Tells apart decisions that are asked for in the same instant.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// What is asked of the gate.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GateParams {
    /// Version that is to go on.
    #[param(required)]
    #[schema(example = "1.27.0-wmf.11")]
    version: String,
    /// Only this group; every group in which the version was seen if absent.
    group: Option<String>,
    /// Decide as of this moment; now if absent.
    at: Option<String>,
    /// Records of the version that are needed to pass; 1,000 if absent.
    min_exposure: Option<u64>,
}

/// A decision with its address.
#[derive(Serialize)]
struct GateBody {
    schema: &'static str,
    permalink: Option<String>,
    #[serde(flatten)]
    decision: GateDecision,
}

impl GateBody {
    fn new(decision: GateDecision) -> Self {
        Self {
            schema: SCHEMA,
            permalink: (!decision.id.is_empty()).then(|| format!("/gate/{}", decision.id)),
            decision,
        }
    }
}

impl GateParams {
    fn query(self) -> Result<GateQuery, ApiError> {
        let group = self.group.filter(|it| !it.is_empty() && it != "*");
        for (name, value) in [("version", Some(&self.version)), ("group", group.as_ref())] {
            // Whatever the stream calls a version may be asked about; it is data, and escaped where it is shown.
            if value.is_some_and(|it| it.len() > NAME_MAX) {
                return Err(ApiError::bad_request(
                    format!("{name} is too long"),
                    format!("at most {NAME_MAX} bytes"),
                ));
            }
        }
        if self.version.is_empty() {
            return Err(ApiError::bad_request(
                "version is missing",
                "name the version that is to go on, such as 1.27.0-wmf.11",
            ));
        }
        Ok(GateQuery {
            at: time("at", self.at.as_deref())?,
            version: self.version,
            group,
            records_min: self.min_exposure,
        })
    }
}

/// Says what the gate would decide; nothing is kept.
#[utoipa::path(
    get,
    path = "/api/v1/gate",
    params(GateParams),
    responses((status = 200, body = schema::GateDecision), (status = 400, body = ErrorBody)),
)]
pub(super) async fn preview(
    State(state): State<ApiState>,
    Params(params): Params<GateParams>,
) -> Result<Response, ApiError> {
    let decision = ask(&state, params.query()?).await?;
    Ok(Json(GateBody::new(decision)).into_response())
}

/// Decides, and keeps the decision as it is under an address of its own.
#[utoipa::path(
    post,
    path = "/api/v1/gate",
    request_body = GateParams,
    responses(
        (status = 201, body = schema::GateDecision, description = "Kept"),
        (status = 400, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub(super) async fn decide(
    State(state): State<ApiState>,
    Body(params): Body<GateParams>,
) -> Result<Response, ApiError> {
    let mut decision = ask(&state, params.query()?).await?;
    decision.id = name(&state, &decision);
    let id = decision.id.clone();
    state.operate(Operation::Gate(Box::new(decision))).await?;
    let kept = kept_one(&state, id).await?;
    Ok((StatusCode::CREATED, Json(GateBody::new(kept))).into_response())
}

/// Returns a decision as it was taken.
#[utoipa::path(
    get,
    path = "/api/v1/gate/{id}",
    params(("id" = String, Path, description = "Name of the decision")),
    responses((status = 200, body = schema::GateDecision), (status = 404, body = ErrorBody)),
)]
pub(super) async fn kept(
    State(state): State<ApiState>,
    Part(id): Part<String>,
) -> Result<Response, ApiError> {
    let decision = kept_one(&state, id).await?;
    Ok(Json(GateBody::new(decision)).into_response())
}

/// The latest decisions.
#[derive(Serialize, ToSchema)]
struct GatesBody {
    /// `fatalmonitor/gates/v1`.
    schema: &'static str,
    /// Decisions, latest first, at most 100.
    #[schema(value_type = Vec<schema::GateDecision>)]
    gates: Vec<GateBody>,
}

/// Lists the latest decisions.
#[utoipa::path(get, path = "/api/v1/gates", responses((status = 200, body = GatesBody)))]
pub(super) async fn list(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let gates = state.ask(|view| view.kept_gates(LIST_MAX)).await?;
    Ok(Json(GatesBody {
        schema: "fatalmonitor/gates/v1",
        gates: gates.into_iter().map(GateBody::new).collect(),
    })
    .into_response())
}

/// Asks stage 2, and adds what the pipeline knows of itself: late data decides nothing.
async fn ask(state: &ApiState, query: GateQuery) -> Result<GateDecision, ApiError> {
    let decision = state.ask(move |view| view.gate(&query)).await??;
    if decision.is_past {
        return Ok(decision);
    }
    let freshness = crate::telemetry::read(&state.status).freshness();
    if freshness.level < FreshnessLevel::Empty {
        return Ok(decision);
    }
    Ok(decision.with_health(&freshness.reasons))
}

async fn kept_one(state: &ApiState, id: String) -> Result<GateDecision, ApiError> {
    let wanted = id.clone();
    state
        .ask(move |view| view.kept_gate(&wanted))
        .await?
        .ok_or_else(|| {
            ApiError::not_found(
                format!("no gate decision {id:?}"),
                "see /api/v1/gates for those that are kept",
            )
        })
}

/// Makes the name of a decision: the same for nothing else.
fn name(state: &ApiState, decision: &GateDecision) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"fatalmonitor/gate/v1");
    let boot = crate::telemetry::read(&state.status).started_at;
    let turn = ASKED.fetch_add(1, Ordering::Relaxed);
    for part in [
        decision.version.as_str(),
        decision.group.as_str(),
        &decision.at.to_string(),
        &boot.to_string(),
        &turn.to_string(),
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}
