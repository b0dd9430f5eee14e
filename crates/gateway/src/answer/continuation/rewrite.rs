//! What is left of a chunk once everything is taken out that was sent before.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Mismatch;
use super::compare::{CallRest, Rest};
use crate::answer::chunk::{Channel, Choice, Chunk, Label, Reading, quoted, read};
use crate::answer::object::{Object, Writer, array, elements};
use crate::answer::transcript::Said;

/// The event that says what is new in `chunk`, with the marks of the first generation; nothing if nothing is. `rests` has an
/// entry for each choice of the chunk, and none where nothing was sent of the choice.
pub(super) fn rest(
    chunk: &Chunk<'_>,
    rests: &[Option<Rest<'_>>],
    label: Option<&Label>,
    model: &str,
) -> Result<Option<Bytes>, Mismatch> {
    let mut out = Writer::new();
    let mut left = Vec::new();
    for (name, value) in members(chunk.data())? {
        if name != "choices" {
            out.member(&name, value.get());
            continue;
        }
        let raw = elements(value).ok_or(Mismatch::Unknown)?;
        for ((choice, rest), raw) in chunk.choices().iter().zip(rests).zip(raw) {
            match rest {
                None => left.push(raw.get().to_owned()),
                Some(rest) => left.extend(rest_of_choice(choice, rest, raw)?),
            }
        }
        out.member(&name, &array(&left));
    }
    if left.is_empty() {
        return Ok(None);
    }
    let rewritten = out.end();
    match read(rewritten.as_bytes()) {
        Ok(Reading::Chunk(chunk)) => Ok(Some(label.map_or_else(|| chunk.event(model), |label| chunk.event_of(label)))),
        Ok(Reading::Failure(_)) | Err(_) => Err(Mismatch::Unknown),
    }
}

type Members<'a> = Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>;

fn members(json: &str) -> Result<Members<'_>, Mismatch> {
    Ok(Object::read(json).map_err(|_| Mismatch::Unknown)?.0)
}

fn rest_of_choice(choice: &Choice<'_>, rest: &Rest<'_>, raw: &RawValue) -> Result<Option<String>, Mismatch> {
    let mut out = Writer::new();
    let mut entries = 0;
    for (name, value) in members(raw.get())? {
        match &*name {
            "text" => out.member(&name, &quoted(rest.texts[Channel::Text as usize])),
            "delta" => out.member(&name, &rest_of_delta(rest, value)?),
            "finish_reason" if rest.finish == Said::Already => out.member(&name, "null"),
            "logprobs" if choice.logprobs.is_some() => {
                let (logprobs, left) = rest_of_logprobs(rest, value)?;
                entries = left;
                out.member(&name, &logprobs);
            }
            _ => out.member(&name, value.get()),
        }
    }
    let ends = choice.finish_reason.is_some() && rest.finish == Said::Not;
    Ok((rest.has_text() || ends || entries > 0).then(|| out.end()))
}

fn rest_of_delta(rest: &Rest<'_>, raw: &RawValue) -> Result<String, Mismatch> {
    if raw.get() == "null" {
        return Ok("null".to_owned());
    }
    let mut out = Writer::new();
    for (name, value) in members(raw.get())? {
        let text = Channel::ALL.iter().position(|channel| channel.as_str() == name);
        match (&*name, text) {
            ("role", _) if rest.role == Said::Already => {}
            ("tool_calls", _) => {
                let left = rest_of_calls(&rest.calls, value)?;
                if !left.is_empty() {
                    out.member(&name, &array(&left));
                }
            }
            (_, Some(text)) if !rest.texts[text].is_empty() => out.member(&name, &quoted(rest.texts[text])),
            (_, Some(_)) => {}
            (_, None) => out.member(&name, value.get()),
        }
    }
    Ok(out.end())
}

fn rest_of_calls(rests: &[CallRest<'_>], raw: &RawValue) -> Result<Vec<String>, Mismatch> {
    let mut left = Vec::new();
    for (rest, raw) in rests.iter().zip(elements(raw).unwrap_or_default()) {
        match rest {
            CallRest::Whole => left.push(raw.get().to_owned()),
            CallRest::Part { name: "", arguments: "", .. } => {}
            CallRest::Part { id, name, arguments } => left.push(rest_of_call(*id, name, arguments, raw)?),
        }
    }
    Ok(left)
}

fn rest_of_call(id: Said, called: &str, arguments: &str, raw: &RawValue) -> Result<String, Mismatch> {
    let mut out = Writer::new();
    for (name, value) in members(raw.get())? {
        match &*name {
            // Clients take an id, and the type beside it, for the beginning of another call.
            "id" | "type" if id == Said::Already => {}
            "function" => {
                let mut function = Writer::new();
                if !called.is_empty() {
                    function.member("name", &quoted(called));
                }
                function.member("arguments", &quoted(arguments));
                out.member(&name, &function.end());
            }
            _ => out.member(&name, value.get()),
        }
    }
    Ok(out.end())
}

/// The entries that were not sent, and how many there are.
fn rest_of_logprobs(rest: &Rest<'_>, raw: &RawValue) -> Result<(String, usize), Mismatch> {
    let (mut out, mut most) = (Writer::new(), 0);
    for (name, value) in members(raw.get())? {
        let known = rest.entries.iter().find(|(known, _)| **known == *name).map_or(0, |(_, known)| *known);
        match elements(value) {
            Some(entries) => {
                let left = entries.get(known..).unwrap_or_default();
                most = most.max(left.len());
                out.member(&name, &array(left.iter().map(|entry| entry.get())));
            }
            None => out.member(&name, value.get()),
        }
    }
    Ok((out.end(), most))
}
