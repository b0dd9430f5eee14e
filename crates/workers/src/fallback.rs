//! The worker of a fallback: whether it can be asked, what it has, and that it does not hold memory which the server needs.
//!
//! ```text
//!  the fallback ◀── look: version, models, contexts ── FallbackWorker ── watch<FallbackView> ──▶ gateway
//!       ▲                                                  │  ▲ watch<FallbackUse> ────────────────┘
//!       └────────── unload: keep_alive 0 ──────────────────┘  └── watch<ServerView>, the supervisor's next start
//! ```
//!
//! It waits for nothing in a handler: looking and unloading are tasks that send what came of them.

mod look;
mod ollama;
mod openai;
mod residency;

pub use residency::{Demand, Residency, Verdict};

use std::time::Duration;

use mlx_tree_api::{FallbackState, FallbackUse, FallbackView, Kind};
use mlx_tree_policy::Monotonic;
use mlx_tree_supervision::{Backoff, ChildContext, ChildSpec};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use reqwest::Client;
use tokio::sync::watch;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::server::{ServerPhase, ServerView};
use crate::task::AbortOnDrop;
use crate::{FALLBACK, SERVER};

/// How often a fallback that is well is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// The worker of a fallback.
pub struct FallbackWorker;

/// What a fallback's worker is connected to.
#[derive(Clone)]
pub struct FallbackLinks {
    /// Asks it; see [`crate::server::probe::client`].
    pub client: Client,
    /// Where it is, such as `http://127.0.0.1:11434`. From the configuration.
    pub base: String,
    /// Its models that stand in for ours.
    pub models: Vec<String>,
    /// What is known of it, for the gateway and the status.
    pub view: watch::Sender<FallbackView>,
    /// What the gateway has going on there.
    pub usage: watch::Receiver<FallbackUse>,
    /// The servers with which it shares this machine's memory, by their ids in the tree.
    pub servers: Vec<(String, watch::Receiver<ServerView>)>,
    /// Where its news go.
    pub bus: Bus,
    /// The tree's clock.
    pub clock: Clock,
}

/// What a fallback's worker is started with.
pub struct FallbackArguments {
    /// Its place in the tree.
    pub context: ChildContext,
    /// What it looks after.
    pub kind: FallbackKind,
    /// What it is connected to.
    pub links: FallbackLinks,
}

/// What a fallback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackKind {
    /// Ollama, whose models can be unloaded.
    Ollama {
        /// So long before a start of a server.
        lead: Duration,
    },
    /// A server that speaks OpenAI's API.
    OpenAi,
}

/// What reaches the worker: its own clock, its own tasks, and that something has changed.
pub enum FallbackMessage {
    /// It is time to look at it.
    Look,
    /// Somebody has looked.
    Looked(FallbackView),
    /// A server, or what is going on at the fallback, has changed, or a start has come near.
    Changed,
    /// A model is to be out of memory.
    Unloaded {
        /// Its name.
        model: String,
        /// How many requests it had been sent.
        begun: u64,
        /// What came of it.
        outcome: Result<(), String>,
    },
}

/// Its state.
pub struct FallbackCare {
    arguments: FallbackArguments,
    residency: Residency,
    failures: u32,
    /// The next look, or the one under way.
    look: Option<AbortOnDrop>,
    /// The next moment at which room may have to be made.
    alarm: Option<AbortOnDrop>,
    unloading: Option<AbortOnDrop>,
    _follow: Vec<AbortOnDrop>,
}

/// Any server that speaks OpenAI's API, as a fallback.
pub struct OpenAi;

// === impl OpenAi ===

impl OpenAi {
    /// The spec of its worker.
    pub fn child_spec(links: FallbackLinks) -> ChildSpec {
        ChildSpec::actor(FALLBACK, move |context| {
            (FallbackWorker, FallbackArguments { context, kind: FallbackKind::OpenAi, links: links.clone() })
        })
        .backoff(Backoff::default())
    }
}

impl Actor for FallbackWorker {
    type Msg = FallbackMessage;
    type State = FallbackCare;
    type Arguments = FallbackArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<FallbackMessage>,
        arguments: FallbackArguments,
    ) -> Result<FallbackCare, ActorProcessingErr> {
        let links = &arguments.links;
        let mut follow = vec![changes_of(links.usage.clone(), &myself)];
        follow.extend(links.servers.iter().map(|(_, server)| changes_of(server.clone(), &myself)));
        follow.push(changes_of(arguments.context.supervisor().status(), &myself));
        myself.send_message(FallbackMessage::Look)?;
        arguments.context.ready();
        Ok(FallbackCare {
            arguments,
            residency: Residency::default(),
            failures: 0,
            look: None,
            alarm: None,
            unloading: None,
            _follow: follow,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<FallbackMessage>,
        message: FallbackMessage,
        state: &mut FallbackCare,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            FallbackMessage::Look => state.on_look(&myself),
            FallbackMessage::Looked(view) => state.on_looked(&myself, &view),
            FallbackMessage::Changed => state.on_changed(&myself),
            FallbackMessage::Unloaded { model, begun, outcome } => state.on_unloaded(&myself, model, begun, outcome),
        }
        Ok(())
    }
}

// === impl FallbackKind ===

impl FallbackKind {
    /// The name in headers, status and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ollama { .. } => "ollama",
            Self::OpenAi => "openai",
        }
    }
}

// === impl FallbackCare ===

