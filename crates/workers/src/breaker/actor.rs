//! The BreakerActor: watches the gate, and resumes the server when its time has come. It never starts anything itself.

use std::time::Duration;

use mlx_tree_policy::{BreakerState, Monotonic, Refused, Standing};
use mlx_tree_supervision::{ChildContext, ChildState, SupervisorHandle};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::gate::RestartGate;
use super::history::History;
use crate::SERVER;
use crate::clock::Clock;

/// The breaker's driver as a child of the tree.
pub struct BreakerActor;

/// What it is started with.
pub struct BreakerArguments {
    /// Its place in the tree.
    pub context: ChildContext,
    /// The gate that it drives.
    pub gate: RestartGate,
    /// Where the gate's history is kept, if it is.
    pub history: Option<History>,
    /// The tree's clock.
    pub clock: Clock,
    /// Whether its server may sleep.
    pub sleeper: Sleeper,
}

/// Whether a server may sleep: one that does is not woken for a trial, which then comes with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleeper {
    /// It never does.
    Never,
    /// It does when it is down and nobody has suspended it.
    WhenDown,
}

/// What reaches the BreakerActor: only its own alarm clock.
pub enum BreakerMessage {
    /// The gate has changed, or a time has come.
    Look,
    /// Panics, as a bug would: see [`crate::tree::Part`].
    #[cfg(feature = "test-util")]
    Panic,
}

/// Its state: a few tasks, and nothing that could be lost with it.
pub struct BreakerDriver {
    arguments: BreakerArguments,
    follow: JoinHandle<()>,
    write: Option<Writer>,
    timer: Option<JoinHandle<()>>,
}

/// Writes the history down. Letting go of `open` has it write the latest and end.
struct Writer {
    open: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Actor for BreakerActor {
    type Msg = BreakerMessage;
    type State = BreakerDriver;
    type Arguments = BreakerArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<BreakerMessage>,
        arguments: BreakerArguments,
    ) -> Result<BreakerDriver, ActorProcessingErr> {
        let mut changes = arguments.gate.watch();
        changes.mark_changed();
        let follow = tokio::spawn(async move {
            while changes.changed().await.is_ok() && myself.send_message(BreakerMessage::Look).is_ok() {}
        });
        let write = arguments.history.clone().map(|history| {
            let (open, closed) = oneshot::channel();
            Writer { open, task: tokio::spawn(write_down(history, arguments.gate.clone(), closed)) }
        });
        arguments.context.ready();
        Ok(BreakerDriver { arguments, follow, write, timer: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<BreakerMessage>,
        message: BreakerMessage,
        state: &mut BreakerDriver,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            BreakerMessage::Look => state.look(&myself),
            #[cfg(feature = "test-util")]
            BreakerMessage::Panic => panic!("{}", crate::tree::Part::WORDS),
        }
        Ok(())
    }

    /// What was decided last is on disk when the tree is gone.
    async fn post_stop(
        &self,
        _: ActorRef<BreakerMessage>,
        state: &mut BreakerDriver,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Writer { open, task }) = state.write.take() {
            drop(open);
            let _ = task.await;
        }
        Ok(())
    }
}

// === impl BreakerDriver ===

impl BreakerDriver {
    fn look(&mut self, myself: &ActorRef<BreakerMessage>) {
        let now = self.arguments.clock.now();
        let snapshot = self.arguments.gate.snapshot();
        match snapshot.breaker {
            // Held although the gate is closed: reset by the operator, or held at start for an earlier run's failures.
            BreakerState::Closed => match self.arguments.gate.standing() {
                Standing::Free => self.resume_if_held(),
                Standing::Waiting { .. } | Standing::Suspended { .. } => {}
            },
            BreakerState::Open { until: Some(until), .. } if until <= now => self.half_open(),
            BreakerState::HalfOpen { deadline, .. } if deadline <= now => self.expire(),
            // Half-open with the server still held: the one before us crashed between the two steps.
            BreakerState::HalfOpen { .. } => self.resume_if_held(),
            BreakerState::Open { .. } => {}
        }
        self.arm(myself, self.arguments.gate.snapshot().next);
    }

    fn half_open(&self) {
        match self.arguments.sleeper {
            Sleeper::WhenDown if !self.is_held() => return,
            Sleeper::WhenDown | Sleeper::Never => {}
        }
        match self.arguments.gate.half_open() {
            Ok(()) => self.resume(),
            Err(Refused::NotOpen | Refused::NotDue { .. } | Refused::TrialUnderWay { .. }) => {}
        }
    }

    /// The trial took too long. The server is told to go; its exit is then no news to the gate.
    fn expire(&self) {
        if self.arguments.gate.expire_trial() {
            let (supervisor, gate) = (self.supervisor(), self.arguments.gate.clone());
            tokio::spawn(async move {
                let held = supervisor.suspend_child(SERVER, "the trial was not decided in time").await;
                if let Err(error) = held {
                    tracing::debug!(target: "mlx_tree::breaker", %error, "the server needs not be suspended");
                }
                // An operator may have reset the gate meanwhile; nobody else would resume what was suspended after that.
                if gate.standing() == Standing::Free {
                    resume(&supervisor).await;
                }
            });
        }
    }

    fn resume_if_held(&self) {
        if self.is_held() {
            self.resume();
        }
    }

    fn is_held(&self) -> bool {
        let status = self.supervisor().status();
        status.borrow().child(SERVER).is_some_and(|child| matches!(child.state, ChildState::Suspended { .. }))
    }

    fn resume(&self) {
        let supervisor = self.supervisor();
        tokio::spawn(async move { resume(&supervisor).await });
    }

    fn arm(&mut self, myself: &ActorRef<BreakerMessage>, next: Option<Monotonic>) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        // A restart that is due and under way is no business of ours.
        let Some(next) = next.filter(|next| *next > self.arguments.clock.now()) else { return };
        let (at, myself) = (self.arguments.clock.instant(next), myself.clone());
        self.timer = Some(tokio::spawn(async move {
            // A little later than due: tokio's timers have a granularity of a millisecond, and early is too early.
            tokio::time::sleep_until(at + Duration::from_millis(1)).await;
            let _ = myself.send_message(BreakerMessage::Look);
        }));
    }

    fn supervisor(&self) -> SupervisorHandle {
        self.arguments.context.supervisor().clone()
    }
}

impl Drop for BreakerDriver {
    fn drop(&mut self) {
        self.follow.abort();
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

async fn resume(supervisor: &SupervisorHandle) {
    if let Err(error) = supervisor.resume_child(SERVER).await {
        tracing::debug!(target: "mlx_tree::breaker", %error, "the server needs not be resumed");
    }
}

/// Writes the history down at each change, one after the other and always the latest, and once more at the end if there is
/// something new.
async fn write_down(history: History, gate: RestartGate, mut closed: oneshot::Receiver<()>) {
    let mut changes = gate.watch();
    loop {
        let more = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            _ = &mut closed => false,
        };
        if !more && !changes.has_changed().unwrap_or(false) {
            return;
        }
        // Before the record is taken, so that no change can fall between the two.
        changes.mark_unchanged();
        let (history, record) = (history.clone(), gate.record());
        let written = tokio::task::spawn_blocking(move || history.write(&record)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(target: "mlx_tree::breaker", %error, "a restart of mlx-tree will not know of earlier failures");
        }
        if !more {
            return;
        }
    }
}
