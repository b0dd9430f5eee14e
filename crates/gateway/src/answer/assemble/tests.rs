//! Streams and the plain answers that the same servers give. The chunks and answers of `mlx_lm` are as its `APIHandler` makes
//! them; those of llama.cpp and OpenAI follow their documentation.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn assemble(kind: Kind, chunks: &[&str]) -> Result<String, NoAnswer> {
    let mut assembly = Assembly::new(kind, ANSWER_LIMIT);
    for chunk in chunks {
        assembly.take(chunk.as_bytes())?;
    }
    assembly.finish("name").map(|answer| String::from_utf8(answer.to_vec()).expect("UTF-8"))
}

/// JSON as Python writes it, without its spaces; the strings here have none that matter.
fn dense(json: &str) -> String {
    json.replace(", ", ",").replace(": ", ":")
}

#[test]
fn an_answer_of_mlx_lm_with_thoughts_and_calls_is_the_plain_one_to_the_letter() {
    let chunks = [
        r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion.chunk", "model": "/m", "created": 1, "choices": [{"index": 0, "finish_reason": null, "delta": {"role": "assistant", "reasoning": "Hm"}}]}"#,
        r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion.chunk", "model": "/m", "created": 1, "choices": [{"index": 0, "finish_reason": null, "delta": {"role": "assistant", "content": "Let me "}}]}"#,
        r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion.chunk", "model": "/m", "created": 1, "choices": [{"index": 0, "finish_reason": null, "delta": {"role": "assistant", "content": "look.", "tool_calls": [{"function": {"name": "get_weather", "arguments": "{\"city\":\"Z\u00fcrich\",\"q\":\"\\\"\"}"}, "type": "function", "id": "b4c5", "index": 0}]}}]}"#,
        r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion.chunk", "model": "/m", "created": 1, "choices": [{"index": 0, "finish_reason": "tool_calls", "delta": {"role": "assistant", "tool_calls": [{"function": {"name": "now", "arguments": "{}"}, "type": "function", "id": "9019", "index": 1}]}}]}"#,
        r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion", "model": "/m", "created": 1, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 3}}}"#,
    ];
    let plain = r#"{"id": "c", "system_fingerprint": "fp", "object": "chat.completion", "model": "name", "created": 1, "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Let me look.", "reasoning": "Hm", "tool_calls": [{"function": {"name": "get_weather", "arguments": "{\"city\":\"Zürich\",\"q\":\"\\\"\"}"}, "type": "function", "id": "b4c5"}, {"function": {"name": "now", "arguments": "{}"}, "type": "function", "id": "9019"}]}}], "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 3}}}"#;
    let answer = assemble(Kind::Chat, &chunks).expect("an answer");
    assert_eq!(dense(&answer), dense(plain));
}

#[test]
fn a_completion_is_a_text_although_the_usage_calls_itself_a_chat() {
    let chunks = [
        r#"{"id":"c","object":"text_completion","model":"/m","created":1,"choices":[{"index":0,"finish_reason":null,"text":"Once"}]}"#,
        r#"{"id":"c","object":"text_completion","model":"/m","created":1,"choices":[{"index":0,"finish_reason":"length","text":" upon"}]}"#,
        r#"{"id":"c","object":"chat.completion","model":"/m","created":1,"choices":[],"usage":{"total_tokens":3}}"#,
    ];
    let plain = r#"{"id":"c","object":"text_completion","model":"name","created":1,"choices":[{"index":0,"finish_reason":"length","text":"Once upon"}],"usage":{"total_tokens":3}}"#;
    assert_eq!(assemble(Kind::Completion, &chunks).as_deref(), Ok(plain));
}

#[test]
fn a_message_that_says_nothing_has_its_content_all_the_same() {
    let chunk = r#"{"choices":[{"index":0,"finish_reason":"stop","delta":{"role":"assistant"}}]}"#;
    let plain = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":null}}]}"#;
    assert_eq!(assemble(Kind::Chat, &[chunk]).as_deref(), Ok(plain));
    let without = r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#;
    assert_eq!(assemble(Kind::Chat, &[without]).as_deref(), Ok(plain));
}

#[test]
fn calls_that_come_in_pieces_as_from_llama_cpp_are_put_together() {
    let chunks = [
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"hm"}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"A","type":"function","function":{"name":"get_weather","arguments":"{"}}]}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"city\":"}}]}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":1,"id":"B","type":"function","function":{"name":"now","arguments":"{}"}},{"index":0,"function":{"arguments":"\"Bern\"}"}}]}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}"#,
        r#"{"choices":[],"created":1,"id":"c","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk","usage":{"completion_tokens":9,"prompt_tokens":5,"total_tokens":14},"timings":{"prompt_ms":1.50}}"#,
    ];
    let plain = r#"{"choices":[{"finish_reason":"tool_calls","index":0,"message":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"A","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Bern\"}"}},{"id":"B","type":"function","function":{"name":"now","arguments":"{}"}}]}}],"created":1,"id":"c","model":"name","system_fingerprint":"b1","object":"chat.completion","timings":{"prompt_ms":1.50},"usage":{"completion_tokens":9,"prompt_tokens":5,"total_tokens":14}}"#;
    assert_eq!(assemble(Kind::Chat, &chunks).as_deref(), Ok(plain));
}

