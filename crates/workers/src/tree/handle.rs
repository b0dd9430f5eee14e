//! A running tree, for those who hold it: status, the operator's verbs, and the end.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::{Event, Kind, Status};
use mlx_tree_policy::{InvalidPolicy, Standing};
use mlx_tree_process::signal::{self, Signal, Target};
use mlx_tree_process::state::{Settled, StateError, settle_orphan};
use mlx_tree_supervision::{
    ChildState, EventKind, Restart, RestartChildError, StartError, SupervisorExit, SupervisorHandle, SupervisorPhase,
    SupervisorStatus, TerminateChildError,
};
use tokio::sync::{Mutex, broadcast, watch};
use tokio::time::Instant;

use super::inner::{Facts, Inner};
use super::{Plan, gate, root, status};
use crate::SERVER;
use crate::breaker::RestartGate;
use crate::health::{HealthView, Served};
use crate::server::{Blueprint, ServerPhase, ServerView};

/// A running tree. Cheap to clone; all clones are one tree. Dropping the last one does not stop it: [`Tree::stop`] does.
#[derive(Clone)]
pub struct Tree {
    pub(super) inner: Arc<Inner>,
}

/// Why a tree could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The numbers of the restart policy make no sense together.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// An earlier server is still alive, and is not certainly ours to end.
    #[error("an earlier server of this instance is still alive and could not be ended: {0}")]
    Orphan(String),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A child could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a verb did not come to what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// The server was started and is not ready; the tree goes on trying as its policy says.
    #[error("the server is not ready: {reason}")]
    NotReady {
        /// Why.
        reason: String,
    },
    /// The server is down, and the tree will start it again by itself.
    #[error("the server is down and will be started by itself{}", after(.wait))]
    Held {
        /// After this time, where that is known.
        wait: Option<Duration>,
    },
    /// Somebody stopped it meanwhile.
    #[error("the server was stopped meanwhile")]
    Stopped,
    /// KILL does not end it.
    #[error("the server does not end: it hangs in the kernel")]
    Stuck,
    /// The tree is gone.
    #[error("the tree has ended")]
    Gone,
}

// === impl Tree ===

