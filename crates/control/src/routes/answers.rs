//! The shapes of answers: JSON, errors, and what every answer says of itself.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
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

pub(crate) fn marked(mut answer: Response) -> Response {
    for (name, value) in MARKS {
        answer.headers_mut().entry(name).or_insert(value);
    }
    answer
}

pub(super) fn denied(denial: Denial) -> Response {
    let mut answer = error(denial.status(), denial.code(), denial.message(), None);
    let more = match denial {
        Denial::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
        // Where one request ends and the next begins is not to be relied on.
        Denial::LongHead | Denial::NoLength => Some((header::CONNECTION, "close")),
        Denial::ForeignHost | Denial::ForeignOrigin | Denial::NotJson | Denial::WrongVersion => None,
    };
    answer.headers_mut().extend(more.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}

pub(crate) fn error(status: StatusCode, code: &str, message: &str, help: Option<String>) -> Response {
    json(status, &ErrorBody { code: code.to_owned(), message: message.to_owned(), help })
}

/// Why something cannot be had just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Callers without the token ask too often, taken together.
    Requests,
    /// No place is left for another stream.
    Streams,
    /// The tree does not answer.
    Tree,
}

/// What was asked for can be had a little later.
pub(crate) fn busy(why: Busy) -> Response {
    let mut answer = match why {
        Busy::Requests => {
            let message = "there are too many requests without the token";
            error(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message, None)
        }
        Busy::Streams => {
            error(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "too many streams are open already", None)
        }
        Busy::Tree => error(StatusCode::SERVICE_UNAVAILABLE, "tree_silent", "the tree does not answer", None),
    };
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// A parameter cannot be read.
pub(super) fn bad_query(rejection: &QueryRejection) -> Response {
    error(StatusCode::BAD_REQUEST, "bad_query", &rejection.body_text(), None)
}

pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], encoded(body)).into_response()
}

/// A type of ours as JSON. None of them can fail to be written.
pub(super) fn encoded(body: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}
