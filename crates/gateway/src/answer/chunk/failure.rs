//! A server's own error inside a stream.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A server's own error inside a stream, in the shape that OpenAI's have, with all four keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server ended its answer with an error: {message}")]
pub struct Failure {
    /// What it says.
    pub message: String,
    /// The whole object, `{"error":{…}}`.
    pub body: Bytes,
}

// === impl Failure ===

impl Failure {
    /// Makes one of what a server says, which may be a word or an object or anything.
    pub(super) fn read(error: &RawValue) -> Self {
        let value: Value = serde_json::from_str(error.get()).unwrap_or_default();
        let member = |name: &str| value.get(name).cloned().unwrap_or_default();
        let message = match value.get("message").unwrap_or(&value) {
            Value::String(message) => message.clone(),
            _ => error.get().to_owned(),
        };
        let kind = match member("type") {
            Value::String(kind) => kind,
            _ => "server_error".to_owned(),
        };
        let error = json!({"message": message, "type": kind, "param": member("param"), "code": member("code")});
        Self { message, body: json!({ "error": error }).to_string().into() }
    }
}
