//! The policy of a server as its supervisor sees it: the gate's, unless the server is never to be restarted by itself.
//!
//! Then each failure is the last one, until an operator says otherwise. To the supervisor its child is a transient one all the
//! same: a temporary child is forgotten at its end, and nobody could start it again. Which of the two holds is looked at
//! whenever there is something to decide, so a changed configuration holds at once.

use std::time::Duration;

use mlx_tree_policy::{Decide, Decision, Failure, Monotonic};
use mlx_tree_supervision::Restart;

use super::gate::RestartGate;
use crate::server::Recipes;

/// Asks the gate, or restarts nothing.
#[derive(Clone)]
pub struct GateOrNever {
    gate: RestartGate,
    recipes: Recipes,
}

// === impl GateOrNever ===

impl GateOrNever {
    /// The policy of the server with this gate and these recipes.
    #[must_use]
    pub const fn new(gate: RestartGate, recipes: Recipes) -> Self {
        Self { gate, recipes }
    }

    fn gate(&mut self) -> Option<&mut RestartGate> {
        match self.recipes.newest().restart {
            Restart::Permanent | Restart::Transient => Some(&mut self.gate),
            Restart::Temporary => None,
        }
    }
}

impl Decide for GateOrNever {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        match self.gate() {
            Some(gate) => gate.on_failure(failure, now),
            None => Decision::Suspend { until: None, reason: failure.reason.to_owned() },
        }
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.gate()?.on_ready(epoch, now)
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.gate()?.on_stable(epoch, now)
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        if let Some(gate) = self.gate() {
            gate.on_end(epoch, now);
        }
    }
}
