//! What can be seen of a gateway from outside: its part of the status document.

use std::sync::Arc;

use mlx_tree_api as api;
use mlx_tree_gateway::Gateway;
use mlx_tree_gateway::admission::{Limited, Snapshot};

use super::Door;

/// A look at a gateway, whichever incarnation of its child serves it.
#[derive(Clone)]
pub(crate) struct Window {
    gateway: Arc<Gateway>,
    door: Arc<Door>,
}

// === impl Window ===

impl Window {
    pub(super) const fn new(gateway: Arc<Gateway>, door: Arc<Door>) -> Self {
        Self { gateway, door }
    }

    /// Lets nobody new in, for good.
    pub(crate) fn close(&self) {
        self.door.close();
    }

    /// What goes on now.
    pub(crate) fn status(&self) -> api::Gateway {
        let gates: Vec<_> = self.gateway.snapshots().map(|(server, snapshot)| gate(server, &snapshot)).collect();
        api::Gateway {
            url: format!("http://{}", self.door.address),
            in_flight: gates.iter().map(|gate| gate.in_flight).sum(),
            queued: gates.iter().map(|gate| gate.queued).sum(),
            gates,
        }
    }
}

fn gate(server: &str, snapshot: &Snapshot) -> api::Gate {
    let number = |number| u64::try_from(number).unwrap_or(u64::MAX);
    api::Gate {
        server: server.to_owned(),
        in_flight: number(snapshot.in_flight),
        queued: number(snapshot.queued),
        limit: number(snapshot.limit),
        limited_by: match snapshot.limited {
            Limited::No => None,
            Limited::SlowStart => Some(api::LimitedBy::SlowStart),
            Limited::Clamped => Some(api::LimitedBy::Clamped),
            Limited::Suspect => Some(api::LimitedBy::Suspect),
        },
    }
}
