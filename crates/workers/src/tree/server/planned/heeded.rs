//! What whoever forwards requests to a server goes by: a drain believes that nothing is in flight only when nothing can be on its
//! way any more.

use mlx_tree_policy::drain::Door;
use tokio::sync::watch;

use super::Planned;
use crate::availability::{Availability, Reach};
use crate::tree::server::{Server, ServerHandle};

/// Somebody who forwards requests to a server, until this is dropped.
#[derive(Debug)]
pub struct Forwarding(watch::Sender<Heeded>);

/// What whoever forwards requests to a server goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heeded {
    /// Nobody forwards any.
    ByNobody,
    /// This.
    Known(Availability),
}

// === impl ServerHandle ===

impl ServerHandle {
    /// For one who forwards requests to the server: a drain waits for what it [heeds](Forwarding::heeds), from the first time
    /// that it says so until it is dropped. It keeps nothing of the tree alive.
    #[must_use]
    pub fn forwarding(&self) -> Forwarding {
        Forwarding(self.server.heeded.clone())
    }
}

// === impl Forwarding ===

impl Forwarding {
    /// Says that `known` is gone by from now on: nothing begins any more that it forbids, and everything that has begun is
    /// counted in [`ServerHandle::activity`].
    pub fn heeds(&self, known: Availability) {
        self.0.send_replace(Heeded::Known(known));
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.0.send_replace(Heeded::ByNobody);
    }
}

// === impl Server ===

impl Server {
    /// Resolves when whoever forwards requests heeds that the server gets none.
    pub(in crate::tree::server) async fn is_heeded(&self) {
        let mut heeded = self.heeded.subscribe();
        let heeds = |heeded: &Heeded| match heeded {
            Heeded::ByNobody => true,
            Heeded::Known(known) => !matches!(known.state, Reach::Ready { .. }),
        };
        // Its sender lives as long as the server.
        let _ = heeded.wait_for(heeds).await;
    }
}

// === impl Planned ===

impl Planned {
    pub(super) fn door(&self, heeded: &Heeded) -> Door {
        match heeded {
            Heeded::ByNobody => Door::Shut,
            Heeded::Known(known) => match &known.state {
                Reach::Yielding { .. } | Reach::Finishing { .. } if known.epoch == self.epoch => Door::Shut,
                Reach::Yielding { .. }
                | Reach::Finishing { .. }
                | Reach::Ready { .. }
                | Reach::Starting { .. }
                | Reach::Recycling { .. }
                | Reach::Waiting { .. }
                | Reach::BreakerOpen { .. }
                | Reach::Asleep
                | Reach::Stopped { .. }
                | Reach::Draining => Door::Open,
            },
        }
    }
}
