//! The same request to a real `mlx_lm.server`, once plain and once streamed: what the gateway assembles of the stream is the
//! plain answer.

#[allow(dead_code, reason = "a module of several test programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mlx::{Version, environment, post_to};
use mlx_tree_gateway::answer::assemble::{ANSWER_LIMIT, Assembly, Kind};
use mlx_tree_gateway::answer::sse::{Event, Parser};
use mlx_tree_gateway::answer::transcript::{Ending, REMEMBERED, Transcript, Verdict};
use mlx_tree_provision::model;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The members of an answer, as they are looked for in its text.
const MEMBERS: [&str; 16] = [
    "id",
    "system_fingerprint",
    "object",
    "model",
    "created",
    "choices",
    "index",
    "finish_reason",
    "message",
    "role",
    "content",
    "text",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
];

/// The longest that the import of mlx_lm may take, on a machine that has much else to do.
const LOADING: Duration = Duration::from_secs(120);

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

async fn plain(url: &str, path: &str, request: &Value) -> String {
    let answer = post_to(url, path, request).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{request}");
    answer.text().await.expect("UTF-8")
}

/// Asks for a stream and assembles it, as the gateway does.
async fn assembled(url: &str, path: &str, request: &Value, model: &str) -> String {
    let mut request = request.clone();
    request["stream"] = true.into();
    request["stream_options"] = json!({"include_usage": true});
    let mut answer = post_to(url, path, &request).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{request}");
    let kind = if path == CHAT { Kind::Chat } else { Kind::Completion };
    let (mut parser, mut assembly) = (Parser::default(), Assembly::new(kind, ANSWER_LIMIT));
    let mut transcript = Transcript::new(model, REMEMBERED);
    while let Some(frame) = answer.chunk().await.expect("it is not broken off") {
        parser.feed(frame);
        while let Some(event) = parser.next_event() {
            match event {
                Event::Comment(_) => {}
                Event::Data(data) => {
                    assert!(matches!(transcript.take(&data), Verdict::Chunk(_)), "{data:?}");
                    assembly.take(&data).expect("a chunk");
                }
                Event::Done => transcript.done(),
                Event::Malformed(why) => panic!("{why}"),
            }
        }
    }
    assert_eq!(transcript.ending(), Ending::Whole);
    String::from_utf8(assembly.finish(model).expect("an answer").to_vec()).expect("UTF-8")
}

/// What an answer says, without what is made anew for each.
fn settled(answer: &str) -> Value {
    let mut answer: Value = serde_json::from_str(answer).expect("JSON");
    for member in ["id", "created"] {
        let value = std::mem::take(&mut answer[member]);
        assert!(!value.is_null(), "{member}");
    }
    // mlx_lm 0.31.3 leaves it out where it is null, against the schema.
    let message = &mut answer["choices"][0]["message"];
    if message.is_object() && message.get("content").is_none() {
        message["content"] = Value::Null;
    }
    for call in answer["choices"][0]["message"]["tool_calls"].as_array_mut().into_iter().flatten() {
        let id = std::mem::take(&mut call["id"]);
        assert!(id.is_string(), "{call}");
    }
    answer
}