#[test]
fn several_choices_with_probabilities_as_from_openai_are_told_apart_and_put_in_order() {
    let chunks = [
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":1,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":{"content":[],"refusal":null},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1.50e-07}],"refusal":null},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":1,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b","logprob":-0.0}],"refusal":null},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"total_tokens":9}}"#,
    ];
    let plain = r#"{"id":"c","object":"chat.completion","created":1,"model":"name","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"message":{"role":"assistant","content":"ab","refusal":null},"logprobs":{"content":[{"token":"a","logprob":-1.50e-07}, {"token":"b","logprob":-0.0}],"refusal":null},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"x","refusal":null},"logprobs":null,"finish_reason":"length"}],"usage":{"total_tokens":9}}"#;
    assert_eq!(assemble(Kind::Chat, &chunks).as_deref(), Ok(plain));
}

#[test]
fn probabilities_of_a_completion_are_arrays_side_by_side() {
    let chunk = |text: &str, finish: Value, tokens: Value| {
        json!({"choices": [{"index": 0, "text": text, "logprobs": {"tokens": [text], "text_offset": tokens}, "finish_reason": finish}]})
            .to_string()
    };
    let (one, two) = (chunk("a", Value::Null, json!([0])), chunk("b", json!("stop"), json!([1])));
    let answer: Value =
        serde_json::from_str(&assemble(Kind::Completion, &[&one, &two]).expect("an answer")).expect("JSON");
    assert_eq!(answer["choices"][0]["logprobs"], json!({"tokens": ["a", "b"], "text_offset": [0, 1]}));
}

#[test]
fn there_is_no_answer_before_each_choice_has_said_why_it_ends() {
    let over = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let open = r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null}]}"#;
    for chunks in [&[][..], &[open], &[over, open], &[r#"{"choices":[],"usage":{}}"#]] {
        assert_eq!(assemble(Kind::Chat, chunks), Err(NoAnswer::Incomplete), "{chunks:?}");
    }
}

#[test]
fn an_answer_is_only_so_large() {
    let mut assembly = Assembly::new(Kind::Chat, 100);
    let chunk = br#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    assert_eq!(assembly.take(chunk), Ok(()));
    assert_eq!(assembly.take(chunk), Ok(()));
    assert_eq!(assembly.take(chunk), Err(NoAnswer::TooLarge { limit: 100 }));
}

#[test]
fn what_is_no_part_of_an_answer_is_refused() {
    let many = |what: &str| (0..300).map(|at| what.replace('#', &at.to_string())).collect::<Vec<_>>().join(",");
    let chunks = [
        "[]".to_owned(),
        r#"{"choices":7}"#.to_owned(),
        r#"{"choices":[{"index":-1}]}"#.to_owned(),
        r#"{"choices":[{"delta":{"content":7}}]}"#.to_owned(),
        r#"{"choices":[{"delta":{"tool_calls":{}}}]}"#.to_owned(),
        format!(r#"{{"choices":[{}]}}"#, many(r##"{"index":#}"##)),
        format!(r#"{{"choices":[],{}}}"#, many(r##""x#":1"##)),
        format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{}]}}}}]}}"#, many(r##"{"index":#}"##)),
    ];
    for chunk in &chunks {
        assert_eq!(assemble(Kind::Chat, &[chunk]), Err(NoAnswer::Garbage), "{chunk}");
    }
}

proptest! {
    #[test]
    fn any_text_in_any_pieces_is_the_text(pieces in prop::collection::vec("\\PC{0,6}", 0..8), finish in "[a-z]{1,8}") {
        let mut chunks: Vec<_> =
            pieces.iter().map(|piece| json!({"choices": [{"index": 0, "delta": {"content": piece}}]}).to_string()).collect();
        chunks.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}).to_string());
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let answer: Value = serde_json::from_str(&assemble(Kind::Chat, &chunks).expect("an answer")).expect("JSON");
        let expected = if pieces.is_empty() { Value::Null } else { pieces.concat().into() };
        prop_assert_eq!(&answer["choices"][0]["message"]["content"], &expected);
        prop_assert_eq!(&answer["choices"][0]["finish_reason"], &Value::from(finish));
    }

    #[test]
    fn no_bytes_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), json in "(\\{\"choices\":\\[\\{\"(delta|logprobs|index|text)\":(\\{\"(content|tool_calls|x)\":(\\[.{0,5}\\]|null|\"x\")\\}|null|\\[1\\])\\}\\]\\}){1,1}") {
        let mut assembly = Assembly::new(Kind::Chat, ANSWER_LIMIT);
        for chunk in chunks.iter().map(Vec::as_slice).chain([json.as_bytes(), br#"{"choices":[{"finish_reason":"stop"}]}"#]) {
            let _ = assembly.take(chunk);
        }
        if let Ok(answer) = assembly.finish("x") {
            prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
    }
}
