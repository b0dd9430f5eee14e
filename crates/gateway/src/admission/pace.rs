//! How many requests the server is trusted with at once: all of them, or fewer after it has died.
//!
//! ```text
//!                      ready for `stable`: +1, up to max
//!                          ┌───────┐
//!   death with n > 1 ──▶ 1 ┴▶ 2 ───┴▶ … ▶ max        (the clamp; a death with n ≤ 1 starts the stretch anew)
//!
//!   ready again ──▶ 1, until the first success of this incarnation, or `stable` after its first request (slow start)
//! ```
//!
//! The first incarnation that the gate sees is no recovery, and starts at full pace.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// What keeps the limit below `max_inflight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Nothing.
    No,
    /// The server is back and has not completed a request yet.
    SlowStart,
    /// It died with several requests in work.
    Clamped,
    /// A request that was in work when it died runs alone, until it is done or for a stable stretch.
    Suspect,
}

/// How far a recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The server has shown that it serves, or never went down.
    Over,
    /// It is back, and nothing has been sent to it.
    Untried,
    /// Its first request went out then.
    Trying(Instant),
}

/// The machine in the module's head.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    max: usize,
    stable: Duration,
    /// The limit at the beginning of the current stretch.
    base: usize,
    /// The beginning of the current stretch: when the server became ready.
    since: Option<Instant>,
    start: Start,
    /// Whether the next incarnation is a recovery.
    went_down: Option<Recovery>,
}

/// The mark of a server that has been ready before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recovery;

// === impl Pace ===

impl Pace {
    pub(super) const fn new(limits: &Limits) -> Self {
        let max = limits.max_inflight.get();
        Self { max, stable: limits.stable, base: max, since: None, start: Start::Over, went_down: None }
    }

    /// How many may be in flight at `now`.
    pub(super) fn limit(&self, now: Instant) -> usize {
        match self.start {
            Start::Over => self.clamp(now),
            Start::Untried => 1,
            Start::Trying(since) if now.duration_since(since) < self.stable => 1,
            Start::Trying(_) => self.clamp(now),
        }
    }

    /// Why it is not more.
    pub(super) fn limited(&self, now: Instant) -> Limited {
        match (self.limit(now), self.clamp(now)) {
            (limit, clamp) if limit < clamp => Limited::SlowStart,
            (limit, _) if limit < self.max => Limited::Clamped,
            _ => Limited::No,
        }
    }

    /// When the limit rises by itself.
    pub(super) fn next_rise(&self, now: Instant) -> Option<Instant> {
        let started = match self.start {
            Start::Trying(since) => since.checked_add(self.stable).filter(|at| *at > now),
            Start::Over | Start::Untried => None,
        };
        let climbed = self.since.filter(|_| self.clamp(now) < self.max);
        let next = self.stable.saturating_mul(self.stretches(now).saturating_add(1));
        let climbed = climbed.and_then(|since| since.checked_add(next));
        [started, climbed].into_iter().flatten().min()
    }

    /// The limits have been changed. What was learnt stays.
    pub(super) fn on_limits(&mut self, now: Instant, limits: &Limits) {
        let (clamp, max) = (self.clamp(now), limits.max_inflight.get());
        self.base = if clamp == self.max { max } else { clamp.min(max) };
        (self.max, self.stable) = (max, limits.stable);
        self.since = self.since.map(|_| now);
    }

    /// An incarnation is ready.
    pub(super) const fn on_ready(&mut self, now: Instant) {
        self.since = Some(now);
        self.start = match self.went_down {
            Some(Recovery) => Start::Untried,
            None => Start::Over,
        };
    }

    /// The incarnation has ended as it was meant to.
    pub(super) fn on_end(&mut self, now: Instant) {
        self.base = self.clamp(now);
        self.since = None;
        self.went_down = Some(Recovery);
    }

    /// The incarnation has died with so many in flight.
    pub(super) fn on_death(&mut self, now: Instant, in_flight: usize) {
        self.on_end(now);
        if in_flight > 1 {
            self.base = 1;
        }
    }

    /// A request went out.
    pub(super) fn on_admit(&mut self, now: Instant) {
        if self.start == Start::Untried {
            self.start = Start::Trying(now);
        }
    }

    /// The incarnation has completed a request.
    pub(super) const fn on_success(&mut self) {
        self.start = Start::Over;
    }

    /// The limit without the slow start: what can be counted on for the next minutes.
    pub(super) fn clamp(&self, now: Instant) -> usize {
        if self.base >= self.max {
            self.max
        } else {
            self.max.min(self.base.saturating_add(self.stretches(now) as usize))
        }
    }

    /// How many whole stretches have passed.
    fn stretches(&self, now: Instant) -> u32 {
        let Some(since) = self.since else { return 0 };
        let whole = now.duration_since(since).as_nanos().checked_div(self.stable.as_nanos());
        whole.and_then(|whole| u32::try_from(whole).ok()).unwrap_or(u32::MAX)
    }
}
