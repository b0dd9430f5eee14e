//! How much a gate lets through, and how much it lets wait.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The numbers of one gate. How long an entry may wait is not among them: each brings its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most requests that the server works on at once. Four: batching already gives two to three times the throughput
    /// of one, more than four have been seen to crash, and `mlx_lm`'s listen backlog is five.
    pub max_inflight: NonZeroUsize,
    /// The most requests that wait. One that comes back after its server has died is not counted against it.
    pub max_queue: usize,
    /// A stretch without a death that earns a clamped gate one more request at a time. It is also the longest that a suspect
    /// runs alone, and as good as a first success after a recovery: nobody waits forever for one long generation.
    pub stable: Duration,
    /// The longest that a slot is kept for a request whose client has left, until the server notices.
    pub linger_max: Duration,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_inflight: NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN),
            max_queue: 64,
            stable: Duration::from_secs(30),
            linger_max: Duration::from_secs(2),
        }
    }
}
