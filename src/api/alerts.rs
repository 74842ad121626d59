//! Alerts, and what people say about them: mute, unmute, acknowledge.
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
use super::extract::{Body, Params, Part, choice, time};
use super::schema;
use super::signatures::resolve;
use super::state::{AlertFilter, ApiState, MuteRequest, MuteUntil, Operation, Subject};
use crate::model::{Alert, EventTime};

/// Alerts in one answer.
const LIMIT_MAX: usize = 500;

/// Longest reason or name in bytes.
const TEXT_MAX: usize = 500;

/// Which alerts to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertParams {
    /// Only this state: `firing`, `resolved`.
    state: Option<String>,
    /// Only this severity and above: `info`, `warning`, `critical`.
    severity: Option<String>,
    /// Only alerts of this signature: id, or a unique prefix of at least 8 hex digits.
    signature: Option<String>,
    /// Alerts in the answer, at most 500.
    limit: Option<usize>,
}

/// Alerts, newest first.
#[derive(Serialize, ToSchema)]
struct AlertsBody {
    /// `fatalmonitor/alerts/v1`.
    schema: &'static str,
    /// Now, by the records.
    #[schema(value_type = Option<String>, format = DateTime)]
    clock: Option<EventTime>,
    /// Alerts.
    #[schema(value_type = Vec<schema::Alert>)]
    alerts: Vec<Alert>,
}

/// Lists alerts, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    params(AlertParams),
    responses((status = 200, body = AlertsBody), (status = 400, body = ErrorBody)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Params(params): Params<AlertParams>,
) -> Result<Response, ApiError> {
    let signature = match params.signature.as_deref().filter(|it| !it.is_empty()) {
        None => None,
        Some(text) => Some(resolve(&state, text).await?),
    };
    let filter = AlertFilter {
        state: choice("state", params.state.as_deref(), "firing, resolved")?,
        severity: choice(
            "severity",
            params.severity.as_deref(),
            "info, warning, critical",
        )?,
        signature,
        limit: params.limit.unwrap_or(100).clamp(1, LIMIT_MAX),
    };
    let (clock, alerts) = state
        .ask(move |view| (view.clock(), view.alerts(&filter)))
        .await?;
    Ok(Json(AlertsBody {
        schema: "fatalmonitor/alerts/v1",
        clock,
        alerts,
    })
    .into_response())
}

/// A mute.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteBody {
    /// `escalating`, a time (RFC 3339), or `version:` and the version at which it ends.
    #[schema(example = "version:1.27.0-wmf.12")]
    until: String,
    /// Why.
    reason: String,
}

impl MuteBody {
    fn request(self, subject: Subject) -> Result<Operation, ApiError> {
        let until = if self.until == "escalating" {
            MuteUntil::Escalating
        } else if let Some(version) = self.until.strip_prefix("version:") {
            MuteUntil::Version(plain("until", version)?)
        } else {
            let at = time("until", Some(&self.until))?.ok_or_else(|| {
                let hint = "one of escalating, version:V, or a time such as 2016-01-20T08:00:00Z";
                ApiError::bad_request("until is empty", hint)
            })?;
            MuteUntil::Time(at)
        };
        Ok(Operation::Mute(MuteRequest {
            subject,
            until,
            reason: plain("reason", &self.reason)?,
        }))
    }
}

/// Who is on it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeBody {
    /// Name, in their own words.
    by: String,
}

/// Reads a short text that a person wrote.
fn plain(name: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("{name} is empty, too long or has control characters"),
            format!("at most {TEXT_MAX} bytes of plain text"),
        ));
    }
    Ok(text.to_owned())
}

/// Mutes one alert.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/mute",
    params(("id" = String, Path, description = "Alert id")),
    request_body = MuteBody,
    responses((status = 204), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn mute(
    State(state): State<ApiState>,
    Part(id): Part<String>,
    Body(body): Body<MuteBody>,
) -> Result<StatusCode, ApiError> {
    state.operate(body.request(Subject::Alert(id))?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the mute of one alert away.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/{id}/mute",
    params(("id" = String, Path, description = "Alert id")),
    responses((status = 204), (status = 404, body = ErrorBody)),
)]
pub(super) async fn unmute(
    State(state): State<ApiState>,
    Part(id): Part<String>,
) -> Result<StatusCode, ApiError> {
    state.operate(Operation::Unmute(Subject::Alert(id))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that somebody is on it.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/acknowledge",
    params(("id" = String, Path, description = "Alert id")),
    request_body = AcknowledgeBody,
    responses((status = 204), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn acknowledge(
    State(state): State<ApiState>,
    Part(id): Part<String>,
    Body(body): Body<AcknowledgeBody>,
) -> Result<StatusCode, ApiError> {
    let by = plain("by", &body.by)?;
    state
        .operate(Operation::Acknowledge { alert: id, by })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mutes a signature, whatever alerts it causes.
#[utoipa::path(
    post,
    path = "/api/v1/signatures/{id}/mute",
    params(("id" = String, Path, description = "Id, or a unique prefix of at least 8 hex digits")),
    request_body = MuteBody,
    responses((status = 204), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn mute_signature(
    State(state): State<ApiState>,
    Part(text): Part<String>,
    Body(body): Body<MuteBody>,
) -> Result<StatusCode, ApiError> {
    let id = resolve(&state, &text).await?;
    state.operate(body.request(Subject::Signature(id))?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the mute of a signature away.
#[utoipa::path(
    delete,
    path = "/api/v1/signatures/{id}/mute",
    params(("id" = String, Path, description = "Id, or a unique prefix of at least 8 hex digits")),
    responses((status = 204), (status = 404, body = ErrorBody)),
)]
pub(super) async fn unmute_signature(
    State(state): State<ApiState>,
    Part(text): Part<String>,
) -> Result<StatusCode, ApiError> {
    let id = resolve(&state, &text).await?;
    state
        .operate(Operation::Unmute(Subject::Signature(id)))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
