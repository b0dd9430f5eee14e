//! The fallback's worker over a fake of Ollama: what it says of it, and that room is made before the server loads.

use std::collections::BTreeMap;
use std::time::Duration;

use mlx_tree_api::{FallbackState, FallbackUse, FallbackView};
use mlx_tree_policy::Monotonic;
use mlx_tree_stand_in::{OllamaFault, OllamaOptions, OllamaServer};
use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{Backoff, Supervisor, SupervisorHandle};
use mlx_tree_workers::SERVER;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::fallback::{FallbackLinks, OpenAi, only_server};
use mlx_tree_workers::ollama::Ollama;
use mlx_tree_workers::server::{ServerPhase, ServerView, probe};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

struct Stage {
    ollama: Option<OllamaServer>,
    base: String,
    view: watch::Sender<FallbackView>,
    usage: watch::Sender<FallbackUse>,
    server: watch::Sender<ServerView>,
    bus: Bus,
    clock: Clock,
}

impl Stage {
    fn set(options: OllamaOptions) -> Self {
        let ollama = OllamaServer::start(OllamaOptions { port: 0, ..options }).expect("a port");
        Self {
            base: format!("http://{}", ollama.address()),
            ollama: Some(ollama),
            view: watch::Sender::new(FallbackView::unknown("ollama")),
            usage: watch::Sender::new(FallbackUse::default()),
            server: watch::Sender::new(ServerView::absent(0)),
            bus: Bus::new(),
            clock: Clock::since_boot(),
        }
    }

    fn links(&self) -> FallbackLinks {
        FallbackLinks {
            client: probe::client(),
            base: self.base.clone(),
            models: vec!["tiny".to_owned(), "absent:1b".to_owned()],
            view: self.view.clone(),
            usage: self.usage.subscribe(),
            servers: only_server(self.server.subscribe()),
            bus: self.bus.clone(),
            clock: self.clock,
        }
    }

    /// The worker beside a server that does as the script says.
    async fn tree(&self, script: &[Act]) -> SupervisorHandle {
        let server = MockChild::spec(SERVER, script.to_vec())
            .backoff(Backoff::new(Duration::from_secs(3600), Duration::from_secs(3600), 0.0).expect("a delay"));
        let supervisor = Supervisor::one_for_one().clock_starts_at(self.clock.now()).child(server);
        supervisor.child(Ollama::child_spec(self.links())).start().await.expect("it starts")
    }

    async fn until(&self, state: FallbackState) -> FallbackView {
        let mut view = self.view.subscribe();
        let reached = view.wait_for(|view| view.state == state);
        tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("open").clone()
    }

    fn ollama(&self) -> &OllamaServer {
        self.ollama.as_ref().expect("it runs")
    }

    /// As if the gateway had sent a request, and Ollama had the model in memory now.
    async fn used(&self, in_flight: u32) {
        let body =
            serde_json::json!({"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": false});
        let answer = probe::client().post(format!("{}/api/chat", self.base)).json(&body).send().await;
        assert!(answer.expect("an answer").status().is_success());
        assert_eq!(self.ollama().loaded(), ["tiny:latest"]);
        self.usage.send_modify(|usage| {
            usage.in_flight = in_flight;
            *usage.begun.entry("tiny".to_owned()).or_default() += 1;
        });
    }

    fn server_is(&self, phase: ServerPhase) {
        self.server.send_modify(|view| view.phase = phase);
    }

    async fn unloads(&self, count: u64) {
        let told = || self.told().iter().filter(|name| **name == "fallback.unloaded").count() as u64;
        let reached = async {
            while self.ollama().stats().unloads < count || told() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it is unloaded");
        assert_eq!(self.ollama().loaded(), Vec::<String>::new());
    }

    fn told(&self) -> Vec<&'static str> {
        self.bus
            .replay_after(0)
            .0
            .iter()
            .map(|event| event.kind.name())
            .filter(|name| name.starts_with("fallback"))
            .collect()
    }
}

