//! A completion request as the real server reads it, and the JSON of its answers.

use crate::{
    LABEL,
    json::{self, Value},
    options::Options,
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

/// What a client wants completed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) delivery: Delivery,
    pub(crate) prompt: String,
    pub(crate) max_tokens: u64,
    pub(crate) stops: Vec<String>,
    /// A request that breaks the real server.
    pub(crate) breaks: Option<Breaks>,
    id: String,
    model: String,
    created: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// One JSON body at the end.
    Whole,
    /// Events.
    Stream { usage: Usage },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Omitted,
    Included,
}

/// What the real 0.32.2 does not survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// A `logit_bias` beyond the vocabulary.
    Process,
    /// A `stop` that is not text; a `prompt` that is empty or a list.
    Generation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
}

/// Why a request is not worked on: the status and the text of its `error`.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: String,
}

/// The largest token that any vocabulary of today has.
const LARGEST_TOKEN: u64 = 1_000_000;

// === impl Kind ===

impl Kind {
    /// Of a request to this path.
    pub(crate) fn of(path: &str) -> Self {
        if path.ends_with("/chat/completions") { Self::Chat } else { Self::Text }
    }
}

// === impl Job ===

impl Job {
    pub(crate) fn read(path: &str, body: &Value, options: &Options) -> Result<Self, Refusal> {
        let Value::Object(_) = body else { return Err(Refusal::bad("Request should be a JSON dictionary")) };
        let delivery = delivery(body)?;
        let kind = Kind::of(path);
        let field = |name| body.get(name).filter(|value| **value != Value::Null);
        let max_tokens = match field("max_completion_tokens").or(body.get("max_tokens")) {
            None => options.identity.max_tokens,
            Some(value) => whole_number(value).ok_or_else(|| Refusal::bad("max_tokens must be of type int"))?,
        };
        if max_tokens == 0 {
            return Err(Refusal::bad("max_tokens must be at least 1"));
        }
        for (name, largest) in [("temperature", f64::MAX), ("top_p", 1.0), ("min_p", 1.0)] {
            check_number(body, name, largest)?;
        }
        let model = match body.get("model") {
            None => "default_model".to_owned(),
            Some(Value::String(model)) => model.clone(),
            Some(_) => return Err(Refusal::bad("requested_model must be of type str")),
        };
        let (stops, bad_stop) = stops(body);
        let prompt = match kind {
            Kind::Chat => chat_prompt(body)?,
            // A list of texts and an empty text end the real server's generation.
            Kind::Text if options.generation.real_bugs => text_prompt(body).unwrap_or_default(),
            Kind::Text => text_prompt(body)?,
        };
        let breaks = match bad_bias(body) {
            true => Some(Breaks::Process),
            false => (bad_stop || prompt.is_empty()).then_some(Breaks::Generation),
        };
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{}-{}", if kind == Kind::Chat { "chatcmpl" } else { "cmpl" }, unique(created.as_nanos()));
        Ok(Self { kind, delivery, prompt, max_tokens, stops, breaks, id, model, created: created.as_secs() })
    }

    /// The fields that every answer and event begins with.
    fn common(&self, object: &str) -> String {
        let id = json::quote(&self.id);
        let model = json::quote(&format!("{} ({LABEL})", self.model));
        let fingerprint = json::quote(&format!("stand-in-{}", env!("CARGO_PKG_VERSION")));
        format!(
            "\"id\": {id}, \"system_fingerprint\": {fingerprint}, \"object\": \"{object}\", \"model\": {model}, \"created\": {}",
            self.created
        )
    }

    /// One event with some text, already quoted.
    pub(crate) fn event(&self, quoted: &str) -> String {
        self.event_with("null", Some(quoted))
    }

    /// The event that tells the finish reason.
    pub(crate) fn last_event(&self, finish: Finish) -> String {
        self.event_with(finish.quoted(), None)
    }

    fn event_with(&self, finish: &str, text: Option<&str>) -> String {
        let (object, payload) = match (self.kind, text) {
            (Kind::Chat, Some(text)) => {
                ("chat.completion.chunk", format!("\"delta\": {{\"role\": \"assistant\", \"content\": {text}}}"))
            }
            (Kind::Chat, None) => ("chat.completion.chunk", "\"delta\": {\"role\": \"assistant\"}".to_owned()),
            (Kind::Text, text) => ("text_completion", format!("\"text\": {}", text.unwrap_or("\"\""))),
        };
        let common = self.common(object);
        format!("{{{common}, \"choices\": [{{\"index\": 0, \"finish_reason\": {finish}, {payload}}}]}}")
    }

    /// The event of `stream_options.include_usage`. Its object is that of a whole answer, as the real server has it.
    pub(crate) fn usage_event(&self, prompt_tokens: u64, tokens: u64) -> String {
        format!("{{{}, \"choices\": [], {}}}", self.common("chat.completion"), usage(prompt_tokens, tokens))
    }

