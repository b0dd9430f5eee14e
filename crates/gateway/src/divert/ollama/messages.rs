//! From OpenAI's messages to Ollama's.

use serde_json::{Map, Value, json};

use super::super::target::unsupported;
use crate::Refusal;

/// The messages of a chat.
///
/// # Errors
/// `fallback_unsupported` for what Ollama has no place for: images, sound, files, roles that it does not know.
pub(super) fn messages(body: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        // Ollama takes that for the wish to load or unload a model.
        return Err(odd(0, "There is no message"));
    }
    let mut names: Vec<(String, String)> = Vec::new();
    let mut out = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        let message = message.as_object().ok_or_else(|| odd(at, "This message is no object"))?;
        out.push(one(at, message, &mut names)?);
    }
    Ok(out)
}

/// One message; `names` holds which call each function was called by, as far as the conversation has come.
fn one(at: usize, message: &Map<String, Value>, names: &mut Vec<(String, String)>) -> Result<Value, Refusal> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some(role @ ("system" | "user" | "assistant" | "tool")) => role,
        Some("developer") => "system",
        _ => return Err(odd(at, "The fallback does not know the role of this message")),
    };
    let mut out = json!({"role": role, "content": content(at, message.get("content"))?});
    if let Some(thought) = text_of(message, "reasoning").or_else(|| text_of(message, "reasoning_content")) {
        out["thinking"] = thought.into();
    }
    match message.get("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            let calls: Result<Vec<_>, _> = calls.iter().map(|call| tool_call(at, call, names)).collect();
            out["tool_calls"] = calls?.into();
        }
        Some(_) => return Err(odd(at, "`tool_calls` of this message is no list")),
    }
    if message.get("function_call").is_some_and(|call| !call.is_null())
        || message.get("audio").is_some_and(|it| !it.is_null())
    {
        return Err(odd(at, "The fallback does not know `function_call` and `audio`"));
    }
    if let Some(id) = text_of(message, "tool_call_id") {
        out["tool_call_id"] = id.into();
        if let Some((_, name)) = names.iter().rev().find(|(call, _)| call == id) {
            out["tool_name"] = name.as_str().into();
        }
    }
    Ok(out)
}

fn content(at: usize, content: Option<&Value>) -> Result<String, Refusal> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| match part.get("type").and_then(Value::as_str) {
                Some("text") => part.get("text").and_then(Value::as_str).ok_or_else(|| odd(at, "A part has no text")),
                Some("image_url" | "input_image") => Err(odd(at, "The fallback is not asked about images")),
                _ => Err(odd(at, "The fallback takes parts of type `text` only")),
            })
            .collect(),
        Some(_) => Err(odd(at, "The content of this message is neither text nor a list of parts")),
    }
}

fn tool_call(at: usize, call: &Value, names: &mut Vec<(String, String)>) -> Result<Value, Refusal> {
    let name =
        call.pointer("/function/name").and_then(Value::as_str).ok_or_else(|| odd(at, "A tool call has no name"))?;
    let arguments = match call.pointer("/function/arguments") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(text)) if text.trim().is_empty() => Value::Object(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(other) => other.clone(),
    };
    if !arguments.is_object() {
        return Err(odd(at, "The arguments of a tool call are no JSON object"));
    }
    let mut out = json!({"function": {"name": name, "arguments": arguments}});
    if let Some(id) = call.get("id").and_then(Value::as_str) {
        names.push((id.to_owned(), name.to_owned()));
        out["id"] = id.into();
    }
    Ok(out)
}

fn text_of<'a>(message: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    message.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn odd(at: usize, what: &str) -> Refusal {
    unsupported(format!("{what}.")).param(format!("messages[{at}]"))
}