#[tokio::test]
async fn it_tells_of_the_version_the_models_their_contexts_and_what_they_can() {
    let stage = Stage::set(OllamaOptions { remote: vec!["big:cloud".to_owned()], ..OllamaOptions::default() });
    let tree = stage.tree(&[Act::Ready]).await;
    let view = stage.until(FallbackState::Ready).await;
    assert_eq!(view.version.as_deref(), Some("0.33.0"));
    let tiny = view.model("tiny").expect("it has it");
    assert_eq!((tiny.context_length, tiny.capabilities.join(" ").as_str()), (Some(32_768), "completion tools"));
    assert_eq!(tiny.remote, None);
    assert!(view.model("big:cloud").is_some_and(|model| model.remote.is_some()));
    assert!(view.model("absent:1b").is_none());
    assert_eq!(stage.told(), ["fallback.ready"]);
    let asked: Vec<_> = stage.ollama().requests().into_iter().map(|request| request.line).collect();
    assert_eq!(asked[..3], ["GET /api/version", "GET /api/tags", "POST /api/show"]);
    tree.stop().await;
}

#[tokio::test]
async fn an_ollama_that_loses_the_head_of_a_conversation_is_not_asked() {
    let stage = Stage::set(OllamaOptions { version: "0.11.0".to_owned(), ..OllamaOptions::default() });
    let tree = stage.tree(&[Act::Ready]).await;
    let view = stage.until(FallbackState::Unavailable).await;
    assert!(view.reason.expect("why").contains("Ollama 0.11.0 drops the head of a long conversation"));
    tree.stop().await;
}

#[tokio::test]
async fn one_that_is_down_is_told_of_once_and_found_again_when_it_is_there() {
    let mut stage = Stage::set(OllamaOptions::default());
    let address = stage.ollama().address();
    stage.ollama = None;
    let tree = stage.tree(&[Act::Ready]).await;
    let view = stage.until(FallbackState::Unavailable).await;
    assert!(view.reason.expect("why").contains("nothing listens at"));
    let again = OllamaServer::start(OllamaOptions { port: address.port(), ..OllamaOptions::default() });
    stage.ollama = Some(again.expect("the same port"));
    stage.until(FallbackState::Ready).await;
    assert_eq!(stage.told(), ["fallback.unavailable", "fallback.ready"]);
    tree.stop().await;
}

#[tokio::test]
async fn its_model_makes_room_when_the_server_is_started_but_not_under_a_client() {
    let stage = Stage::set(OllamaOptions::default());
    let tree = stage.tree(&[Act::Ready]).await;
    stage.until(FallbackState::Ready).await;
    stage.used(1).await;
    stage.server_is(ServerPhase::Loading);
    // Many times longer than an unload takes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.ollama().stats().unloads, 0, "somebody is served by it");
    stage.usage.send_modify(|usage| usage.in_flight = 0);
    stage.unloads(1).await;
    stage.used(0).await;
    stage.unloads(2).await;
    tree.stop().await;
    assert_eq!(stage.told(), ["fallback.ready", "fallback.unloaded", "fallback.unloaded"]);
}

#[tokio::test]
async fn while_the_server_is_down_for_long_its_model_stays() {
    let stage = Stage::set(OllamaOptions::default());
    // It fails at once, and is started again in an hour.
    let tree = stage.tree(&[Act::Crash, Act::Ready]).await;
    stage.until(FallbackState::Ready).await;
    stage.used(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.ollama().stats().unloads, 0);
    // An operator has it started now.
    stage.server_is(ServerPhase::Starting);
    stage.unloads(1).await;
    tree.stop().await;
}

#[tokio::test]
async fn what_the_gateway_has_not_used_stays_in_memory_whoever_loaded_it() {
    let stage = Stage::set(OllamaOptions::default());
    let tree = stage.tree(&[Act::Ready]).await;
    stage.until(FallbackState::Ready).await;
    stage.used(0).await;
    stage.usage.send_replace(FallbackUse { in_flight: 0, begun: BTreeMap::new() });
    stage.server_is(ServerPhase::Ready { since: Monotonic::ORIGIN });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.ollama().loaded(), ["tiny:latest"]);
    tree.stop().await;
}

#[tokio::test]
async fn a_server_of_openais_kind_is_known_by_its_models() {
    // Ollama's own /v1 is one.
    let stage = Stage::set(OllamaOptions { fault: Some(OllamaFault::Overload), ..OllamaOptions::default() });
    let spec = OpenAi::child_spec(stage.links());
    let tree = Supervisor::one_for_one().child(spec).start().await.expect("it starts");
    let view = stage.until(FallbackState::Ready).await;
    assert_eq!((view.name.as_str(), view.models.len()), ("openai", 1));
    tree.stop().await;
}
