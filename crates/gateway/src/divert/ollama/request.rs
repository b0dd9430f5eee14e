//! From OpenAI's request to Ollama's.

use std::time::Duration;

use bytes::Bytes;
use mlx_tree_api::FallbackModel;
use serde_json::{Map, Value, json};

use super::super::target::unsupported;
use super::super::{Wish, asked};
use super::messages::messages;
use crate::Refusal;
use crate::request::{Endpoint, Temperature};

/// The body for Ollama, and how many tokens the answer wants room for.
///
/// # Errors
/// `fallback_unsupported`, naming the key.
pub(in crate::divert) fn request(
    wish: &Wish<'_>,
    model: &str,
    known: Option<&FallbackModel>,
    num_ctx: Option<u64>,
    keep_alive: Duration,
) -> Result<(Bytes, u64), Refusal> {
    asked::check(wish.endpoint, wish.body)?;
    let can = |what: &str| {
        known.is_none_or(|model| model.capabilities.is_empty() || model.capabilities.iter().any(|it| it == what))
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("stream".to_owned(), true.into());
    // Both defaults would lose the head of a long conversation without a word: when it comes, and while it is answered.
    body.insert("truncate".to_owned(), false.into());
    body.insert("shift".to_owned(), false.into());
    body.insert("keep_alive".to_owned(), format!("{}ms", keep_alive.as_millis()).into());
    match wish.endpoint {
        Endpoint::Chat => {
            body.insert("messages".to_owned(), Value::Array(messages(wish.body)?));
            if let Some(tools) = asked::tools(wish.body) {
                if !can("tools") {
                    return Err(unsupported(format!("The fallback's model {model:?} cannot use tools.")).param("tools"));
                }
                body.insert("tools".to_owned(), Value::Array(tools.clone()));
            }
            if let Some(think) = think(wish.body, can("thinking"), model)? {
                body.insert("think".to_owned(), think);
            }
        }
        Endpoint::Completions | Endpoint::Embeddings => {
            // A completion is the prompt as it stands; Ollama would wrap it in a chat otherwise.
            body.insert("prompt".to_owned(), prompt(wish.body)?.into());
            body.insert("raw".to_owned(), true.into());
            if known.is_some() && can("thinking") {
                body.insert("think".to_owned(), false.into());
            }
        }
    }
    if let Some(format) = format(wish.body) {
        body.insert("format".to_owned(), format);
    }
    body.insert("options".to_owned(), Value::Object(options(wish, num_ctx)));
    let room = asked::max_tokens(wish.body).unwrap_or(1);
    let body = serde_json::to_vec(&Value::Object(body)).map_err(|error| unsupported(error.to_string()))?;
    Ok((body.into(), room))
}

/// The sampling. What the request leaves out is what OpenAI's API takes it for, not what the model's file says.
fn options(wish: &Wish<'_>, num_ctx: Option<u64>) -> Map<String, Value> {
    const SAME: [(&str, &str); 9] = [
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("top_k", "top_k"),
        ("min_p", "min_p"),
        ("seed", "seed"),
        ("presence_penalty", "presence_penalty"),
        ("frequency_penalty", "frequency_penalty"),
        ("repetition_penalty", "repeat_penalty"),
        ("repetition_context_size", "repeat_last_n"),
    ];
    let mut options = Map::new();
    if let Some(num_ctx) = num_ctx {
        options.insert("num_ctx".to_owned(), num_ctx.into());
    }
    if wish.temperature == Temperature::Zero {
        options.insert("temperature".to_owned(), 0.into());
    }
    for (theirs, ours) in SAME {
        if let Some(value) = wish.body.get(theirs).filter(|value| value.is_number()) {
            options.insert(ours.to_owned(), value.clone());
        }
    }
    // 0 switches it off in mlx_lm; in Ollama 1 does.
    if options.get("repeat_penalty").and_then(Value::as_f64) == Some(0.0) {
        options.insert("repeat_penalty".to_owned(), 1.into());
    }
    if let Some(most) = asked::max_tokens(wish.body) {
        options.insert("num_predict".to_owned(), most.into());
    }
    match wish.body.get("stop") {
        Some(Value::String(word)) => {
            options.insert("stop".to_owned(), json!([word]));
        }
        Some(words @ Value::Array(_)) => {
            options.insert("stop".to_owned(), words.clone());
        }
        _ => {}
    }
    options
}

fn prompt(body: &Map<String, Value>) -> Result<String, Refusal> {
    let prompt = match body.get("prompt") {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Array(items)) => match items.as_slice() {
            [Value::String(text)] => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    };
    // Ollama takes an empty prompt for the wish to load a model.
    prompt.filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| {
        unsupported("The fallback can be asked for one prompt only, and only for one that is a text.").param("prompt")
    })
}

