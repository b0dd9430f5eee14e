//! What the server bears, field by field. `docs/VALIDATION.md` tells what the others do to it.

use super::*;

/// Refused, with the field's name (which may be followed by a place within it).
#[track_caller]
fn refused(answer: Result<Ask, Refusal>, field: &str, value: &Value) -> Refusal {
    let refusal = match answer {
        Err(refusal) => refusal,
        Ok(_) => panic!("{field}: {value:.60} is accepted"),
    };
    assert!(matches!(refusal.code, Code::InvalidParameter | Code::ParameterNotAllowed), "{refusal:?}");
    let param = refusal.param.as_deref().unwrap_or_default();
    assert!(param.starts_with(field), "{field}: {value:.60} is refused as {param}");
    refusal
}

/// A number beyond the integers of every kind, as Python reads it.
fn beyond() -> Value {
    serde_json::from_str("1000000000000000000000000000000").expect("a number")
}

#[test]
fn numbers_that_end_the_generation_thread_are_refused() {
    let wide = [json!(9_223_372_036_854_775_808_u64), json!(u64::MAX), beyond()];
    for name in ["temperature", "repetition_penalty", "presence_penalty", "frequency_penalty"] {
        for value in &wide {
            refused(completion(&json!({name: value})), name, value);
        }
    }
    for name in ["repetition_context_size", "presence_context_size", "frequency_context_size"] {
        for value in [json!(4_294_967_296_i64), json!(i64::MAX)].iter().chain(&wide) {
            refused(completion(&json!({name: value, "repetition_penalty": 1.1})), name, value);
        }
    }
    let minus: Value = serde_json::from_str("-1000000000000000000000000000000").expect("a number");
    for name in ["presence_penalty", "frequency_penalty"] {
        refused(completion(&json!({name: minus})), name, &minus);
    }
    // `true` is 1 to Python, but not to MLX.
    for (name, beside) in [("top_k", "temperature"), ("top_logprobs", "logprobs")] {
        let beside_value = if beside == "logprobs" { json!(true) } else { json!(1.0) };
        refused(completion(&json!({name: true, beside: beside_value})), name, &json!(true));
    }
}

#[test]
fn a_penalty_that_makes_numbers_that_are_none_is_refused_and_none_at_all_is_not() {
    for value in [5e-324, 1e-45, 1e-38, 1e-30, 9e-7] {
        let refusal = refused(completion(&json!({"repetition_penalty": value})), "repetition_penalty", &json!(value));
        assert!(refusal.message.contains("from 0.000001 to") && refusal.message.contains("0 for none"), "{refusal:?}");
    }
    for value in [json!(0), json!(0.0), json!(-0.0), json!(1e-6), json!(0.5), json!(1), json!(1.1), json!(9e18)] {
        completion(&json!({"repetition_penalty": value})).expect("it is answered well");
    }
}

#[test]
fn a_top_k_beyond_the_vocabulary_is_refused_where_it_would_be_looked_at() {
    for value in [448_u64, 449, 32_000, 1 << 31, u64::MAX] {
        refused(completion(&json!({"temperature": 1.0, "top_k": value})), "top_k", &json!(value));
    }
    for value in [0_u64, 1, 40, 447] {
        completion(&json!({"temperature": 1.0, "top_k": value})).expect("the model has as many");
    }
    completion(&json!({"temperature": 0, "top_k": 100_000})).expect("nothing is drawn");
    completion(&json!({"top_k": 100_000})).expect("nothing is drawn");
    for value in [json!(-1), json!(1.0), json!("1")] {
        refused(completion(&json!({"top_k": value})), "top_k", &value);
    }
}

#[test]
fn without_a_vocabulary_what_is_not_sure_to_be_there_is_refused() {
    let mut catalogue = Catalogue::new();
    catalogue.add(Served::mlx_lm("tiny", "main")).expect("the first one");
    let ask = |more| {
        let body = with(Endpoint::Completions, &more).to_string();
        read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), &catalogue)
    };
    ask(json!({"temperature": 1, "top_k": 31_999})).expect("nearly every model has as many");
    refused(ask(json!({"temperature": 1, "top_k": 32_000})), "top_k", &json!(32_000));
    ask(json!({"logit_bias": {"31999": 1}})).expect("nearly every model has as many");
    for id in ["32000", "2147483648", "999999999", "-1"] {
        refused(ask(json!({"logit_bias": {id: 1}})), "logit_bias", &json!(id));
    }
}

