//! What every request passes: who may ask, from where, how long, and which headers every answer has.
//!
//! It must never look at a body. Invariant: no page of another site can read or change anything here.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::error::ApiError;
use super::state::ApiState;

/// Content security policy of RELIABILITY.md §4.4: our own files only, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Adds the headers, refuses strangers, limits the time and measures.
pub(super) async fn protect(
    State(state): State<ApiState>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = matched.map_or_else(|| "none".into(), |it| it.as_str().to_owned());
    let mut response = match admit(&state, &request) {
        Err(error) => error.into_response(),
        // A stream lasts as long as its reader; everything else has to end.
        Ok(()) if route == "/api/v1/stream" => next.run(request).await,
        Ok(()) => {
            let limit = Duration::from_secs(state.limits.request_seconds_max);
            match tokio::time::timeout(limit, next.run(request)).await {
                Ok(response) => response,
                Err(_) => ApiError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request took too long",
                    "ask for less at once",
                )
                .into_response(),
            }
        }
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let code = code_class(response.status());
    state.metrics.observe_http(
        &route,
        method_name(&method),
        code,
        started.elapsed().as_secs_f64(),
    );
    response
}

fn admit(state: &ApiState, request: &Request) -> Result<(), ApiError> {
    // A load balancer asks for health by whatever name it has.
    if matches!(
        request.uri().path(),
        "/-/healthy" | "/-/ready" | "/healthz" | "/readyz"
    ) {
        return Ok(());
    }
    let headers = request.headers();
    let host = text(headers, &header::HOST)
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(axum::http::uri::Authority::as_str)
        })
        .ok_or_else(|| ApiError::bad_request("the request has no Host header", ""))?;
    if !host_allowed(host, &state.limits.hosts) {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("this server does not answer for host {host:?}"),
            "add the name to `hosts` under [http] in the configuration, or ask by IP address",
        ));
    }
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    let fetch_site = text(headers, &header::HeaderName::from_static("sec-fetch-site"));
    let origin = text(headers, &header::ORIGIN);
    let own_site = fetch_site.is_none_or(|it| matches!(it, "same-origin" | "none"));
    let own_origin = origin.is_none_or(|it| {
        it.strip_prefix("http://")
            .or_else(|| it.strip_prefix("https://"))
            .is_some_and(|it| it.eq_ignore_ascii_case(host))
    });
    if own_site && own_origin {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "a page of another site may not change anything here",
        "send the request from the dashboard or from a program that sends no Origin header",
    ))
}

/// Tells whether we answer for this host: loopback names, addresses (which cannot be rebound by DNS) and configured names.
fn host_allowed(host: &str, configured: &[String]) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<Ipv6Addr>().is_ok() && is_port(port.strip_prefix(':'), port);
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    if !is_port(port, if port.is_some() { ":" } else { "" }) {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || configured.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Tells whether a port is well-formed; `rest` is what stands after the name.
fn is_port(port: Option<&str>, rest: &str) -> bool {
    match port {
        Some(port) => port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

const fn code_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "1xx",
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_addresses_and_configured_names_are_hosts() {
        let configured = ["fm.example.org".to_owned()];
        for good in [
            "localhost",
            "localhost:9477",
            "LOCALHOST.",
            "127.0.0.1:80",
            "10.1.2.3",
            "[::1]",
            "[::1]:9477",
            "fm.example.org",
            "FM.example.org:443",
        ] {
            assert!(host_allowed(good, &configured), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:9477",
            "localhost.evil.example",
            "localhost:9477:1",
            "localhost:",
            "[::1",
            "[::1]x",
            "[evil]",
            "fm.example.org.evil",
            "127.0.0.1.nip.io",
            "localhost:99999",
        ] {
            assert!(!host_allowed(bad, &configured), "{bad}");
        }
    }
}
