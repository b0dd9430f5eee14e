//! The headers by which an answer says where it comes from.

use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};

use super::life::Life;
use crate::answer::Body;

/// Who has answered: the kind of the server, or of the fallback.
const BACKEND: HeaderName = HeaderName::from_static("x-mlx-tree-backend");
/// The model that has answered.
const MODEL: HeaderName = HeaderName::from_static("x-mlx-tree-model");
/// How many attempts were made.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-mlx-tree-attempts");
/// How long it has waited for its turn and for restarts, in milliseconds.
const QUEUE: HeaderName = HeaderName::from_static("x-mlx-tree-queue-ms");
/// Why somebody else has answered.
const FALLBACK: HeaderName = HeaderName::from_static("x-mlx-tree-fallback");
/// Keeps proxies from collecting events.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What the answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One JSON object.
    Json,
    /// Events.
    Events,
}

/// Where an answer comes from.
pub(super) struct Labels {
    kind: Arc<str>,
    model: Arc<str>,
    /// Attempts and milliseconds, where they are known when the answer is begun.
    effort: Option<(u32, u64)>,
    fallback: Option<String>,
}

// === impl Labels ===

impl Labels {
    /// Of an answer that has begun.
    pub(super) fn of(life: &Life) -> Self {
        let queued = u64::try_from(life.queued.as_millis()).unwrap_or(u64::MAX);
        Self { effort: Some((life.attempts, queued)), ..Self::before(life) }
    }

    /// Of an answer that has not.
    pub(super) fn before(life: &Life) -> Self {
        Self { kind: life.route.kind(), model: life.ask.model.clone(), effort: None, fallback: None }
    }

    /// Of an answer that somebody else gives, and why.
    pub(super) fn fallback(life: &Life, kind: &str, model: &str, why: &str) -> Self {
        Self { kind: kind.into(), model: model.into(), fallback: Some(why.to_owned()), ..Self::of(life) }
    }

    /// The answer.
    pub(super) fn response(&self, shape: Shape, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.reserve(8);
        match shape {
            Shape::Json => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Shape::Events => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
            }
        }
        text(headers, BACKEND, &self.kind);
        text(headers, MODEL, &self.model);
        if let Some((attempts, queued)) = self.effort {
            headers.insert(ATTEMPTS, HeaderValue::from(attempts));
            headers.insert(QUEUE, HeaderValue::from(queued));
        }
        if let Some(why) = &self.fallback {
            text(headers, FALLBACK, why);
        }
        response
    }
}

/// A name or a sentence, without what a header cannot carry.
fn text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    let value = HeaderValue::try_from(text).or_else(|_| {
        let plain: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        HeaderValue::try_from(plain)
    });
    if let Ok(value) = value {
        headers.insert(name, value);
    }
}