fn format(body: &Map<String, Value>) -> Option<Value> {
    let format = body.get("response_format")?;
    match format.get("type")?.as_str()? {
        "json_object" => Some("json".into()),
        "json_schema" => format.pointer("/json_schema/schema").cloned(),
        _ => None,
    }
}

/// Whether the model shall think, if the request says anything about that.
fn think(body: &Map<String, Value>, able: bool, model: &str) -> Result<Option<Value>, Refusal> {
    let effort = body.get("reasoning_effort").and_then(Value::as_str);
    let switch =
        body.get("chat_template_kwargs").and_then(|kwargs| kwargs.get("enable_thinking")).and_then(Value::as_bool);
    let wanted = match (effort, switch) {
        (Some("none"), _) | (None, Some(false)) => return Ok(able.then(|| false.into())),
        (Some(effort), _) => effort.into(),
        (None, Some(true)) => true.into(),
        (None, None) => return Ok(None),
    };
    if able {
        Ok(Some(wanted))
    } else {
        let key = if effort.is_some() { "reasoning_effort" } else { "chat_template_kwargs" };
        Err(unsupported(format!("The fallback's model {model:?} does not think.")).param(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(capabilities: &[&str]) -> FallbackModel {
        let capabilities = capabilities.iter().map(|word| (*word).to_owned()).collect();
        FallbackModel { name: "q".to_owned(), context_length: None, capabilities, remote: None }
    }

    fn ask(endpoint: Endpoint, body: &Value, known: Option<&FallbackModel>) -> Result<Value, Refusal> {
        let body = body.as_object().expect("an object");
        let wish = Wish { endpoint, model: "ours", body, temperature: Temperature::Zero };
        let (bytes, _) = request(&wish, "q", known, Some(8192), Duration::from_secs(300))?;
        Ok(serde_json::from_slice(&bytes).expect("JSON"))
    }

    fn chat(more: Value) -> Value {
        let mut body = json!({"model": "ours", "messages": [{"role": "user", "content": "hi"}]});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    }

    #[test]
    fn nothing_is_left_to_ollamas_own_ideas_of_a_context() {
        let sent = ask(Endpoint::Chat, &chat(json!({})), None).expect("possible");
        assert_eq!(
            sent,
            json!({
                "model": "q", "stream": true, "truncate": false, "shift": false, "keep_alive": "300000ms",
                "messages": [{"role": "user", "content": "hi"}],
                "options": {"num_ctx": 8192, "temperature": 0},
            })
        );
    }

    #[test]
    fn every_number_finds_its_place() {
        let more = json!({
            "temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 42, "max_completion_tokens": 64,
            "max_tokens": 7, "presence_penalty": 0.1, "frequency_penalty": 0.2, "repetition_penalty": 0.0, "stop": "END",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        });
        let sent = ask(Endpoint::Chat, &chat(more), None).expect("possible");
        assert_eq!(
            sent["options"],
            json!({
                "num_ctx": 8192, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 42,
                "num_predict": 64, "presence_penalty": 0.1, "frequency_penalty": 0.2, "repeat_penalty": 1, "stop": ["END"],
            })
        );
        assert_eq!(sent["format"], json!({"type": "object"}));
    }

    #[test]
    fn a_conversation_with_tools_is_told_in_ollamas_words() {
        let body = json!({
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "2"},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        });
        let sent = ask(Endpoint::Chat, &body, Some(&known(&["completion", "tools"]))).expect("possible");
        assert_eq!(
            sent["messages"],
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "assistant", "content": "",
                 "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}}]},
                {"role": "tool", "content": "2", "tool_call_id": "c1", "tool_name": "f"},
            ])
        );
        assert_eq!(sent["tools"], body["tools"]);
        let refused = ask(Endpoint::Chat, &body, Some(&known(&["completion"]))).expect_err("it has no tools");
        assert_eq!(refused.param.as_deref(), Some("tools"));
    }

    #[test]
    fn forbidden_tools_are_not_shown() {
        let more = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"});
        assert_eq!(
            ask(Endpoint::Chat, &chat(more), Some(&known(&["completion"]))).expect("possible").get("tools"),
            None
        );
    }

    #[test]
    fn thinking_is_asked_of_models_that_can() {
        let thinks = known(&["completion", "thinking"]);
        for (more, expected) in [
            (json!({}), None),
            (json!({"reasoning_effort": "low"}), Some(json!("low"))),
            (json!({"reasoning_effort": "none"}), Some(json!(false))),
            (json!({"chat_template_kwargs": {"enable_thinking": true}}), Some(json!(true))),
        ] {
            let sent = ask(Endpoint::Chat, &chat(more.clone()), Some(&thinks)).expect("possible");
            assert_eq!(sent.get("think"), expected.as_ref(), "{more}");
        }
        let plain = known(&["completion"]);
        let refused =
            ask(Endpoint::Chat, &chat(json!({"reasoning_effort": "high"})), Some(&plain)).expect_err("it cannot");
        assert_eq!(refused.param.as_deref(), Some("reasoning_effort"));
        let sent = ask(Endpoint::Chat, &chat(json!({"reasoning_effort": "none"})), Some(&plain)).expect("possible");
        assert_eq!(sent.get("think"), None, "a model that does not think is not told not to");
    }

    #[test]
    fn a_completion_is_the_prompt_as_it_stands() {
        let body = json!({"prompt": "Once", "max_tokens": 4});
        let sent = ask(Endpoint::Completions, &body, Some(&known(&["completion", "thinking"]))).expect("possible");
        assert_eq!((&sent["prompt"], &sent["raw"], &sent["think"]), (&json!("Once"), &json!(true), &json!(false)));
        assert_eq!(sent["options"]["num_predict"], 4);
        for prompt in [json!(""), json!([1, 2]), json!(["a", "b"]), json!(null)] {
            assert!(ask(Endpoint::Completions, &json!({"prompt": prompt}), None).is_err(), "{prompt}");
        }
    }

    #[test]
    fn messages_that_ollama_has_no_place_for_are_refused_by_number() {
        let image = json!([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]);
        for message in [
            json!({"role": "user", "content": image}),
            json!({"role": "user", "content": [{"type": "input_audio"}]}),
            json!({"role": "function", "content": "x"}),
            json!({"role": "user", "content": 7}),
            json!("hi"),
            json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}),
            json!({"role": "assistant", "function_call": {"name": "f"}}),
        ] {
            let body = json!({"messages": [{"role": "user", "content": "hi"}, message]});
            let refused = ask(Endpoint::Chat, &body, None).expect_err("it cannot be told");
            assert_eq!(refused.param.as_deref(), Some("messages[1]"), "{body}");
        }
        assert!(ask(Endpoint::Chat, &json!({"messages": []}), None).is_err(), "it would load a model, or unload one");
    }
}
