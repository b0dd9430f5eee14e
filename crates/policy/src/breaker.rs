//! A circuit breaker: after too many failures nothing is tried for a while, then one trial decides.
//!
//! ```text
//!              failures reach the threshold, trip(), force_open()
//!      ┌────────┐ ───────────────────────────────────────────▶ ┌──────┐
//!      │ Closed │                                               │ Open │ ◀─┐
//!      └────────┘ ◀───────────────── reset() ────────────────── └──────┘   │ the trial fails, or its
//!          ▲                                                       │       │ deadline passes: open
//!          │ the trial succeeds, or                     half_open()│       │ again, for longer
//!          │ passes its probation                       once due   ▼       │
//!          │                                             ┌──────────────┐  │
//!          └──────────────────────────────────────────── │   HalfOpen   │ ─┘
//!                                                         │ (one permit) │
//!                                                         └──────────────┘
//! ```
//!
//! *Closed* is the healthy state, as in a fuse. The n-th opening since the last success lasts
//! `min(open_for * open_growth^(n-1), open_max)`. A [`Permit`] belongs to the state that gave it out; a result that comes
//! back after the breaker has moved on is dropped.

mod config;
mod state;

pub use config::{BreakerConfig, InvalidBreaker};
pub use state::{BreakerState, ParseTripCauseError, Trip, TripCause};

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::Monotonic;

/// The machine described in the module's head. It knows nothing of what it protects: restarts and requests use the same
/// one, in two instances.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// Failures since the last success. This is the only place where they are counted.
    failures: u32,
    /// How often the breaker has opened since the last success.
    openings: u32,
    /// Names the present state; changes with every transition.
    cycle: u64,
}

/// The right to try once, given by [`Breaker::acquire`] or [`Breaker::half_open`]. Its result is handed back with
/// [`Breaker::on_success`] or [`Breaker::on_failure`]; dropping it counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    cycle: u64,
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The breaker is closed, so there is nothing to put on trial.
    NotOpen,
    /// The breaker is open, and not due yet; `None` means until somebody resets it.
    NotDue {
        /// When it will be due.
        until: Option<Monotonic>,
    },
    /// The one trial is under way.
    TrialUnderWay {
        /// When it is given up at the latest.
        deadline: Monotonic,
    },
}

/// What a reported result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The permit is from an earlier state: nothing has changed.
    Stale,
    /// The failure is counted and the breaker stays closed.
    Counted {
        /// Failures since the last success, this one included.
        consecutive: u32,
    },
    /// The breaker has opened.
    Opened,
    /// The breaker is closed and has forgotten all failures.
    Closed,
}

