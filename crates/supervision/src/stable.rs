//! A child that can always be spoken to: its messages are delivered, kept for its next incarnation, or given back with the
//! reason and the time to try again.

mod unavailable;

pub use unavailable::{Sent, StableError, Unavailable, Undelivered};

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mlx_tree_policy::Monotonic;
use ractor::{ActorRef, ActorStatus, Message, MessagingErr};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::{ChildId, ChildState, Epoch, Slot, SupervisorHandle, SupervisorPhase, SupervisorStatus};

/// The stable address of a child, for those who must know what became of a message while it was down.
///
/// A [`Slot`] says which actor runs now. This says, while none does, *why* and *until when*: a server that is backing off is
/// answered for with "in 12 s" instead of silence (an HTTP gateway makes a `503` with `Retry-After` of it). With a stash, up
/// to so many messages wait for the next incarnation, and are delivered to it in order, before any that is sent later.
///
/// What it does not promise: that a delivered message was handled. A child that fails takes the messages in its mailbox with
/// it, as in Akka and OTP; and the stash is delivered to the mailbox as a whole.
///
/// Cheap to clone; all clones are one address with one stash. When the last one is dropped, so is what is in the stash.
///
/// ```
/// use std::time::Duration;
/// use mlx_tree_supervision::test_util::{Act, MockChild, MockMessage};
/// use mlx_tree_supervision::{Backoff, Sent, Slot, Stable, Supervisor, Unavailable};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let slot = Slot::new();
/// let child = MockChild::spec_in(&slot, "server", [Act::Crash]).backoff(Backoff::default());
/// let supervisor = Supervisor::one_for_one().child(child).start().await?;
/// let server = Stable::new(&supervisor, &slot, "server").await?;
///
/// tokio::time::sleep(Duration::from_millis(500)).await;
/// let undelivered = server.send(MockMessage::Ready).unwrap_err();
/// assert_eq!(undelivered.why.retry_after(), Some(Duration::from_millis(1500)));
/// assert_eq!(undelivered.to_string(), "it is backing off; it is started again in 1.5s");
///
/// tokio::time::sleep(Duration::from_secs(2)).await;
/// assert!(matches!(server.send(undelivered.message), Ok(Sent::Delivered(epoch)) if epoch.get() == 2));
/// # supervisor.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Stable<M: Message>(Arc<Inner<M>>);

struct Inner<M: Message> {
    id: ChildId,
    slot: Slot<M>,
    supervisor: SupervisorHandle,
    status: watch::Receiver<Arc<SupervisorStatus>>,
    clock: Clock,
    capacity: usize,
    /// Held while a message is sent, so that none overtakes those that wait.
    stash: Mutex<VecDeque<M>>,
    /// Delivers the stash when an incarnation has started. Ends with the last clone.
    courier: Option<AbortHandle>,
}

/// How much of the stash has been delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flushed {
    All,
    Some,
}

/// The supervisor's clock, read once.
struct Clock {
    at: Monotonic,
    read: Instant,
}

// === impl Stable ===

impl<M: Message> Stable<M> {
    /// The stable address of the child `id`, whose incarnations `slot` holds
    /// ([`ChildSpec::actor_in`](crate::ChildSpec::actor_in)). Keeps no messages.
    ///
    /// It belongs to this supervisor: when that is replaced by its own supervisor, the address is
    /// [gone](Unavailable::Gone), and a new one is needed.
    ///
    /// # Errors
    /// [`StableError`] if the supervisor has no such child, or has ended.
    pub async fn new(
        supervisor: &SupervisorHandle,
        slot: &Slot<M>,
        id: impl Into<ChildId>,
    ) -> Result<Self, StableError> {
        Self::with_stash(supervisor, slot, id, 0).await
    }

