//! The policy of a server that is never restarted by itself: each failure is the last one, until an operator says otherwise.
//!
//! To the supervisor its child is a transient one all the same: a temporary child is forgotten at its end, and nobody could
//! start it again.

use std::time::Duration;

use mlx_tree_policy::{Decide, Decision, Failure, Monotonic};

/// Restarts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Never;

impl Decide for Never {
    fn on_failure(&mut self, failure: Failure<'_>, _now: Monotonic) -> Decision {
        Decision::Suspend { until: None, reason: failure.reason.to_owned() }
    }

    fn on_ready(&mut self, _epoch: u64, _now: Monotonic) -> Option<Duration> {
        None
    }

    fn on_stable(&mut self, _epoch: u64, _now: Monotonic) -> Option<Duration> {
        None
    }
}
