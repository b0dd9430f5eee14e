//! The fallback over sockets: a fake of Ollama that keeps its habits, and what comes of each of its faults.

use std::net::SocketAddr;
use std::time::Duration;

use mlx_tree_api::{FallbackModel, FallbackState, FallbackView};
use mlx_tree_gateway::divert::{
    Answer, Fallback, InvalidTarget, Next, Target, TargetConfig, TargetKind, TargetModel, Wish, neither,
};
use mlx_tree_gateway::request::{Endpoint, Temperature};
use mlx_tree_gateway::{Code, Refusal};
use mlx_tree_stand_in::{OllamaFault, OllamaOptions, OllamaServer};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// Long enough for anything here; only what never comes takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A fake of Ollama and a fallback that goes to it.
struct Stage {
    ollama: OllamaServer,
    target: Target,
    _view: watch::Sender<FallbackView>,
}

fn config(address: SocketAddr) -> TargetConfig {
    TargetConfig {
        kind: TargetKind::Ollama { keep_alive: Duration::from_secs(300) },
        address,
        models: vec![TargetModel { name: None, target: "tiny:latest".to_owned() }],
        num_ctx: Some(2048),
        timeout: PATIENCE,
        max_inflight: 2,
        breaker: TargetConfig::own_breaker(PATIENCE),
    }
}

fn ready(capabilities: &[&str], context_length: u64, remote: Option<&str>) -> FallbackView {
    let model = FallbackModel {
        name: "tiny:latest".to_owned(),
        context_length: Some(context_length),
        capabilities: capabilities.iter().map(|word| (*word).to_owned()).collect(),
        remote: remote.map(str::to_owned),
    };
    FallbackView { state: FallbackState::Ready, models: vec![model], ..FallbackView::unknown("ollama") }
}

fn unseen() -> FallbackView {
    FallbackView::unknown("ollama")
}

fn with(fault: OllamaFault) -> OllamaOptions {
    OllamaOptions { fault: Some(fault), ..OllamaOptions::default() }
}

fn absent(config: &mut TargetConfig) {
    config.models = vec![TargetModel { name: None, target: "absent:1b".to_owned() }];
}

impl Stage {
    fn set(options: OllamaOptions, view: FallbackView, change: impl FnOnce(&mut TargetConfig)) -> Self {
        let ollama = OllamaServer::start(OllamaOptions { port: 0, ..options }).expect("a port");
        let (view, seen) = watch::channel(view);
        let mut config = config(ollama.address());
        change(&mut config);
        Self { ollama, target: Target::new(config, seen).expect("valid"), _view: view }
    }

    /// With these options, and a worker that has looked.
    fn of(options: OllamaOptions) -> Self {
        Self::set(options, ready(&["completion", "tools"], 32_768, None), |_| {})
    }

    async fn ask(&self, endpoint: Endpoint, body: &Value) -> Result<Answer, Refusal> {
        let body = body.as_object().expect("an object");
        let plan = self.target.judge(&Wish { endpoint, model: "ours", body, temperature: Temperature::Zero })?;
        self.target.send(plan).await
    }

    async fn chat(&self, more: &Value) -> Result<Answer, Refusal> {
        self.ask(Endpoint::Chat, &chat(more)).await
    }

    async fn whole(&self, more: &Value) -> Vec<Value> {
        let (events, end) = read(self.chat(more).await.expect("an answer")).await;
        assert_eq!(end, Ok(()));
        events
    }

    async fn refused(&self, more: &Value) -> Refusal {
        self.chat(more).await.err().unwrap_or_else(|| panic!("{more} was not refused"))
    }
}

fn chat(more: &Value) -> Value {
    let mut body = json!({"model": "ours", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_else(Map::new));
    body
}

/// All events, and how it ended.
async fn read(mut answer: Answer) -> (Vec<Value>, Result<(), Refusal>) {
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE * 2, answer.next()).await.expect("it ends") {
            Next::Event(event) => events.push(serde_json::from_slice(&event).expect("JSON")),
            Next::Whole => return (events, Ok(())),
            Next::Broken(refusal) => return (events, Err(refusal)),
        }
    }
}

fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

fn finishes(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["choices"][0]["finish_reason"].as_str()).collect()
}

#[tokio::test]
async fn f73_a_fallbacks_answer_is_a_whole_openai_stream_that_names_the_model_which_answers() {
    let stage = Stage::of(OllamaOptions::default());
    let answer = stage.chat(&json!({"max_tokens": 5})).await.expect("an answer");
    assert_eq!((stage.target.name(), answer.model()), ("ollama", "tiny:latest"));
    let (events, end) = read(answer).await;
    assert_eq!(end, Ok(()));
    assert_eq!(text(&events).split_whitespace().count(), 5);
    assert!(events.iter().all(|event| event["model"] == "tiny:latest"));
    assert_eq!(finishes(&events), ["length"]);
    assert_eq!(events.last().expect("usage")["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn ollama_is_asked_natively_and_nothing_is_left_to_its_defaults() {
    let stage = Stage::of(OllamaOptions::default());
    let _ = stage.whole(&json!({})).await;
    let completion = json!({"prompt": "Once", "max_tokens": 3});
    let (events, end) = read(stage.ask(Endpoint::Completions, &completion).await.expect("an answer")).await;
    assert_eq!(end, Ok(()));
    assert_eq!(events[0]["object"], "text_completion");
    let requests = stage.ollama.requests();
    let lines: Vec<_> = requests.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines, ["POST /api/chat", "POST /api/generate"]);
    for request in requests {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!((&body["truncate"], &body["shift"]), (&json!(false), &json!(false)));
        assert_eq!(body["options"]["num_ctx"], 2048);
    }
}

#[tokio::test]
async fn tools_are_called_and_thoughts_are_told_apart() {
    let capabilities = ["completion", "tools", "thinking"];
    let options =
        OllamaOptions { thinking: 3, capabilities: capabilities.map(str::to_owned).into(), ..OllamaOptions::default() };
    let stage = Stage::set(options, ready(&capabilities, 32_768, None), |_| {});
    let more = json!({"tools": [{"type": "function", "function": {"name": "plant"}}], "tool_choice": "auto"});
    let events = stage.whole(&more).await;
    let deltas: Vec<_> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    assert_eq!(deltas.iter().filter(|delta| delta["reasoning"].is_string()).count(), 3);
    let call = deltas.iter().find_map(|delta| delta.get("tool_calls")).expect("a call");
    assert_eq!(call[0]["function"], json!({"name": "plant", "arguments": "{\"text\":\"tree\"}"}));
    assert_eq!(finishes(&events), ["tool_calls"]);
}

#[tokio::test]
async fn f68_nobody_listens_and_both_reasons_are_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let stage = Stage::set(OllamaOptions::default(), unseen(), |config| config.address = address);
    let fallback = stage.refused(&json!({})).await;
    assert_eq!(fallback.code, Code::FallbackUnavailable);
    let primary = Refusal::new(Code::BackendRestarting, "The server is being restarted");
    let told = neither(&primary.retry_after(Duration::from_secs(7)), fallback);
    assert_eq!((told.code, told.code.status().as_u16()), (Code::FallbackUnavailable, 503));
    assert_eq!(told.retry_after, Some(Duration::from_secs(7)));
    assert!(told.message.starts_with("The server is being restarted. And the fallback: "), "{}", told.message);
    assert!(told.message.contains("does not answer"), "{}", told.message);
}

