//! The routes: which path is answered by what, and nothing that decides.

pub(crate) mod answers;
mod events;
mod logs;
mod probes;
mod shared;
mod streams;
mod verbs;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use mlx_tree_api::Status;

use self::answers::{Busy, busy, denied, encoded, error, marked};
use self::shared::Shared;
use self::streams::Streams;
use crate::guard::Door;
use crate::{Limits, Operator, Token, Verb, dashboard};

/// What every route has at hand.
struct Plane<O> {
    operator: O,
    token: Token,
    limits: Limits,
    /// Which run of mlx-tree this is: event numbers begin anew with each.
    run: Arc<str>,
    streams: Streams,
    status: Shared<Document>,
    trend: Shared<Bytes>,
    metrics: Shared<Bytes>,
}

/// The status, and the same as JSON.
#[derive(Clone)]
struct Document {
    status: Arc<Status>,
    text: Bytes,
}

/// What a handler is given.
type Shown<O> = State<Arc<Plane<O>>>;

/// The parameters of a question, if they can be read.
type Asked<T> = Result<Query<T>, QueryRejection>;

/// All routes, behind the door.
pub(crate) fn router<O: Operator>(operator: O, token: Token, address: SocketAddr, limits: &Limits) -> Router {
    let plane = Plane {
        operator,
        token,
        limits: *limits,
        run: fresh_run().into(),
        streams: Streams::new(limits),
        status: Shared::new(),
        trend: Shared::new(),
        metrics: Shared::new(),
    };
    Router::new()
        .route("/status", get(status::<O>))
        .route("/trend", get(trend::<O>))
        .route("/metrics", get(metrics::<O>))
        .route("/livez", get(probes::livez::<O>))
        .route("/readyz", get(probes::readyz::<O>))
        .route("/healthz", get(probes::healthz::<O>))
        .route("/openapi.json", get(openapi))
        .route("/events", get(events::events::<O>))
        .route("/logs", get(logs::logs::<O>))
        .route("/plan", get(verbs::foresee::<O>))
        .route("/{verb}", post(verbs::perform::<O>))
        .merge(dashboard::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::new(Door::new(address)), door))
        .with_state(Arc::new(plane))
}

/// Distinguishes one run from the next.
fn fresh_run() -> String {
    use std::hash::BuildHasher as _;
    // Its keys are random, which is all that is wanted.
    format!("{:016x}", std::collections::hash_map::RandomState::new().hash_one(std::process::id()))
}

async fn door(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let answer = match door.admit(&head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(denial) => denied(denial),
    };
    marked(answer)
}

async fn status<O: Operator>(State(plane): Shown<O>) -> Response {
    plane.status().await.map_or_else(silent, |document| typed(JSON, document.text))
}

async fn trend<O: Operator>(State(plane): Shown<O>) -> Response {
    let trend = plane.trend.get(plane.limits.answer, async || encoded(&plane.operator.trend().await)).await;
    trend.map_or_else(silent, |text| typed(JSON, text))
}

async fn metrics<O: Operator>(State(plane): Shown<O>) -> Response {
    let metrics = plane.metrics.get(plane.limits.answer, async || Bytes::from(plane.operator.metrics().await)).await;
    metrics.map_or_else(silent, |text| typed(PROMETHEUS, text))
}

/// What all of this is, for programs. Held against the types and the routes by tests.
async fn openapi() -> Response {
    typed(JSON, Bytes::from_static(include_bytes!("openapi.json")))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

fn typed(kind: HeaderValue, text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn silent() -> Response {
    busy(Busy::Tree)
}

async fn unknown() -> Response {
    let verbs = Verb::ALL.map(|verb| format!("/{verb}")).join(", ");
    let help = format!(
        "GET /status, /livez, /readyz, /healthz, /events, /logs, /plan, /trend, /metrics, /openapi.json; POST {verbs}"
    );
    error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path", Some(help))
}

/// Every path can be read but those of the verbs, and any word could be a verb's: so what cannot be read and is no verb, is not
/// there at all.
async fn wrong_method(method: Method, uri: Uri) -> Response {
    let reads = method == Method::GET || method == Method::HEAD;
    if reads && uri.path().trim_start_matches('/').parse::<Verb>().is_err() {
        return unknown().await;
    }
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has another method", None)
}

// === impl Plane ===

impl<O: Operator> Plane<O> {
    /// The status of a moment after this call; `None` when the tree does not answer.
    async fn status(&self) -> Option<Document> {
        let compose = async || {
            let status = self.operator.status().await;
            Document { text: encoded(&status), status: Arc::new(status) }
        };
        self.status.get(self.limits.answer, compose).await
    }
}
