//! What the server can bear: every field that it reads, by type, range and shape.
//!
//! `mlx_lm.server` checks a part of what it is sent, and where it does not, a request can end its generation thread, its
//! process or its connection for everybody. Each rule here stands for something that was seen to do so, or that is answered by
//! an error without a field's name; `docs/VALIDATION.md` has the list. What the server answers well is not refused, and
//! fields that it does not read are passed on as they are.
//!
//! Of other servers only the shapes are checked that the gateway itself relies on.

mod messages;
mod numbers;
mod template;
mod tokens;

use serde_json::{Map, Value};

use super::catalogue::{Dialect, Temperature};
use super::{Endpoint, Served, invalid, not_allowed};
use crate::refusal::{Code, Refusal};

/// What would make the server load something.
const LOADS: [&str; 2] = ["adapters", "draft_model"];

/// Where the number of tokens is not known, ids below this one are taken for tokens: Llama 2 has as many, and hardly a model has
/// fewer. More would be a guess, and a wrong one writes over the server's memory.
const FEW: u32 = 32_000;

/// Checks the fields that the server reads.
pub(super) fn check(endpoint: Endpoint, fields: &Map<String, Value>, served: &Served) -> Result<(), Refusal> {
    let fields = Fields(fields);
    if let Some(name) = LOADS.iter().find(|name| fields.get(name).is_some()) {
        return Err(not_allowed(*name, "the server would load whatever it names"));
    }
    shared(endpoint, fields)?;
    match served.dialect {
        Dialect::MlxLm => mlx_lm(endpoint, fields, served),
        Dialect::Other => Ok(()),
    }
}

/// What the gateway relies on, whoever the server is.
fn shared(endpoint: Endpoint, fields: Fields<'_>) -> Result<(), Refusal> {
    fields.wants("stream", "true or false", Value::is_boolean)?;
    fields.wants("stream_options", "an object", Value::is_object)?;
    if let Some(usage) = fields.get("stream_options").and_then(|options| options.get("include_usage"))
        && !(usage.is_boolean() || usage.is_null())
    {
        return Err(invalid("stream_options.include_usage", "it is true or false"));
    }
    match endpoint {
        Endpoint::Chat => fields.needs("messages", "a list of messages", Value::is_array),
        Endpoint::Completions => fields.needs("prompt", "a string", |it| it.is_string() || it.is_array()),
        Endpoint::Embeddings => fields.needs("input", "a string or a list", |it| it.is_string() || it.is_array()),
    }
}

/// What `mlx_lm.server` bears.
fn mlx_lm(endpoint: Endpoint, fields: Fields<'_>, served: &Served) -> Result<(), Refusal> {
    numbers::check(fields, chance(fields, served), served)?;
    tokens::check(fields, served.vocabulary)?;
    match endpoint {
        Endpoint::Chat => {
            messages::check(fields)?;
            template::check(fields)
        }
        Endpoint::Completions => tokens::prompt(fields),
        Endpoint::Embeddings => {
            let message = format!("The server of `{}` has no embeddings.", served.name);
            Err(Refusal::new(Code::NotFound, message).param("model"))
        }
    }
}

/// Whether the server draws its tokens, and with them whether it reads what says how to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// It takes the most probable one.
    None,
    /// It draws, or may.
    Some,
}

/// At temperature 0 `mlx_lm` makes a sampler that looks at nothing else.
fn chance(fields: Fields<'_>, served: &Served) -> Chance {
    let zero = match fields.get("temperature") {
        Some(value) => value.as_f64() == Some(0.0),
        None => served.temperature == Temperature::Zero,
    };
    if zero { Chance::None } else { Chance::Some }
}

/// The fields of a request. One that is `null` is not there.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

// === impl Fields ===

impl<'a> Fields<'a> {
    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A field that may be left out.
    fn wants(self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<(), Refusal> {
        match self.get(name) {
            Some(value) if !is(value) => Err(invalid(name, format!("it is {what}, not {}", kind(value)))),
            Some(_) | None => Ok(()),
        }
    }

    /// A field that may not.
    fn needs(self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<(), Refusal> {
        if self.get(name).is_none() {
            return Err(invalid(name, format!("it is missing; it is {what}")));
        }
        self.wants(name, what, is)
    }
}

/// What a value is, for people. Never the value itself: it is the client's secret, and may be long.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction, or beyond 64 bits",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