/// What a counted failure has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    StillClosed { consecutive: u32 },
    Opened,
    WasOpen,
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// [`InvalidBreaker`] if a number in `config` makes no sense.
    pub fn new(config: BreakerConfig) -> Result<Self, InvalidBreaker> {
        config.check()?;
        Ok(Self { config, state: BreakerState::Closed, failures: 0, openings: 0, cycle: 0 })
    }

    /// The state as it stands; time alone never changes it.
    #[must_use]
    pub const fn state(&self) -> &BreakerState {
        &self.state
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// How often the breaker has opened by itself since the last success.
    #[must_use]
    pub const fn openings(&self) -> u32 {
        self.openings
    }

    /// When [`Breaker::half_open`] or [`Breaker::expire`] is due next; `None` if nothing is.
    #[must_use]
    pub const fn next_wake(&self) -> Option<Monotonic> {
        match &self.state {
            BreakerState::Closed => None,
            BreakerState::Open { until, .. } => *until,
            BreakerState::HalfOpen { deadline, .. } => Some(*deadline),
        }
    }

    /// Asks for a permit in whatever state: always while closed, for the one trial once it is due.
    ///
    /// # Errors
    /// [`Refused`] while open, or while the trial is under way.
    pub fn acquire(&mut self, now: Monotonic) -> Result<Permit, Refused> {
        let _ = self.expire(now);
        match self.state {
            BreakerState::Closed => Ok(self.permit()),
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => self.half_open(now),
        }
    }

    /// Moves from Open to `HalfOpen` if that is due, and gives out the only permit of that state.
    ///
    /// # Errors
    /// [`Refused`] if the breaker is not open, not due, or has a trial under way.
    pub fn half_open(&mut self, now: Monotonic) -> Result<Permit, Refused> {
        match self.state {
            BreakerState::Closed => Err(Refused::NotOpen),
            BreakerState::HalfOpen { deadline, .. } => Err(Refused::TrialUnderWay { deadline }),
            BreakerState::Open { until: Some(until), .. } if now >= until => {
                let deadline = now + self.config.half_open_deadline;
                self.enter(BreakerState::HalfOpen { since: now, deadline });
                Ok(self.permit())
            }
            BreakerState::Open { until, .. } => Err(Refused::NotDue { until }),
        }
    }

    /// Opens again if the trial has not been decided by its deadline.
    pub fn expire(&mut self, now: Monotonic) -> Option<Outcome> {
        match self.state {
            BreakerState::HalfOpen { deadline, .. } if now >= deadline => {
                self.failures = self.failures.saturating_add(1);
                self.trip(TripCause::TrialTimedOut, "the trial was not decided in time", now);
                Some(Outcome::Opened)
            }
            BreakerState::HalfOpen { .. } | BreakerState::Closed | BreakerState::Open { .. } => None,
        }
    }

    /// What was permitted has failed.
    pub fn on_failure(&mut self, permit: &Permit, detail: &str, now: Monotonic) -> Outcome {
        if permit.cycle != self.cycle {
            return Outcome::Stale;
        }
        match self.fail(detail, now) {
            Verdict::StillClosed { consecutive } => Outcome::Counted { consecutive },
            Verdict::Opened => Outcome::Opened,
            // No permit belongs to the open state.
            Verdict::WasOpen => Outcome::Stale,
        }
    }

    /// What was permitted has succeeded: every failure is forgotten, and a trial closes the breaker.
    pub fn on_success(&mut self, permit: &Permit) -> Outcome {
        if permit.cycle != self.cycle {
            return Outcome::Stale;
        }
        self.succeed();
        Outcome::Closed
    }

    /// Opens for this cause, whatever the count says; an open breaker begins a new, longer span.
    pub fn trip(&mut self, cause: TripCause, detail: impl Into<String>, now: Monotonic) {
        let growth = self.openings;
        self.openings = self.openings.saturating_add(1);
        let until = Some(now + self.config.open_span(growth));
        self.enter(BreakerState::Open { until, cycle: growth, reason: Trip { cause, detail: detail.into() } });
    }

    /// Opens by an operator's order until `until`, or until [`Breaker::reset`] if that is `None`. It does not make later
    /// openings longer.
    pub fn force_open(&mut self, until: Option<Monotonic>, detail: impl Into<String>) {
        let reason = Trip { cause: TripCause::Forced, detail: detail.into() };
        self.enter(BreakerState::Open { until, cycle: self.openings, reason });
    }

    /// Closes and forgets everything, by an operator's order.
    pub fn reset(&mut self) {
        self.succeed();
    }

    /// Goes by other numbers from now on. The state, its times and the counts stay.
    ///
    /// # Errors
    /// [`InvalidBreaker`] if a number makes no sense; the old ones go on then.
    pub fn set_config(&mut self, config: BreakerConfig) -> Result<(), InvalidBreaker> {
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// Counts a failure and applies the rules of the present state.
    pub(crate) fn fail(&mut self, detail: &str, now: Monotonic) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        let cause = match &self.state {
            BreakerState::Open { .. } => return Verdict::WasOpen,
            BreakerState::HalfOpen { .. } => TripCause::TrialFailed,
            BreakerState::Closed if self.failures >= self.config.failure_threshold => TripCause::ConsecutiveFailures,
            // Closed on trust: the trial passed its probation, but there has been no success since.
            BreakerState::Closed if self.openings > 0 => TripCause::TrialFailed,
            BreakerState::Closed => return Verdict::StillClosed { consecutive: self.failures },
        };
        self.trip(cause, detail, now);
        Verdict::Opened
    }

    /// Counts a failure that no retry can cure: it opens at once, except that an open breaker stays as it is.
    pub(crate) fn fail_for_good(&mut self, detail: &str, now: Monotonic) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        match &self.state {
            BreakerState::Open { .. } => Verdict::WasOpen,
            BreakerState::Closed | BreakerState::HalfOpen { .. } => {
                self.trip(TripCause::PermanentFailure, detail, now);
                Verdict::Opened
            }
        }
    }

    /// Closes after a trial's probation without forgetting anything: the next failure before a success opens again, longer.
    pub(crate) fn close_on_trust(&mut self) {
        self.enter(BreakerState::Closed);
    }

    /// Closes and forgets everything.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
        self.openings = 0;
        // In the closed state permits stay valid: it is the same state, with a clean count.
        if self.state != BreakerState::Closed {
            self.enter(BreakerState::Closed);
        }
    }

    /// Takes up a state that another process left behind.
    pub(crate) fn restore(&mut self, state: BreakerState, failures: u32, openings: u32) {
        self.failures = failures;
        self.openings = openings;
        self.enter(state);
    }

    /// How long the opening with this growth exponent lasts.
    pub(crate) fn open_span(&self, growth: u32) -> Duration {
        self.config.open_span(growth)
    }

    fn permit(&self) -> Permit {
        Permit { cycle: self.cycle }
    }

    fn enter(&mut self, state: BreakerState) {
        self.state = state;
        self.cycle = self.cycle.wrapping_add(1);
    }
}

// === impl Refused ===

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the breaker is closed",
            Self::NotDue { until: Some(_) } => "the breaker is open and not due for a trial yet",
            Self::NotDue { until: None } => "the breaker is open until somebody resets it",
            Self::TrialUnderWay { .. } => "the breaker's one trial is under way",
        })
    }
}

impl Error for Refused {}

#[cfg(test)]
mod tests;
