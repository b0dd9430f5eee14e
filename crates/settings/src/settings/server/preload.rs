//! `server.preload`: what a fresh server is asked before it counts as ready.

use figment::value::{Dict, Value};

use crate::reader::Section;
use crate::value::{Reject, Shown, nearest, text};

/// A question for a fresh server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preload {
    /// The model that is asked; `None` means `server.model`.
    pub model: Option<String>,
    /// What it is asked.
    pub prompt: String,
}

/// All of them, for reading and for showing.
#[derive(PartialEq)]
pub(super) struct All(pub(super) Vec<Preload>);

pub(super) fn read(section: &mut Section<'_, '_>) -> Vec<Preload> {
    section.read("preload", all).0
}

fn all(value: &Value) -> Result<All, Reject> {
    let help = r#"a list of prompts, or of tables like { model = "other", prompt = "Hello" }"#;
    let items = value.as_array().ok_or_else(|| Reject::malformed("this is no list", help))?;
    let mut preload = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let one = match item {
            Value::Dict(_, entries) => from_table(entries),
            other => text(other).map(|prompt| Preload { model: None, prompt }),
        };
        preload.push(one.map_err(|reject| reject.in_item(i + 1))?);
    }
    Ok(All(preload))
}

fn from_table(entries: &Dict) -> Result<Preload, Reject> {
    const KEYS: [&str; 2] = ["model", "prompt"];
    if let Some(unknown) = entries.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let help = match nearest(unknown, KEYS.into_iter()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "a table with `prompt`, and `model` if it is another one".to_owned(),
        };
        return Err(Reject::malformed(format!("there is no key `{unknown}`"), help));
    }
    let prompt =
        entries.get("prompt").ok_or_else(|| Reject::malformed("`prompt` is missing", "what to ask the model"))?;
    let model = entries.get("model").map(text).transpose()?;
    Ok(Preload { model, prompt: text(prompt)? })
}

impl Shown for All {
    fn shown(&self) -> String {
        let items: Vec<String> = self
            .0
            .iter()
            .map(|Preload { model, prompt }| match model {
                None => prompt.shown(),
                Some(model) => format!("{{ model = {}, prompt = {} }}", model.shown(), prompt.shown()),
            })
            .collect();
        format!("[{}]", items.join(", "))
    }
}
