//! Whether the front is going down, as every connection can see without asking.

use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub(super) struct Stopping(AtomicBool);

// === impl Stopping ===

impl Stopping {
    pub(super) fn drain(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
