//! The fallback and real programs: llama.cpp's HTTP server behind it, and Ollama's own client before the fake of Ollama.

#[path = "support/packages.rs"]
mod packages;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mlx_tree::stand_in::{OllamaOptions, OllamaServer};
use mlx_tree::supervision::Supervisor;
use mlx_tree_api::{FallbackState, FallbackView};
use mlx_tree_gateway::divert::{Answer, Fallback, Next, Target, TargetConfig, TargetKind, TargetModel, Wish};
use mlx_tree_gateway::request::{Endpoint, Temperature};
use mlx_tree_gateway::{Code, Refusal};
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::fallback::{FallbackLinks, OpenAi};
use mlx_tree_workers::server::probe;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The longest that anything here may take. No test waits so long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support").join(name)
}

async fn environment() -> PathBuf {
    let packages = ["xllamacpp==2026.10.11549", "gguf==0.19.0", "ollama==0.6.3"];
    tokio::task::spawn_blocking(move || packages::python("fallback-env", &packages)).await.expect("it is made")
}

/// llama.cpp's server, until it is dropped.
struct Llama {
    process: Child,
    address: SocketAddr,
    _home: tempfile::TempDir,
}

impl Llama {
    async fn start() -> Self {
        let (python, home) = (environment().await, tempfile::tempdir().expect("a directory"));
        let mut process = Command::new(python)
            .arg(beside("llama.py"))
            .arg(home.path().join("tiny.gguf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable");
        let url = line.expect("it tells where it listens");
        let address = url.strip_prefix("http://").expect("a URL").parse().expect("an address");
        Self { process, address, _home: home }
    }

    fn target(&self, num_ctx: Option<u64>, view: watch::Receiver<FallbackView>) -> Target {
        let config = TargetConfig {
            kind: TargetKind::OpenAi,
            address: self.address,
            models: vec![TargetModel { name: None, target: "tiny".to_owned() }],
            num_ctx,
            timeout: PATIENCE,
            max_inflight: 2,
            breaker: TargetConfig::own_breaker(PATIENCE),
        };
        Target::new(config, view).expect("valid")
    }
}

async fn ask(target: &Target, endpoint: Endpoint, body: &Value) -> Result<Answer, Refusal> {
    let body = body.as_object().expect("an object");
    let plan = target.judge(&Wish { endpoint, model: "ours", body, temperature: Temperature::Zero })?;
    target.send(plan).await
}

async fn whole(mut answer: Answer) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, answer.next()).await.expect("it ends") {
            Next::Event(event) => events.push(serde_json::from_slice(&event).expect("JSON")),
            Next::Whole => return events,
            Next::Broken(refusal) => panic!("{refusal}"),
        }
    }
}

fn chat(max_tokens: u32) -> Value {
    json!({"model": "ours", "messages": [{"role": "user", "content": "Hello, tree."}], "max_tokens": max_tokens})
}

fn tokens(events: &[Value]) -> u64 {
    events.last().expect("events")["usage"]["completion_tokens"].as_u64().expect("usage comes last")
}

/// The fallback as the program has it: its worker tells of the server, and it is judged by that.
#[tokio::test]
async fn llama_cpp_serves_what_its_worker_has_found_there() {
    let llama = Llama::start().await;
    let view = watch::Sender::new(FallbackView::unknown("openai"));
    let target = llama.target(None, view.subscribe());
    let links = FallbackLinks {
        client: probe::client(),
        base: format!("http://{}", llama.address),
        models: vec!["tiny".to_owned()],
        view: view.clone(),
        usage: target.usage(),
        servers: Vec::new(),
        bus: Bus::new(),
        clock: Clock::since_boot(),
    };
    let tree = Supervisor::one_for_one().child(OpenAi::child_spec(links)).start().await.expect("it starts");
    let mut seen = view.subscribe();
    let ready = seen.wait_for(|view| view.state == FallbackState::Ready);
    let ready = tokio::time::timeout(PATIENCE, ready).await.expect("in time").expect("open").clone();
    assert_eq!(ready.model("tiny").expect("it is listed").context_length, Some(512));

    let events = whole(ask(&target, Endpoint::Chat, &chat(8)).await.expect("an answer")).await;
    assert!(events.iter().all(|event| event["model"] == "tiny" && event["object"] == "chat.completion.chunk"));
    assert!(events.iter().any(|event| event["choices"][0]["finish_reason"] == "length"));
    assert_eq!(tokens(&events), 8);

    let text = json!({"prompt": "Once", "max_tokens": 5});
    let events = whole(ask(&target, Endpoint::Completions, &text).await.expect("an answer")).await;
    assert!(events.iter().all(|event| event["object"] == "text_completion"));
    assert_eq!(tokens(&events), 5);

    let refused = ask(&target, Endpoint::Chat, &chat(600)).await.expect_err("it does not fit");
    assert_eq!(refused.code, Code::FallbackUnsupported);
    assert!(refused.message.contains("the model has a context of 512"), "{}", refused.message);
    assert_eq!(target.usage().borrow().begun["tiny"], 2, "it was not sent");
    tree.stop().await;
}

#[tokio::test]
async fn f71_llama_cpp_says_itself_what_does_not_fit() {
    let llama = Llama::start().await;
    let (_view, seen) = watch::channel(FallbackView::unknown("openai"));
    let long = json!({"messages": [{"role": "user", "content": "x".repeat(3_000)}], "max_tokens": 4});
    let refused = ask(&llama.target(None, seen), Endpoint::Chat, &long).await.expect_err("it does not fit");
    assert_eq!((refused.code, refused.code.status().as_u16()), (Code::FallbackUnsupported, 503));
    assert!(refused.message.contains("exceeds the available context size (512 tokens)"), "{}", refused.message);
}

#[tokio::test]
async fn f72_a_llama_cpp_that_is_killed_leaves_no_whole_answer_behind() {
    let mut llama = Llama::start().await;
    let (_view, seen) = watch::channel(FallbackView::unknown("openai"));
    let target = llama.target(None, seen);
    let mut answer = ask(&target, Endpoint::Chat, &chat(480)).await.expect("it begins");
    assert!(matches!(answer.next().await, Next::Event(_)));
    llama.process.kill().await.expect("our own child");
    let mut events = 1;
    let refusal = loop {
        match tokio::time::timeout(PATIENCE, answer.next()).await.expect("it ends") {
            Next::Event(_) => events += 1,
            Next::Whole => panic!("{events} of 480 passed for a whole answer"),
            Next::Broken(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code, Code::BadUpstreamResponse);
    let refused = ask(&target, Endpoint::Chat, &chat(4)).await.expect_err("it is gone");
    assert_eq!(refused.code, Code::FallbackUnavailable);
}

#[tokio::test]
async fn ollamas_own_client_is_content_with_the_fake() {
    let python = environment().await;
    let fake = OllamaServer::start(OllamaOptions { port: 0, ..OllamaOptions::default() }).expect("a port");
    let run = Command::new(python)
        .arg(beside("ollama_client.py"))
        .arg(format!("http://{}", fake.address()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.expect("in time").expect("it runs");
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let expected = "list ['tiny:latest'] llama\n\
                    show 32768 ['completion', 'tools']\n\
                    chat 4 length 4\n\
                    stream True True length\n\
                    tools plant {'text': 'tree'}\n\
                    generate 3 length\n\
                    loaded ['tiny:latest']\n\
                    unload unload []\n\
                    missing 404 True\n\
                    too long 400 True\n";
    assert_eq!(said, expected, "{error}");
}
