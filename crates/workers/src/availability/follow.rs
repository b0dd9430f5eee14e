//! Keeps a server's [`Availability`] true, and tells of its phases, from the first start to the end of the tree.

use std::sync::Arc;

use mlx_tree_api::{Phase, Sample};
use mlx_tree_supervision::{SupervisorHandle, SupervisorPhase, SupervisorStatus};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Availability, Facts, Reach};
use crate::SERVER;
use crate::health::Standing;
use crate::server::Ended;
use crate::tree::{self, Server};

/// Runs until the tree under `root` has ended.
pub(crate) async fn follow(server: Arc<Server>, root: SupervisorHandle) {
    let (mut home, mut whole) = (server.home.subscribe(), root.status());
    let (mut view, mut gate) = (server.blueprint.view.subscribe(), server.gate.watch());
    let (mut wish, mut turn) = (server.wish.subscribe(), server.turn.subscribe());
    let mut planned = server.planned.subscribe();
    let (mut health, mut phases) = (server.health.subscribe(), Phases::new(&server));
    let (mut epoch, mut since) = (0, Instant::now());
    let mut ended = false;
    while !ended {
        let mut status = home.borrow_and_update().as_ref().map(SupervisorHandle::status);
        loop {
            let seen = status.as_mut().map(|status| Arc::clone(&status.borrow_and_update()));
            let phase = whole.borrow_and_update().phase;
            let (reach, went) = {
                let (view, gate) = (view.borrow_and_update().clone(), gate.borrow_and_update().clone());
                let planned = planned.borrow_and_update().clone();
                let child = seen.as_ref().and_then(|status| status.child(SERVER));
                let standing = health.borrow_and_update().standing;
                let latest = child.map_or(0, |child| child.epoch.get()).max(view.epoch);
                if latest != epoch {
                    (epoch, since) = (latest, Instant::now());
                }
                let facts = Facts {
                    child,
                    view: &view,
                    gate: &gate,
                    wish: *wish.borrow_and_update(),
                    turn: *turn.borrow_and_update(),
                    planned: planned.as_ref(),
                    restart: server.blueprint.recipes.newest().restart,
                    since,
                    clock: server.blueprint.clock,
                };
                let reach = match phase {
                    SupervisorPhase::Starting | SupervisorPhase::Running => facts.judge(),
                    SupervisorPhase::Stopping | SupervisorPhase::Stopped => Reach::Draining,
                };
                phases.are(&facts, standing, &reach);
                (reach, view.ended)
            };
            publish(&server, epoch, reach, went);
            if phase == SupervisorPhase::Stopped {
                ended = true;
                break;
            }
            tokio::select! {
                _ = home.changed() => break,
                gone = changed(status.as_mut()) => if gone { status = None },
                _ = view.changed() => {}
                _ = gate.changed() => {}
                _ = wish.changed() => {}
                _ = turn.changed() => {}
                _ = planned.changed() => {}
                _ = health.changed() => {}
                changed = whole.changed() => if changed.is_err() {
                    ended = true;
                    break;
                },
            }
        }
    }
    let went = server.blueprint.view.borrow().ended;
    publish(&server, epoch, Reach::Draining, went);
}

/// Tells of every phase once.
struct Phases<'a> {
    server: &'a Server,
    last: Option<Phase>,
}

// === impl Phases ===

impl<'a> Phases<'a> {
    const fn new(server: &'a Server) -> Self {
        Self { server, last: None }
    }

    fn are(&mut self, facts: &Facts<'_>, standing: Standing, reach: &Reach) {
        let Self { server, last } = self;
        let child = facts.child.map(|child| &child.state);
        let phase = tree::phase(facts.restart, child, facts.view, standing, &facts.gate.breaker, reach);
        if last.replace(phase) != Some(phase) {
            server.blueprint.bus.sample(&Sample::Entered { server: &server.name, phase });
        }
    }
}

/// Resolves at the next status; whether there is going to be none any more.
async fn changed(status: Option<&mut watch::Receiver<Arc<SupervisorStatus>>>) -> bool {
    match status {
        Some(status) => status.changed().await.is_err(),
        None => std::future::pending().await,
    }
}

fn publish(server: &Server, epoch: u64, state: Reach, ended: Option<Ended>) {
    let new = Availability { epoch, state, start_takes: server.blueprint.starts.expected(), ended };
    server.availability.send_if_modified(|current| {
        let changed = *current != new;
        if changed {
            *current = new;
        }
        changed
    });
}