#[test]
fn a_seed_that_closes_the_connection_is_refused() {
    for value in [json!(-1), json!(i64::MIN), json!(1.0), json!("1"), json!(true), beyond()] {
        refused(completion(&json!({"seed": value})), "seed", &value);
    }
    for value in [json!(0), json!(u64::MAX), json!(null)] {
        completion(&json!({"seed": value})).expect("64 bits without a sign");
    }
}

#[test]
fn lengths_are_whole_and_positive() {
    for name in ["max_tokens", "max_completion_tokens"] {
        for value in
            [json!(0), json!(-1), json!(1.5), json!(4.0), json!(true), json!("4"), json!([4]), json!(1e30), beyond()]
        {
            refused(completion(&json!({name: value})), name, &value);
        }
        for value in [json!(1), json!(4096), json!(2_147_483_647), json!(null)] {
            chat(&json!({name: value})).expect("a length");
        }
    }
}

#[test]
fn shares_are_between_zero_and_one() {
    for name in ["top_p", "min_p"] {
        for value in [json!(-0.1), json!(1.1), json!("0.5"), json!(true), json!([]), json!(1e300)] {
            refused(completion(&json!({name: value})), name, &value);
        }
        for value in [json!(0), json!(0.5), json!(1), json!(1.0)] {
            completion(&json!({name: value})).expect("a share");
        }
    }
    for value in [json!(-0.1), json!("hot"), json!(true), json!({})] {
        refused(completion(&json!({"temperature": value})), "temperature", &value);
    }
    completion(&json!({"temperature": 2})).expect("hot");
    for name in ["xtc_probability", "xtc_threshold"] {
        // Python's 0 is no float, and the server says so.
        for value in [json!(0), json!(1), json!(1.1), json!(-0.1), json!("0.5"), json!(true)] {
            refused(completion(&json!({name: value})), name, &value);
        }
        completion(&json!({name: 0.5})).expect("a share");
    }
    let more = |threshold: f64, temperature: f64| {
        completion(&json!({"temperature": temperature, "xtc_probability": 0.5, "xtc_threshold": threshold}))
    };
    refused(more(0.51, 1.0), "xtc_threshold", &json!(0.51));
    more(0.5, 1.0).expect("the most that there may be");
    more(0.9, 0.0).expect("nothing is drawn");
}

#[test]
fn an_older_server_is_not_asked_for_what_only_the_newer_one_survives() {
    let mut catalogue = Catalogue::new();
    catalogue.add(Served { release: Release::Older, ..Served::mlx_lm("tiny", "main") }).expect("the first one");
    let ask = |more| {
        let body = with(Endpoint::Completions, &more).to_string();
        read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), &catalogue)
    };
    refused(ask(json!({"temperature": 1, "xtc_probability": 0.5})), "xtc_probability", &json!(0.5));
    ask(json!({"temperature": 1, "xtc_probability": 0.0})).expect("it is off");
    ask(json!({"temperature": 0, "xtc_probability": 0.5})).expect("nothing is drawn");
}

#[test]
fn one_choice_is_made() {
    for value in [json!(2), json!(0), json!(-1), json!("1"), json!(1.0)] {
        refused(chat(&json!({"n": value})), "n", &value);
    }
    chat(&json!({"n": 1})).expect("one");
    chat(&json!({"model": "big", "n": 2})).expect("another server may make two");
}

#[test]
fn stop_words_are_strings_with_something_in_them() {
    let odd = [json!(1), json!(true), json!({}), json!({"a": 1}), json!(1.5), json!(false), json!(0)];
    for value in &odd {
        refused(completion(&json!({"stop": value})), "stop", value);
        refused(chat(&json!({"stop": [value]})), "stop[0]", value);
        refused(chat(&json!({"stop": ["a", value]})), "stop[1]", value);
    }
    for value in [json!([null]), json!([[]]), json!([["a"]]), json!([""]), json!(["a".repeat(4097)])] {
        refused(completion(&json!({"stop": value})), "stop[0]", &value);
    }
    refused(completion(&json!({"stop": vec!["a"; 65]})), "stop", &json!("65 of them"));
    for value in [json!(null), json!(""), json!([]), json!("a"), json!(["a", "b", "\n", " ", "é"]), json!(["a", "a"])]
    {
        completion(&json!({"stop": value})).expect("stop words");
    }
}

