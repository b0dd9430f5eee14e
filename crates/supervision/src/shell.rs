//! The driver: a ractor actor that carries the machine's effects out and feeds back what came of them.
//!
//! It never awaits in a handler: starts, stops, kills and timers are begun here, and their outcome comes back as a message
//! or a supervision event.

mod actor;
mod actors;
mod clock;
mod driver;
mod fallback;
mod log;
mod publish;
mod shared;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mlx_tree_policy::Monotonic;
use ractor::{ActorCell, ActorProcessingErr};
use tokio::sync::oneshot;

use crate::core::{self, Answer, Call, Key};
use crate::start::{Body, Obituary, Panicked, Start};
use crate::{ChildId, Epoch, StartError, SupervisorStatus, WaitReadyError};

pub(crate) use actor::SupervisorActor;
pub(crate) use publish::PUBLISHED_AT_ONCE;
pub(crate) use shared::Shared;

/// What the supervisor's actor is sent.
pub(crate) enum Message {
    Ready {
        key: Key,
        epoch: Epoch,
    },
    /// A subtree has started its own children.
    SubtreeStarted {
        key: Key,
        epoch: Epoch,
    },
    StartFailed {
        key: Key,
        epoch: Epoch,
        why: StartFailure,
    },
    Wake,
    Call {
        call: Call<Payload>,
        reply: oneshot::Sender<Answered>,
    },
    WaitReady {
        id: ChildId,
        reply: oneshot::Sender<Result<Epoch, WaitReadyError>>,
    },
    Snapshot {
        reply: oneshot::Sender<Arc<SupervisorStatus>>,
    },
    Publish,
    Stop,
    KillNow,
}

/// Why an incarnation did not come up.
pub(crate) enum StartFailure {
    Error(ActorProcessingErr),
    Panic(Arc<str>),
    Killed,
}

pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) actor: Option<ActorCell>,
}

/// What the driver keeps with each child.
pub(crate) struct Payload {
    start: Guarded,
    running: Option<Running>,
}

/// The user's start closure; it may panic even when it is dropped.
struct Guarded(Option<Box<dyn Start>>);

struct Running {
    epoch: Epoch,
    cell: ActorCell,
    panicked: Arc<Panicked>,
    body: Body,
}

/// What the actor is spawned with.
pub(crate) struct Arguments {
    pub(crate) core: core::Supervisor<Payload>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Monotonic,
    pub(crate) announce: Announce,
}

/// Who is told that all children have started.
pub(crate) enum Announce {
    Starter(oneshot::Sender<Result<(), StartError>>),
    Parent(Obituary),
    /// It has been said.
    Nobody,
}

// === impl Payload ===

impl Payload {
    pub(crate) fn new(start: Box<dyn Start>) -> Self {
        Self { start: Guarded(Some(start)), running: None }
    }
}

// === impl Guarded ===

impl Guarded {
    /// Calls into the user's closure; a panic there is given as its text.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn Start) -> T) -> Result<T, Arc<str>> {
        let Some(start) = self.0.as_deref_mut() else { return Err("there is nothing to call".into()) };
        catch_unwind(AssertUnwindSafe(|| call(start))).map_err(|panic| crate::panic::text(&*panic))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let start = self.0.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(start)));
    }
}
