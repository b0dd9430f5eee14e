//! What a chat is made of: messages and tools.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::features::image_url;
use super::{Fields, invalid, kind, not_allowed};
use crate::refusal::Refusal;

/// The longest role. A template compares it, or says in its error what it is.
const ROLE: usize = 64;

/// Checks both.
pub(super) fn check(fields: Fields<'_>) -> Result<(), Refusal> {
    let messages = fields.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return Err(invalid("messages", "there is none"));
    }
    for (at, message) in messages.iter().enumerate() {
        check_message(&format!("messages[{at}]"), message)?;
    }
    tools(fields)
}

fn check_message(path: &str, message: &Value) -> Result<(), Refusal> {
    let Value::Object(parts) = message else {
        return Err(invalid(path, format!("it is an object, not {}", kind(message))));
    };
    match parts.get("role") {
        Some(Value::String(role)) if role.len() <= ROLE => {}
        Some(Value::String(_)) => {
            return Err(invalid(format!("{path}.role"), format!("it is longer than {ROLE} bytes")));
        }
        Some(value) => return Err(invalid(format!("{path}.role"), format!("it is a string, not {}", kind(value)))),
        None => return Err(invalid(format!("{path}.role"), "it is missing")),
    }
    match parts.get("content") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Array(content)) => {
            for (at, part) in content.iter().enumerate() {
                check_part(&format!("{path}.content[{at}]"), part)?;
            }
        }
        Some(value) => {
            let why = format!("it is a string or a list of parts, not {}", kind(value));
            return Err(invalid(format!("{path}.content"), why));
        }
    }
    match parts.get("tool_calls") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(calls)) => {
            let mut calls = calls.iter().enumerate();
            calls.try_for_each(|(at, call)| check_call(&format!("{path}.tool_calls[{at}]"), call))
        }
        Some(value) => Err(invalid(format!("{path}.tool_calls"), format!("it is a list, not {}", kind(value)))),
    }
}

fn check_part(path: &str, part: &Value) -> Result<(), Refusal> {
    match part.get("type") {
        Some(Value::String(what)) => match what.as_str() {
            "text" if part.get("text").is_some_and(Value::is_string) => Ok(()),
            "text" => Err(invalid(format!("{path}.text"), "it is a string")),
            "image_url" | "input_image" | "image" => check_image(path, part),
            _ => Err(invalid(format!("{path}.type"), "the server takes text, and images if the model has eyes")),
        },
        Some(_) => Err(invalid(format!("{path}.type"), "it is a string")),
        None => Err(invalid(path, "a part of a content is an object with a `type`")),
    }
}

/// An image. The server would fetch it from wherever the client says, with the server's rights in the server's network.
fn check_image(path: &str, part: &Value) -> Result<(), Refusal> {
    match image_url(part) {
        Some(url) if url.starts_with("data:") => Ok(()),
        Some(_) => {
            Err(not_allowed(format!("{path}.image_url"), "the server would fetch it; send the image as a data: URL"))
        }
        None => Err(invalid(format!("{path}.image_url"), "it is missing, or no string")),
    }
}

/// A call of a tool that an earlier answer has made.
fn check_call(path: &str, call: &Value) -> Result<(), Refusal> {
    let Value::Object(call) = call else {
        return Err(invalid(path, format!("it is an object, not {}", kind(call))));
    };
    let function = match call.get("function") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(function)) => function,
        Some(value) => {
            return Err(invalid(format!("{path}.function"), format!("it is an object, not {}", kind(value))));
        }
    };
    match function.get("arguments") {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(Value::String(text)) if text.is_empty() || is_json(text) => Ok(()),
        Some(Value::String(_)) => Err(invalid(format!("{path}.function.arguments"), "it is no JSON")),
        Some(value) => {
            let why = format!("it is a string with JSON in it, not {}", kind(value));
            Err(invalid(format!("{path}.function.arguments"), why))
        }
    }
}

/// Whether Python reads it, which knows three numbers more.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok() || text.contains("NaN") || text.contains("Infinity")
}

/// The tools: the model's template is given them as they are.
fn tools(fields: Fields<'_>) -> Result<(), Refusal> {
    fields.wants("tools", "a list of tools", Value::is_array)?;
    let tools = fields.get("tools").and_then(Value::as_array).into_iter().flatten();
    for (at, tool) in tools.enumerate() {
        if !tool.is_object() {
            return Err(invalid(format!("tools[{at}]"), format!("it is an object, not {}", kind(tool))));
        }
        if let Some(function) = tool.get("function").filter(|function| !function.is_object()) {
            return Err(invalid(format!("tools[{at}].function"), format!("it is an object, not {}", kind(function))));
        }
    }
    Ok(())
}
