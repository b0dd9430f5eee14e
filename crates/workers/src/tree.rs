//! The tree: who is whose child, and what each of them holds.
//!
//! ```text
//! root supervisor · one for one
//! ├─ server    owns the process group of mlx_lm.server, and ends when that ends
//! ├─ health    asks whether it is alive, busy or down, and tells its owner
//! ├─ breaker   holds back restarts that do not help, then tries one
//! ├─ gateway   the clients' one address: holds and replays their requests
//! └─ …         children of your own
//! ```
//!
//! They are a [`ServerWorker`](crate::server::ServerWorker), a [`HealthActor`](crate::health::HealthActor), a
//! [`BreakerActor`](crate::breaker::BreakerActor) and whatever the tree is given as further children, of which the program's gateway
//! is the first. They are started in this order and stopped in reverse. The README and `mlx-tree status` show the same picture.
//!
//! Of several servers, the first has these places, and each further one the same three below a supervisor of its own, which
//! is called like the server:
//!
//! ```text
//! root
//! ├─ server, health, breaker
//! ├─ coder      supervisor · one for one · its own server, health and breaker
//! ├─ residency  who may be in memory together; only where servers sleep
//! └─ …
//! ```
//!
//! *Architecture Invariant:* the children know each other by [`Slot`]s and `watch`es only, and no child waits for another.

mod change;
mod handle;
mod orphans;
mod plan;
#[cfg(feature = "test-util")]
mod sabotage;
mod server;
mod status;
mod subtree;

pub use handle::Tree;
pub use plan::{MemoryPlan, Plan, ServerChange, ServerPlan, Shown, Start, Stay, no_server};
#[cfg(feature = "test-util")]
pub use sabotage::Part;
pub use server::{Forwarding, ServerHandle, VerbError};
pub(crate) use server::{Planned, Server};
pub(crate) use status::phase;
pub(crate) use subtree::after_a_bug;

use std::sync::Arc;

use mlx_tree_policy::InvalidPolicy;
use mlx_tree_process::state::StateError;
use mlx_tree_supervision::{Slot, StartError};
use tokio::sync::Semaphore;

use crate::breaker::BreakerMessage;
use crate::health::HealthMessage;
use crate::server::ServerMessage;

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

/// How the children of one server reach each other.
#[derive(Clone, Default)]
pub struct Siblings {
    server: Slot<ServerMessage>,
    health: Slot<HealthMessage>,
    breaker: Slot<BreakerMessage>,
}

// === impl Siblings ===

impl Siblings {
    /// Tells the watcher of a line that the server wrote. Without a watcher just now, its next check will find out. While
    /// it has not come to an earlier alarm of the same `bell`, nothing is sent: one is as good as thousands, which would fill
    /// its mailbox.
    pub(crate) fn alarm(&self, epoch: u64, line: &str, bell: &Arc<Semaphore>) {
        if let Some(health) = self.health.actor()
            && let Ok(rung) = Arc::clone(bell).try_acquire_owned()
        {
            let _ = health.send_message(HealthMessage::Alarm { epoch, line: line.to_owned(), rung });
        }
    }
}
