//! Where the current incarnation of a child is, for its siblings.

use ractor::{ActorRef, Message};
use tokio::sync::watch;

use crate::Epoch;

/// The address of a child that survives its restarts: the epoch and the actor of the incarnation that runs now.
///
/// Make one before the tree, give it to [`ChildSpec::actor_in`](crate::ChildSpec::actor_in), and clone it into whoever wants
/// to talk to that child. The slot is filled when an incarnation has started, and emptied when it has ended.
#[derive(Debug)]
pub struct Slot<M>(watch::Sender<Option<(Epoch, ActorRef<M>)>>);

// === impl Slot ===

impl<M: Message> Slot<M> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// The actor that runs now, or `None` while there is none.
    #[must_use]
    pub fn actor(&self) -> Option<ActorRef<M>> {
        self.0.borrow().as_ref().map(|(_, actor)| actor.clone())
    }

    /// The actor that runs now and its epoch, or `None` while there is none.
    #[must_use]
    pub fn current(&self) -> Option<(Epoch, ActorRef<M>)> {
        self.0.borrow().clone()
    }

    /// A receiver that is told of every change. Slow receivers see the latest state only.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<(Epoch, ActorRef<M>)>> {
        self.0.subscribe()
    }

    pub(crate) fn fill(&self, epoch: Epoch, actor: ActorRef<M>) {
        self.0.send_replace(Some((epoch, actor)));
    }

    /// Empties the slot unless a later incarnation has filled it.
    pub(crate) fn clear(&self, epoch: Epoch) {
        self.0.send_if_modified(|current| {
            let ended = current.as_ref().is_some_and(|(filled, _)| *filled <= epoch);
            if ended {
                *current = None;
            }
            ended
        });
    }
}

impl<M: Message> Default for Slot<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