#[test]
fn biases_are_of_tokens_that_there_are() {
    let keys =
        ["448", "999999999", "4294967296", "18446744073709551616", "-1", "x", "", " 1", "1_0", "１", "1.0", "01", "+1"];
    for key in keys {
        refused(completion(&json!({"logit_bias": {key: 1}})), "logit_bias", &json!(key));
        refused(chat(&json!({"logit_bias": {"1": 1, key: 1}})), "logit_bias", &json!(key));
    }
    for value in [json!(null), json!("5"), json!(true), json!([]), json!(1e31), json!(f64::MAX)] {
        refused(completion(&json!({"logit_bias": {"1": value}})), "logit_bias.1", &value);
    }
    for value in [json!([]), json!("x"), json!(1), json!([1])] {
        refused(completion(&json!({"logit_bias": value})), "logit_bias", &value);
    }
    for value in [json!({}), json!({"0": -100, "447": 100.5}), json!(null)] {
        completion(&json!({"logit_bias": value})).expect("tokens");
    }
}

#[test]
fn a_prompt_is_one_string_with_something_in_it() {
    let odd = [
        json!(""),
        json!([]),
        json!(["x"]),
        json!([1, 2]),
        json!([[1]]),
        json!(1),
        json!(null),
        json!({}),
        json!(true),
    ];
    for value in odd {
        refused(completion(&json!({"prompt": value})), "prompt", &value);
    }
    for value in ["x", " ", "\n", "\0", "é😀"] {
        completion(&json!({"prompt": value})).expect("a prompt");
    }
    refused(read_value(Endpoint::Completions, &json!({"model": "tiny"})), "prompt", &json!(null));
    let big = json!({"model": "big", "prompt": ["a", "b"]});
    read_value(Endpoint::Completions, &big).expect("another server may take two");
}

#[test]
fn messages_have_a_shape() {
    let messages = |value: &Value| chat(&json!({"messages": value}));
    for value in [json!([]), json!({}), json!("x"), json!(1), json!(null)] {
        refused(messages(&value), "messages", &value);
    }
    let one = |value: &Value| messages(&json!([{"role": "user", "content": "hi"}, value]));
    for value in [json!(1), json!("x"), json!(null), json!([])] {
        refused(one(&value), "messages[1]", &value);
    }
    for value in [json!({"content": "x"}), json!({"role": 1}), json!({"role": null}), json!({"role": "x".repeat(65)})] {
        refused(one(&value), "messages[1].role", &value);
    }
    for value in [json!(1), json!(true), json!({})] {
        refused(one(&json!({"role": "user", "content": value})), "messages[1].content", &value);
    }
    let odd = [
        json!(1),
        json!("x"),
        json!(null),
        json!({}),
        json!({"text": "x"}),
        json!({"type": "text"}),
        json!({"type": []}),
        json!({"type": "text", "text": 1}),
        json!({"type": "input_audio"}),
        json!({"type": "image_url"}),
        json!({"type": "image_url", "image_url": 1}),
        json!({"type": "image_url", "image_url": {"url": 1}}),
    ];
    for value in odd {
        refused(one(&json!({"role": "user", "content": [value]})), "messages[1].content[0]", &value);
    }
    let good = [
        json!({"role": "user"}),
        json!({"role": "assistant", "content": null}),
        json!({"role": "developer", "content": ""}),
        json!({"role": "user", "content": []}),
        json!({"role": "user", "content": [{"type": "text", "text": "x"}]}),
        json!({"role": "tool", "tool_call_id": "1", "content": "x"}),
        json!({"role": "user", "content": "x", "name": "me"}),
    ];
    for value in good {
        one(&value).expect("a message");
    }
}

