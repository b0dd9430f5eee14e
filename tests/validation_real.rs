//! The promise of the gateway's validation, against the real `mlx_lm.server`: whatever is accepted, the server survives it.
//!
//! Fields are set to values that are made to hurt, a few at once, and what the gateway accepts is sent. What it refuses is not:
//! `docs/VALIDATION.md` tells what that does.

#[allow(dead_code, reason = "a module of several test programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlx::{Version, complete, real, real_of};
use mlx_tree_gateway::request::{Ask, Catalogue, Endpoint, Release, Served, Wire, read, vocabulary};
use serde_json::{Value, json};
use support::{Instance, say};

/// How many accepted requests are sent to each version.
const SENT: usize = 300;

/// How many at once: as many as the gateway lets through. The server makes one batch of them, and the accepted ones of a batch
/// must bear each other.
const TOGETHER: usize = 4;

/// How long one answer may take. It is one of a few tokens.
const ANSWER: Duration = Duration::from_secs(30);

/// Numbers at the edges of what somebody may take them for.
const NUMBERS: &str = r#"[0, 1, 2, 3, 11, 12, 40, 447, 448, 449, -1, -0.0, 0.0, 0.1, 0.5, 0.51, 1.0, 1.5, 1e-320, 5e-324, 1e-30, 1e30,
    3.5e38, 1e39, 1e300, -1e300, 2147483647, 2147483648, 4294967295, 4294967296, 9007199254740992, 9223372036854774784,
    9223372036854775807, 9223372036854775808, 18446744073709551615, 1000000000000000000000000000000,
    -9223372036854775808, -1000000000000000000000000000000, true, false, null, "1", "", [], [1], {}]"#;

/// The fields that are numbers, or should be. Not the lengths: an answer of two thousand million tokens is a good one.
const NUMERIC: [&str; 16] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "repetition_context_size",
    "presence_penalty",
    "presence_context_size",
    "frequency_penalty",
    "frequency_context_size",
    "top_logprobs",
    "seed",
    "xtc_probability",
    "xtc_threshold",
    "num_draft_tokens",
    "n",
];

/// A number that depends on the seed and on how many have been asked for.
struct Random(u64);

