//! What is wished of a fallback, and what is going to be sent to it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::Dialect;

/// A request as a fallback has to judge it.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The model, by the name that the client used.
    pub model: &'a str,
    /// The body as the client sent it, all its keys.
    pub body: &'a Map<String, Value>,
    /// What the server takes an absent temperature for.
    pub absent_temperature: AbsentTemperature,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
}

/// What the server takes an absent temperature for. A fallback must not be livelier than the server it stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentTemperature {
    /// 0, as `mlx_lm` does: the answer is greedy.
    Zero,
    /// Whatever the model's makers recommend.
    Unspecified,
}

/// A request that a fallback can serve, ready to be sent.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) model: Arc<str>,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) dialect: Dialect,
}

// === impl Plan ===

impl Plan {
    /// The model that will answer, by its name at the fallback: what the client must be told.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}
