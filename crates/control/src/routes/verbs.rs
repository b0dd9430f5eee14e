//! The operator's verbs: `POST /stop` and the like.

use std::str::FromStr as _;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::answers::{denied, error, json};
use super::{Shown, unknown};
use crate::{Operator, Verb, guard};

/// A verb has no arguments, so there is little to send with it.
const LONGEST_BODY: usize = 1024;

pub(super) async fn perform<O: Operator>(
    State(plane): Shown<O>,
    Path(word): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(verb) = Verb::from_str(&word) else { return unknown().await };
    if let Err(denial) = guard::admit_change(&method, &headers, &plane.token) {
        return denied(denial);
    }
    match timeout(plane.limits.body, to_bytes(body, LONGEST_BODY)).await {
        Ok(Ok(body))
            if body.is_empty() || serde_json::from_slice(&body).is_ok_and(|map: Map<String, Value>| map.is_empty()) => {
        }
        Ok(Ok(_)) => {
            let message = "a verb takes no arguments: its body is {} or empty";
            return error(StatusCode::BAD_REQUEST, "no_arguments", message, None);
        }
        Ok(Err(_)) => {
            let message = "the body is longer than 1024 bytes, or broke off";
            return error(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, None);
        }
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not come in time", None),
    }
    // A task of its own: a client that goes away must not leave a verb half done.
    let operator = plane.operator.clone();
    match tokio::spawn(async move { operator.perform(verb).await }).await {
        Ok(Ok(done)) => json(StatusCode::OK, &done),
        Ok(Err(refusal)) => error(StatusCode::CONFLICT, refusal.code, &refusal.message, refusal.help),
        Err(panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &panic.to_string(), None),
    }
}

/// What a reload would do. It shows what is in the configuration, so it is not open.
pub(super) async fn foresee<O: Operator>(State(plane): Shown<O>, headers: HeaderMap) -> Response {
    if let Err(denial) = guard::admit_bearer(&headers, &plane.token) {
        return denied(denial);
    }
    match plane.operator.foresee().await {
        Ok(done) => json(StatusCode::OK, &done),
        Err(refusal) => error(StatusCode::CONFLICT, refusal.code, &refusal.message, refusal.help),
    }
}
