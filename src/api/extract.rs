//! Reading of parameters, with errors that name the value and what would be right.

use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::model::EventTime;

/// Query parameters; a wrong one is answered as JSON.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A part of the path; a wrong one is answered as JSON.
#[derive(Debug)]
pub(super) struct Part<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Part<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(value) = Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A JSON body; a wrong one is answered as JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// Reads a time: RFC 3339, or seconds since 1970.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<EventTime>, ApiError> {
    let Some(text) = text.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let time = EventTime::parse_rfc3339(text)
        .or_else(|| text.parse().ok().map(EventTime::from_seconds))
        .ok_or_else(|| {
            let hint = "give RFC 3339 such as 2016-01-19T23:14:07Z, or seconds since 1970";
            ApiError::bad_request(format!("{name} is no time: {text:?}"), hint)
        })?;
    Ok(Some(time))
}

/// Reads one of a closed set of names.
pub(super) fn choice<T: DeserializeOwned>(
    name: &str,
    text: Option<&str>,
    known: &str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = text.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map(Some)
        .map_err(|_| {
            ApiError::bad_request(
                format!("{name} is unknown: {text:?}"),
                format!("one of {known}"),
            )
        })
}
