//! The pages: files of `dashboards/web`, embedded, each with a strong entity tag.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use super::error::ApiError;
use super::state::ApiState;

/// The files.
#[derive(RustEmbed)]
#[folder = "dashboards/web/"]
struct Web;

/// Pages that the one document draws by their address.
const PAGES: [&str; 9] = [
    "/",
    "/s/{id}",
    "/new",
    "/releases",
    "/gate",
    "/gate/{id}",
    "/channels",
    "/alerts",
    "/pipeline",
];

/// Returns the routes of the pages and their files.
pub(super) fn routes() -> Router<ApiState> {
    let mut router = Router::new().route("/web/{*path}", get(file)).route(
        "/favicon.ico",
        get(|headers: HeaderMap| async move { answer("icon.svg", &headers) }),
    );
    for page in PAGES {
        router = router.route(
            page,
            get(|headers: HeaderMap| async move { answer("index.html", &headers) }),
        );
    }
    router
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(&path, &headers)
}

fn answer(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Web::get(path) else {
        return ApiError::not_found(format!("no file {path:?}"), "").into_response();
    };
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(16) {
        // Writing to a String cannot fail.
        write!(tag, "{byte:02x}").ok();
    }
    tag.push('"');
    let kind = match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let unchanged = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.split(',').any(|it| it.trim() == tag));
    // `no-cache`: asked for each time, so that a new binary never runs with the old one's pages.
    let known = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    (
        known,
        [(header::CONTENT_TYPE, kind)],
        file.data.into_owned(),
    )
        .into_response()
}
