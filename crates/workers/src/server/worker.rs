//! One incarnation of the server as an actor: it ends when its process ends, and its process ends when it does.
//!
//! ```text
//!             spawned              canary answered
//!  Launching ─────────▶ Running(loading) ─────────▶ Running(ready)
//!      │ refused           │ exits, or fails to start  │ exits      │ verdict: unhealthy
//!      ▼                   ▼                           ▼            ▼
//!  exit: ServerFailure ◀── (group gone) ◀──────────────┴──────── Ending (TERM, short grace, KILL)
//! ```
//!
//! *Architecture Invariant:* no handler here waits for a process or a socket. Waiting is done by tasks, which report with a
//! message. Should this actor be killed, its process group is ended by the task that owns it (see `mlx_tree_process`), and
//! the next incarnation cannot be launched before that is done.

mod ending;
mod lost;

use std::net::SocketAddr;
use std::sync::Arc;

use mlx_tree_api::Kind;
use mlx_tree_process::{Asked, Exit, ProcessGroup, Stuck};
use mlx_tree_supervision::{ChildContext, Restart, SupervisedExit};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::diagnosis::{Reason, is_alarming};
use super::failure::ServerFailure;
use super::launch::{Blueprint, Launched};
use super::recipe::Recipe;
use super::startup::{self, LAST_LINES, Milestone};
use super::view::{End, ServerPhase, ServerView};
use crate::task::AbortOnDrop;
use crate::tree::Siblings;

/// The server as a child of the tree.
pub struct ServerWorker;

/// What one incarnation is started with.
pub struct ServerArguments {
    /// Its place in the tree.
    pub context: ChildContext,
    /// What is the same for all incarnations.
    pub blueprint: Arc<Blueprint>,
    /// The children beside it.
    pub siblings: Siblings,
    /// Whether the failures of an earlier run forbid a start just now.
    pub held: bool,
}

/// What reaches a ServerWorker. All but the verdict come from its own tasks.
pub enum ServerMessage {
    /// The launch is over.
    Launched(LaunchOutcome),
    /// The server answers; its canary is under way.
    Loading,
    /// The server serves, or will not.
    Started(Result<(), ServerFailure>),
    /// The whole process group is gone.
    Exited(Exit),
    /// The process group was told to end and does not.
    Stuck(Stuck),
    /// The HealthActor's verdict about incarnation `epoch`.
    Unhealthy {
        /// The incarnation that was judged; a verdict about another one is none.
        epoch: u64,
        /// Why.
        why: String,
    },
    /// Incarnation `epoch` uses more memory than it may.
    OverLimit {
        /// The incarnation; of another one it means nothing.
        epoch: u64,
        /// How much, and how much it may.
        why: String,
    },
    /// Panics, as a bug would: see [`crate::tree::Part`].
    #[cfg(feature = "test-util")]
    Panic,
}

/// How a launch went.
pub struct LaunchOutcome(Result<Launched, ServerFailure>);

/// The state of one incarnation.
pub struct ServerState {
    context: ChildContext,
    blueprint: Arc<Blueprint>,
    /// What it was started with.
    recipe: Arc<Recipe>,
    siblings: Siblings,
    launched_at: Instant,
    life: Life,
}

enum Life {
    Launching(JoinHandle<()>),
    Running { group: ProcessGroup, address: SocketAddr, startup: AbortOnDrop },
    Ending { group: ProcessGroup, why: ServerFailure },
    Gone,
}

