//! What a child knows about itself: its name, its incarnation and its supervisor.

use std::fmt;

use crate::core::Key;
use crate::shell::Message;
use crate::{ChildId, Epoch, SupervisorHandle};

/// One incarnation's view of its supervision. Made anew for every start; cheap to clone.
#[derive(Clone)]
pub struct ChildContext {
    pub(crate) id: ChildId,
    pub(crate) key: Key,
    pub(crate) epoch: Epoch,
    pub(crate) supervisor: SupervisorHandle,
}

// === impl ChildContext ===

impl ChildContext {
    /// The child's name.
    #[must_use]
    pub const fn id(&self) -> &ChildId {
        &self.id
    }

    /// The incarnation that this context belongs to.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Says that this incarnation is ready. Only matters under [`Readiness::Explicit`](crate::Readiness::Explicit).
    ///
    /// Idempotent, never blocks, and may be called from anywhere and at any time after the start began: a message from an
    /// older incarnation is dropped.
    pub fn ready(&self) {
        self.supervisor.send(Message::Ready { key: self.key, epoch: self.epoch });
    }

    /// The supervisor of this child. Do not await its answers in `pre_start`: it is waiting for just that to end.
    #[must_use]
    pub const fn supervisor(&self) -> &SupervisorHandle {
        &self.supervisor
    }
}

impl fmt::Debug for ChildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildContext").field("id", &self.id).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