impl Tree {
    /// Starts the tree that `plan` describes. Resolves when all its children have been started, which is before the server
    /// is ready: see [`Tree::ready`].
    ///
    /// # Errors
    /// [`TreeError`]; nothing runs then.
    pub async fn start(plan: Plan) -> Result<Self, TreeError> {
        let gate = gate(&plan)?;
        settle(&plan.blueprint).await?;
        let Plan { blueprint, health, restart, history, served, children, model, kind, note } = plan;
        let blueprint = Arc::new(blueprint);
        let health_view = watch::Sender::new(HealthView::unwatched());
        let facts = Facts { kind, model, note, health_threshold: health.failure_threshold.get(), restart };
        blueprint.bus.emit("tree", 0, Kind::TreeStarted { pid: std::process::id() });
        let held = gate.standing() != Standing::Free;
        let root =
            root(&blueprint, health, &served, &health_view, &gate, history.as_ref(), held).intensity(restart.intensity);
        let supervisor = children.into_iter().fold(root, mlx_tree_supervision::Supervisor::child).start().await?;
        tell_of_other_children(&supervisor, &blueprint);
        if held {
            hold_back(&supervisor, &gate).await;
        }
        let inner = Inner {
            supervisor,
            blueprint,
            gate,
            health: health_view.subscribe(),
            facts,
            started: Instant::now(),
            served,
            verbs: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The status document of this moment.
    pub async fn status(&self) -> Status {
        status::compose(&self.inner).await
    }

    /// Resolves when the server is ready.
    ///
    /// # Errors
    /// [`VerbError::NotReady`] as soon as an attempt has failed or the server is held back; the tree goes on trying.
    pub async fn ready(&self) -> Result<(), VerbError> {
        let mut status = self.inner.supervisor.status();
        let mut view = self.inner.blueprint.view.subscribe();
        loop {
            let outcome = verdict(&status.borrow_and_update(), &view.borrow_and_update());
            match outcome {
                Some(Ok(())) => return Ok(()),
                Some(Err(VerbError::NotReady { .. })) => {
                    let reason = self.status().await.reason.unwrap_or_else(|| "unknown".to_owned());
                    return Err(VerbError::NotReady { reason });
                }
                Some(Err(error)) => return Err(error),
                None => tokio::select! {
                    changed = status.changed() => changed.map_err(|_| VerbError::Gone)?,
                    changed = view.changed() => changed.map_err(|_| VerbError::Gone)?,
                },
            }
        }
    }

    /// Starts a server that was stopped, and waits until it is ready. One that is being started is waited for; one that is
    /// ready is left as it is.
    ///
    /// # Errors
    /// [`VerbError::Held`] when the tree waits before it starts the server again by itself (as in systemd, only a restart or
    /// a reset cuts that short); [`VerbError::NotReady`] when the first attempt failed.
    pub async fn start_server(&self) -> Result<(), VerbError> {
        self.operator("start");
        {
            let _one_at_a_time = self.inner.verbs.lock().await;
            match self.child_state().await? {
                ChildState::Down => self.start_now().await?,
                // Whatever ended it, nobody else would start it.
                ChildState::Suspended { .. } if self.inner.blueprint.restart == Restart::Temporary => {
                    self.terminate().await?;
                    self.start_now().await?;
                }
                ChildState::Waiting { .. } | ChildState::Suspended { .. } => {
                    let now = self.inner.blueprint.clock.now();
                    let wait = self.inner.gate.snapshot().next.map(|at| at.saturating_since(now));
                    return Err(VerbError::Held { wait });
                }
                ChildState::Starting | ChildState::Up | ChildState::Ready | ChildState::Stopping => {}
                ChildState::Stuck => return Err(VerbError::Stuck),
            }
        }
        self.ready().await
    }

    /// Stops the server and keeps it stopped, in whatever state it is; resolves when its whole process group is gone.
    ///
    /// # Errors
    /// [`VerbError::Stuck`] when KILL does not end it.
    pub async fn stop_server(&self) -> Result<(), VerbError> {
        self.operator("stop");
        let _one_at_a_time = self.inner.verbs.lock().await;
        self.terminate().await?;
        // A trial or a pending restart is off, and there is nothing left to be held back.
        self.inner.gate.reset();
        Ok(())
    }

    /// Stops the server if it runs, forgets its failures, starts it, and waits until it is ready.
    ///
    /// # Errors
    /// As for [`Tree::start_server`] and [`Tree::stop_server`].
    pub async fn restart_server(&self) -> Result<(), VerbError> {
        self.operator("restart");
        {
            let _one_at_a_time = self.inner.verbs.lock().await;
            self.terminate().await?;
            self.start_now().await?;
        }
        self.ready().await
    }

    /// Forgets all failures and closes the breaker. A server that was held back is started; one that was stopped stays so.
    pub async fn reset(&self) {
        self.operator("reset");
        let _one_at_a_time = self.inner.verbs.lock().await;
        self.inner.gate.reset();
        // Asked without a look at the state first: what fails at this moment may be held back just after that look.
        if let Err(error) = self.inner.supervisor.resume_child(SERVER).await {
            tracing::debug!(target: "mlx_tree::tree", %error, "the server was not held back");
        }
    }

    /// Stops the whole tree, children in reverse order, and resolves when it is down. A second call joins the first.
    pub async fn stop(&self) {
        self.inner.blueprint.bus.emit("tree", 0, Kind::TreeStopping);
        self.inner.supervisor.stop().await;
    }

    /// Kills the server's whole process group and every child, at once. Resolves when all have ended.
    pub async fn kill_now(&self) {
        if let Some(process) = &self.inner.blueprint.view.borrow().process {
            // Nobody is there any more: what was wanted.
            let _ = signal::send(Target::Group(process), Signal::Kill);
        }
        self.inner.supervisor.kill_now().await;
    }

    /// Resolves when the tree has ended, for whatever reason, and the server's process group is gone.
    pub async fn closed(&self) -> SupervisorExit {
        let exit = self.inner.supervisor.closed().await;
        let _gone = self.inner.blueprint.permit.acquire().await;
        self.inner.blueprint.bus.emit("tree", 0, Kind::TreeStopped { reason: exit.to_string() });
        exit
    }

    /// The remembered events above number `seq`, and those to come.
    #[must_use]
    pub fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        self.inner.blueprint.bus.replay_after(seq)
    }

    /// The last lines that the server wrote, and those to come.
    #[must_use]
    pub fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        self.inner.blueprint.logs.read()
    }