impl Actor for ServerWorker {
    type Msg = ServerMessage;
    type State = ServerState;
    type Arguments = ServerArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ServerMessage>,
        arguments: ServerArguments,
    ) -> Result<ServerState, ActorProcessingErr> {
        let ServerArguments { context, blueprint, siblings, held } = arguments;
        if held {
            // The tree suspends us right after its start, and the BreakerActor resumes us when the time has come.
            return Err(Box::new(SupervisedExit::ignore()));
        }
        let epoch = context.epoch().get();
        let starting = ServerView { phase: ServerPhase::Starting, ..ServerView::absent(epoch) };
        blueprint.view.send_modify(|shown| shown.become_next(starting));
        let recipe = blueprint.recipes.take();
        let launch = tokio::spawn({
            let (blueprint, recipe) = (Arc::clone(&blueprint), Arc::clone(&recipe));
            async move {
                let outcome = LaunchOutcome(blueprint.launch(&recipe).await);
                // If the actor is gone, the group goes with the message.
                let _ = myself.send_message(ServerMessage::Launched(outcome));
            }
        });
        let (launched_at, life) = (Instant::now(), Life::Launching(launch));
        Ok(ServerState { context, blueprint, recipe, siblings, launched_at, life })
    }

    async fn handle(
        &self,
        myself: ActorRef<ServerMessage>,
        message: ServerMessage,
        state: &mut ServerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ServerMessage::Launched(LaunchOutcome(Ok(launched))) => {
                state.on_launched(&myself, launched);
                Ok(())
            }
            ServerMessage::Launched(LaunchOutcome(Err(failure))) => Err(state.gone(failure)),
            ServerMessage::Loading => {
                state.emit(Kind::ServerLoading);
                Ok(())
            }
            ServerMessage::Started(Ok(())) => {
                state.on_ready();
                Ok(())
            }
            ServerMessage::Started(Err(failure)) => {
                state.end(&myself, failure);
                Ok(())
            }
            ServerMessage::Unhealthy { epoch, why } => {
                if epoch == state.epoch() {
                    state.emit(Kind::ServerUnhealthy { reason: why.clone() });
                    let tail = state.tail();
                    state.end(&myself, ServerFailure::living(Reason::Unhealthy, &why, &tail));
                }
                Ok(())
            }
            ServerMessage::OverLimit { epoch, why } => {
                if epoch == state.epoch() {
                    state.emit(Kind::ServerUnhealthy { reason: why.clone() });
                    state.end(&myself, ServerFailure::plain(Reason::MemoryLimit, why));
                }
                Ok(())
            }
            ServerMessage::Exited(exit) => state.on_exited(&myself, &exit),
            ServerMessage::Stuck(stuck) => {
                // The permit stays with the group, so nothing is started beside it; a human is needed.
                Err(state.gone(ServerFailure::plain(Reason::Unhealthy, stuck.to_string())))
            }
            #[cfg(feature = "test-util")]
            ServerMessage::Panic => panic!("{}", crate::tree::Part::WORDS),
        }
    }

    /// The graceful stop, by order of the supervisor.
    async fn post_stop(&self, _: ActorRef<ServerMessage>, state: &mut ServerState) -> Result<(), ActorProcessingErr> {
        state.stop().await;
        Ok(())
    }
}

// === impl ServerState ===

impl ServerState {
    fn on_launched(&mut self, myself: &ActorRef<ServerMessage>, launched: Launched) {
        let Launched { group, address } = launched;
        let url = format!("http://{address}");
        let process = group.identity().clone();
        self.publish(ServerPhase::Loading, &group, address);
        self.emit(Kind::ServerSpawned { pid: process.pid.unsigned_abs(), url });
        self.read_output(&group);
        report_exit(myself, &group);
        let startup = AbortOnDrop(tokio::spawn({
            let (blueprint, recipe) = (Arc::clone(&self.blueprint), Arc::clone(&self.recipe));
            let (tail, myself) = (group.tail(), myself.clone());
            async move {
                let tell = |milestone| match milestone {
                    Milestone::Loading => {
                        let _ = myself.send_message(ServerMessage::Loading);
                    }
                };
                let outcome = startup::startup(&blueprint, &recipe, &process, &tail, address, tell).await;
                let _ = myself.send_message(ServerMessage::Started(outcome));
            }
        }));
        self.life = Life::Running { group, address, startup };
    }

