//! What somebody else would have to be able to do to answer in the server's place, and whether anybody else may.

use std::collections::BTreeSet;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Map, Value};

use super::Endpoint;

/// The header by which a client says whether a fallback may answer: `allow`, or anything else for no.
pub const CONSENT: HeaderName = HeaderName::from_static("x-mlx-tree-fallback");

/// Whether somebody else may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consent {
    /// The client or the configuration of the model has said so.
    Given,
    /// Nobody has said so, or the client has said no.
    NotGiven,
}

/// Something that not every server can do. Plain text in, plain text out, temperature and the like are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// `tools`, or the older `functions`: at least one.
    Tools,
    /// `tool_choice: "none"`.
    ToolChoiceNone,
    /// `tool_choice: "required"`, or a certain tool. `auto` is what everybody does.
    ToolChoiceForced,
    /// `n` above 1, or `best_of`.
    SeveralChoices,
    /// `logprobs` or `top_logprobs`.
    Logprobs,
    /// `logit_bias` with something in it.
    LogitBias,
    /// An image within the request.
    Images,
    /// An image that somebody would have to fetch.
    ImageUrls,
    /// Sound, files and what else a content part may be.
    OtherContent,
    /// `response_format: {"type": "json_object"}`.
    JsonObject,
    /// `response_format: {"type": "json_schema"}`, or a grammar.
    JsonSchema,
    /// `stop`.
    Stop,
    /// `suffix`: the text after the gap.
    Suffix,
    /// `echo`: the prompt is a part of the answer.
    Echo,
    /// A prompt of token ids.
    TokenPrompt,
    /// `chat_template_kwargs` or `role_mapping`: words to one server's template.
    Template,
    /// `embeddings`.
    Embeddings,
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features(BTreeSet<Feature>);

// === impl Consent ===

impl Consent {
    /// The client's word if it has said one, else the configuration's.
    #[must_use]
    pub fn of(headers: &HeaderMap, configured: Self) -> Self {
        let mut told = headers.get_all(CONSENT).iter().peekable();
        if told.peek().is_none() {
            return configured;
        }
        // A client that says two things has not clearly said yes.
        if told.all(|value| value.as_bytes().eq_ignore_ascii_case(b"allow")) { Self::Given } else { Self::NotGiven }
    }
}

// === impl Feature ===

impl Feature {
    /// The field that asks for it, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::ToolChoiceNone => "tool_choice none",
            Self::ToolChoiceForced => "tool_choice other than auto",
            Self::SeveralChoices => "n above 1",
            Self::Logprobs => "logprobs",
            Self::LogitBias => "logit_bias",
            Self::Images => "images",
            Self::ImageUrls => "image URLs",
            Self::OtherContent => "content that is neither text nor an image",
            Self::JsonObject => "response_format json_object",
            Self::JsonSchema => "response_format json_schema",
            Self::Stop => "stop",
            Self::Suffix => "suffix",
            Self::Echo => "echo",
            Self::TokenPrompt => "a prompt of token ids",
            Self::Template => "chat_template_kwargs",
            Self::Embeddings => "embeddings",
        }
    }
}

// === impl Features ===

impl Features {
    /// Whether a request needs it.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// Everything that a request needs.
    pub fn iter(&self) -> impl Iterator<Item = Feature> {
        self.0.iter().copied()
    }

    /// What a checked request needs.
    pub(super) fn of(endpoint: Endpoint, fields: &Map<String, Value>) -> Self {
        let mut found = BTreeSet::new();
        found.extend((endpoint == Endpoint::Embeddings).then_some(Feature::Embeddings));
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            found.extend(of_field(name, value));
        }
        for message in fields.get("messages").and_then(Value::as_array).into_iter().flatten() {
            found.extend(message.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(of_part));
        }
        Self(found)
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<T: IntoIterator<Item = Feature>>(features: T) -> Self {
        Self(features.into_iter().collect())
    }
}

/// What one field asks for.
fn of_field(name: &str, value: &Value) -> Option<Feature> {
    let some = !matches!(value, Value::Bool(false))
        && value.as_array().is_none_or(|list| !list.is_empty())
        && value.as_object().is_none_or(|map| !map.is_empty());
    let asked = |feature| some.then_some(feature);
    match name {
        "tools" | "functions" => asked(Feature::Tools),
        "tool_choice" | "function_call" => match value.as_str() {
            Some("auto") => None,
            Some("none") => Some(Feature::ToolChoiceNone),
            _ => Some(Feature::ToolChoiceForced),
        },
        "n" | "best_of" => value.as_f64().is_none_or(|count| count > 1.0).then_some(Feature::SeveralChoices),
        "logprobs" => asked(Feature::Logprobs),
        "top_logprobs" => value.as_i64().is_none_or(|count| count > 0).then_some(Feature::Logprobs),
        "logit_bias" => asked(Feature::LogitBias),
        "response_format" => match value.get("type").and_then(Value::as_str) {
            Some("text") => None,
            Some("json_object") => Some(Feature::JsonObject),
            _ => asked(Feature::JsonSchema),
        },
        "grammar" | "json_schema" | "guided_json" | "guided_regex" | "guided_grammar" => asked(Feature::JsonSchema),
        "stop" => asked(Feature::Stop),
        "suffix" => value.as_str().is_none_or(|text| !text.is_empty()).then_some(Feature::Suffix),
        "echo" => asked(Feature::Echo),
        "prompt" | "input" => {
            let of_numbers = |list: &Vec<Value>| list.iter().any(|item| item.is_number() || item.is_array());
            value.as_array().is_some_and(of_numbers).then_some(Feature::TokenPrompt)
        }
        "chat_template_kwargs" | "role_mapping" => asked(Feature::Template),
        _ => None,
    }
}

/// What one part of a message's content is.
fn of_part(part: &Value) -> Option<Feature> {
    match part.get("type").and_then(Value::as_str) {
        Some("text" | "refusal") => None,
        Some("image_url" | "input_image" | "image") => {
            let url = image_url(part).unwrap_or_default();
            Some(if url.starts_with("data:") { Feature::Images } else { Feature::ImageUrls })
        }
        _ => Some(Feature::OtherContent),
    }
}

/// Where a content part says that its image is.
pub(super) fn image_url(part: &Value) -> Option<&str> {
    let url = part.get("image_url").or_else(|| part.get("image"))?;
    url.as_str().or_else(|| url.get("url")?.as_str())
}
