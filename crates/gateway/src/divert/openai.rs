//! Any server that speaks OpenAI's API: the request goes as it came, but for its model, and the events come as they are.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Step;
use super::reading::{Lines, shown};
use super::target::unsupported;
use super::{Wish, asked};
use crate::request::Temperature;
use crate::{Code, Refusal};

/// The events of one answer.
#[derive(Debug, Default)]
pub(super) struct Events {
    lines: Lines,
    /// The data of the event that is being read.
    data: Vec<u8>,
    finish: Finish,
}

/// Whether the choice has its finish reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Finish {
    #[default]
    Missing,
    Seen,
}

/// The body for the server, and how many tokens the answer wants room for.
///
/// # Errors
/// `fallback_unsupported`, naming the key.
pub(super) fn request(wish: &Wish<'_>, model: &str) -> Result<(Bytes, u64), Refusal> {
    asked::check(wish.endpoint, wish.body)?;
    no_images(wish.body)?;
    let mut body = wish.body.clone();
    body.insert("model".to_owned(), model.into());
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    if wish.temperature == Temperature::Zero && body.get("temperature").is_none_or(Value::is_null) {
        body.insert("temperature".to_owned(), 0.into());
    }
    let room = asked::max_tokens(&body).unwrap_or(1);
    let body = serde_json::to_vec(&body).map_err(|error| unsupported(error.to_string()))?;
    Ok((body.into(), room))
}

/// What an answer with an error status means.
pub(super) fn refusal(status: StatusCode, body: &str, model: &str) -> Refusal {
    let parsed = serde_json::from_str::<Value>(body).unwrap_or_default();
    let message = parsed.pointer("/error/message").or_else(|| parsed.get("error")).and_then(Value::as_str);
    let text = shown(message.unwrap_or(body)).trim_end_matches('.').to_owned();
    match status.as_u16() {
        404 => Refusal::new(Code::FallbackModelMissing, format!("The fallback does not have {model:?}: {text}.")),
        400 | 413 | 415 | 422 | 501 => unsupported(format!("The fallback cannot do that: {text}.")),
        429 => Refusal::new(Code::ServerOverloaded, format!("The fallback is busy: {text}."))
            .retry_after(Duration::from_secs(2)),
        _ => Refusal::new(Code::FallbackUnavailable, format!("The fallback answered {status}: {text}.")),
    }
}

fn no_images(body: &Map<String, Value>) -> Result<(), Refusal> {
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    for (at, message) in messages.enumerate() {
        let mut parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
        if parts.any(|part| part.get("type").and_then(Value::as_str) != Some("text")) {
            let why = "The fallback takes parts of type `text` only.";
            return Err(unsupported(why).param(format!("messages[{at}]")));
        }
    }
    Ok(())
}

// === impl Events ===

impl Events {
    /// Takes bytes as they come, and adds the data of the events that they amount to.
    ///
    /// # Errors
    /// An error object, what is no JSON, an end without a finish reason.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut VecDeque<Bytes>) -> Result<Step, Refusal> {
        let Self { lines, data, finish } = self;
        let end = lines.take(bytes, |line| {
            if let Some(more) = line.strip_prefix(b"data:") {
                let more = more.strip_prefix(b" ").unwrap_or(more);
                if data.len() + more.len() > super::reading::LONGEST_LINE {
                    return Err(bad("an event without end"));
                }
                if !data.is_empty() {
                    data.push(b'\n');
                }
                data.extend_from_slice(more);
                return Ok(None);
            }
            if !line.is_empty() || data.is_empty() {
                // A comment, or a field that means nothing here.
                return Ok(None);
            }
            event(&std::mem::take(data), finish, out)
        })?;
        Ok(if end.is_some() { Step::Whole } else { Step::More })
    }
}

fn event(data: &[u8], finish: &mut Finish, out: &mut VecDeque<Bytes>) -> Result<Option<()>, Refusal> {
    if data == b"[DONE]" {
        return match finish {
            Finish::Seen => Ok(Some(())),
            Finish::Missing => Err(bad("an end without a finish reason")),
        };
    }
    let chunk: Value = serde_json::from_slice(data)
        .map_err(|_| bad(&format!("what is no JSON: {}", shown(&String::from_utf8_lossy(data)))))?;
    if let Some(error) = chunk.get("error") {
        let message = error.get("message").unwrap_or(error);
        let text = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        return Err(Refusal::new(
            Code::BadUpstreamResponse,
            format!("The fallback reported an error: {}.", shown(&text)),
        ));
    }
    if chunk.pointer("/choices/0/finish_reason").is_some_and(|reason| !reason.is_null()) {
        *finish = Finish::Seen;
    }
    out.push_back(Bytes::copy_from_slice(data));
    Ok(None)
}

fn bad(what: &str) -> Refusal {
    Refusal::new(Code::BadUpstreamResponse, format!("The fallback sent {what}."))
}
