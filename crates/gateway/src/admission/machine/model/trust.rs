//! What the server is trusted with, counted step by step.

use tokio::time::Instant;

use super::STABLE;

/// The limit, counted step by step.
pub(super) struct Trust {
    pub(super) max: usize,
    pub(super) base: usize,
    pub(super) ready: Option<Instant>,
    pub(super) seen: bool,
    pub(super) slow: bool,
    pub(super) tried: Option<Instant>,
}

// === impl Trust ===

impl Trust {
    pub(super) fn limit(&self, now: Instant) -> usize {
        if self.slow && self.tried.is_none_or(|tried| now < tried + STABLE) {
            return 1;
        }
        self.climbed(now)
    }

    pub(super) fn climbed(&self, now: Instant) -> usize {
        let (mut limit, mut next) = (self.base, self.ready.map(|ready| ready + STABLE));
        while let Some(at) = next.filter(|at| *at <= now && limit < self.max) {
            limit += 1;
            next = Some(at + STABLE);
        }
        limit.min(self.max)
    }
}
