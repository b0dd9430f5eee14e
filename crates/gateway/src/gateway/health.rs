//! `GET /health`: would a request be served, or held until it is?

use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::json as json_response;
use crate::answer::Body;
use crate::backend::BackendState;
use crate::exchange::{Common, Route};

/// 200 when a request would be served or held, else 503; in either case with the reason.
pub(super) fn answer(common: &Common, route: &Route) -> Response<Body> {
    let state = route.backend.borrow().state.clone();
    let room = {
        let snapshot = route.gate.snapshot();
        snapshot.queued < common.max_queue || snapshot.in_flight < snapshot.limit
    };
    let in_time = |at: Option<Instant>| at.is_none_or(|at| at <= Instant::now() + common.hold_budget);
    let (served, word, reason) = match &state {
        BackendState::Ready { .. } => (room, "ready", if room { "" } else { "the queue is full" }),
        BackendState::Recycling { reason } => (room, "restarting", &**reason),
        BackendState::Yielding { reason, .. } => (room, "yielding", &**reason),
        BackendState::Asleep => (true, "asleep", "it is started when it is asked"),
        BackendState::Restarting { ready_at, reason } => (room && in_time(*ready_at), "restarting", &**reason),
        // Without an estimate an open breaker may stay so.
        BackendState::BreakerOpen { ready_at, reason } => {
            (room && ready_at.is_some() && in_time(*ready_at), "breaker_open", &**reason)
        }
        BackendState::Stopped { reason } => (false, "stopped", &**reason),
        BackendState::Finishing { reason } => (false, "stopping", &**reason),
        BackendState::Draining => (false, "draining", "mlx-tree is ending"),
    };
    let status = if served { "ok" } else { "unavailable" };
    let body = json!({"status": status, "state": word, "server": &*route.server, "reason": reason});
    let mut response = json_response(Body::whole(body.to_string()));
    if !served {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