    fn on_ready(&mut self) {
        let Life::Running { group, address, .. } = &self.life else { return };
        let since = self.blueprint.clock.now();
        self.publish(ServerPhase::Ready { since }, group, *address);
        let took = self.launched_at.elapsed();
        self.blueprint.starts.took(took);
        self.emit(Kind::ServerReady {
            pid: group.identity().pid.unsigned_abs(),
            url: format!("http://{address}"),
            took_s: took.as_secs_f64(),
        });
        self.context.ready();
    }

    fn on_exited(&mut self, myself: &ActorRef<ServerMessage>, exit: &Exit) -> Result<(), ActorProcessingErr> {
        for survivor in &exit.survivors {
            tracing::warn!(target: "mlx_tree::server", %survivor, "a process of the server's outlived it");
        }
        let failure = match &self.life {
            Life::Ending { why, .. } => why.clone(),
            Life::Launching(_) | Life::Running { .. } | Life::Gone => ServerFailure::exited(exit, &self.tail()),
        };
        if self.is_no_failure(&failure, exit) {
            self.emit(failure.event());
            self.absent(End::ByItself);
            self.life = Life::Gone;
            myself.stop(None);
            return Ok(());
        }
        Err(self.gone(failure))
    }

    /// A transient server that ended by itself with success, or by somebody's polite signal, has done what it was there for.
    fn is_no_failure(&self, failure: &ServerFailure, exit: &Exit) -> bool {
        // A job's launcher ends with 0 whatever became of its ranks.
        let telling = self.recipe.parts.job.is_none();
        let polite = telling && matches!(failure.reason, Reason::UnexpectedExit | Reason::TerminatedExternally);
        match self.blueprint.recipes.newest().restart {
            Restart::Permanent => false,
            Restart::Transient | Restart::Temporary => polite && exit.asked == Asked::No,
        }
    }

    fn publish(&self, phase: ServerPhase, group: &ProcessGroup, address: SocketAddr) {
        let view = self.view(phase, group, address);
        self.blueprint.view.send_modify(|shown| shown.become_next(view));
    }

    fn view(&self, phase: ServerPhase, group: &ProcessGroup, address: SocketAddr) -> ServerView {
        ServerView {
            phase,
            process: Some(group.identity().clone()),
            url: Some(format!("http://{address}")),
            ..ServerView::absent(self.epoch())
        }
    }

    /// Reads what the server writes until it writes no more, and tells the HealthActor of anything alarming.
    fn read_output(&self, group: &ProcessGroup) {
        let (output, logs) = (group.output(), self.blueprint.logs.clone());
        let (siblings, epoch, bell) = (self.siblings.clone(), self.epoch(), Arc::new(Semaphore::new(1)));
        tokio::spawn(async move {
            while let Some(line) = output.next().await {
                if is_alarming(&line.text) {
                    siblings.alarm(epoch, &line.text, &bell);
                }
                tracing::debug!(target: "mlx_tree::server::output", epoch, "{}", line.text);
                logs.push(epoch, line.text);
                // In a flood there is always another line, and the thread has others to serve.
                tokio::task::coop::consume_budget().await;
            }
        });
    }

    fn tail(&self) -> Vec<String> {
        match &self.life {
            Life::Launching(_) | Life::Gone => Vec::new(),
            Life::Running { group, .. } | Life::Ending { group, .. } => group.tail().last_lines(LAST_LINES),
        }
    }

    fn epoch(&self) -> u64 {
        self.context.epoch().get()
    }

    fn emit(&self, kind: Kind) {
        self.blueprint.bus.emit(&self.blueprint.label, self.epoch(), kind);
    }
}

fn report_exit(myself: &ActorRef<ServerMessage>, group: &ProcessGroup) {
    let (exited, myself) = (group.exited(), myself.clone());
    tokio::spawn(async move {
        let _ = myself.send_message(ServerMessage::Exited(exited.await));
    });
}