#[tokio::test]
async fn f68_what_its_worker_says_of_it_is_believed() {
    let view = FallbackView::unavailable("ollama", "nothing listens at 127.0.0.1:11434");
    let stage = Stage::set(OllamaOptions::default(), view, |_| {});
    let refused = stage.refused(&json!({})).await;
    assert_eq!(refused.code, Code::FallbackUnavailable);
    assert!(refused.message.contains("nothing listens at 127.0.0.1:11434"), "{}", refused.message);
    assert_eq!(stage.ollama.requests(), [], "it is not asked");
}

#[tokio::test]
async fn f68_after_three_failures_it_is_left_alone_for_a_while() {
    let stage = Stage::of(with(OllamaFault::Status(500)));
    for _ in 0..3 {
        assert_eq!(stage.refused(&json!({})).await.code, Code::FallbackUnavailable);
    }
    let refused = stage.refused(&json!({})).await;
    assert!(refused.message.contains("left alone"), "{}", refused.message);
    assert!(refused.retry_after.is_some_and(|after| after <= Duration::from_secs(10)));
    assert_eq!(stage.ollama.requests().len(), 3, "the fourth was not sent");
}

#[tokio::test]
async fn a_trial_that_succeeds_brings_it_back() {
    let soon = |config: &mut TargetConfig| config.breaker.open_for = Duration::from_millis(50);
    let stage = Stage::set(with(OllamaFault::Status(500)), ready(&["completion"], 32_768, None), soon);
    for _ in 0..3 {
        assert_eq!(stage.refused(&json!({})).await.code, Code::FallbackUnavailable);
    }
    stage.ollama.fault(None);
    tokio::time::sleep(Duration::from_millis(80)).await;
    // The trial, and one that needs none.
    let _ = (stage.whole(&json!({})).await, stage.whole(&json!({})).await);
}

#[tokio::test]
async fn a_model_that_is_missing_says_nothing_against_ollama() {
    let stage = Stage::set(OllamaOptions::default(), unseen(), absent);
    for _ in 0..5 {
        assert_eq!(stage.refused(&json!({})).await.code, Code::FallbackModelMissing);
    }
    assert_eq!(stage.ollama.requests().len(), 5, "the breaker stays closed");
}

#[tokio::test]
async fn f69_a_missing_model_is_never_pulled() {
    for view in [unseen(), ready(&["completion"], 4096, None)] {
        let stage = Stage::set(OllamaOptions::default(), view, absent);
        let refused = stage.refused(&json!({})).await;
        assert_eq!((refused.code, refused.code.status().as_u16()), (Code::FallbackModelMissing, 503));
        assert!(refused.message.contains("never pulled from here: `ollama pull absent:1b`"), "{}", refused.message);
        assert_eq!(stage.ollama.stats().pulls, 0);
    }
}

#[tokio::test]
async fn f69_a_name_that_nothing_stands_in_for_is_told_of() {
    let other = TargetModel { name: Some("another".to_owned()), target: "tiny:latest".to_owned() };
    let stage = Stage::set(OllamaOptions::default(), ready(&[], 4096, None), |config| config.models = vec![other]);
    let refused = stage.refused(&json!({})).await;
    assert_eq!(refused.code, Code::FallbackModelMissing);
    assert!(refused.message.contains("\"ours\" (fallback.models)"), "{}", refused.message);
}

#[tokio::test]
async fn f70_silence_has_a_limit_of_its_own_before_the_first_word_and_after_it() {
    let brief = |config: &mut TargetConfig| config.timeout = Duration::from_millis(300);
    let view = || ready(&["completion"], 32_768, None);
    let refused = Stage::set(with(OllamaFault::Hang), view(), brief).refused(&json!({})).await;
    assert_eq!(refused.code, Code::FallbackUnavailable);
    assert!(refused.message.contains("0.3 s (fallback.timeout)"), "{}", refused.message);
    let stage = Stage::set(with(OllamaFault::StallAfter(3)), view(), brief);
    let (events, end) = read(stage.chat(&json!({})).await.expect("it begins")).await;
    assert_eq!(events.len(), 3);
    assert_eq!(end.expect_err("it stalled").code, Code::UpstreamTimeout);
}