    /// A whole answer.
    pub(crate) fn answer(&self, text: &str, finish: Finish, prompt_tokens: u64, tokens: u64) -> String {
        let text = json::quote(text);
        let (object, payload) = match self.kind {
            Kind::Chat => ("chat.completion", format!("\"message\": {{\"role\": \"assistant\", \"content\": {text}}}")),
            Kind::Text => ("text_completion", format!("\"text\": {text}")),
        };
        let (common, usage, finish) = (self.common(object), usage(prompt_tokens, tokens), finish.quoted());
        format!("{{{common}, \"choices\": [{{\"index\": 0, \"finish_reason\": {finish}, {payload}}}], {usage}}}")
    }
}

fn usage(prompt: u64, completion: u64) -> String {
    let total = prompt + completion;
    format!(
        "\"usage\": {{\"prompt_tokens\": {prompt}, \"completion_tokens\": {completion}, \"total_tokens\": {total}, \
         \"prompt_tokens_details\": {{\"cached_tokens\": 0}}}}"
    )
}

fn delivery(body: &Value) -> Result<Delivery, Refusal> {
    let stream = match body.get("stream") {
        None | Some(Value::Bool(false)) => return Ok(Delivery::Whole),
        Some(Value::Bool(true)) => body.get("stream_options"),
        Some(_) => return Err(Refusal::bad("stream must be of type bool")),
    };
    let usage = match stream.and_then(|options| options.get("include_usage")) {
        Some(Value::Bool(true)) => Usage::Included,
        Some(_) | None => Usage::Omitted,
    };
    Ok(Delivery::Stream { usage })
}

fn chat_prompt(body: &Value) -> Result<String, Refusal> {
    let Some(messages) = body.get("messages") else { return Err(Refusal::bad("Request did not contain messages")) };
    let Some(messages) = messages.as_array() else { return Err(Refusal::failed("'messages' is not a list")) };
    if messages.is_empty() {
        return Err(Refusal::failed(
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
        ));
    }
    let mut prompt = String::new();
    for message in messages {
        let role = message
            .get("role")
            .and_then(Value::as_str)
            .ok_or_else(|| Refusal::failed("'dict object' has no attribute 'role'"))?;
        prompt.push_str(&format!("<|{role}|>"));
        match message.get("content") {
            Some(Value::String(text)) => prompt.push_str(text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    let text = part.get("text").and_then(Value::as_str);
                    prompt.push_str(text.ok_or_else(|| Refusal::failed("Only 'text' content type is supported."))?);
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => return Err(Refusal::failed("content has no text")),
        }
    }
    prompt.push_str("<|assistant|>");
    Ok(prompt)
}

fn text_prompt(body: &Value) -> Result<String, Refusal> {
    match body.get("prompt") {
        None => Err(Refusal::bad("Request did not contain a prompt")),
        Some(Value::String(prompt)) => Ok(prompt.clone()),
        Some(_) => Err(Refusal::failed("text input must be of type `str`")),
    }
}

/// The stop words, and whether one of them is not text.
fn stops(body: &Value) -> (Vec<String>, bool) {
    match body.get("stop") {
        Some(Value::String(stop)) if !stop.is_empty() => (vec![stop.clone()], false),
        Some(Value::Array(items)) => {
            let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(Into::into).collect();
            let bad = texts.len() != items.len();
            (texts, bad)
        }
        Some(_) | None => (Vec::new(), false),
    }
}

fn bad_bias(body: &Value) -> bool {
    let Some(Value::Object(biases)) = body.get("logit_bias") else { return false };
    biases.iter().any(|(token, _)| token.parse::<u64>().is_ok_and(|token| token > LARGEST_TOKEN))
}

fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(text) => text.parse::<i64>().ok().map(|n| u64::try_from(n).unwrap_or(0)),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn check_number(body: &Value, name: &str, largest: f64) -> Result<(), Refusal> {
    let number = match body.get(name) {
        None => return Ok(()),
        Some(Value::Number(text)) => text.parse::<f64>().unwrap_or(0.0),
        Some(_) => return Err(Refusal::bad(&format!("{name} must be of type ('float', 'int')"))),
    };
    match number {
        n if n < 0.0 => Err(Refusal::bad(&format!("{name} must be at least 0"))),
        n if n > largest => Err(Refusal::bad(&format!("{name} must be at most {largest}"))),
        _ => Ok(()),
    }
}

/// In the form of a UUID; unique among the answers of one incarnation and, by the time, of all.
fn unique(now: u128) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Relaxed) & 0xffff;
    let low = u64::try_from(now & u128::from(u64::MAX)).unwrap_or_default();
    let (a, b) = (low >> 32, low & 0xffff_ffff);
    format!("{a:08x}-{count:04x}-4{:03x}-8000-{b:08x}{:04x}", std::process::id() & 0xfff, count ^ 0xffff)
}

// === impl Finish ===

impl Finish {
    fn quoted(self) -> &'static str {
        match self {
            Self::Stop => "\"stop\"",
            Self::Length => "\"length\"",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The request is wrong: 400.
    pub(crate) fn bad(error: &str) -> Self {
        Self { status: 400, error: error.to_owned() }
    }

    /// Generation failed: 404, as the real server has it.
    pub(crate) fn failed(error: &str) -> Self {
        Self { status: 404, error: error.to_owned() }
    }

    pub(crate) fn body(&self) -> String {
        format!("{{\"error\": {}}}", json::quote(&self.error))
    }
}
