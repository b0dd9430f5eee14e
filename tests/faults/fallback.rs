//! The fallback end to end: off unless it is asked for, labelled whenever it answers, and with troubles of its own.

use std::future::ready;
use std::time::Duration;

use crate::support::gateway::{Address, Answer, End, eventually, plain, streamed, with};
use crate::support::{Instance, Setup};
use mlx_tree::stand_in::{OllamaFault, OllamaOptions, OllamaServer};
use mlx_tree_control::Verb;
use serde_json::{Value, json};

const ALLOW: [(&str, &str); 1] = [("x-mlx-tree-fallback", "allow")];

/// A fake of Ollama that has the model `small`.
fn ollama(options: OllamaOptions) -> OllamaServer {
    OllamaServer::start(OllamaOptions { port: 0, models: vec!["small:latest".to_owned()], ..options }).expect("a port")
}

/// A tree whose fallback is at `base`, with the server stopped by its operator.
async fn stopped(base: &str, keys: &[(&str, &str)]) -> (Instance, Address) {
    let setup = Setup::demo(&["--control"])
        .set("fallback.policy", "opt-in")
        .set("fallback.url", base)
        .set("fallback.model", "small");
    let tree = keys.iter().fold(setup, |setup, (key, value)| setup.set(key, value)).start();
    tree.ready(1).await;
    tree.perform(Verb::Stop).await.expect("it stops");
    let gateway = tree.gateway().await;
    (tree, gateway)
}

fn base(ollama: &OllamaServer) -> String {
    format!("http://{}", ollama.address())
}

fn error(answer: &Answer) -> Value {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    body["error"].clone()
}

/// I8: who has answered stands in the headers and in the body, and it is the fallback.
fn labelled(answer: &Answer) {
    assert_eq!(answer.head.header("x-mlx-tree-backend"), Some("ollama"), "{answer:?}");
    assert_eq!(answer.head.header("x-mlx-tree-model"), Some("small"), "{answer:?}");
    assert_eq!(answer.head.header("x-mlx-tree-fallback"), Some("backend_stopped"), "{answer:?}");
}

async fn ask(gateway: Address, body: &Value) -> Answer {
    gateway.send_with(&ALLOW, body).await.answer().await
}

#[tokio::test]
async fn f73_an_answer_of_the_fallback_is_labelled_in_headers_body_and_log() {
    let ollama = ollama(OllamaOptions::default());
    let (tree, gateway) = stopped(&base(&ollama), &[]).await;
    let answer = ask(gateway, &plain("hello")).await;
    assert_eq!(answer.head.status, 200, "{answer:?}");
    labelled(&answer);
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["model"], "small");
    assert!(body["choices"][0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty()), "{body}");

    let answer = ask(gateway, &streamed("hello")).await;
    labelled(&answer);
    assert_eq!((answer.end, answer.events.last().map(String::as_str)), (End::Proper, Some("[DONE]")), "{answer:?}");
    let events: Vec<Value> = answer
        .events
        .iter()
        .filter(|event| *event != "[DONE]")
        .map(|event| serde_json::from_str(event).expect("JSON"))
        .collect();
    assert!(events.iter().all(|event| event["model"] == "small"), "{events:?}");
    tree.told(&["[GATEWAY]", "answered by the fallback ollama", "backend_stopped"]).await;

    // Once the server is back it answers itself.
    tree.perform(Verb::Start).await.expect("it starts");
    let answer = ask(gateway, &plain("hello")).await;
    assert_eq!(
        (answer.head.header("x-mlx-tree-backend"), answer.head.header("x-mlx-tree-fallback")),
        (Some("demo"), None)
    );
    tree.stop().await;
}

#[tokio::test]
async fn without_consent_or_configuration_nobody_else_answers() {
    let ollama = ollama(OllamaOptions::default());
    let (tree, gateway) = stopped(&base(&ollama), &[]).await;
    for headers in [&[][..], &[("x-mlx-tree-fallback", "deny")], &[("x-mlx-tree-fallback", "perhaps")]] {
        let answer = gateway.send_with(headers, &plain("hello")).await.answer().await;
        assert_eq!((answer.head.status, &error(&answer)["code"]), (503, &json!("backend_stopped")), "{headers:?}");
    }
    tree.stop().await;
    let (tree, gateway) = stopped(&base(&ollama), &[("fallback.policy", "deny")]).await;
    let answer = ask(gateway, &plain("hello")).await;
    assert_eq!((answer.head.status, &error(&answer)["code"]), (503, &json!("backend_stopped")));
    let asked = ollama.requests();
    assert!(!asked.iter().any(|request| request.line.contains("/api/chat")), "{asked:?}");
    tree.stop().await;
}

