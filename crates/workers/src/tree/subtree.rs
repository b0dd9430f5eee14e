//! One server's children as specs: the worker, its watcher and its breaker.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::Standing;
use mlx_tree_supervision::{
    Backoff, ChildContext, ChildSpec, Epoch, Readiness, Restart, Shutdown, Supervisor, SupervisorEvent,
    SupervisorHandle,
};
use tokio::sync::broadcast;

use super::{Server, Siblings, Start};
use crate::availability::Wish;
use crate::breaker::{BreakerActor, BreakerArguments, GateOrNever, RestartGate, Sleeper};
use crate::health::{HealthActor, HealthArguments};
use crate::server::{Recipe, ServerArguments, ServerWorker};
use crate::{BREAKER, HEALTH, SERVER};

/// What the supervisor allows beyond the worker's own limits, before it takes matters into its own hands.
const SLACK: Duration = Duration::from_secs(15);

/// How soon a child comes back that has no business to fail, and how often at most if it goes on failing.
const AFTER_A_BUG: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// Whether a server is started with its supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is.
    Now,
    /// The failures of an earlier run forbid it just now.
    Held,
    /// It sleeps, or was stopped.
    Down,
}

/// The three children of `server`, in the order of their start.
pub(super) fn children(server: &Arc<Server>) -> [ChildSpec; 3] {
    let siblings = Siblings::default();
    let breaker = breaker(server, &siblings);
    server.siblings.send_replace(siblings.clone());
    [worker(server, &siblings), watcher(server, &siblings), breaker]
}

/// The same below a supervisor of their own.
pub(super) fn supervisor(server: &Arc<Server>, events: &broadcast::Sender<SupervisorEvent>) -> ChildSpec {
    let (server, events) = (Arc::clone(server), events.clone());
    ChildSpec::supervisor(server.name.to_string(), move |_| {
        Supervisor::one_for_one()
            .name(Arc::clone(&server.name))
            .clock_starts_at(server.blueprint.clock.now())
            .events_into(events.clone())
            .intensity(server.gate.config().intensity)
            .children(children(&server))
    })
}

/// How `server` begins a life under a supervisor that has just been started.
pub(super) fn beginning(server: &Server) -> Beginning {
    let wish = *server.wish.borrow();
    match (server.start, wish) {
        (_, Wish::Stop) | (Start::OnDemand | Start::Preload, _) => Beginning::Down,
        (Start::Always, Wish::Run | Wish::Restart | Wish::Sleep) => match server.gate.standing() {
            Standing::Free => Beginning::Now,
            Standing::Waiting { .. } | Standing::Suspended { .. } => Beginning::Held,
        },
    }
}

/// The restarts of those who only watch. Their failure is a bug of ours: it costs no model that serves, and the first
/// restart is all but at once.
pub(crate) fn after_a_bug() -> Backoff {
    let (initial, max) = AFTER_A_BUG;
    Backoff::new(initial, max, 0.0).unwrap_or_default()
}

fn worker(server: &Arc<Server>, siblings: &Siblings) -> ChildSpec {
    let blueprint = &server.blueprint;
    let recipe = blueprint.recipes.newest();
    let policy = GateOrNever::new(server.gate.clone(), blueprint.recipes.clone());
    // A supervisor that has been started anew counts on: nothing that knew the earlier incarnations may take a new one for
    // an old one.
    let before = Epoch::new(blueprint.view.borrow().epoch);
    let (server, links) = (Arc::clone(server), siblings.clone());
    ChildSpec::actor_in(&siblings.server, SERVER, move |context| {
        let first = context.epoch() == before.next();
        let beginning = if first { begin(&server, &context) } else { Beginning::Now };
        let arguments = ServerArguments {
            context,
            blueprint: Arc::clone(&server.blueprint),
            siblings: links.clone(),
            // Later incarnations are started by those who have asked the gate.
            held: beginning != Beginning::Now,
        };
        (ServerWorker, arguments)
    })
    .numbered_after(before)
    .shutdown(shutdown(&recipe))
    .readiness(readiness(&recipe))
    .restart(restart(&recipe))
    .policy(policy)
}

/// The worker keeps its own limits; the supervisor's are for one that does not.
pub(super) fn readiness(recipe: &Recipe) -> Readiness {
    Readiness::Explicit { start_timeout: recipe.start_timeout + recipe.hung_grace.length() + SLACK }
}

pub(super) fn shutdown(recipe: &Recipe) -> Shutdown {
    Shutdown::Timeout(recipe.grace.length() + SLACK)
}

/// See [`GateOrNever`].
pub(super) const fn restart(recipe: &Recipe) -> Restart {
    match recipe.restart {
        Restart::Permanent => Restart::Permanent,
        Restart::Transient | Restart::Temporary => Restart::Transient,
    }
}

/// The first thing that happens below a supervisor: everybody is told where the server is to be found.
fn begin(server: &Arc<Server>, context: &ChildContext) -> Beginning {
    server.home.send_replace(Some(context.supervisor().clone()));
    let beginning = beginning(server);
    if beginning == Beginning::Held {
        let (supervisor, gate) = (context.supervisor().clone(), server.gate.clone());
        tokio::spawn(async move { hold_back(&supervisor, &gate).await });
    }
    beginning
}

/// A server whose start the history of an earlier run forbade has ignored that start and is down, where nobody would
/// resume it: it is suspended, until the BreakerActor does.
pub(super) async fn hold_back(supervisor: &SupervisorHandle, gate: &RestartGate) {
    if let Err(error) = supervisor.suspend_child(SERVER, "held back for the failures of an earlier run").await {
        tracing::warn!(target: "mlx_tree::tree", %error, "the server cannot be held back");
    }
    // Its time may have come meanwhile, when the BreakerActor had nothing to resume yet.
    if gate.standing() == Standing::Free
        && let Err(error) = supervisor.resume_child(SERVER).await
    {
        tracing::debug!(target: "mlx_tree::tree", %error, "the server was resumed already");
    }
}

fn watcher(server: &Arc<Server>, siblings: &Siblings) -> ChildSpec {
    let (server, owner) = (Arc::clone(server), siblings.server.clone());
    ChildSpec::actor_in(&siblings.health, HEALTH, move |context| {
        let blueprint = &server.blueprint;
        let arguments = HealthArguments {
            context,
            name: Arc::clone(&server.name),
            label: Arc::clone(&blueprint.label),
            numbers: server.numbers.subscribe(),
            recipes: blueprint.recipes.clone(),
            server: blueprint.view.subscribe(),
            owner: owner.clone(),
            served: server.served.clone(),
            client: blueprint.client.clone(),
            view: server.health.clone(),
            bus: blueprint.bus.clone(),
            clock: blueprint.clock,
        };
        (HealthActor, arguments)
    })
    .restart(Restart::Permanent)
    .backoff(after_a_bug())
}

fn breaker(server: &Arc<Server>, siblings: &Siblings) -> ChildSpec {
    let (gate, history, clock) = (server.gate.clone(), server.history.clone(), server.blueprint.clock);
    let sleeper = match server.start {
        Start::Always => Sleeper::Never,
        Start::Preload | Start::OnDemand => Sleeper::WhenDown,
    };
    ChildSpec::actor_in(&siblings.breaker, BREAKER, move |context| {
        (BreakerActor, BreakerArguments { context, gate: gate.clone(), history: history.clone(), clock, sleeper })
    })
    .restart(Restart::Permanent)
    .backoff(after_a_bug())
}