#[test]
fn calls_of_tools_have_a_shape() {
    let calls =
        |value: &Value| chat(&json!({"messages": [{"role": "assistant", "content": null, "tool_calls": value}]}));
    for value in [json!(1), json!("x"), json!({}), json!([1]), json!([null]), json!([{"function": 1}])] {
        refused(calls(&value), "messages[0].tool_calls", &value);
    }
    let arguments = |value: &Value| calls(&json!([{"id": "1", "function": {"name": "f", "arguments": value}}]));
    for value in [json!("{"), json!("x"), json!(1), json!([])] {
        refused(arguments(&value), "messages[0].tool_calls[0].function.arguments", &value);
    }
    for value in [json!("{}"), json!(""), json!("{\"a\": NaN}"), json!({"a": 1}), json!(null)] {
        arguments(&value).expect("arguments");
    }
    for value in [json!({}), json!("x"), json!(1), json!([1]), json!([null]), json!([{"function": 1}])] {
        refused(chat(&json!({"tools": value})), "tools", &value);
    }
    for value in [json!([]), json!(null), json!([{"type": "function", "function": {"name": "f", "parameters": {}}}])] {
        chat(&json!({"tools": value})).expect("tools");
    }
}

#[test]
fn no_server_fetches_what_a_client_names() {
    for url in [
        "http://169.254.169.254/latest",
        "https://example.org/x.png",
        "file:///etc/passwd",
        "HTTP://x",
        " http://x",
        "",
    ] {
        for image in [json!(url), json!({"url": url})] {
            for part in [json!({"type": "image_url", "image_url": image}), json!({"type": "image", "image": image})] {
                let value = json!([{"role": "user", "content": [part]}]);
                let refusal = refused(chat(&json!({"messages": value})), "messages[0].content[0].image_url", &value);
                assert_eq!(refusal.code, Code::ParameterNotAllowed);
            }
        }
    }
}

#[test]
fn a_client_does_not_bring_its_own_template() {
    let keys = [
        "chat_template",
        "tokenize",
        "return_dict",
        "return_tensors",
        "tools",
        "padding",
        "max_length",
        "conversation",
    ];
    for key in keys {
        let refusal = refused(chat(&json!({"chat_template_kwargs": {key: "x"}})), "chat_template_kwargs", &json!(key));
        assert_eq!(refusal.code, Code::ParameterNotAllowed);
    }
    for value in [json!([]), json!("x"), json!(1)] {
        refused(chat(&json!({"chat_template_kwargs": value})), "chat_template_kwargs", &value);
        refused(chat(&json!({"role_mapping": value})), "role_mapping", &value);
    }
    chat(&json!({"chat_template_kwargs": {"enable_thinking": false, "reasoning_effort": "low"}})).expect("variables");
    chat(&json!({"role_mapping": {"user": "U: "}})).expect("words");
}

#[test]
fn streams_are_asked_for_in_one_way() {
    for value in [json!(1), json!("true"), json!([])] {
        refused(chat(&json!({"stream": value})), "stream", &value);
        refused(chat(&json!({"stream_options": value})), "stream_options", &value);
        refused(chat(&json!({"stream_options": {"include_usage": value}})), "stream_options.include_usage", &value);
        refused(chat(&json!({"logprobs": value})), "logprobs", &value);
    }
}

#[test]
fn what_sdks_send_as_a_matter_of_course_is_served() {
    let more = json!({
        "max_completion_tokens": 256, "temperature": 1, "top_p": 1, "n": 1, "stop": null, "presence_penalty": 0,
        "frequency_penalty": 0, "logit_bias": null, "logprobs": false, "top_logprobs": null, "user": "user-1234",
        "seed": 42, "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
        "response_format": {"type": "json_object"}, "metadata": {"a": "b"}, "store": false, "service_tier": "auto",
        "parallel_tool_calls": true, "tool_choice": "auto", "reasoning_effort": "low", "modalities": ["text"],
    });
    chat(&more).expect("an SDK's request");
    let more = json!({
        "prediction": null, "audio": null, "safety_identifier": "x", "prompt_cache_key": "y", "verbosity": "low",
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": true,
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}],
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what is the weather?"}], "name": "me"},
            {"role": "assistant", "content": null, "refusal": null, "tool_calls":
                [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"b\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ],
    });
    chat(&more).expect("an SDK's request");
    let more = json!({"suffix": null, "echo": false, "best_of": 1, "logprobs": null, "max_tokens": 16, "user": "x"});
    completion(&more).expect("an SDK's request");
}

#[test]
fn what_is_not_known_of_another_server_is_its_own_to_refuse() {
    let more = json!({"model": "big", "temperature": "hot", "top_k": -1, "stop": [1], "logit_bias": {"999999999": 1},
        "messages": [], "seed": -1, "chat_template_kwargs": {"chat_template": "x"}});
    chat(&more).expect("it may take them");
}
