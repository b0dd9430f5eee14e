//! The routes: which path is answered by what, and nothing that decides.

mod answers;
mod events;
mod logs;
mod probes;

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use self::answers::{denied, error, json, marked};
use crate::{Operator, Token, Verb, dashboard, guard};

/// What every route has at hand.
#[derive(Clone)]
struct Plane<O> {
    operator: O,
    token: Token,
    /// Which run of mlx-tree this is: event numbers begin anew with each.
    run: Arc<str>,
}

/// All routes, behind the door.
pub(crate) fn router<O: Operator>(operator: O, token: Token, address: SocketAddr) -> Router {
    let plane = Plane { operator, token, run: fresh_run().into() };
    Router::new()
        .route("/status", get(status::<O>))
        .route("/trend", get(trend::<O>))
        .route("/metrics", get(metrics::<O>))
        .route("/livez", get(probes::livez::<O>))
        .route("/readyz", get(probes::readyz::<O>))
        .route("/healthz", get(probes::healthz::<O>))
        .route("/events", get(events::events::<O>))
        .route("/logs", get(logs::logs::<O>))
        .route("/{verb}", post(perform::<O>))
        .merge(dashboard::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(address, door))
        .with_state(plane)
}

/// Distinguishes one run from the next.
fn fresh_run() -> String {
    use std::hash::BuildHasher as _;
    // Its keys are random, which is all that is wanted.
    format!("{:016x}", std::collections::hash_map::RandomState::new().hash_one(std::process::id()))
}

async fn door(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    let answer = match guard::admit(request.headers(), request.version(), address) {
        Ok(()) => next.run(request).await,
        Err(denial) => denied(denial),
    };
    marked(answer)
}

async fn status<O: Operator>(State(plane): State<Plane<O>>) -> Response {
    json(StatusCode::OK, &plane.operator.status().await)
}

async fn trend<O: Operator>(State(plane): State<Plane<O>>) -> Response {
    json(StatusCode::OK, &plane.operator.trend().await)
}

async fn metrics<O: Operator>(State(plane): State<Plane<O>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, plane.operator.metrics().await).into_response()
}

async fn perform<O: Operator>(
    State(plane): State<Plane<O>>,
    Path(word): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Ok(verb) = Verb::from_str(&word) else { return unknown().await };
    if let Err(denial) = guard::admit_change(&method, &headers, &plane.token) {
        return denied(denial);
    }
    // A task of its own: a client that goes away must not leave a verb half done.
    let operator = plane.operator.clone();
    match tokio::spawn(async move { operator.perform(verb).await }).await {
        Ok(Ok(done)) => json(StatusCode::OK, &done),
        Ok(Err(refusal)) => error(StatusCode::CONFLICT, refusal.code, &refusal.message, refusal.help),
        Err(panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &panic.to_string(), None),
    }
}

async fn unknown() -> Response {
    let verbs = Verb::ALL.map(|verb| format!("/{verb}")).join(", ");
    let help = format!(
        "GET /status, /livez, /readyz, /healthz, /events, /logs, /trend, /metrics, /openapi.json; POST {verbs}"
    );
    error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path", Some(help))
}

async fn wrong_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has another method", None)
}
