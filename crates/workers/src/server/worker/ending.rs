//! How an incarnation ends that its worker sees the end of, and what is told and shown then.
//!
//! | | what is told | for those whose requests it had |
//! |---|---|---|
//! | its process ended by itself | `server.exited` | it failed |
//! | it was given up, and ended for that, whatever else was ordered meanwhile | `server.exited` | it failed |
//! | it was told to go while it lived | `server.stopped` | it was told to go |

use std::net::SocketAddr;
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_process::{Asked, Exit, Grace, ProcessGroup, Stuck};
use mlx_tree_supervision::SupervisedExit;
use ractor::{ActorProcessingErr, ActorRef};

use super::{Life, ServerMessage, ServerState};
use crate::server::failure::ServerFailure;
use crate::server::view::{End, ServerPhase, ServerView};

// === impl ServerState ===

impl ServerState {
    /// Ends the process of a server that is given up; the actor exits with `why` when the whole group is gone.
    pub(super) fn end(&mut self, myself: &ActorRef<ServerMessage>, why: ServerFailure) {
        let Life::Running { group, address, startup } = &self.life else { return };
        startup.0.abort();
        self.ending(End::ByItself, group, *address);
        stop_in_background(myself, group, self.blueprint.recipes.newest().hung_grace);
        self.life = Life::Ending { group: group.clone(), why };
    }

    /// Ends it by order of the supervisor.
    pub(super) async fn stop(&mut self) {
        let grace = self.blueprint.recipes.newest().grace;
        match &self.life {
            Life::Launching(launch) => {
                launch.abort();
                // A group that was spawned at the last moment went down with its message; the permit says when it is gone.
                let permit =
                    tokio::time::timeout(grace.length() + Duration::from_secs(5), self.blueprint.permit.acquire());
                let _ = permit.await;
                self.absent(End::AsTold);
            }
            Life::Running { group, address, startup } => {
                startup.0.abort();
                let outcome = match group.try_exited() {
                    // The order was quicker than the word of its exit.
                    Some(exit) => Ok(exit),
                    None => {
                        self.ending(End::AsTold, group, *address);
                        self.emit(Kind::ServerStopping { grace_s: grace.length().as_secs_f64() });
                        group.stop(grace).await
                    }
                };
                self.stopped(&outcome, grace);
            }
            Life::Ending { group, why } => match group.stop(grace).await {
                Ok(_) => self.failed(why),
                Err(stuck) => self.emit(Kind::ServerStopped { how: stuck.to_string() }),
            },
            Life::Gone => {}
        }
        self.life = Life::Gone;
    }

    fn stopped(&self, outcome: &Result<Exit, Stuck>, grace: Grace) {
        let how = match outcome {
            Ok(exit) => match exit.asked {
                Asked::No => return self.failed(&ServerFailure::exited(exit, &self.tail())),
                Asked::Stop => exit.how.to_string(),
                Asked::Kill => format!("{} after its grace of {} s", exit.how, grace.length().as_secs_f64()),
            },
            Err(stuck) => stuck.to_string(),
        };
        self.emit(Kind::ServerStopped { how });
        if outcome.is_ok() {
            self.absent(End::AsTold);
        }
    }

    /// It is gone, and that was not the doing of whoever has ordered its end.
    fn failed(&self, failure: &ServerFailure) {
        self.emit(failure.event());
        self.absent(End::ByItself);
    }

    /// Tells that this incarnation is over for `failure`, and answers the exit of the actor.
    pub(super) fn gone(&mut self, failure: ServerFailure) -> ActorProcessingErr {
        self.failed(&failure);
        self.life = Life::Gone;
        Box::new(SupervisedExit::from(self.recipe.weigh(failure)))
    }

    /// It is being ended, from now on.
    fn ending(&self, how: End, group: &ProcessGroup, address: SocketAddr) {
        let view = self.view(ServerPhase::Stopping, group, address);
        self.blueprint.view.send_modify(|shown| shown.become_ended(view, how));
    }

    pub(super) fn absent(&self, how: End) {
        let view = ServerView::absent(self.epoch());
        // First of all, since requests are held by it; what comes after it may have to wait for a disk.
        self.blueprint.view.send_modify(|shown| shown.become_ended(view, how));
        if let Life::Running { group, .. } | Life::Ending { group, .. } = &self.life {
            self.blueprint.forget(group.identity());
        }
    }
}

fn stop_in_background(myself: &ActorRef<ServerMessage>, group: &ProcessGroup, grace: Grace) {
    let (stopped, myself) = (group.stop(grace), myself.clone());
    tokio::spawn(async move {
        // That it is gone is reported by the one who waits for the exit.
        if let Err(stuck) = stopped.await {
            let _ = myself.send_message(ServerMessage::Stuck(stuck));
        }
    });
}
