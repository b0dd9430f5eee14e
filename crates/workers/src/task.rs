//! A task that belongs to somebody, and ends with its owner.

use tokio::task::JoinHandle;

/// A task that nobody needs once its owner is gone: dropping this aborts it. (Dropping a `JoinHandle` lets it run on.)
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

// === impl AbortOnDrop ===

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
