//! The body of every error that the control plane answers.

use serde::{Deserialize, Serialize};

/// An error as JSON: what went wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A stable word for programs, e.g. `unauthorized`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}
