//! What is wished of a fallback, and what is going to be sent to it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::Dialect;
use crate::request::{Ask, Endpoint, Sampling, Temperature};

/// A request as a fallback has to judge it.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The model, by its name in the catalogue.
    pub model: &'a str,
    /// The body as the client sent it, all its keys.
    pub body: &'a Map<String, Value>,
    /// What the server takes an absent temperature for: a fallback must not be livelier than the server it stands in for.
    pub temperature: Temperature,
}

/// A request that a fallback can serve, ready to be sent.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) model: Arc<str>,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) dialect: Dialect,
}

// === impl Wish ===

impl<'a> Wish<'a> {
    /// The wish that is in a request.
    #[must_use]
    pub fn of(ask: &'a Ask) -> Self {
        let absent = ask.original.get("temperature").is_none_or(Value::is_null);
        let temperature = match ask.sampling {
            Sampling::Greedy if absent => Temperature::Zero,
            Sampling::Greedy | Sampling::Sampled => Temperature::Other,
        };
        Self { endpoint: ask.endpoint, model: &ask.model, body: &ask.original, temperature }
    }
}

// === impl Plan ===

impl Plan {
    /// The model that will answer, by its name at the fallback: what the client must be told.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}
