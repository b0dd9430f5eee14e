//! The restart policy of one child: when it is started again after a failure, and when it is left alone.
//!
//! Taken one by one, a restart intensity, a backoff and a breaker contradict each other (the breaker's trial would exceed
//! the intensity) or miss what they are for (a server that dies a minute after each start trips none of them, if becoming
//! ready resets the counts). This is how they compose:
//!
//! ```text
//!                                  ready for stable_after (a success):
//!                                  failures, backoff, open growth = 0
//!                                            ┌───────┐
//!    failure ────────────────────────────▶ ┌─┴───────▼─┐
//!    Restart { after: backoff }            │  CLOSED   │◀───────────────────────── reset(), by the operator,
//!    (counted in the intensity window) ◀── └─────┬─────┘◀─────────────┐                from any state
//!                                                │                    │
//!        failure, and one of:                    │                    │ trial ready for probation:
//!        · failure_threshold restarts in a row   │                    │ closed on trust, nothing forgotten —
//!          have failed         ConsecutiveFailures                    │ the next failure before a success
//!        · one more restart would exceed the     │                    │ opens it again, longer
//!          intensity             IntensityExceeded                    │
//!        · no retry can help      PermanentFailure                    │
//!                                                ▼                    │
//!                                          ┌───────────┐  half_open(), once due  ┌───────────┐
//!                                          │   OPEN    │ ──────────────────────▶ │ HALF_OPEN │
//!                  Suspend { until } ◀──── │           │ ◀────────────────────── │ one start │
//!                                          └───────────┘ failure: TrialFailed    └───────────┘
//!                                                        deadline: TrialTimedOut
//! ```
//!
//! * A *failure* is an unplanned exit, a start that never became ready, or a server declared unhealthy. Planned ends are
//!   never reported here. It is counted when it happens, not when the delayed restart is due.
//! * A *success* is a run that stayed ready for `stable_after`. Becoming ready alone resets nothing.
//! * The n-th opening since the last success lasts `min(open_for * open_growth^(n-1), open_max)`; the trial at its end is
//!   one start, exempt from the intensity.
//! * One counter has one owner: the failures in a row live in the [`Breaker`], the admitted restarts in the
//!   [`RestartWindow`], and nowhere else.
//!
//! Two parties talk to it. The *supervisor*, through [`Decide`], reports failures, readiness and stability. The *breaker's
//! driver* arms a timer for [`RestartPolicy::next_wake`], then calls [`RestartPolicy::half_open`] (and lets the supervisor
//! resume the child) or [`RestartPolicy::expire_trial`] (and has the child suspended).

mod config;
mod record;

pub use config::{InvalidPolicy, RestartPolicyConfig};
pub use record::{RecordedState, RestartRecord};

use std::time::Duration;

use crate::breaker::Verdict;
use crate::{
    Admission, Breaker, BreakerState, Decide, Decision, Failure, JitterSeed, Journal, JournalEntry, Monotonic, Refused,
    RestartWindow, Ruling, Severity, TripCause,
};

/// The machine described in the module's head, for one child.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartPolicy {
    config: RestartPolicyConfig,
    breaker: Breaker,
    window: RestartWindow,
    jitter: JitterSeed,
    /// The newest incarnation that is known to be over; news of it or of an older one is late.
    newest_over: Option<u64>,
    /// The incarnation that is ready, as far as we know.
    run: Option<Run>,
    /// When the restart that was granted last is due, until that incarnation is heard of.
    pending: Option<Monotonic>,
    journal: Journal,
}

/// Whether the child may be started now, for one who is about to (a program that starts up with an old history).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Free,
    /// A restart has been granted, and is not due yet.
    Waiting {
        /// When it is due.
        until: Monotonic,
    },
    /// The breaker is open.
    Suspended {
        /// When the trial is due; `None` if only an operator ends this.
        until: Option<Monotonic>,
        /// One line for people.
        reason: String,
    },
}

/// What there is to show of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartSnapshot {
    /// The breaker's state, with the cause if it is open.
    pub breaker: BreakerState,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Restarts that count towards the intensity now.
    pub restarts_in_window: usize,
    /// When the next thing happens by itself: a delayed restart, a trial, or the end of a trial.
    pub next: Option<Monotonic>,
}

/// An incarnation that is ready, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    epoch: u64,
    ready_since: Monotonic,
}

/// Whether a failure has opened the breaker, or found it open.
#[derive(Debug, Clone, Copy)]
enum Opening {
    New,
    Standing,
}

// === impl RestartPolicy ===