#[tokio::test]
async fn f71_what_does_not_fit_by_our_estimate_is_not_sent() {
    let stage = Stage::of(OllamaOptions::default());
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(2_000)}]});
    let refused = stage.refused(&long).await;
    assert_eq!((refused.code, refused.code.status().as_u16()), (Code::FallbackUnsupported, 503));
    assert!(refused.message.contains("fallback.num_ctx is 2048"), "{}", refused.message);
    let wordy = stage.refused(&json!({"max_tokens": 2_047})).await;
    assert_eq!(wordy.code, Code::FallbackUnsupported, "the answer needs room too");
    assert_eq!(stage.ollama.requests(), []);
}

#[tokio::test]
async fn f71_a_model_may_have_less_than_num_ctx() {
    let stage = Stage::set(OllamaOptions::default(), ready(&["completion"], 128, None), |_| {});
    let refused = stage.refused(&json!({"max_tokens": 127})).await;
    assert!(refused.message.contains("the model has a context of 128"), "{}", refused.message);
}

#[tokio::test]
async fn f71_what_does_not_fit_by_its_own_count_is_an_error_and_never_200() {
    // Nobody has told of a context, so nothing is estimated; Ollama's own count decides.
    let options = OllamaOptions { context: 64, ..OllamaOptions::default() };
    let stage = Stage::set(options, unseen(), |config| config.num_ctx = None);
    let message = json!({"role": "user", "content": "a message of thirty characters"});
    let refused = stage.refused(&json!({"messages": vec![message; 20]})).await;
    assert_eq!(refused.code, Code::FallbackUnsupported);
    assert!(refused.message.contains("exceeds the available context size"), "{}", refused.message);
    assert_eq!(stage.ollama.stats().answers, 1, "it was asked, and said no");
}

#[tokio::test]
async fn f71_an_answer_that_fills_the_context_is_cut_by_its_length_and_says_so() {
    let options = OllamaOptions { context: 40, answer_tokens: 1_000, ..OllamaOptions::default() };
    let stage = Stage::set(options, ready(&["completion"], 40, None), |_| {});
    let events = stage.whole(&json!({})).await;
    assert_eq!(finishes(&events), ["length"]);
    assert!(text(&events).split_whitespace().count() < 40);
}