#[tokio::test]
async fn f68_when_both_are_down_the_client_is_told_both_reasons() {
    let gone = base(&ollama(OllamaOptions::default()));
    let (tree, gateway) = stopped(&gone, &[]).await;
    let answer = ask(gateway, &plain("hello")).await;
    let error = error(&answer);
    assert_eq!((answer.head.status, &error["code"]), (503, &json!("fallback_unavailable")), "{answer:?}");
    let message = error["message"].as_str().expect("text");
    assert!(message.contains("stopped") && message.contains("fallback"), "{message}");
    assert_eq!(tree.status().await.breaker.consecutive_failures, 0, "that is not the server's");
    tree.stop().await;
}

#[tokio::test]
async fn f69_a_model_that_the_fallback_lacks_is_not_pulled() {
    let ollama = ollama(OllamaOptions::default());
    let (tree, gateway) = stopped(&base(&ollama), &[("fallback.model", "absent:1b")]).await;
    let answer = ask(gateway, &plain("hello")).await;
    assert_eq!((answer.head.status, &error(&answer)["code"]), (503, &json!("fallback_model_missing")), "{answer:?}");
    assert_eq!(ollama.stats().pulls, 0);
    tree.stop().await;
}

#[tokio::test]
async fn f70_a_fallback_that_hangs_has_a_timeout_and_a_breaker_of_its_own() {
    let ollama = ollama(OllamaOptions::default());
    let (tree, gateway) = stopped(&base(&ollama), &[("fallback.timeout", "300ms")]).await;
    ollama.fault(Some(OllamaFault::Hang));
    for _ in 0..5 {
        let answer = ask(gateway, &plain("hello")).await;
        assert_eq!((answer.head.status, &error(&answer)["code"]), (503, &json!("fallback_unavailable")), "{answer:?}");
    }
    // One that is given up may be read later than that.
    let asked = || ollama.requests().iter().filter(|request| request.line.contains("/api/chat")).count();
    eventually("asked three times", || ready(asked() >= 3)).await;
    assert_eq!(asked(), 3, "after three failures it is left alone");
    let status = tree.status().await;
    assert_eq!(
        (status.breaker.consecutive_failures, status.restart_count),
        (0, 0),
        "the server has nothing to do with it"
    );
    tree.stop().await;
}

#[tokio::test]
async fn f71_what_does_not_fit_or_cannot_be_done_is_refused_and_never_cut_short() {
    let ollama = ollama(OllamaOptions { context: 64, ..OllamaOptions::default() });
    let (tree, gateway) = stopped(&base(&ollama), &[("fallback.num_ctx", "64")]).await;
    let long = plain(&"a word and another one ".repeat(200));
    let forced = with(plain("hello"), "tool_choice", "required");
    let forced = with(forced, "tools", json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]));
    let chance = with(plain("hello"), "logprobs", true);
    let remote = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]});
    for body in [&long, &forced, &chance, &remote] {
        let answer = ask(gateway, body).await;
        assert_ne!(answer.head.status, 200, "{answer:?}");
        if answer.head.status == 503 {
            assert_eq!(error(&answer)["code"], "fallback_unsupported", "{answer:?}");
        }
    }
    assert_eq!(ask(gateway, &with(plain("hi"), "max_tokens", 8)).await.head.status, 200, "what fits is served");
    tree.stop().await;
}

#[tokio::test]
async fn f72_an_answer_that_breaks_off_ends_with_an_error_and_nobody_else_is_tried() {
    let ollama = ollama(OllamaOptions { answer_tokens: 20, ..OllamaOptions::default() });
    let (tree, gateway) = stopped(&base(&ollama), &[]).await;
    ollama.fault(Some(OllamaFault::ErrorAfter(3)));
    let answer = ask(gateway, &streamed("hello")).await;
    labelled(&answer);
    assert_eq!(answer.end, End::Cut, "{answer:?}");
    let last = answer.events.last().expect("the error");
    assert!(last.contains("\"error\"") && !answer.events.iter().any(|event| event == "[DONE]"), "{answer:?}");
    assert_eq!(ollama.stats().answers, 1, "once, and nobody else");
    let answer = ask(gateway, &plain("hello")).await;
    assert!(answer.head.status >= 500, "a plain answer is whole or none: {answer:?}");
    tree.stop().await;
}

#[tokio::test]
async fn the_fallbacks_model_leaves_memory_before_the_server_loads_its_own() {
    let ollama = ollama(OllamaOptions::default());
    let (tree, gateway) = stopped(&base(&ollama), &[]).await;
    assert_eq!(ask(gateway, &plain("hello")).await.head.status, 200);
    assert_eq!(ollama.loaded(), ["small:latest"]);
    tree.perform(Verb::Start).await.expect("it starts");
    let start = std::time::Instant::now();
    while !ollama.loaded().is_empty() {
        assert!(start.elapsed() < crate::support::PATIENCE, "it is still loaded: {:?}", ollama.loaded());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ollama.stats().unloads, 1);
    tree.stop().await;
}
