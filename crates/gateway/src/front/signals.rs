//! What the connections and the accept loop tell each other without asking.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared by all connections of a front.
#[derive(Debug, Default)]
pub(super) struct Signals {
    draining: AtomicBool,
    freed: Notify,
}

// === impl Signals ===

impl Signals {
    /// No request is begun from now on.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether that has been said.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A connection has no request any more.
    pub(super) fn free(&self) {
        self.freed.notify_one();
    }

    /// Resolves when that has been said since it was last waited for.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }
}
