//! What a request asks for beyond its prompt, key by key: what any fallback can do, what none is asked for, what nobody knows.
//!
//! A fallback that overlooks a key would answer something else than was asked. So a key that is not on a list here is a
//! reason to refuse, as is a value that a fallback does not honour.

use serde_json::{Map, Value};

use super::target::unsupported;
use crate::Refusal;
use crate::request::Endpoint;

/// Keys that change nothing about the answer, or nothing that is not done anyway.
const HARMLESS: [&str; 14] = [
    "model",
    "messages",
    "prompt",
    "stream",
    "stream_options",
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "num_draft_tokens",
    "repetition_context_size",
    "role_mapping",
];

/// Numbers that every fallback takes.
const NUMBERS: [&str; 10] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
];

/// Refuses a request that asks for what no fallback is trusted with.
///
/// # Errors
/// `fallback_unsupported`, naming the key.
pub(super) fn check(endpoint: Endpoint, body: &Map<String, Value>) -> Result<(), Refusal> {
    for (key, value) in body {
        let sound = match key.as_str() {
            known if HARMLESS.contains(&known) => known != "role_mapping" || value.is_null(),
            number if NUMBERS.contains(&number) => value.is_null() || value.is_number(),
            "stop" => is_stop(value),
            "n" | "best_of" => value.is_null() || value.as_u64() == Some(1),
            "logprobs" | "top_logprobs" | "echo" | "xtc_probability" => is_off(value),
            // Means nothing without its probability.
            "xtc_threshold" => true,
            "logit_bias" => is_off(value) || value.as_object().is_some_and(Map::is_empty),
            "suffix" => is_off(value) || value.as_str() == Some(""),
            "tools" => value.is_null() || (endpoint == Endpoint::Chat && value.is_array()),
            "tool_choice" => value.is_null() || matches!(value.as_str(), Some("auto" | "none")),
            "parallel_tool_calls" => value.is_null() || value.as_bool() == Some(true),
            "response_format" => value.is_null() || is_format(value),
            "reasoning_effort" => value.is_null() || matches!(value.as_str(), Some("none" | "low" | "medium" | "high")),
            "chat_template_kwargs" => is_off(value) || is_thinking_switch(value),
            "modalities" => value.is_null() || *value == Value::from(vec!["text"]),
            _ => value.is_null(),
        };
        if !sound {
            return Err(
                unsupported(format!("The fallback cannot be asked for this value of `{key}`.")).param(key.as_str())
            );
        }
    }
    Ok(())
}

/// How many tokens may be generated at most, if the request says.
pub(super) fn max_tokens(body: &Map<String, Value>) -> Option<u64> {
    ["max_completion_tokens", "max_tokens"].iter().find_map(|key| body.get(*key)).and_then(Value::as_u64)
}

/// Whether the tools of the request are to be used.
pub(super) fn tools(body: &Map<String, Value>) -> Option<&Vec<Value>> {
    let forbidden = body.get("tool_choice").and_then(Value::as_str) == Some("none");
    body.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty() && !forbidden)
}

fn is_off(value: &Value) -> bool {
    value.is_null() || value.as_bool() == Some(false) || value.as_f64() == Some(0.0)
}

fn is_stop(value: &Value) -> bool {
    value.is_null() || value.is_string() || value.as_array().is_some_and(|words| words.iter().all(Value::is_string))
}

fn is_format(value: &Value) -> bool {
    match value.get("type").and_then(Value::as_str) {
        Some("text" | "json_object") => true,
        Some("json_schema") => value.pointer("/json_schema/schema").is_some_and(Value::is_object),
        _ => false,
    }
}

fn is_thinking_switch(value: &Value) -> bool {
    value.as_object().is_some_and(|kwargs| kwargs.iter().all(|(key, on)| key == "enable_thinking" && on.is_boolean()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: &Value) -> Option<String> {
        let body = body.as_object().expect("an object");
        check(Endpoint::Chat, body).err().map(|refusal| {
            assert_eq!(refusal.code, crate::Code::FallbackUnsupported);
            refusal.param.expect("it names the key")
        })
    }

    #[test]
    fn what_the_target_cannot_do_is_refused_by_name() {
        for (key, value) in [
            ("tool_choice", json!("required")),
            ("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
            ("n", json!(2)),
            ("logprobs", json!(true)),
            ("top_logprobs", json!(3)),
            ("logit_bias", json!({"1": 5})),
            ("adapters", json!("x")),
            ("draft_model", json!("x")),
            ("response_format", json!({"type": "grammar"})),
            ("parallel_tool_calls", json!(false)),
            ("modalities", json!(["text", "audio"])),
            ("echo", json!(true)),
            ("best_of", json!(3)),
            ("xtc_probability", json!(0.5)),
            ("role_mapping", json!({"user": "x"})),
            ("chat_template_kwargs", json!({"enable_thinking": false, "style": "x"})),
            ("functions", json!([])),
            ("a_key_of_next_year", json!(1)),
            ("temperature", json!("hot")),
            ("stop", json!([1])),
        ] {
            assert_eq!(refused(&json!({key: value})).as_deref(), Some(key), "{value}");
        }
    }

    #[test]
    fn what_is_switched_off_is_as_good_as_absent() {
        let body = json!({
            "model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}, "n": 1,
            "logprobs": false, "top_logprobs": 0, "logit_bias": {}, "tool_choice": "auto", "tools": [],
            "parallel_tool_calls": true, "response_format": {"type": "text"}, "stop": ["a"], "seed": null,
            "adapters": null, "modalities": ["text"], "xtc_probability": 0.0, "xtc_threshold": 0.1,
        });
        assert_eq!(refused(&body), None);
    }
}
