//! Every route on invented data.

mod document;
mod gate;
mod stream;
mod writes;

use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::fixture::rig::{Rig, rig};
use super::state::*;
use crate::telemetry::write;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: to_bytes(body, 64 << 20).await.unwrap().to_vec(),
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:9477")
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router, request("GET", path).body(Body::empty()).unwrap()).await
}

async fn post(router: &Router, path: &str, body: &Value) -> Answer {
    let request = request("POST", path).header("content-type", "application/json");
    send(router, request.body(Body::from(body.to_string())).unwrap()).await
}

fn setup(count: usize) -> (Router, Rig) {
    let rig = rig(count, None);
    (crate::api::router(rig.state.clone()), rig)
}

#[tokio::test]
async fn the_list_is_by_score_and_its_cursor_reaches_every_row_once() {
    let (router, _rig) = setup(1_203);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    let mut scores = Vec::new();
    loop {
        let page = get(
            &router,
            &format!("/api/v1/signatures?limit=500&cursor={cursor}"),
        )
        .await
        .json();
        assert_eq!(page["total"], 1_203);
        for row in page["rows"].as_array().unwrap() {
            seen.push(row["id"].as_str().unwrap().to_owned());
            scores.push(row["score"].as_f64().unwrap());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert!(scores.is_sorted_by(|a, b| a >= b));
    assert_eq!(seen.len(), 1_203);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1_203);
}

#[tokio::test]
async fn by_id_no_row_is_missed_while_scores_move() {
    let (router, rig) = setup(1_203);
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/signatures?sort=id&limit=100&cursor={cursor}");
        let page = get(&router, &path).await.json();
        let rows = page["rows"].as_array().unwrap();
        ids.extend(rows.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        rig.fixture.tick.fetch_add(1, Ordering::Relaxed);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(ids.len(), 1_203);
    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn filters_and_sorts_work_and_wrong_ones_name_the_value() {
    let (router, _rig) = setup(200);
    let rows = get(
        &router,
        "/api/v1/signatures?channel=session&state=new&sort=count",
    )
    .await
    .json();
    let counts: Vec<u64> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [54_120, 20_412]);
    for (path, wanted) in [
        ("/api/v1/signatures?sort=age", "\"age\""),
        ("/api/v1/signatures?state=odd", "\"odd\""),
        ("/api/v1/signatures?level=loud", "\"LOUD\""),
        ("/api/v1/signatures?from=yesterday", "\"yesterday\""),
        ("/api/v1/signatures?from=5&to=4", "from is not before to"),
        ("/api/v1/signatures?limit=many", "limit"),
        ("/api/v1/signatures?cursor=-1", "\"-1\""),
        ("/api/v1/signatures/xyz", "\"xyz\""),
        ("/api/v1/new", "since is missing"),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(wanted), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_signature_is_found_by_a_prefix_of_eight_digits_but_not_of_seven() {
    let (router, _rig) = setup(50);
    let list = get(&router, "/api/v1/signatures?limit=1").await.json();
    let id = list["rows"][0]["id"].as_str().unwrap().to_owned();
    let by_prefix = get(
        &router,
        &format!("/api/v1/signatures/{}", id.get(..8).unwrap()),
    )
    .await
    .json();
    assert_eq!(by_prefix["summary"]["id"], json!(id));
    let short = get(
        &router,
        &format!("/api/v1/signatures/{}", id.get(..7).unwrap()),
    )
    .await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
    let unknown = get(&router, "/api/v1/signatures/00000000").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let unknown = get(
        &router,
        "/api/v1/signatures/00000000000000000000000000000000",
    )
    .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn history_splits_by_version_and_refuses_too_many_points() {
    let (router, _rig) = setup(5);
    let list = get(&router, "/api/v1/signatures?limit=1").await.json();
    let id = list["rows"][0]["id"].as_str().unwrap().to_owned();
    let history = get(
        &router,
        &format!("/api/v1/signatures/{id}/history?by=version&step=60"),
    )
    .await
    .json();
    assert_eq!(history["series"].as_array().unwrap().len(), 2);
    assert_eq!(
        history["series"][0]["counts"].as_array().unwrap().len(),
        1_440
    );
    let many = get(
        &router,
        &format!("/api/v1/signatures/{id}/history?from=2015-01-01T00:00:00Z&step=10"),
    )
    .await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let (router, _rig) = setup(3);
    for path in [
        "/",
        "/plain",
        "/web/app.css",
        "/api/v1/status",
        "/metrics",
        "/nothing",
        "/-/healthy",
        "/api/v1/signatures?sort=x",
    ] {
        let answer = get(&router, path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn a_rebound_host_name_is_refused_and_health_is_not() {
    let (router, _rig) = setup(3);
    let ask = |path: &'static str, host: &'static str| {
        let request = Request::builder()
            .uri(path)
            .header("host", host)
            .body(Body::empty())
            .unwrap();
        let router = router.clone();
        async move { send(&router, request).await.status }
    };
    assert_eq!(
        ask("/api/v1/status", "evil.example").await,
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(
        ask("/", "localhost.evil.example").await,
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(
        ask("/api/v1/status", "localhost:9477").await,
        StatusCode::OK
    );
    assert_eq!(ask("/-/healthy", "evil.example").await, StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let (router, mut rig) = setup(3);
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "null"),
    ] {
        let request = request("POST", "/api/v1/exposure")
            .header(name, value)
            .header("content-type", "application/json");
        let answer = send(&router, request.body(Body::from("[]")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    // A form of another site can send text, never JSON.
    let request = request("POST", "/api/v1/exposure").header("content-type", "text/plain");
    let answer = send(&router, request.body(Body::from("[]")).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(rig.operations.try_recv().is_err());
}

#[tokio::test]
async fn readiness_gives_its_reasons() {
    let (router, rig) = setup(3);
    assert_eq!(get(&router, "/-/ready").await.status, StatusCode::OK);
    write(&rig.state.status).not_ready = vec!["the store is being read".into()];
    let answer = get(&router, "/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.json(),
        json!({"ready": false, "reasons": ["the store is being read"]})
    );
    assert_eq!(get(&router, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_are_measured_by_their_route_not_by_their_path() {
    let (router, _rig) = setup(3);
    get(&router, "/api/v1/signatures/00000000").await;
    get(&router, "/nothing/here").await;
    let text = get(&router, "/metrics").await.text();
    assert!(text.contains("fatalmonitor_http_request_duration_seconds_count{code=\"4xx\",method=\"GET\",route=\"/api/v1/signatures/{id}\"} 1"), "{text}");
    assert!(text.contains("route=\"none\""));
    assert!(!text.contains("00000000"));
}

#[tokio::test]
async fn pages_have_a_strong_tag_and_are_sent_once() {
    let (router, _rig) = setup(3);
    let first = get(&router, "/web/app.css").await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() > 20);
    let again = request("GET", "/web/app.css")
        .header("if-none-match", &tag)
        .body(Body::empty())
        .unwrap();
    let again = send(&router, again).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    for path in [
        "/web/../Cargo.toml",
        "/web/%2e%2e/Cargo.toml",
        "/web//etc/passwd",
        "/web/none.js",
    ] {
        assert_eq!(
            get(&router, path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_plain_page_escapes_hostile_text() {
    let payload = "<script>alert(1)</script>\u{202e}\"'";
    let rig = rig(5, Some(payload));
    let text = get(&crate::api::router(rig.state.clone()), "/plain")
        .await
        .text();
    assert!(!text.contains("<script"), "{text}");
    assert!(!text.contains('\u{202e}'));
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}"));
}
