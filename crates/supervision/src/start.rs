//! How an incarnation comes to be: the start closure of a spec, and the actor around the user's actor.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use crate::core::Key;
use crate::shell::{Announce, Message, StartFailure, SupervisorActor};
use crate::{ChildContext, Epoch, Slot, Supervisor, SupervisorHandle};

/// Makes incarnations of one child.
pub(crate) trait Start: Send + 'static {
    /// Begins an incarnation. Must not block.
    fn start(&mut self, context: ChildContext, supervisor: ActorCell) -> Result<Incarnation, SpawnErr>;

    /// An incarnation has ended.
    fn ended(&mut self, epoch: Epoch);
}

/// A start that has begun.
pub(crate) struct Incarnation {
    pub(crate) cell: ActorCell,
    pub(crate) panicked: Arc<Panicked>,
    pub(crate) body: Body,
}

/// What the incarnation is, as far as stopping it and knowing it started goes.
pub(crate) enum Body {
    /// It has started when ractor says so, and stops when ractor stops it.
    Actor,
    /// It has started when its own children have, and stops in order when told so.
    Subtree(SupervisorHandle),
}

/// Whether a callback of the actor has panicked; ractor reports an error of the same type either way.
#[derive(Debug, Default)]
pub(crate) struct Panicked(AtomicBool);

pub(crate) struct ActorStart<A: Actor, F> {
    pub(crate) make: F,
    pub(crate) slot: Option<Slot<A::Msg>>,
}

pub(crate) struct SubtreeStart<F> {
    pub(crate) make: F,
}

/// The user's actor, watched. The fields are dropped in this order: the actor is no more when the obituary is sent.
struct Supervised<A: Actor> {
    actor: A,
    panicked: Arc<Panicked>,
    slot: Option<Slot<A::Msg>>,
    obituary: Obituary,
}

/// Tells the supervisor, when it is dropped, that a start has failed. ractor tells a supervisor nothing of an actor that
/// does not come out of `pre_start`, in whatever way; what it hands to the spawner comes before the actor is dropped.
///
/// Every child has one for as long as it lives, so it is kept small.
pub(crate) struct Obituary {
    supervisor: SupervisorHandle,
    key: Key,
    epoch: Epoch,
    started: AtomicBool,
    why: Mutex<Option<Box<StartFailure>>>,
}

/// Notes a panic that passes by.
struct Watch<'a>(&'a Panicked);

// === impl ActorStart ===

impl<A, F> Start for ActorStart<A, F>
where
    A: Actor,
    F: FnMut(ChildContext) -> (A, A::Arguments) + Send + 'static,
{
    fn start(&mut self, context: ChildContext, supervisor: ActorCell) -> Result<Incarnation, SpawnErr> {
        let (actor, arguments) = (self.make)(context.clone());
        let obituary = Obituary::new(&context);
        let panicked = Arc::new(Panicked::default());
        let supervised = Supervised { actor, panicked: panicked.clone(), slot: self.slot.clone(), obituary };
        let (actor, _spawned) = ractor::ActorRuntime::spawn_linked_instant(None, supervised, arguments, supervisor)?;
        Ok(Incarnation { cell: actor.get_cell(), panicked, body: Body::Actor })
    }

    fn ended(&mut self, epoch: Epoch) {
        if let Some(slot) = &self.slot {
            slot.clear(epoch);
        }
    }
}

// === impl SubtreeStart ===

impl<F> Start for SubtreeStart<F>
where
    F: FnMut(ChildContext) -> Supervisor + Send + 'static,
{
    fn start(&mut self, context: ChildContext, supervisor: ActorCell) -> Result<Incarnation, SpawnErr> {
        let subtree = (self.make)(context.clone());
        let prepared = subtree.prepare().map_err(|invalid| SpawnErr::StartupFailed(Box::new(invalid)))?;
        let shared = prepared.shared();
        let arguments = prepared.arguments(Announce::Parent(Obituary::new(&context)));
        let (actor, _spawned) =
            ractor::ActorRuntime::spawn_linked_instant(None, SupervisorActor, arguments, supervisor)?;
        let handle = SupervisorHandle::new(actor.clone(), shared);
        Ok(Incarnation { cell: actor.get_cell(), panicked: Arc::new(Panicked::default()), body: Body::Subtree(handle) })
    }

    fn ended(&mut self, _epoch: Epoch) {}
}

// === impl Panicked ===

impl Panicked {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.store(true, Ordering::Release);
        }
    }
}

// === impl Obituary ===

impl Obituary {
    fn new(context: &ChildContext) -> Self {
        Self {
            supervisor: context.supervisor.clone(),
            key: context.key,
            epoch: context.epoch,
            started: AtomicBool::new(false),
            why: Mutex::new(None),
        }
    }

    /// Tells the supervisor that a subtree has started its own children.
    pub(crate) fn subtree_started(&self) {
        self.supervisor.send(Message::SubtreeStarted { key: self.key, epoch: self.epoch });
    }

    pub(crate) fn not_needed(&self) {
        self.started.store(true, Ordering::Release);
    }

    fn died_of(&self, why: StartFailure) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(why));
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if !*self.started.get_mut() {
            let why = self.why.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            let why = why.map_or(StartFailure::Killed, |why| *why);
            self.supervisor.send(Message::StartFailed { key: self.key, epoch: self.epoch, why });
        }
    }
}

// === impl Supervised ===

impl<A: Actor> Actor for Supervised<A> {
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut starting = pin!(async {
            let _watch = Watch(&self.panicked);
            self.actor.pre_start(myself, arguments).await
        });
        let outcome = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| starting.as_mut().poll(context))) {
            Ok(poll) => poll.map_err(StartFailure::Error),
            Err(panic) => Poll::Ready(Err(StartFailure::Panic(crate::panic::text(&*panic)))),
        });
        outcome.await.map_err(|why| {
            self.obituary.died_of(why);
            "the start failed".into()
        })
    }

    async fn post_start(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        // From here on the actor is linked, and ractor tells the supervisor of its end.
        self.obituary.not_needed();
        let _watch = Watch(&self.panicked);
        self.actor.post_start(myself.clone(), state).await?;
        if let Some(slot) = &self.slot {
            slot.fill(self.obituary.epoch, myself);
        }
        Ok(())
    }

    async fn post_stop(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let _watch = Watch(&self.panicked);
        self.actor.post_stop(myself, state).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let _watch = Watch(&self.panicked);
        self.actor.handle(myself, message, state).await
    }

    /// Boxed, so that the room for it is taken when it is called and not for as long as the actor lives: an event is large,
    /// and most children supervise nobody.
    fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        Box::pin(async move {
            let _watch = Watch(&self.panicked);
            self.actor.handle_supervisor_evt(myself, event, state).await
        })
    }
}
