//! Akka's backoff supervisor as a policy: delays that grow with each failure, a reset, and a number of tries.
//!
//! ```text
//!  failure ─▶ retries += 1 ─▶ more than max_retries? ─▶ Escalate
//!                             else Restart { after: schedule(retries) }
//!  ready, and `stable` passes without a failure ─▶ retries = 0
//! ```
//!
//! What differs from Akka, on purpose:
//!
//! * *The reset is measured from ready.* Akka starts its timer when the child is started, so a child that takes longer to
//!   come up than the timer runs is forgiven before it has done anything.
//! * *The reset does not depend on its timer.* A run that was long enough counts even if the failure overtakes the timer;
//!   a timer that comes after a newer failure counts for nothing.
//! * *The longest delay is the longest.* Akka adds its jitter after the cap and passes it;
//!   [`Backoff::from_min_max`](crate::Backoff::from_min_max) has the same delays and says so.
//! * *Every failure is retried.* Which ends are failures is the business of
//!   [`ExitRules`](crate::ExitRules) in front of this.

use std::time::Duration;

use crate::{Decide, Decision, Failure, JitterSeed, Monotonic, Schedule};

/// The policy described in the module's head, for one child.
#[derive(Debug, Clone, PartialEq)]
pub struct BackoffPolicy {
    schedule: Schedule,
    reset: Reset,
    max_retries: Option<u32>,
    jitter: JitterSeed,
    /// Failures since the last reset, which are the restarts that were asked for.
    retries: u32,
    /// The newest incarnation that is known to be over.
    newest_over: Option<u64>,
    /// The incarnation that is ready, and since when.
    ready: Option<(u64, Monotonic)>,
}

/// When a [`BackoffPolicy`] begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Once an incarnation has stayed ready for so long. Akka: `withAutoReset`; its default is the first delay.
    AfterStable(Duration),
    /// When somebody calls [`BackoffPolicy::reset`]. Akka: `withManualReset`.
    Manual,
}

// === impl BackoffPolicy ===

impl BackoffPolicy {
    /// A policy without a history that restarts for ever.
    #[must_use]
    pub fn new(schedule: impl Into<Schedule>, reset: Reset, jitter: JitterSeed) -> Self {
        Self { schedule: schedule.into(), reset, max_retries: None, jitter, retries: 0, newest_over: None, ready: None }
    }

    /// Gives up after so many restarts since the last reset. Akka: `withMaxNrOfRetries`, `withMaxRestarts`.
    ///
    /// For so many *within a time*, put [`Decide::with_limit`] around the policy.
    #[must_use]
    pub const fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = Some(max_retries);
        self
    }

    /// Begins anew, by somebody's order. The child itself may give it, if it holds the policy behind an
    /// `Arc<Mutex<_>>`.
    pub const fn reset(&mut self) {
        self.retries = 0;
    }

    /// Failures since the last reset. Akka: `GetRestartCount`.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The delays.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Resets if the run that is ready has been so for long enough; answers what is left otherwise.
    fn settle(&mut self, now: Monotonic) -> Option<Duration> {
        let (_, since) = self.ready?;
        match self.reset {
            Reset::Manual => None,
            Reset::AfterStable(_) if self.retries == 0 => None,
            Reset::AfterStable(stable) => {
                let left = stable.saturating_sub(now.saturating_since(since));
                if left.is_zero() {
                    self.retries = 0;
                    return None;
                }
                Some(left)
            }
        }
    }

    /// Whether news of `epoch` is late: it, or a later one, is known to be over.
    fn is_over(&self, epoch: u64) -> bool {
        self.newest_over.is_some_and(|newest| epoch <= newest)
    }
}

impl Decide for BackoffPolicy {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        if self.ready.is_some_and(|(epoch, _)| epoch == failure.epoch) {
            self.settle(now);
        }
        self.ready = None;
        self.newest_over = Some(failure.epoch);
        self.retries = self.retries.saturating_add(1);
        if self.max_retries.is_some_and(|max| self.retries > max) {
            return Decision::Escalate;
        }
        Decision::Restart { after: self.schedule.delay(self.retries, self.jitter.next_unit()) }
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        if self.is_over(epoch) {
            return None;
        }
        if self.ready.is_none_or(|(ready, _)| ready != epoch) {
            self.ready = Some((epoch, now));
        }
        self.settle(now)
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        match self.ready {
            Some((ready, _)) if ready == epoch => self.settle(now),
            Some(_) | None => None,
        }
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        if self.ready.is_some_and(|(ready, _)| ready == epoch) {
            let _ = self.settle(now);
            self.ready = None;
        }
    }
}

#[cfg(test)]
mod tests;
