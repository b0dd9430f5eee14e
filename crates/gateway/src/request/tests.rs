//! What is true of every request.

mod bears;
mod generated;
mod names;
mod sent;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::*;

/// As many tokens as the built-in model has.
const VOCABULARY: u32 = 448;

/// A catalogue with `tiny` (also `gpt-4o`) behind `mlx_lm.server`, and `big` behind another server.
fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    let tiny = Served { vocabulary: Some(VOCABULARY), ..Served::mlx_lm("tiny", "main") };
    catalogue.add(tiny).expect("the first one");
    catalogue.add(Served::other("big", "second", "org/big-4bit")).expect("another name");
    catalogue.alias("gpt-4o", "tiny").expect("a free name");
    catalogue
}

fn read_value(endpoint: Endpoint, body: &Value) -> Result<Ask, Refusal> {
    read(endpoint, &HeaderMap::new(), body.to_string().as_bytes(), &catalogue())
}

/// A request for `tiny` that is served as it is, with more fields or other ones.
fn with(endpoint: Endpoint, more: &Value) -> Value {
    let mut body = match endpoint {
        Endpoint::Chat => json!({"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}),
        Endpoint::Completions => json!({"model": "tiny", "prompt": "hi"}),
        Endpoint::Embeddings => json!({"model": "big", "input": "hi"}),
    };
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn chat(more: &Value) -> Result<Ask, Refusal> {
    read_value(Endpoint::Chat, &with(Endpoint::Chat, more))
}

fn completion(more: &Value) -> Result<Ask, Refusal> {
    read_value(Endpoint::Completions, &with(Endpoint::Completions, more))
}

fn upstream(ask: &Ask) -> Value {
    Value::Object(json::read(&ask.upstream).expect("the server is sent JSON").fields)
}

#[test]
fn a_plain_request_is_understood() {
    let ask = chat(&json!({"temperature": 0.7})).expect("it is plain");
    assert_eq!((ask.endpoint, &*ask.server, &*ask.model), (Endpoint::Chat, "main", "tiny"));
    assert_eq!((ask.delivery, ask.wire, ask.sampling), (Delivery::Whole, Wire::Stream, Sampling::Sampled));
    assert_eq!((ask.features, ask.consent), (Features::default(), Consent::NotGiven));
    assert_eq!(ask.original["temperature"], 0.7);
}

#[test]
fn a_stream_tells_its_numbers_only_to_who_asks() {
    let delivery = |more| chat(&more).expect("it is plain").delivery;
    assert_eq!(delivery(json!({"stream": true})), Delivery::Stream { usage: Usage::NotWanted });
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(delivery(asked), Delivery::Stream { usage: Usage::Wanted });
    for options in [json!(null), json!({}), json!({"include_usage": null}), json!({"include_usage": false})] {
        let quiet = json!({"stream": true, "stream_options": options});
        assert_eq!(delivery(quiet), Delivery::Stream { usage: Usage::NotWanted });
    }
    assert_eq!(delivery(json!({"stream": null})), Delivery::Whole);
    assert_eq!(delivery(json!({"stream": false, "stream_options": {"include_usage": true}})), Delivery::Whole);
}

#[test]
fn only_temperature_zero_can_be_generated_again() {
    let tiny = |more| completion(&more).expect("it is plain").sampling;
    for more in [json!({}), json!({"temperature": 0}), json!({"temperature": -0.0}), json!({"temperature": null})] {
        assert_eq!(tiny(more.clone()), Sampling::Greedy, "{more}");
    }
    // The seed changes nothing where nothing is drawn, nor does what says how to draw.
    assert_eq!(tiny(json!({"seed": 3, "xtc_probability": 0.5, "top_p": 0.5})), Sampling::Greedy);
    for more in [json!({"temperature": 0.01}), json!({"temperature": 1, "seed": 3})] {
        assert_eq!(tiny(more.clone()), Sampling::Sampled, "{more}");
    }
    // Of another server it is known only if the request says so.
    let big = |more: Value| {
        let mut body = with(Endpoint::Completions, &more);
        body["model"] = json!("big");
        read_value(Endpoint::Completions, &body).expect("it is plain").sampling
    };
    assert_eq!(big(json!({})), Sampling::Sampled);
    assert_eq!(big(json!({"temperature": 0})), Sampling::Greedy);
    assert_eq!(big(json!({"temperature": 0, "best_of": 3})), Sampling::Sampled);

    let mut warm = Catalogue::new();
    warm.add(Served { temperature: Temperature::Other, ..Served::mlx_lm("tiny", "main") }).expect("the first one");
    let body = with(Endpoint::Completions, &json!({})).to_string();
    let ask = read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), &warm).expect("it is plain");
    assert_eq!(ask.sampling, Sampling::Sampled, "the server was started with --temp");
}

#[test]
fn a_fallback_is_told_what_it_must_be_able_to_do() {
    let features = |more| chat(&more).expect("it is plain").features.iter().collect::<Vec<_>>();
    let plain = json!({"temperature": 1, "top_p": 0.5, "max_tokens": 3, "seed": 1, "user": "me", "n": 1, "tools": [],
        "tool_choice": "auto", "logprobs": false, "logit_bias": {}, "response_format": {"type": "text"}, "stop": null});
    assert_eq!(features(plain), []);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let one: [(Value, Feature); 14] = [
        (json!({"tools": tools}), Feature::Tools),
        (json!({"functions": [{"name": "f"}]}), Feature::Tools),
        (json!({"tool_choice": "none"}), Feature::ToolChoiceNone),
        (json!({"tool_choice": "required"}), Feature::ToolChoiceForced),
        (json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}), Feature::ToolChoiceForced),
        (json!({"best_of": 2}), Feature::SeveralChoices),
        (json!({"logprobs": true}), Feature::Logprobs),
        (json!({"top_logprobs": 2}), Feature::Logprobs),
        (json!({"logit_bias": {"1": 5}}), Feature::LogitBias),
        (json!({"response_format": {"type": "json_object"}}), Feature::JsonObject),
        (json!({"response_format": {"type": "json_schema", "json_schema": {}}}), Feature::JsonSchema),
        (json!({"stop": ["a"]}), Feature::Stop),
        (json!({"chat_template_kwargs": {"enable_thinking": false}}), Feature::Template),
        (json!({"suffix": "end"}), Feature::Suffix),
    ];
    for (more, feature) in one {
        assert_eq!(features(more.clone()), [feature], "{more}");
    }
    let image = json!([{"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]);
    assert_eq!(features(json!({"messages": [{"role": "user", "content": image}]})), [Feature::Images]);
    let body = json!({"model": "big", "n": 2, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": "https://example.org/x.png"}, {"type": "input_audio"}]}]});
    let ask = read_value(Endpoint::Chat, &body).expect("this server may do it");
    let needed = [Feature::SeveralChoices, Feature::ImageUrls, Feature::OtherContent];
    assert_eq!(ask.features.iter().collect::<Vec<_>>(), needed);
    let vectors = read_value(Endpoint::Embeddings, &with(Endpoint::Embeddings, &json!({"input": [[1, 2]]})));
    let needed = [Feature::TokenPrompt, Feature::Embeddings];
    assert_eq!(vectors.expect("it is plain").features.iter().collect::<Vec<_>>(), needed);
}

#[test]
fn a_fallback_is_used_only_with_consent() {
    let consent = |told: &[&'static str], configured| {
        let mut headers = HeaderMap::new();
        for value in told {
            headers.append(CONSENT, HeaderValue::from_static(value));
        }
        Consent::of(&headers, configured)
    };
    assert_eq!(consent(&[], Consent::NotGiven), Consent::NotGiven);
    assert_eq!(consent(&[], Consent::Given), Consent::Given);
    assert_eq!(consent(&["allow"], Consent::NotGiven), Consent::Given);
    for no in [["deny"].as_slice(), &[""], &["allow, deny"], &["allow", "deny"], &["true"]] {
        assert_eq!(consent(no, Consent::Given), Consent::NotGiven, "the client's word counts: {no:?}");
    }
}

#[test]
fn log_probabilities_are_asked_for_whole_because_streams_have_none() {
    for more in [json!({"logprobs": true}), json!({"top_logprobs": 3})] {
        let ask = chat(&more).expect("it is plain");
        assert_eq!((ask.wire, ask.delivery), (Wire::Whole, Delivery::Whole));
        let sent = upstream(&ask);
        assert!(sent.get("stream").is_none() && sent.get("stream_options").is_none(), "{sent}");
        let mut more = more;
        more["stream"] = json!(true);
        assert_eq!(chat(&more).expect("it is plain").wire, Wire::Stream);
    }
    assert_eq!(chat(&json!({"logprobs": false, "top_logprobs": 0})).expect("it is plain").wire, Wire::Stream);
}

#[test]
fn a_body_of_bytes_is_taken_as_it_is() {
    let body = Bytes::from_static(b"\x1f\x8b\x08 not JSON");
    let refusal = read(Endpoint::Chat, &HeaderMap::new(), &body, &catalogue()).expect_err("it is no JSON");
    assert_eq!(refusal.code, Code::InvalidJson);
}
