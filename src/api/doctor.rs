//! The cardinality doctor: what varies in the texts of each channel.
#![expect(
    unused_qualifications,
    reason = "the OpenAPI macro qualifies parameter types"
)]

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::Params;
use super::schema;
use super::state::ApiState;

/// Which channel to look at.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct DoctorParams {
    /// Only this channel.
    channel: Option<String>,
}

/// Says how many texts each channel uses to say how many things, what varies in them and what to do about it.
#[utoipa::path(get, path = "/api/v1/doctor", params(DoctorParams), responses((status = 200, body = schema::Doctor)))]
pub(super) async fn doctor(
    State(state): State<ApiState>,
    Params(params): Params<DoctorParams>,
) -> Result<Response, ApiError> {
    let channel = params.channel.filter(|it| !it.is_empty());
    let answer = state
        .ask(move |view| view.doctor(channel.as_deref()))
        .await?;
    Ok(Json(answer).into_response())
}
