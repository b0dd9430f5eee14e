//! What a tree is built from.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::RestartPolicyConfig;
use mlx_tree_policy::memory::MemoryLimits;
use mlx_tree_process::state::InstanceLock;
use mlx_tree_supervision::ChildSpec;
use tokio::sync::watch;

use crate::breaker::{History, RestartGate};
use crate::health::{HealthNumbers, Served};
use crate::server::{Blueprint, LogBook, Recipe, ServerView};

/// Everything that a tree is built from.
pub struct Plan {
    /// The default server.
    pub server: ServerPlan,
    /// The others of several.
    pub further: Vec<ServerPlan>,
    /// What they may take together.
    pub memory: MemoryPlan,
    /// Further children, started after ours.
    pub children: Vec<ChildSpec>,
    /// What all servers write, for those who ask for it: the default server's own book if it is the only one.
    pub logs: LogBook,
    /// Places in which servers that are not planned any more may have been left behind.
    pub abandoned: Vec<Arc<InstanceLock>>,
}

/// Everything that one server is built from.
pub struct ServerPlan {
    /// How it is started and judged.
    pub blueprint: Blueprint,
    /// How it is watched.
    pub health: HealthNumbers,
    /// When it is restarted.
    pub restart: RestartPolicyConfig,
    /// Where its restart history is kept, if it is.
    pub history: Option<History>,
    /// What its clients receive, for whoever forwards it.
    pub served: Served,
    /// What is shown of it.
    pub shown: Shown,
    /// When it is started.
    pub start: Start,
    /// How long it stays in memory.
    pub stay: Stay,
}

/// What a changed configuration says of a server that is there. Nothing of it touches what runs.
#[derive(Debug, Clone)]
pub struct ServerChange {
    /// How its next incarnation is started, and how each is stopped.
    pub recipe: Recipe,
    /// How it is watched.
    pub health: HealthNumbers,
    /// When it is restarted.
    pub restart: RestartPolicyConfig,
    /// How long it stays in memory.
    pub stay: Stay,
    /// What is shown of it.
    pub shown: Shown,
}

/// How long a server stays in memory, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// After how much time without a request it is put to sleep.
    pub idle_stop: Option<Duration>,
    /// How much memory it needs, in bytes.
    pub memory: u64,
    /// How much it may use.
    pub limits: MemoryLimits,
}

/// What is shown of a server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub kind: String,
    /// Its model.
    pub model: String,
    /// A remark about the model that nobody may miss.
    pub note: Option<String>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the tree, and it stays.
    Always,
    /// With the tree, if there is room; it may sleep later.
    Preload,
    /// When it is wanted; it may sleep later.
    OnDemand,
}

/// What the servers may take together, and how they take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// In bytes; `None` if there is always room.
    pub budget: Option<u64>,
    /// How long a server stays before it gives way.
    pub min_stay: Duration,
    /// How long another one waits for one in use, before that one gets no new requests.
    pub turn: Duration,
}

// === impl ServerPlan ===

impl ServerPlan {
    /// The gate, going on where its history ends.
    pub(super) fn gate(&self) -> Result<RestartGate, super::TreeError> {
        let history = self.history.as_ref().and_then(History::read);
        let blueprint = &self.blueprint;
        let (clock, bus) = (blueprint.clock, blueprint.bus.clone());
        Ok(RestartGate::of(&blueprint.label, self.restart, history.as_ref(), clock, bus)?)
    }
}

// === impl MemoryPlan ===

impl MemoryPlan {
    /// There is always room.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { budget: None, min_stay: Duration::ZERO, turn: Duration::ZERO }
    }
}

/// The channel of a server's view, before there was a server.
#[must_use]
pub fn no_server() -> watch::Sender<ServerView> {
    watch::Sender::new(ServerView::absent(0))
}