#[tokio::test]
async fn f72_an_error_in_the_middle_is_an_error_and_so_is_every_other_end_that_is_none() {
    for (fault, said) in [
        (OllamaFault::ErrorAfter(3), "model runner has unexpectedly stopped"),
        (OllamaFault::CutAfter(3), "broke off"),
        (OllamaFault::EndAfter(3), "broke off before its end"),
        (OllamaFault::GarbageAfter(3), "no JSON"),
        (OllamaFault::NoReason, "no known reason"),
    ] {
        let stage = Stage::of(with(fault));
        let mut answer = stage.chat(&json!({})).await.expect("it begins");
        let mut events = 0;
        let refusal = loop {
            match answer.next().await {
                Next::Event(_) => events += 1,
                Next::Whole => panic!("{fault:?} passed for a whole answer"),
                Next::Broken(refusal) => break refusal,
            }
        };
        assert!(events >= 3, "{fault:?}: {events}");
        assert_eq!(refusal.code, Code::BadUpstreamResponse, "{fault:?}");
        assert!(refusal.message.contains(said), "{fault:?}: {}", refusal.message);
        assert_eq!(answer.next().await, Next::Broken(refusal), "the end stays the end");
        assert_eq!(stage.ollama.stats().answers, 1, "nothing is asked twice");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_word_is_a_refusal() {
    for fault in [OllamaFault::ErrorAfter(0), OllamaFault::CutAfter(0), OllamaFault::EndAfter(0)] {
        let refused = Stage::of(with(fault)).refused(&json!({})).await;
        assert_eq!((refused.code, refused.code.status().as_u16()), (Code::FallbackUnavailable, 503), "{fault:?}");
    }
}

#[tokio::test]
async fn only_so_many_at_a_time_and_the_place_is_free_again() {
    let stage = Stage::of(with(OllamaFault::StallAfter(1)));
    let (one, other) = (stage.chat(&json!({})).await.expect("first"), stage.chat(&json!({})).await.expect("second"));
    assert_eq!(stage.target.usage().borrow().in_flight, 2);
    let refused = stage.refused(&json!({})).await;
    assert_eq!(refused.code, Code::ServerOverloaded);
    assert!(refused.message.contains("2 requests already (fallback.max_inflight)"), "{}", refused.message);
    drop(one);
    let third = stage.chat(&json!({})).await.expect("there is room again");
    drop((other, third));
    let usage = stage.target.usage().borrow().clone();
    assert_eq!((usage.in_flight, usage.begun["tiny:latest"]), (0, 3));
}

#[tokio::test]
async fn a_busy_ollama_is_not_a_broken_one() {
    let stage = Stage::of(with(OllamaFault::Overload));
    for _ in 0..5 {
        let refused = stage.refused(&json!({})).await;
        assert_eq!(refused.code, Code::ServerOverloaded);
        assert!(refused.retry_after.is_some());
    }
    assert_eq!(stage.ollama.requests().len(), 5);
}

#[tokio::test]
async fn an_answer_that_is_dropped_is_not_generated_to_its_end() {
    let stage =
        Stage::of(OllamaOptions { answer_tokens: 10_000, tokens_per_second: 1_000, ..OllamaOptions::default() });
    let mut answer = stage.chat(&json!({})).await.expect("an answer");
    assert!(matches!(answer.next().await, Next::Event(_)));
    drop(answer);
    let aborted = async {
        while stage.ollama.stats().aborted == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, aborted).await.expect("Ollama notices");
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_by_name_and_never_sent() {
    let stage = Stage::of(OllamaOptions::default());
    for (more, param) in [
        (json!({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}), "tool_choice"),
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"logit_bias": {"7": 1}}), "logit_bias"),
        (json!({"adapters": "mine"}), "adapters"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "messages[0]"),
    ] {
        let refused = stage.refused(&more).await;
        assert_eq!((refused.code, refused.param.as_deref()), (Code::FallbackUnsupported, Some(param)));
    }
    let embeddings = stage.ask(Endpoint::Embeddings, &json!({"input": "x"})).await.expect_err("not comparable");
    assert_eq!(embeddings.code, Code::FallbackUnsupported);
    assert_eq!(stage.ollama.requests(), []);
}

#[tokio::test]
async fn s05_prompts_do_not_leave_this_machine() {
    let view = ready(&["completion"], 32_768, Some("https://ollama.com:443"));
    let stage = Stage::set(OllamaOptions::default(), view, |_| {});
    let refused = stage.refused(&json!({})).await;
    assert_eq!(refused.code, Code::FallbackUnsupported);
    assert!(refused.message.contains("not run on this machine but at https://ollama.com"), "{}", refused.message);
    assert_eq!(stage.ollama.requests(), []);
    let elsewhere: SocketAddr = "192.0.2.1:11434".parse().expect("an address");
    let (_sender, view) = watch::channel(unseen());
    assert_eq!(Target::new(config(elsewhere), view).err(), Some(InvalidTarget::NotLoopback(elsewhere)));
}

#[tokio::test]
async fn s05_no_field_of_a_request_changes_where_it_goes() {
    let stage = Stage::of(OllamaOptions::default());
    let _ = stage.whole(&json!({"model": "http://192.0.2.1/x", "user": "../../etc"})).await;
    let request = stage.ollama.requests().remove(0);
    assert_eq!(request.line, "POST /api/chat");
    assert!(request.body.contains("\"model\":\"tiny:latest\"") && !request.body.contains("192.0.2.1"), "{request:?}");
}