impl Random {
    /// One below `end`.
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % end
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// The other fields, each with values that are served, refused, or fatal where they are not refused.
fn shaped() -> Vec<(&'static str, Vec<Value>)> {
    let words: Vec<_> = (0..64).map(|at| format!("{at}{}", "x".repeat(200))).collect();
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let call = |arguments: Value| {
        json!([{"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "tool_calls":
                [{"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "1", "content": "r"}])
    };
    let deep = "[".repeat(2_000) + &"]".repeat(2_000);
    vec![
        ("max_tokens", vec![json!(1), json!(4), json!(0), json!(-1), json!(1.5), json!("4"), json!(null)]),
        ("max_completion_tokens", vec![json!(1), json!(3), json!(0), json!(true), json!(null)]),
        ("stream", vec![json!(true), json!(false), json!(null), json!(1)]),
        (
            "stream_options",
            vec![json!({}), json!({"include_usage": false}), json!({"x": 1}), json!(null), json!([]), json!(1)],
        ),
        ("logprobs", vec![json!(true), json!(false), json!(1), json!(null)]),
        (
            "stop",
            vec![
                json!("x"),
                json!(""),
                json!([]),
                json!(["a", "b"]),
                json!([""]),
                json!([1]),
                json!([null]),
                json!([["a"]]),
                json!(1),
                json!({"a": 1}),
                json!(["a", "ab", "abc", "a"]),
                json!(words),
                json!("x".repeat(4_096)),
                json!(["\u{0}", "\n", "é", "😀"]),
                json!(true),
                json!(["\u{fffd}", "\u{301}", "\u{200b}", "\u{feff}"]),
            ],
        ),
        (
            "logit_bias",
            vec![
                json!({}),
                json!({"1": 5}),
                json!({"447": -100}),
                json!({"448": 1}),
                json!({"5000": 1}),
                json!({"999999999": 5}),
                json!({"-1": 1}),
                json!({"1": 1e30}),
                json!({"1": 1e300}),
                json!({"1": null}),
                json!({"01": 1}),
                json!({"x": 1}),
                json!({"0": 0, "1": -1e30, "2": 0.5}),
                json!([]),
                json!({"18446744073709551616": 1}),
            ],
        ),
        (
            "prompt",
            vec![
                json!("hello"),
                json!(""),
                json!(" "),
                json!("\u{0}"),
                json!("\n"),
                json!("😀\u{301}\u{200b}"),
                json!(["x"]),
                json!([1]),
                json!("</s><|im_end|>"),
                json!("a".repeat(500)),
                json!({}),
                json!(1),
            ],
        ),
        (
            "messages",
            vec![
                json!([]),
                json!({}),
                json!([1]),
                user(json!("x")),
                user(json!("")),
                user(json!(null)),
                user(json!([])),
                user(json!(1)),
                user(json!([{"type": "text", "text": "x"}])),
                user(json!([{"type": "text"}])),
                user(json!([1])),
                user(json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])),
                user(json!([{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/"}}])),
                user(json!("{{ 1/0 }}{% raw %}")),
                json!([{"role": "evil", "content": "x"}]),
                json!([{"role": "user"}]),
                json!([{"role": "system", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}]),
                json!([{"role": "system", "content": "a"}]),
                json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
                call(json!("{}")),
                call(json!("")),
                call(json!("{")),
                call(json!({"a": 1})),
                call(json!("1".repeat(5_000))),
                call(json!(deep)),
                call(json!("NaN")),
                call(json!("\"\\ud800\"")),
                json!([{"role": "assistant", "tool_calls": [{"function": {}}]}]),
            ],
        ),
        (
            "tools",
            vec![
                json!([]),
                json!(null),
                json!([{}]),
                json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]),
                json!([1]),
                json!([{"type": "function", "function": {"name": 1, "parameters": 1}}]),
                json!({"a": 1}),
            ],
        ),
        ("tool_choice", vec![json!("auto"), json!("none"), json!("required"), json!(1), json!({"type": "function"})]),
        (
            "chat_template_kwargs",
            vec![
                json!({}),
                json!({"enable_thinking": false}),
                json!({"chat_template": ""}),
                json!({"tokenize": false}),
                json!({"a b": 1}),
                json!({"return_dict": true}),
                json!({"": 1}),
                json!({"bos_token": 1, "range": 1, "loop": [], "raise_exception": 2}),
                json!([]),
                json!({"x": {"y": [1, null, "z"]}}),
            ],
        ),
        ("role_mapping", vec![json!({}), json!({"user": "U"}), json!([]), json!({"user": 1})]),
        ("response_format", vec![json!({"type": "json_object"}), json!(1), json!([])]),
        ("user", vec![json!("me"), json!(1), json!([]), json!({"$serde_json::private::RawValue": "1"})]),
    ]
}

/// A request for the endpoint with a few fields set to something.
fn hostile(random: &mut Random, numbers: &[Value], shaped: &[(&str, Vec<Value>)]) -> (Endpoint, Value) {
    let endpoint = *random.of(&[Endpoint::Chat, Endpoint::Completions]);
    let mut body = match endpoint {
        Endpoint::Chat => json!({"messages": [{"role": "user", "content": "hello there"}]}),
        Endpoint::Completions | Endpoint::Embeddings => json!({"prompt": "hello there"}),
    };
    body["model"] = json!("tiny");
    body["max_tokens"] = json!(3);
    if random.below(2) == 0 {
        body["temperature"] = json!(0.8);
    }
    for _ in 0..=random.below(4) {
        if random.below(2) == 0 {
            body[*random.of(&NUMERIC)] = random.of(numbers).clone();
        } else {
            let (name, values) = random.of(shaped);
            body[*name] = random.of(values).clone();
        }
    }
    (endpoint, body)
}

/// Sends what the gateway would send. The answer is whole, or an error that says what it is.
async fn send(client: &reqwest::Client, url: &str, ask: &Ask) -> Result<(), String> {
    let path = match ask.endpoint {
        Endpoint::Chat => "/v1/chat/completions",
        Endpoint::Completions | Endpoint::Embeddings => "/v1/completions",
    };
    let request =
        client.post(format!("{url}{path}")).header("content-type", "application/json").body(ask.upstream.clone());
    let answer = request.timeout(ANSWER).send().await.map_err(|error| format!("no answer: {error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("a broken answer: {error:?}"))?;
    let whole = match ask.wire {
        Wire::Stream if status == 200 => text.trim_end().ends_with("data: [DONE]"),
        Wire::Stream | Wire::Whole => serde_json::from_str::<Value>(&text).is_ok_and(|it| it.is_object()),
    };
    if whole && status.as_u16() < 500 { Ok(()) } else { Err(format!("{status}: {text}")) }
}

async fn promise(tree: Instance, release: Release) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let config = r#"{"vocab_size": 448}"#;
    let tiny = Served { vocabulary: vocabulary(config.as_bytes()), release, ..Served::mlx_lm("tiny", "main") };
    let mut catalogue = Catalogue::new();
    catalogue.add(tiny).expect("the first one");

    let numbers: Vec<Value> = serde_json::from_str(NUMBERS).expect("JSON");
    let (shaped, mut random) = (shaped(), Random(u64::from(seed) | 1));
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a plain client");
    let status = tree.ready(1).await;
    let (url, process) = (status.server.url.expect("an address"), status.process_pid);
    let (mut sent, mut refused, mut together) = (0, 0, Vec::new());
    while sent < SENT {
        assert!(refused < 50 * SENT, "seed {seed}: hardly anything is accepted: {sent} of {}", sent + refused);
        let (endpoint, body) = hostile(&mut random, &numbers, &shaped);
        match read(endpoint, &reqwest::header::HeaderMap::new(), body.to_string().as_bytes(), &catalogue) {
            Err(_) => refused += 1,
            Ok(ask) => {
                sent += 1;
                together.push((body, ask));
                if together.len() < TOGETHER {
                    continue;
                }
                let of = |at: usize| send(&client, &url, &together[at].1);
                let outcomes = tokio::join!(of(0), of(1), of(2), of(3));
                for (outcome, (body, ask)) in <[_; TOGETHER]>::from(outcomes).into_iter().zip(together.drain(..)) {
                    assert_eq!(
                        outcome,
                        Ok(()),
                        "seed {seed}, request {sent} or just before: {:?} {body}",
                        ask.endpoint
                    );
                }
                let after = tokio::time::timeout(ANSWER, complete(&url, "hi", 1)).await;
                assert!(after.is_ok(), "seed {seed}: the server is silent after request {sent}");
            }
        }
    }
    let last = tree.status().await;
    assert_eq!(
        (last.process_pid, last.server.epoch),
        (process, status.server.epoch),
        "seed {seed}: it was restarted on the way"
    );
    say(&format!("seed {seed}: {sent} sent, {refused} refused, one process"));
    tree.stop().await;
}

#[tokio::test]
async fn whatever_is_accepted_the_server_survives() {
    promise(real().await.start(), Release::Current).await;
}

#[tokio::test]
async fn whatever_is_accepted_an_older_server_survives_too() {
    promise(real_of(Version::Blind).await.start(), Release::Older).await;
}