impl FallbackCare {
    fn on_look(&mut self, myself: &ActorRef<FallbackMessage>) {
        let (kind, links, myself) = (self.arguments.kind, self.arguments.links.clone(), myself.clone());
        self.look = Some(AbortOnDrop(tokio::spawn(async move {
            let looked = match kind {
                FallbackKind::Ollama { .. } => ollama::look(&links.client, &links.base, &links.models).await,
                FallbackKind::OpenAi => openai::look(&links.client, &links.base).await,
            };
            let view = looked.unwrap_or_else(|reason| FallbackView::unavailable(kind.as_str(), reason));
            let _ = myself.send_message(FallbackMessage::Looked(view));
        })));
    }

    fn on_looked(&mut self, myself: &ActorRef<FallbackMessage>, view: &FallbackView) {
        let wait = match view.state {
            FallbackState::Ready => {
                self.failures = 0;
                INTERVAL
            }
            FallbackState::Unavailable | FallbackState::Unknown => {
                self.failures = self.failures.saturating_add(1);
                Backoff::default().delay(self.failures, 0.0)
            }
        };
        self.tell(view);
        self.arguments.links.view.send_if_modified(|known| std::mem::replace(known, view.clone()) != *view);
        self.look = Some(later(wait, myself, FallbackMessage::Look));
        // What could not be unloaded then can perhaps be now.
        self.on_changed(myself);
    }

    fn on_changed(&mut self, myself: &ActorRef<FallbackMessage>) {
        let FallbackKind::Ollama { lead } = self.arguments.kind else { return };
        // One that is down holds no memory.
        if self.unloading.is_some() || self.arguments.links.view.borrow().state != FallbackState::Ready {
            return;
        }
        let now = self.arguments.links.clock.now();
        let usage = self.arguments.links.usage.borrow().clone();
        self.alarm = None;
        match self.residency.judge(self.demand(), &usage, lead, now) {
            Verdict::Stay => {}
            Verdict::Wait { until } => {
                let wait = until.saturating_since(now) + Duration::from_millis(1);
                self.alarm = Some(later(wait, myself, FallbackMessage::Changed));
            }
            Verdict::Unload { model, begun } => {
                let (links, myself) = (self.arguments.links.clone(), myself.clone());
                self.unloading = Some(AbortOnDrop(tokio::spawn(async move {
                    let outcome = ollama::unload(&links.client, &links.base, &model).await;
                    let _ = myself.send_message(FallbackMessage::Unloaded { model, begun, outcome });
                })));
            }
        }
    }

    fn on_unloaded(
        &mut self,
        myself: &ActorRef<FallbackMessage>,
        model: String,
        begun: u64,
        outcome: Result<(), String>,
    ) {
        self.unloading = None;
        match outcome {
            Ok(()) => {
                self.emit(Kind::FallbackUnloaded { model: model.clone() });
                self.residency.on_unloaded(model, begun);
                self.on_changed(myself);
            }
            // The next look tries again.
            Err(reason) => {
                tracing::warn!(target: "mlx_tree::fallback", %model, %reason, "the model could not be unloaded");
            }
        }
    }

    /// When a server needs the memory.
    fn demand(&self) -> Demand {
        let links = &self.arguments.links;
        let mut next: Option<Monotonic> = None;
        let supervisor = self.arguments.context.supervisor().status();
        for (id, server) in &links.servers {
            match server.borrow().phase {
                ServerPhase::Starting | ServerPhase::Loading | ServerPhase::Ready { .. } => return Demand::Now,
                ServerPhase::Absent | ServerPhase::Stopping => {
                    let due = supervisor.borrow().child(id.as_str()).and_then(|child| child.next_start);
                    next = [next, due].into_iter().flatten().min();
                }
            }
        }
        next.map_or(Demand::None, Demand::At)
    }

    fn tell(&self, view: &FallbackView) {
        let known = self.arguments.links.view.borrow().clone();
        if (known.state, &known.reason) == (view.state, &view.reason) {
            return;
        }
        let name = self.arguments.kind.as_str().to_owned();
        match view.state {
            FallbackState::Ready => self.emit(Kind::FallbackReady { name, models: view.models.len() as u64 }),
            FallbackState::Unavailable | FallbackState::Unknown => {
                self.emit(Kind::FallbackUnavailable { name, reason: view.reason.clone().unwrap_or_default() });
            }
        }
    }

    fn emit(&self, kind: Kind) {
        self.arguments.links.bus.emit(FALLBACK, self.arguments.context.epoch().get(), kind);
    }
}

/// Tells the worker of each change of `watched`, and of what it is now.
fn changes_of<T: Send + Sync + 'static>(
    mut watched: watch::Receiver<T>,
    myself: &ActorRef<FallbackMessage>,
) -> AbortOnDrop {
    let myself = myself.clone();
    watched.mark_changed();
    AbortOnDrop(tokio::spawn(async move {
        while watched.changed().await.is_ok() && myself.send_message(FallbackMessage::Changed).is_ok() {}
    }))
}

fn later(wait: Duration, myself: &ActorRef<FallbackMessage>, message: FallbackMessage) -> AbortOnDrop {
    let myself = myself.clone();
    AbortOnDrop(tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let _ = myself.send_message(message);
    }))
}

/// The servers of a tree with one server, for [`FallbackLinks::servers`].
#[must_use]
pub fn only_server(view: watch::Receiver<ServerView>) -> Vec<(String, watch::Receiver<ServerView>)> {
    vec![(SERVER.to_owned(), view)]
}
