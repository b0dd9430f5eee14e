//! The tree: who is whose child, and what each of them holds.
//!
//! ```text
//! root supervisor · one for one
//! ├─ server    owns the process group of mlx_lm.server, and ends when that ends
//! ├─ health    asks whether it is alive, busy or down, and tells its owner
//! ├─ breaker   holds back restarts that do not help, then tries one
//! └─ …         children of your own
//! ```
//!
//! They are a [`ServerWorker`], a [`HealthActor`] and a [`BreakerActor`], started in this order and stopped in reverse. The
//! README and `mlx-tree status` show the same picture.
//!
//! *Architecture Invariant:* the children know each other by [`Slot`]s and `watch`es only, and no child waits for another.

mod handle;
mod inner;
mod status;

pub use handle::{Tree, TreeError, VerbError};

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::{InvalidPolicy, RestartPolicyConfig};
use mlx_tree_supervision::{ChildSpec, Epoch, Readiness, Restart, Shutdown, Slot, Supervisor};
use tokio::sync::watch;

use crate::breaker::{BreakerActor, BreakerArguments, History, Never, RestartGate};
use crate::health::{HealthActor, HealthArguments, HealthMessage, HealthNumbers, HealthView, Served};
use crate::server::{Blueprint, ServerArguments, ServerMessage, ServerView, ServerWorker};
use crate::{BREAKER, HEALTH, SERVER};

/// What the supervisor allows beyond the worker's own limits, before it takes matters into its own hands.
const SLACK: Duration = Duration::from_secs(15);

/// Everything that a tree is built from.
pub struct Plan {
    /// The server.
    pub blueprint: Blueprint,
    /// How it is watched.
    pub health: HealthNumbers,
    /// When it is restarted.
    pub restart: RestartPolicyConfig,
    /// Where the restart history is kept, if it is.
    pub history: Option<History>,
    /// What its clients receive, for whoever forwards it.
    pub served: Served,
    /// Further children, started after ours.
    pub children: Vec<ChildSpec>,
    /// What is shown as the server's model.
    pub model: String,
    /// What is shown as the server's kind.
    pub kind: String,
    /// A remark about the model that nobody may miss.
    pub note: Option<String>,
}

/// How the children reach each other.
#[derive(Clone, Default)]
pub struct Siblings {
    server: Slot<ServerMessage>,
    health: Slot<HealthMessage>,
}

/// The gate could not be built from the numbers.
pub(crate) fn gate(plan: &Plan) -> Result<RestartGate, InvalidPolicy> {
    let history = plan.history.as_ref().and_then(History::read);
    RestartGate::new(plan.restart, history.as_ref(), plan.blueprint.clock, plan.blueprint.bus.clone())
}

/// The picture in the module's head, as child specs.
pub(crate) fn root(
    blueprint: &Arc<Blueprint>,
    health: HealthNumbers,
    served: &Served,
    health_view: &watch::Sender<HealthView>,
    gate: &RestartGate,
    history: Option<&History>,
    held: bool,
) -> Supervisor {
    let siblings = Siblings::default();
    Supervisor::one_for_one()
        .clock_starts_at(blueprint.clock.now())
        .child(server(blueprint, gate, &siblings, held))
        .child(health_watcher(blueprint, health, served, health_view, &siblings))
        .child(breaker(blueprint, gate, history))
}

fn server(blueprint: &Arc<Blueprint>, gate: &RestartGate, siblings: &Siblings, held: bool) -> ChildSpec {
    let start_timeout = blueprint.start_timeout + blueprint.hung_grace.length() + SLACK;
    let shutdown = Shutdown::Timeout(blueprint.grace.length() + SLACK);
    let (restart, gate) = (blueprint.restart, gate.clone());
    let (blueprint, links) = (Arc::clone(blueprint), siblings.clone());
    let spec = ChildSpec::actor_in(&siblings.server, SERVER, move |context| {
        // Later incarnations are started by those who have asked the gate.
        let held = held && context.epoch() == Epoch::NEVER.next();
        let arguments = ServerArguments { context, blueprint: Arc::clone(&blueprint), siblings: links.clone(), held };
        (ServerWorker, arguments)
    })
    .shutdown(shutdown)
    .readiness(Readiness::Explicit { start_timeout });
    match restart {
        Restart::Permanent | Restart::Transient => spec.restart(restart).policy(gate),
        Restart::Temporary => spec.restart(Restart::Transient).policy(Never),
    }
}

fn health_watcher(
    blueprint: &Arc<Blueprint>,
    numbers: HealthNumbers,
    served: &Served,
    view: &watch::Sender<HealthView>,
    siblings: &Siblings,
) -> ChildSpec {
    let (blueprint, served, view, owner) =
        (Arc::clone(blueprint), served.clone(), view.clone(), siblings.server.clone());
    ChildSpec::actor_in(&siblings.health, HEALTH, move |context| {
        let arguments = HealthArguments {
            context,
            numbers,
            profile: blueprint.profile.clone(),
            server: blueprint.view.subscribe(),
            owner: owner.clone(),
            served: served.clone(),
            client: blueprint.client.clone(),
            view: view.clone(),
            bus: blueprint.bus.clone(),
            clock: blueprint.clock,
        };
        (HealthActor, arguments)
    })
    .restart(Restart::Permanent)
}

fn breaker(blueprint: &Arc<Blueprint>, gate: &RestartGate, history: Option<&History>) -> ChildSpec {
    let (gate, history, clock) = (gate.clone(), history.cloned(), blueprint.clock);
    ChildSpec::actor(BREAKER, move |context| {
        (BreakerActor, BreakerArguments { context, gate: gate.clone(), history: history.clone(), clock })
    })
    .restart(Restart::Permanent)
}

/// The channel of the server's view, before there was a server.
pub fn no_server() -> watch::Sender<ServerView> {
    watch::Sender::new(ServerView::absent(0))
}

// === impl Siblings ===

impl Siblings {
    /// Tells the watcher of a line that the server wrote. Without a watcher just now, its next check will find out.
    pub(crate) fn alarm(&self, epoch: u64, line: &str) {
        if let Some(health) = self.health.actor() {
            let _ = health.send_message(HealthMessage::Alarm { epoch, line: line.to_owned() });
        }
    }
}
