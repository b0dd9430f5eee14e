//! The answering end: routes, and nothing that decides.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream;
use mlx_tree_api::ErrorBody;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::guard::{self, Denial};
use crate::{Operator, Token, Verb};

/// A control plane that has its address and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the control plane could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its address cannot be had.
    #[error("the control plane cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Takes `address` for the control plane; port 0 means any free one.
///
/// # Errors
/// When the address cannot be had.
pub async fn bind(address: SocketAddr) -> Result<Bound, ServeError> {
    let wrap = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok(Bound { listener, address })
}

#[derive(Clone)]
struct Plane<O> {
    operator: O,
    token: Token,
}

// === impl Bound ===

impl Bound {
    /// The address that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for `operator` until `stop` resolves; open answers are then given up.
    ///
    /// # Errors
    /// When accepting connections fails for good.
    pub async fn serve<O: Operator>(
        self,
        operator: O,
        token: Token,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let plane = Plane { operator, token };
        let app = Router::new()
            .route("/status", get(status::<O>))
            .route("/livez", get(livez))
            .route("/logs", get(logs::<O>))
            .route("/events", get(events::<O>))
            .route("/{verb}", post(perform::<O>))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(self.address, door))
            .with_state(plane);
        // Not axum's graceful shutdown: that waits for streams that never end by themselves.
        tokio::select! {
            served = async { axum::serve(self.listener, app).await } => served,
            () = stop => Ok(()),
        }
    }
}

async fn door(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    match guard::admit(request.headers(), request.version(), address) {
        Ok(()) => next.run(request).await,
        Err(denial) => denied(denial),
    }
}

async fn status<O: Operator>(State(plane): State<Plane<O>>) -> Response {
    json(StatusCode::OK, &plane.operator.status().await)
}

async fn livez() -> &'static str {
    "ok\n"
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

/// How much of a log or of the events is wanted.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// Of what is remembered, so many of the latest.
    lines: Option<usize>,
    /// `true` keeps the answer open for what is to come.
    #[serde(default)]
    follow: bool,
    /// Only events above this number.
    after: Option<u64>,
}

async fn logs<O: Operator>(
    State(plane): State<Plane<O>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    if let Err(denial) = guard::admit_bearer(&headers, &plane.token) {
        return denied(denial);
    }
    let (past, live) = plane.operator.logs();
    stream_of("text/plain; charset=utf-8", past, live, &wanted, |line| format!("{line}\n"))
}

async fn events<O: Operator>(
    State(plane): State<Plane<O>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    if let Err(denial) = guard::admit_bearer(&headers, &plane.token) {
        return denied(denial);
    }
    let (past, live) = plane.operator.events(wanted.after.unwrap_or(0));
    // One JSON document a line.
    let line = |event: Arc<mlx_tree_api::Event>| {
        serde_json::to_string(&*event).map_or_else(|_| String::new(), |text| text + "\n")
    };
    stream_of("application/x-ndjson", past, live, &wanted, line)
}

fn stream_of<T: Clone + Send + 'static>(
    kind: &'static str,
    mut past: Vec<T>,
    live: broadcast::Receiver<T>,
    wanted: &Wanted,
    text: impl Fn(T) -> String + Send + 'static,
) -> Response {
    if let Some(lines) = wanted.lines {
        past.drain(..past.len().saturating_sub(lines));
    }
    let live = wanted.follow.then_some(live);
    let body = stream::unfold((past.into_iter(), live, text), |(mut past, mut live, text)| async move {
        let chunk = match past.next() {
            Some(item) => text(item),
            None => match live.as_mut()?.recv().await {
                Ok(item) => text(item),
                Err(RecvError::Lagged(lost)) => format!("… {lost} lost …\n"),
                Err(RecvError::Closed) => return None,
            },
        };
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), (past, live, text)))
    });
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], Body::from_stream(body)).into_response()
}

async fn unknown() -> Response {
    let help = "GET /status, /livez, /logs, /events; POST /start, /stop, /restart, /reset, /shutdown".to_owned();
    error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path", Some(help))
}

async fn wrong_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has another method", None)
}

fn denied(denial: Denial) -> Response {
    error(denial.status(), denial.code(), denial.message(), None)
}

fn error(status: StatusCode, code: &str, message: &str, help: Option<String>) -> Response {
    json(status, &ErrorBody { code: code.to_owned(), message: message.to_owned(), help })
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match serde_json::to_vec(body) {
        Ok(text) => (status, headers, text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
