//! Status snapshots: at once where that is cheap, at intervals where it is not.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::Monotonic;

use crate::SupervisorStatus;
use crate::core::Supervisor;

use super::Payload;

/// Up to this many children, every change is published.
pub(crate) const PUBLISHED_AT_ONCE: usize = 64;

/// How long to collect changes before a snapshot of so many children is made: 100 ms for each 10,000.
pub(super) fn interval(children: usize) -> Duration {
    let steps = u32::try_from(children.div_ceil(10_000)).unwrap_or(u32::MAX);
    Duration::from_millis(100).saturating_mul(steps.max(1))
}

pub(super) fn snapshot(name: &Arc<str>, core: &Supervisor<Payload>, now: Monotonic) -> SupervisorStatus {
    SupervisorStatus { children: core.children().collect(), ..outline(name, core, now) }
}

/// A snapshot without the children.
pub(super) fn outline(name: &Arc<str>, core: &Supervisor<Payload>, now: Monotonic) -> SupervisorStatus {
    SupervisorStatus {
        name: name.clone(),
        phase: core.phase(),
        strategy: core.config().strategy,
        intensity: core.config().intensity,
        restarts_in_window: core.restarts_in_window(now),
        at: now,
        children: Vec::new(),
    }
}