    /// The root supervisor, for children that are added while it runs.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorHandle {
        &self.inner.supervisor
    }

    /// Where to count what the server's clients receive.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.inner.served
    }

    async fn terminate(&self) -> Result<(), VerbError> {
        match self.inner.supervisor.terminate_child(SERVER).await {
            Ok(()) | Err(TerminateChildError::NotFound) => Ok(()),
            Err(TerminateChildError::Stuck) => Err(VerbError::Stuck),
            Err(TerminateChildError::SupervisorGone) => Err(VerbError::Gone),
        }
    }

    /// Starts a server that is down. The operator's word outweighs the breaker and whatever failed before.
    async fn start_now(&self) -> Result<(), VerbError> {
        self.inner.gate.reset();
        match self.inner.supervisor.restart_child(SERVER).await {
            // The tree was quicker.
            Ok(_) | Err(RestartChildError::Running | RestartChildError::Restarting) => Ok(()),
            Err(RestartChildError::Failed(reason)) => Err(VerbError::NotReady { reason: reason.to_string() }),
            Err(RestartChildError::NotFound | RestartChildError::Dynamic | RestartChildError::SupervisorGone) => {
                Err(VerbError::Gone)
            }
        }
    }

    async fn child_state(&self) -> Result<ChildState, VerbError> {
        let status = self.inner.supervisor.snapshot().await.map_err(|_| VerbError::Gone)?;
        status.child(SERVER).map(|child| child.state.clone()).ok_or(VerbError::Gone)
    }

    fn operator(&self, verb: &str) {
        self.inner.blueprint.bus.emit(SERVER, 0, Kind::OperatorRequested { verb: verb.to_owned() });
    }
}

/// What there is to say about being ready; `None` while that is open. A server that the supervisor still calls ready may
/// have been given up by its worker already.
fn verdict(status: &SupervisorStatus, view: &ServerView) -> Option<Result<(), VerbError>> {
    if status.phase == SupervisorPhase::Stopped {
        return Some(Err(VerbError::Gone));
    }
    let child = status.child(SERVER)?;
    match &child.state {
        ChildState::Ready => {
            let serves = view.epoch == child.epoch.get() && matches!(view.phase, ServerPhase::Ready { .. });
            serves.then_some(Ok(()))
        }
        ChildState::Starting | ChildState::Up | ChildState::Stopping => None,
        ChildState::Waiting { .. } | ChildState::Suspended { .. } => {
            Some(Err(VerbError::NotReady { reason: String::new() }))
        }
        ChildState::Stuck => Some(Err(VerbError::Stuck)),
        ChildState::Down => Some(Err(VerbError::Stopped)),
    }
}

fn after(wait: &Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(" in {:.1} s", wait.as_secs_f64()))
}

/// A server whose start the history of an earlier run forbade has ignored that start and is down, where nobody would
/// resume it: it is suspended, until the BreakerActor does.
async fn hold_back(supervisor: &SupervisorHandle, gate: &RestartGate) {
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

/// Ends what an earlier mlx-tree left behind, before anything is started.
async fn settle(blueprint: &Blueprint) -> Result<(), TreeError> {
    let Some(instance) = &blueprint.instance else { return Ok(()) };
    match settle_orphan(instance, blueprint.grace).await? {
        Settled::Nothing => Ok(()),
        Settled::Ended { processes } => {
            let names: Vec<_> = processes.iter().map(ToString::to_string).collect();
            let outcome = format!("ended {}", names.join(", "));
            blueprint.bus.emit(SERVER, 0, Kind::OrphanSettled { outcome });
            Ok(())
        }
        Settled::Held { holders } => {
            let names: Vec<_> = holders.iter().map(ToString::to_string).collect();
            Err(TreeError::Orphan(names.join(", ")))
        }
    }
}

/// The server's own story is told by its worker; of the other children the supervisor's events tell.
fn tell_of_other_children(supervisor: &SupervisorHandle, blueprint: &Arc<Blueprint>) {
    let (mut events, bus) = (supervisor.subscribe(), blueprint.bus.clone());
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let Some(child) = event.child.as_ref().filter(|child| child.as_str() != SERVER) else { continue };
                    if let EventKind::ChildExited { reason, .. } = &event.kind {
                        bus.emit(child.as_str(), event.epoch.get(), Kind::ChildExited { reason: reason.to_string() });
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}
