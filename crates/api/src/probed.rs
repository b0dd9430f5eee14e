//! What `/livez`, `/readyz` and `/healthz` answer.

use serde::{Deserialize, Serialize};

/// The answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The word for it.
    pub status: Verdict,
    /// Why it is not `ok`, a line each; empty when it is.
    pub reasons: Vec<String>,
    /// What works less well than it should, as in the status document.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub degraded: Vec<String>,
}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be: 200.
    Ok,
    /// It is not: 503.
    Unavailable,
}