/// The members in the order in which they come.
fn order(answer: &str) -> Vec<&'static str> {
    let mut found: Vec<_> =
        MEMBERS.iter().filter_map(|name| Some((answer.find(&format!("\"{name}\""))?, *name))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// Asks both ways, and answers the plain answer once the two have been found to be the same.
async fn both(url: &str, path: &str, request: &Value) -> Value {
    // The first time it is not in the server's cache of prompts, which the usage tells.
    plain(url, path, request).await;
    let plain = plain(url, path, request).await;
    let answer = settled(&plain);
    let model = answer["model"].as_str().expect("a model");
    let assembled = assembled(url, path, request, model).await;
    assert_eq!(settled(&assembled), answer, "{request}");
    if !answer["choices"][0]["message"]["content"].is_null() || path == COMPLETIONS {
        assert_eq!(order(&assembled), order(&plain), "{request}");
    }
    answer
}

fn chat(more: &Value) -> Value {
    request(json!({"messages": [{"role": "user", "content": "What is a tree?"}]}), more)
}

/// Has the model say this token and no other.
fn only(token: u32) -> Value {
    json!({"max_tokens": 8, "logit_bias": {token.to_string(): 100.0}})
}

fn completion(more: &Value) -> Value {
    request(json!({"prompt": "Once upon a time"}), more)
}

fn request(mut request: Value, more: &Value) -> Value {
    request["temperature"] = json!(0);
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

/// All that can be asked of both ways.
async fn each_answer_is_the_same(version: Version) {
    let (_server, _home, url) = server(version, None).await;
    let long = both(&url, CHAT, &chat(&json!({"max_tokens": 40}))).await;
    let said = long["choices"][0]["message"]["content"].as_str().expect("a text").to_owned();
    assert!(said.split_whitespace().count() > 20, "{said:?}");
    assert_eq!(long["usage"]["completion_tokens"], 40);
    both(&url, CHAT, &chat(&json!({"max_completion_tokens": 1}))).await;
    both(&url, CHAT, &chat(&json!({"max_tokens": 8, "model": "default_model", "seed": 7, "temperature": 0.9}))).await;

    let text = both(&url, COMPLETIONS, &completion(&json!({"max_tokens": 40}))).await;
    assert_eq!(text["choices"][0]["finish_reason"], "length");
    both(&url, COMPLETIONS, &completion(&json!({"max_tokens": 1}))).await;
    // One token again and again: bytes that need escapes, and bytes that are no character alone.
    for token in 0..12 {
        let bias = only(token * 21);
        both(&url, COMPLETIONS, &completion(&bias)).await;
        both(&url, CHAT, &chat(&bias)).await;
    }
    // An end in the middle of what is said, and one before anything is.
    let letter = both(&url, COMPLETIONS, &completion(&only(70))).await;
    let letter = letter["choices"][0]["text"].as_str().and_then(|text| text.chars().next()).expect("a letter");
    let stop = |times: usize| request(only(70), &json!({"stop": [letter.to_string().repeat(times)]}));
    let stopped = both(&url, CHAT, &chat(&stop(3))).await;
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    both(&url, COMPLETIONS, &completion(&stop(2))).await;
    let silent = both(&url, CHAT, &chat(&stop(1))).await;
    assert_eq!(
        (&silent["choices"][0]["finish_reason"], &silent["choices"][0]["message"]["content"]),
        (&json!("stop"), &Value::Null)
    );
    probabilities_are_told_in_plain_answers_only(&url).await;
}

/// A server of this version; with a text, its model says that and nothing else. It is killed by drop.
async fn server(version: Version, text: Option<&str>) -> (Child, TempDir, String) {
    let home = tempfile::tempdir().expect("a directory");
    let model = model::resolve(model::BUILTIN_TINY, home.path(), home.path()).await.expect("a model");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/scripted_server.py");
    let mut server = Command::new(environment(version).await.interpreter)
        .arg(script)
        .arg(&model.argument)
        .args(text)
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut told = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let port = timeout(LOADING, told.next_line()).await.expect("in time").expect("a line").expect("a port");
    (server, home, format!("http://127.0.0.1:{port}"))
}

async fn calls_are_put_together_as_the_server_itself_does(version: Version) {
    let text = "Let me look. <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\", \"q\": \"\\\"\"}}</tool_call> \
                and <tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
    let tools = json!([{"type": "function", "function": {"name": "now"}}]);
    let (_server, _home, url) = server(version, Some(text)).await;
    let answer = both(&url, CHAT, &chat(&json!({"max_tokens": 400, "tools": tools}))).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].as_str().is_some_and(|said| said.starts_with("Let me look.")), "{message}");
    let calls = message["tool_calls"].as_array().expect("calls");
    assert_eq!(calls[0]["function"], json!({"name": "get_weather", "arguments": r#"{"city": "Bern", "q": "\""}"#}));
    assert_eq!((calls.len(), &calls[1]["function"]["arguments"]), (2, &json!("{}")));
    // Cut by the limit inside of the second call: what is there of it is no call.
    let cut = both(&url, CHAT, &chat(&json!({"max_tokens": 130, "tools": tools}))).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
}

async fn probabilities_are_told_in_plain_answers_only(url: &str) {
    for asked in [json!({"logprobs": true}), json!({"logprobs": true, "top_logprobs": 2})] {
        let request = request(chat(&json!({"max_tokens": 6})), &asked);
        plain(url, CHAT, &request).await;
        let mut answer = settled(&plain(url, CHAT, &request).await);
        let logprobs = answer["choices"][0].as_object_mut().expect("a choice").remove("logprobs");
        assert_eq!(logprobs.expect("it was asked for them")["content"].as_array().map(Vec::len), Some(6));
        let model = answer["model"].as_str().expect("a model");
        assert_eq!(settled(&assembled(url, CHAT, &request, model).await), answer);
    }
}

// One test for each version and one server after the other: several that import at once take longer than anybody waits.

#[tokio::test]
async fn of_mlx_lm_0_32_2_each_answer_is_the_plain_one() {
    each_answer_is_the_same(Version::Current).await;
    calls_are_put_together_as_the_server_itself_does(Version::Current).await;
}

#[tokio::test]
async fn of_mlx_lm_0_31_3_each_answer_is_the_plain_one() {
    each_answer_is_the_same(Version::Blind).await;
    calls_are_put_together_as_the_server_itself_does(Version::Blind).await;
}
