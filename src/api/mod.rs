//! HTTP: the JSON API with its `OpenAPI` document, live updates, health, metrics and the pages.
//!
//! It must never change state: operations go to `node` and are answered after the commit. Log text leaves
//! it as JSON strings or escaped HTML only. Invariant: every answer carries the security headers.

mod alerts;
mod assets;
mod channels;
mod doctor;
mod error;
mod extract;
mod feed;
mod gate;
mod guard;
mod health;
mod ingest;
mod plain;
mod releases;
mod row;
mod schema;
mod serve;
mod signatures;
mod state;
mod story;

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use error::{ApiError, ErrorBody};
pub use feed::Feed;
pub use serve::serve;
pub use state::{
    Accounting, AlertFilter, ApiParts, ApiState, ChannelAccount, History, HistoryBy, HistoryFilter,
    HistorySeries, IngestReceipt, IngestRequest, Limits, MuteRequest, MuteUntil, NewFilter,
    Operation, OperationError, PartitionAccount, ReadError, ReadView, Request, SignatureFilter,
    SignaturePage, Subject,
};

/// The document, to which every handler adds itself.
#[derive(OpenApi)]
#[openapi(info(
    title = "fatalmonitor",
    description = "Says what is new, worse, silent or coming from one bad host after a deploy."
))]
struct Document;

/// Makes the router of everything that is served.
pub fn router(state: ApiState) -> Router {
    let (router, document) = handlers(&state).split_for_parts();
    let document = document.to_json().unwrap_or_default();
    router
        .route(
            "/openapi.json",
            get(move || async move {
                (
                    [(axum::http::header::CONTENT_TYPE, "application/json")],
                    document,
                )
            }),
        )
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/plain", get(plain::page))
        .merge(assets::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max))
        // Skips event streams and small bodies by itself.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            guard::protect,
        ))
        .with_state(state)
}

fn handlers(state: &ApiState) -> OpenApiRouter<ApiState> {
    let ingest = OpenApiRouter::new()
        .routes(routes!(ingest::ingest))
        .layer(ingest::body_limit(&state.limits));
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthy))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::status))
        .routes(routes!(signatures::list))
        .routes(routes!(signatures::detail))
        .routes(routes!(signatures::history))
        .routes(routes!(releases::new_since))
        .routes(routes!(releases::releases))
        .routes(routes!(releases::deploys, releases::add_deploy))
        .routes(routes!(releases::add_exposure))
        .routes(routes!(gate::preview, gate::decide))
        .routes(routes!(gate::kept))
        .routes(routes!(gate::list))
        .routes(routes!(story::planned))
        .routes(routes!(story::end_planned))
        .routes(routes!(story::fix))
        .routes(routes!(story::rollouts))
        .routes(routes!(story::timeline))
        .routes(routes!(channels::list))
        .routes(routes!(channels::accounting))
        .routes(routes!(doctor::doctor))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::mute, alerts::unmute))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(alerts::mute_signature, alerts::unmute_signature))
        .routes(routes!(feed::stream))
        .merge(ingest)
}

async fn nothing_here() -> Response {
    ApiError::not_found(
        "there is nothing at this address",
        "the pages start at /, the API at /openapi.json",
    )
    .into_response()
}

async fn wrong_method() -> Response {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    let body = ErrorBody {
        error: "this address does not take this method".into(),
        hint: "see /openapi.json".into(),
    };
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod browser;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
