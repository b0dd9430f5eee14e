//! The shapes of answers: JSON, errors, and what every answer says of itself.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mlx_tree_api::ErrorBody;

use crate::guard::Denial;

/// What every answer says, where it does not say otherwise: nothing of it is kept, guessed at, framed or run.
const MARKS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

pub(super) fn marked(mut answer: Response) -> Response {
    for (name, value) in MARKS {
        answer.headers_mut().entry(name).or_insert(value);
    }
    answer
}

pub(super) fn denied(denial: Denial) -> Response {
    let mut answer = error(denial.status(), denial.code(), denial.message(), None);
    if denial == Denial::Unauthorized {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

pub(super) fn error(status: StatusCode, code: &str, message: &str, help: Option<String>) -> Response {
    json(status, &ErrorBody { code: code.to_owned(), message: message.to_owned(), help })
}

pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