impl RestartPolicy {
    /// A policy without a history.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the numbers make no sense together.
    pub fn new(config: RestartPolicyConfig, jitter: JitterSeed) -> Result<Self, InvalidPolicy> {
        config.check()?;
        Ok(Self {
            breaker: Breaker::new(config.failure_breaker())?,
            window: RestartWindow::new(config.intensity),
            config,
            jitter,
            newest_over: None,
            run: None,
            pending: None,
            journal: Journal::default(),
        })
    }

    /// The breaker's state; time alone never changes it.
    #[must_use]
    pub const fn breaker(&self) -> &BreakerState {
        self.breaker.state()
    }

    /// The last decisions with their reasons.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What there is to show at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Monotonic) -> RestartSnapshot {
        RestartSnapshot {
            breaker: self.breaker.state().clone(),
            consecutive_failures: self.breaker.consecutive_failures(),
            restarts_in_window: self.window.used(now),
            next: self.breaker.next_wake().or(self.pending),
        }
    }

    /// Whether the child may be started at `now`.
    #[must_use]
    pub fn standing(&self, now: Monotonic) -> Standing {
        match (self.breaker.state(), self.pending) {
            (BreakerState::Open { until, reason, .. }, _) => {
                Standing::Suspended { until: *until, reason: reason.to_string() }
            }
            (BreakerState::Closed, Some(until)) if now < until => Standing::Waiting { until },
            (BreakerState::Closed | BreakerState::HalfOpen { .. }, _) => Standing::Free,
        }
    }

    /// When the breaker's driver has something to do: [`RestartPolicy::half_open`] while it is open,
    /// [`RestartPolicy::expire_trial`] while it is half open. `None` while it is closed, or held open by an operator.
    #[must_use]
    pub const fn next_wake(&self) -> Option<Monotonic> {
        self.breaker.next_wake()
    }

    /// Allows exactly one start, exempt from the intensity, if the breaker is open and due. Answers the trial's deadline.
    ///
    /// # Errors
    /// [`Refused`] if the breaker is not open, not due, or has its trial under way: nothing may be started then.
    pub fn half_open(&mut self, now: Monotonic) -> Result<Monotonic, Refused> {
        // The permit needs no keeping: who the trial is, the epochs tell.
        let _permit = self.breaker.half_open(now)?;
        self.pending = None;
        let deadline = now + self.config.breaker.half_open_deadline;
        self.note(now, None, "the breaker has been open long enough", Ruling::HalfOpened, Some(deadline));
        Ok(deadline)
    }

    /// Opens the breaker again if the trial is undecided at its deadline. The answer is then to be carried out like one to
    /// a failure: the child has to be suspended. `None` means that there is nothing to do.
    pub fn expire_trial(&mut self, now: Monotonic) -> Option<Decision> {
        self.settle(now);
        let epoch = self.run.map(|run| run.epoch);
        let _opened = self.breaker.expire(now)?;
        self.end_run();
        Some(self.suspend(Opening::New, epoch, "the trial was not decided in time", now))
    }

    /// Opens the breaker by an operator's order, until `until` or until [`RestartPolicy::reset`]. The answer is to be
    /// carried out like one to a failure.
    pub fn force_open(&mut self, until: Option<Monotonic>, reason: &str, now: Monotonic) -> Decision {
        self.breaker.force_open(until, reason);
        self.end_run();
        self.suspend(Opening::New, None, reason, now)
    }

    /// Clears an open breaker and the whole history, by an operator's order. What is ready now begins a new run.
    pub fn reset(&mut self, now: Monotonic) {
        self.breaker.reset();
        self.window.clear();
        self.pending = None;
        if let Some(run) = &mut self.run {
            run.ready_since = now;
        }
        self.note(now, None, "reset by the operator", Ruling::Reset, None);
    }

    /// Goes by other numbers from now on. What has been counted and what is under way stays: an open breaker keeps its
    /// time, a delayed restart its delay, a trial its deadline, and a lower threshold applies at the next failure. What the
    /// present run has earned by `now` it has earned by the old numbers.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the numbers make no sense together; the old ones go on then.
    pub fn set_config(&mut self, config: RestartPolicyConfig, now: Monotonic) -> Result<(), InvalidPolicy> {
        config.check()?;
        self.settle(now);
        self.breaker.set_config(config.failure_breaker())?;
        self.window.set_intensity(config.intensity);
        self.config = config;
        Ok(())
    }

    /// The numbers that it goes by.
    #[must_use]
    pub const fn config(&self) -> &RestartPolicyConfig {
        &self.config
    }

    /// The present run ends by our own decision, so its exit will be no failure.
    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.newest_over = Some(run.epoch);
        }
    }

    /// Decides about a failure that is news.
    fn judge(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        let verdict = match failure.severity {
            Severity::Transient => self.breaker.fail(failure.reason, now),
            Severity::Permanent => self.breaker.fail_for_good(failure.reason, now),
        };
        let opening = match verdict {
            Verdict::StillClosed { consecutive } => match self.window.admit(now) {
                Admission::Admitted => return self.restart(consecutive, failure, now),
                Admission::Exceeded => {
                    self.breaker.trip(TripCause::IntensityExceeded, failure.reason, now);
                    Opening::New
                }
            },
            Verdict::Opened => Opening::New,
            Verdict::WasOpen => Opening::Standing,
        };
        self.suspend(opening, Some(failure.epoch), failure.reason, now)
    }

    fn restart(&mut self, consecutive: u32, failure: Failure<'_>, now: Monotonic) -> Decision {
        let after = self.config.backoff.delay(consecutive, self.jitter.next_unit());
        self.pending = Some(now + after);
        self.note(now, Some(failure.epoch), failure.reason, Ruling::Restart { after }, self.pending);
        Decision::Restart { after }
    }

    /// Notes and answers that the breaker is open: newly so, or as it was.
    fn suspend(&mut self, opening: Opening, epoch: Option<u64>, why: &str, now: Monotonic) -> Decision {
        self.pending = None;
        let (until, reason, cause) = match self.breaker.state() {
            BreakerState::Open { until, reason, .. } => (*until, reason.to_string(), Some(reason.cause)),
            // Not reached: every caller has just opened it, or found it open.
            BreakerState::Closed | BreakerState::HalfOpen { .. } => (None, why.to_owned(), None),
        };
        let ruling = match (opening, cause) {
            (Opening::New, Some(cause)) => Ruling::Opened(cause),
            (Opening::New, None) | (Opening::Standing, Some(_) | None) => Ruling::StaysOpen,
        };
        self.note(now, epoch, why, ruling, until);
        Decision::Suspend { until, reason }
    }

    /// What stands already, for one who asks about a failure that has been dealt with.
    fn standing_decision(&self, now: Monotonic) -> Decision {
        match self.standing(now) {
            Standing::Free => Decision::Restart { after: Duration::ZERO },
            Standing::Waiting { until } => Decision::Restart { after: until.saturating_since(now) },
            Standing::Suspended { until, reason } => Decision::Suspend { until, reason },
        }
    }

    /// Applies the milestones that the present run has passed by `now`; answers the time to the next one.
    ///
    /// Milestones depend on the time that a run stayed ready, not on the timer that reports it: a failure that overtakes a
    /// late timer is judged as it would have been with a punctual one.
    fn settle(&mut self, now: Monotonic) -> Option<Duration> {
        let run = self.run?;
        let ready_for = now.saturating_since(run.ready_since);
        if matches!(self.breaker.state(), BreakerState::HalfOpen { .. }) {
            if ready_for < self.config.breaker.probation {
                return Some(self.config.breaker.probation - ready_for);
            }
            self.breaker.close_on_trust();
            self.note(now, Some(run.epoch), "ready for the whole probation", Ruling::ProbationPassed, None);
        }
        if ready_for < self.config.stable_after {
            return Some(self.config.stable_after - ready_for);
        }
        if self.has_history() {
            self.breaker.succeed();
            self.note(now, Some(run.epoch), "ready and stable", Ruling::Succeeded, None);
        }
        None
    }

    /// Whether there is anything that a success would clear.
    fn has_history(&self) -> bool {
        self.breaker.consecutive_failures() > 0
            || self.breaker.openings() > 0
            || *self.breaker.state() != BreakerState::Closed
    }

    fn note(&mut self, when: Monotonic, epoch: Option<u64>, reason: &str, decision: Ruling, until: Option<Monotonic>) {
        self.journal.push(JournalEntry { when, epoch, reason: reason.to_owned(), decision, until });
    }
}

impl Decide for RestartPolicy {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        let overtaken = self.run.is_some_and(|run| failure.epoch < run.epoch);
        let known = self.newest_over.is_some_and(|newest| failure.epoch <= newest);
        if overtaken || known {
            return self.standing_decision(now);
        }
        if self.run.is_some_and(|run| run.epoch == failure.epoch) {
            self.settle(now);
        }
        self.newest_over = Some(failure.epoch);
        self.run = None;
        self.judge(failure, now)
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        if self.newest_over.is_some_and(|newest| epoch <= newest) {
            return None;
        }
        match self.run {
            Some(run) if epoch < run.epoch => None,
            Some(run) if epoch == run.epoch => self.settle(now),
            Some(_) | None => {
                self.run = Some(Run { epoch, ready_since: now });
                self.pending = None;
                self.settle(now)
            }
        }
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        match self.run {
            Some(run) if run.epoch == epoch => self.settle(now),
            Some(_) | None => None,
        }
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        if self.run.is_some_and(|run| run.epoch == epoch) {
            self.settle(now);
            self.end_run();
        }
    }
}

#[cfg(test)]
mod tests;