    /// As [`Stable::new`], and up to `capacity` messages wait while the child is down and is expected to come back.
    ///
    /// # Errors
    /// As [`Stable::new`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn with_stash(
        supervisor: &SupervisorHandle,
        slot: &Slot<M>,
        id: impl Into<ChildId>,
        capacity: usize,
    ) -> Result<Self, StableError> {
        let id = id.into();
        let snapshot = supervisor.snapshot().await.map_err(|_| StableError::SupervisorGone)?;
        let clock = Clock { at: snapshot.at, read: Instant::now() };
        if snapshot.child(id.as_str()).is_none() {
            return Err(StableError::NoSuchChild(id));
        }
        Ok(Self(Arc::new_cyclic(|inner| Inner {
            id,
            slot: slot.clone(),
            supervisor: supervisor.clone(),
            status: supervisor.status(),
            clock,
            capacity,
            stash: Mutex::new(VecDeque::new()),
            courier: (capacity > 0).then(|| tokio::spawn(deliver(slot.watch(), inner.clone())).abort_handle()),
        })))
    }

    /// The child's name.
    #[must_use]
    pub fn id(&self) -> &ChildId {
        &self.0.id
    }

    /// Sends `message` to the incarnation that runs, or keeps it for the next one if there is a stash with room. Never
    /// blocks.
    ///
    /// # Errors
    /// [`Undelivered`], with the message and the reason.
    pub fn send(&self, message: M) -> Result<Sent, Undelivered<M>> {
        let mut stash = self.0.stash();
        let message = match self.0.slot.current() {
            Some((epoch, actor)) if flush(&mut stash, &actor) == Flushed::All => match try_send(&actor, message) {
                Ok(()) => return Ok(Sent::Delivered(epoch)),
                Err(message) => message,
            },
            Some(_) | None => message,
        };
        let why = self.0.why();
        if why.is_expected_back() && stash.len() < self.0.capacity {
            stash.push_back(message);
            return Ok(Sent::Stashed);
        }
        Err(Undelivered { message, why })
    }

    /// Why nothing can be delivered now; `None` while an incarnation runs.
    #[must_use]
    pub fn unavailable(&self) -> Option<Unavailable> {
        match self.0.slot.actor() {
            Some(actor) if is_open(&actor) => None,
            Some(_) | None => Some(self.0.why()),
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn stashed(&self) -> usize {
        self.0.stash().len()
    }

    /// Takes back what waits, oldest first.
    #[must_use]
    pub fn take_stash(&self) -> Vec<M> {
        self.0.stash().drain(..).collect()
    }
}

impl<M: Message> Clone for Stable<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Stable<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stable").field("id", &self.0.id).field("stashed", &self.stashed()).finish_non_exhaustive()
    }
}

// === impl Inner ===

impl<M: Message> Inner<M> {
    fn stash(&self) -> MutexGuard<'_, VecDeque<M>> {
        self.stash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why(&self) -> Unavailable {
        let status = self.status.borrow();
        let ends = match status.phase {
            SupervisorPhase::Starting | SupervisorPhase::Running => false,
            SupervisorPhase::Stopping | SupervisorPhase::Stopped => true,
        };
        if ends || self.supervisor.exit_now().is_some() {
            return Unavailable::Gone;
        }
        let Some(child) = status.child(self.id.as_str()) else { return Unavailable::Gone };
        let now = self.clock.now();
        match &child.state {
            ChildState::Waiting { until } => {
                Unavailable::BackingOff { until: *until, retry_after: until.saturating_since(now) }
            }
            ChildState::Suspended { until, reason } => Unavailable::Suspended {
                until: *until,
                retry_after: until.map(|until| until.saturating_since(now)),
                reason: reason.clone(),
            },
            ChildState::Down => Unavailable::Down,
            ChildState::Stopping | ChildState::Stuck => Unavailable::Stopping,
            // It ran a moment ago, and the supervisor has not read the news yet.
            ChildState::Starting | ChildState::Up | ChildState::Ready => Unavailable::Starting,
        }
    }
}

impl<M: Message> Drop for Inner<M> {
    fn drop(&mut self) {
        if let Some(courier) = &self.courier {
            courier.abort();
        }
    }
}

// === impl Clock ===

impl Clock {
    fn now(&self) -> Monotonic {
        self.at + self.read.elapsed()
    }
}

/// Delivers the stash to each incarnation as it starts.
async fn deliver<M: Message>(mut slot: watch::Receiver<Option<(Epoch, ActorRef<M>)>>, inner: Weak<Inner<M>>) {
    while slot.changed().await.is_ok() {
        let Some(inner) = inner.upgrade() else { return };
        let mut stash = inner.stash();
        if let Some(actor) = inner.slot.actor() {
            flush(&mut stash, &actor);
        }
    }
}

/// Delivers what waits, for as long as the child takes it.
fn flush<M: Message>(stash: &mut VecDeque<M>, actor: &ActorRef<M>) -> Flushed {
    while let Some(message) = stash.pop_front() {
        if let Err(message) = try_send(actor, message) {
            stash.push_front(message);
            return Flushed::Some;
        }
    }
    Flushed::All
}

/// Whether the actor takes messages, as far as ractor knows.
fn is_open<M>(actor: &ActorRef<M>) -> bool {
    match actor.get_status() {
        ActorStatus::Unstarted | ActorStatus::Starting | ActorStatus::Running | ActorStatus::Upgrading => true,
        ActorStatus::Draining | ActorStatus::Stopping | ActorStatus::Stopped => false,
    }
}

fn try_send<M: Message>(actor: &ActorRef<M>, message: M) -> Result<(), M> {
    match actor.send_message(message) {
        // It has ended, or is about to.
        Err(MessagingErr::SendErr(message)) => Err(message),
        // The last two cannot be: the address is typed, and nothing is received here.
        Ok(()) | Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Ok(()),
    }
}
