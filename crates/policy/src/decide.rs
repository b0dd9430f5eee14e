//! The seam between a supervisor and a restart policy: one failure in, one decision out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Ending, ExitRules, Intensity, Limited, Monotonic, OnLimit, Ruled};

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The next start may well succeed.
    Transient,
    /// No retry can cure this: executable missing, module missing, port held by a stranger.
    Permanent,
}

/// What a policy is told about a failure: an unplanned exit, a failed start, or a server declared unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The incarnation that failed.
    pub epoch: u64,
    /// Whether trying again can help.
    pub severity: Severity,
    /// One line for the journal and for people.
    pub reason: &'a str,
    /// How the incarnation ended, for rules that go by its exit status.
    pub ending: Ending,
}

/// What the supervisor is to do about a failed child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Start the child again once `after` has passed.
    Restart {
        /// Zero means at once.
        after: Duration,
    },
    /// Restart all children of the supervisor once `after` has passed, as under `one_for_all`, whatever its strategy is.
    RestartGroup {
        /// Zero means at once.
        after: Duration,
    },
    /// Leave the child down for good: it is done, like a transient child that ended normally.
    Stop,
    /// Leave the child down until somebody resumes it (a breaker has opened).
    Suspend {
        /// When the suspension is expected to end, if that is known.
        until: Option<Monotonic>,
        /// One line for people.
        reason: String,
    },
    /// The supervisor gives up, as if its own restart intensity had been exceeded.
    Escalate,
}

/// A restart policy for one child: pure, with the clock passed in.
///
/// The supervisor calls it from its own message flow and never blocks in it. A child without a policy follows OTP: it is
/// restarted at once, and the supervisor's own restart intensity is the only limit. A child *with* a policy does not count
/// towards the supervisor's intensity: one counter has one owner.
pub trait Decide: Send + 'static {
    /// The child failed. Called once per failure, when it happens (never when the delayed restart is due).
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision;

    /// Incarnation `epoch` has become ready. Answers how long it must now stay ready to count as a success;
    /// `None` if this policy does not care.
    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration>;

    /// Incarnation `epoch` has stayed ready for the span that [`Decide::on_ready`] asked for. Answers how much longer it
    /// must stay ready for the next milestone (a half-open trial passes its probation first, and counts as a success
    /// later), or `None` if there is none.
    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration>;

    /// Incarnation `epoch` is made to end, and that is no failure: somebody asked for it, or its group is taken down. It is
    /// ready no longer, however long it takes to stop. A policy that keeps nothing about a run that is ready need not care.
    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        let _ = (epoch, now);
    }

    /// Puts rules by exit status in front of this policy: it is asked only about the ends that they let through.
    fn with_exit_rules(self, rules: impl Into<ExitRules>) -> Ruled<Self>
    where
        Self: Sized,
    {
        Ruled::new(self, rules.into())
    }

    /// Puts a limit around this policy: at most so many of the restarts that it grants within a time.
    ///
    /// For a policy without a limit of its own. [`RestartPolicy`](crate::RestartPolicy) has one: one counter has one owner.
    fn with_limit(self, limit: Intensity, on_limit: OnLimit) -> Limited<Self>
    where
        Self: Sized,
    {
        Limited::new(self, limit, on_limit)
    }
}

// === impl Failure ===

impl<'a> Failure<'a> {
    /// A failure of which no more is known.
    #[must_use]
    pub const fn new(epoch: u64, severity: Severity, reason: &'a str) -> Self {
        Self { epoch, severity, reason, ending: Ending::Unknown }
    }

    /// The same failure, with the way that the incarnation ended.
    #[must_use]
    pub fn ended(self, ending: impl Into<Ending>) -> Self {
        Self { ending: ending.into(), ..self }
    }
}

// === impl Decide ===

/// A policy that was chosen at run time.
impl<P: Decide + ?Sized> Decide for Box<P> {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        (**self).on_failure(failure, now)
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        (**self).on_ready(epoch, now)
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        (**self).on_stable(epoch, now)
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        (**self).on_end(epoch, now);
    }
}

/// A policy that its supervisor shares with somebody else: the breaker's driver, or an operator's verbs.
impl<P: Decide> Decide for Arc<Mutex<P>> {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        self.lock().unwrap_or_else(PoisonError::into_inner).on_failure(failure, now)
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.lock().unwrap_or_else(PoisonError::into_inner).on_ready(epoch, now)
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.lock().unwrap_or_else(PoisonError::into_inner).on_stable(epoch, now)
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        self.lock().unwrap_or_else(PoisonError::into_inner).on_end(epoch, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JitterSeed, RestartPolicy, RestartPolicyConfig};

    #[test]
    fn a_shared_policy_shows_its_other_owner_what_the_supervisor_reported() {
        let policy = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(0)).unwrap();
        let drivers = Arc::new(Mutex::new(policy));
        let mut supervisors = Arc::clone(&drivers);
        let failure = Failure::new(1, Severity::Permanent, "no such executable");
        let _ = supervisors.on_failure(failure, Monotonic::ORIGIN);
        let wake = drivers.lock().unwrap().next_wake();
        assert_eq!(wake, Some(Monotonic::new(Duration::from_secs(60))));
    }
}
