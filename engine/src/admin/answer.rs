//! The answers, path by path.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::live;
use super::state::State;
use crate::observe::Phase;
use crate::observe::render;

type Shared = extract::State<Arc<State>>;

const PAGE: &str = include_str!("live.html");

/// The page needs nothing from anywhere else, and nothing that it shows may become a script.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'";

const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

fn text(content_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, content_type), NO_STORE, NO_SNIFF], body).into_response()
}

fn json(status: StatusCode, value: serde_json::Value) -> Response {
    (status, [NO_STORE, NO_SNIFF], Json(value)).into_response()
}

pub(super) async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], text("text/html; charset=utf-8", PAGE)).into_response()
}

pub(super) async fn health() -> Response {
    json(StatusCode::OK, json!({ "ok": true }))
}

pub(super) async fn ready(extract::State(state): Shared) -> Response {
    let phase = state.phase.get();
    let sinks_down = live::sinks_down(&state.metrics);
    match phase {
        Phase::Serving => json(StatusCode::OK, json!({ "ready": true, "sinks_down": sinks_down })),
        Phase::Starting | Phase::Draining | Phase::Stopped => json(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "ready": false, "reason": phase.name(), "sinks_down": sinks_down }),
        ),
    }
}

pub(super) async fn metrics(extract::State(state): Shared, headers: HeaderMap) -> Response {
    if takes_open_metrics(&headers) {
        text(render::OPEN_METRICS_TYPE, render::open_metrics(&state.metrics))
    } else {
        text(render::PROMETHEUS_TYPE, render::prometheus(&state.metrics))
    }
}

fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("application/openmetrics-text"))
}

pub(super) async fn sinks(extract::State(state): Shared) -> Response {
    json(StatusCode::OK, json!({ "sinks": live::sinks(&state.metrics) }))
}

pub(super) async fn live(extract::State(state): Shared) -> Response {
    json(StatusCode::OK, live::live(&state))
}

pub(super) async fn config(extract::State(state): Shared) -> Response {
    text("text/plain; charset=utf-8", state.config.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

pub(super) async fn not_found() -> Response {
    let message = "the admin port serves /, /health, /ready, /metrics, /sinks, /live and /config";
    json(StatusCode::NOT_FOUND, json!({ "error": "not_found", "message": message }))
}

pub(super) async fn method_not_allowed() -> Response {
    let message = "the admin port serves GET and HEAD only";
    let mut response =
        json(StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "method_not_allowed", "message": message }));
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET,HEAD"));
    response
}
