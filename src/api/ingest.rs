//! `POST /api/v1/ingest`: records over HTTP, one a line, acknowledged after the commit.
//!
//! It must never answer 2xx for lines that a crash could still lose. Invariant: what waits is bounded in
//! number by the queue and in size by the body limit.

use std::io::Read;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::state::{ApiState, IngestReceipt, IngestRequest, Limits};

/// Longest `Idempotency-Key` in bytes.
const KEY_MAX: usize = 200;

/// What became of the lines.
#[derive(Serialize, ToSchema)]
struct IngestBody {
    /// Lines read.
    read: u64,
    /// Lines counted in full.
    counted: u64,
    /// Lines past a cap.
    capped: u64,
    /// Lines rejected.
    rejected: u64,
    /// Whether this body was counted before, and not again now.
    duplicate: bool,
}

impl From<IngestReceipt> for IngestBody {
    fn from(it: IngestReceipt) -> Self {
        Self {
            read: it.read,
            counted: it.counted,
            capped: it.capped,
            rejected: it.rejected,
            duplicate: it.duplicate,
        }
    }
}

/// Returns the layer that lets larger bodies in than other routes do.
pub(super) fn body_limit(limits: &Limits) -> DefaultBodyLimit {
    DefaultBodyLimit::max(limits.ingest_bytes_max)
}

/// Takes records, one a line, and answers when they are stored.
#[utoipa::path(
    post,
    path = "/api/v1/ingest",
    request_body(content = String, content_type = "application/x-ndjson", description = "At most 8 MiB, gzip allowed"),
    params(("Idempotency-Key" = Option<String>, Header, description = "A body sent again under the same key is counted once")),
    responses(
        (status = 200, body = IngestBody, description = "Counted and stored"),
        (status = 404, body = ErrorBody, description = "There is no HTTP source"),
        (status = 413, body = ErrorBody),
        (status = 429, body = ErrorBody, description = "Wait for Retry-After"),
        (status = 503, body = ErrorBody, description = "Wait for Retry-After"),
    ),
)]
pub(super) async fn ingest(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    let sender = state.ingest.clone().ok_or_else(|| {
        ApiError::not_found(
            "there is no HTTP source",
            "add a [[source]] of kind \"http\" to the configuration",
        )
    })?;
    // A place in the queue first, so that a full one costs no decompression.
    let place = sender
        .try_reserve_owned()
        .map_err(|_| ApiError::busy("too many bodies wait to be counted"))?;
    let body = body.map_err(|rejection| {
        let hint = format!(
            "at most {} bytes in one body",
            state.limits.ingest_bytes_max
        );
        ApiError::new(rejection.status(), rejection.body_text(), hint)
    })?;
    let key = key(&headers)?;
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let lines = match encoding {
        "" | "identity" => body.to_vec(),
        "gzip" => {
            let limit = state.limits.ingest_decompressed_max;
            tokio::task::spawn_blocking(move || gunzip(&body, limit))
                .await
                .map_err(|_| ApiError::internal("the body cannot be unpacked"))??
        }
        other => {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Encoding is unknown: {other:?}"),
                "gzip, or none",
            ));
        }
    };
    let (reply, answer) = oneshot::channel();
    place.send(IngestRequest { lines, key, reply });
    let receipt = answer.await.map_err(|_| {
        ApiError::unavailable("the process is stopping; the lines may not be stored")
    })??;
    Ok(Json(IngestBody::from(receipt)).into_response())
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(HeaderName::from_static("idempotency-key")) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|it| !it.is_empty() && it.len() <= KEY_MAX);
    let text = text.ok_or_else(|| {
        ApiError::bad_request(
            "Idempotency-Key is empty, too long or not ASCII",
            format!("at most {KEY_MAX} visible characters"),
        )
    })?;
    Ok(Some(text.to_owned()))
}

/// Largest share by which a body may grow when unpacked; real logs stay under it, bombs do not.
const GROWTH_MAX: usize = 20;

/// What a small body may grow to whatever the share, since a few repeated lines pack well.
const GROWTH_FREE: usize = 1 << 20;

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let limit = limit.min((body.len() * GROWTH_MAX).max(GROWTH_FREE));
    let mut lines = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(limit as u64 + 1);
    reader
        .read_to_end(&mut lines)
        .map_err(|error| ApiError::bad_request(format!("the body is no gzip: {error}"), ""))?;
    if lines.len() > limit {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {limit} bytes when unpacked"),
            "send smaller bodies",
        ));
    }
    Ok(lines)
}
