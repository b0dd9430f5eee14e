//! The supervisor's clock.

use mlx_tree_policy::Monotonic;
use tokio::time::Instant;

/// tokio's clock, so that a paused one works, counted from the origin that was chosen.
pub(super) struct Clock {
    started: Instant,
    origin: Monotonic,
}

// === impl Clock ===

impl Clock {
    /// A clock that reads `origin` now.
    pub(super) fn starting_at(origin: Monotonic) -> Self {
        Self { started: Instant::now(), origin }
    }

    pub(super) fn now(&self) -> Monotonic {
        self.origin + self.started.elapsed()
    }
}
