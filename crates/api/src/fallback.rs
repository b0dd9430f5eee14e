//! The fallback, as its worker sees it and as the gateway uses it: the two views that they show each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::FallbackState;

/// What is known of the fallback. Its worker publishes it, the gateway goes by it, the status shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackView {
    /// What it is: `ollama` or `openai`.
    pub name: String,
    /// Whether it can be asked.
    pub state: FallbackState,
    /// Why it cannot, in one line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Its version, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The models that it has, by its own names.
    pub models: Vec<FallbackModel>,
}

/// One model of the fallback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackModel {
    /// Its name there.
    pub name: String,
    /// The longest context that it can have, in tokens, where that is told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context_length: Option<u64>,
    /// What it can do (`completion`, `tools`, `thinking`, …); empty where that is not told.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub capabilities: Vec<String>,
    /// Where it is really run, if that is not on this machine. Such a model is never asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote: Option<String>,
}

/// What the gateway has going on at the fallback. Its worker unloads what nobody is served by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FallbackUse {
    /// Requests under way there, from before the first byte until the answer has been let go.
    pub in_flight: u32,
    /// How many have ever been begun, by the model's name there. These only grow, so nothing that happens between two looks
    /// is missed.
    pub begun: BTreeMap<String, u64>,
}

// === impl FallbackView ===

impl FallbackView {
    /// Nobody has looked yet.
    #[must_use]
    pub fn unknown(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: FallbackState::Unknown, reason: None, version: None, models: Vec::new() }
    }

    /// It cannot be asked, for this reason.
    #[must_use]
    pub fn unavailable(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { state: FallbackState::Unavailable, reason: Some(reason.into()), ..Self::unknown(name) }
    }

    /// The model of this name; Ollama's names may leave out `:latest`.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&FallbackModel> {
        let tagged = || format!("{name}:latest");
        self.models
            .iter()
            .find(|model| model.name == name)
            .or_else(|| self.models.iter().find(|model| !name.contains(':') && model.name == tagged()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> FallbackModel {
        FallbackModel { name: name.to_owned(), context_length: None, capabilities: Vec::new(), remote: None }
    }

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        let view = FallbackView { models: vec![model("a:latest"), model("b:8b")], ..FallbackView::unknown("ollama") };
        assert_eq!(view.model("a").map(|it| it.name.as_str()), Some("a:latest"));
        assert_eq!(view.model("b:8b").map(|it| it.name.as_str()), Some("b:8b"));
        assert!(view.model("b").is_none() && view.model("b:latest").is_none());
    }
}
