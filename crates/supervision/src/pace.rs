//! The policy behind `ChildSpec::backoff`: a curve of delays, and nothing else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use mlx_tree_policy::{Backoff, Decide, Decision, Failure, Monotonic};

pub(crate) struct Paced {
    backoff: Backoff,
    consecutive: u32,
    chance: RandomState,
}

// === impl Paced ===

impl Paced {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, consecutive: 0, chance: RandomState::new() }
    }

    /// A number in 0..=1. The seed of a hash map is random enough to spread restarts, and needs no dependency.
    fn unit_random(&self, epoch: u64) -> f64 {
        if self.backoff.jitter() == 0.0 {
            return 0.0;
        }
        let mut hasher = self.chance.build_hasher();
        hasher.write_u64(epoch);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }
}

impl Decide for Paced {
    fn on_failure(&mut self, failure: Failure<'_>, _now: Monotonic) -> Decision {
        self.consecutive = self.consecutive.saturating_add(1);
        Decision::Restart { after: self.backoff.delay(self.consecutive, self.unit_random(failure.epoch)) }
    }

    fn on_ready(&mut self, _epoch: u64, _now: Monotonic) -> Option<Duration> {
        (self.consecutive > 0).then(|| self.backoff.max())
    }

    fn on_stable(&mut self, _epoch: u64, _now: Monotonic) -> Option<Duration> {
        self.consecutive = 0;
        None
    }
}
