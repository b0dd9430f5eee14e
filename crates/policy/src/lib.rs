//! Pure decisions — restart, backoff, intensity, breaker, health threshold, residency — that take `now` and return what to do.
//!
//! Nothing in here reads a clock, sleeps, spawns or logs. A driver (a supervisor, an actor, a test) tells a policy what
//! happened and when, and carries out the answer. Begin with [`RestartPolicy`], which composes the rules of this project, or
//! compose your own:
//!
//! ```
//! use std::time::Duration;
//! use mlx_tree_policy::*;
//!
//! let policy = BackoffPolicy::new(Backoff::default(), Reset::AfterStable(Duration::from_secs(300)), JitterSeed(7))
//!     .with_exit_rules(ExitRules::new(RestartMode::OnFailure).prevent("2 78 SIGILL".parse()?))
//!     .with_limit(Intensity::new(5, Duration::from_secs(300)), OnLimit::Suspend);
//! # let _: &dyn Decide = &policy;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to decide | there is |
//! | --- | --- |
//! | how long to wait | [`Schedule`]: fixed, doubling ([`Backoff`]), a crash loop's, in steps ([`RestartSteps`]) |
//! | when to begin anew, and after how many tries to give up | [`BackoffPolicy`] |
//! | which ends are followed by a restart, and of whom | [`ExitRules`], through [`Decide::with_exit_rules`] |
//! | how many restarts within a time | [`Intensity`], through [`Decide::with_limit`] |
//! | all of it, with a breaker and a journal | [`RestartPolicy`] |
//! | who may be in memory together | [`residency::Residency`] |
//! | how a server ends that is told to | [`drain::Drain`] |
//! | what its memory calls for | [`memory::MemoryWatch`] |
//!
//! `docs/COMING_FROM.md` maps the words of OTP, Akka, Kubernetes and systemd to these.

mod backoff;
mod backoff_policy;
mod breaker;
mod decide;
pub mod drain;
mod ending;
mod exit_rules;
mod exit_set;
mod health;
mod intensity;
mod jitter;
mod journal;
mod limit;
pub mod memory;
mod monotonic;
pub mod residency;
mod restart;
mod schedule;

pub use backoff::{Backoff, InvalidBackoff};
pub use backoff_policy::{BackoffPolicy, Reset};
pub use breaker::{
    Breaker, BreakerConfig, BreakerState, InvalidBreaker, Outcome, ParseTripCauseError, Permit, Refused, Trip,
    TripCause,
};
pub use decide::{Decide, Decision, Failure, Severity};
pub use ending::{Ending, ExitClass, ExitStatus, ParseExitStatusError};
pub use exit_rules::{ExitAction, ExitRule, ExitRules, OnExit, ParseRestartModeError, RestartMode, Ruled};
pub use exit_set::{ExitSet, ParseExitSetError};
pub use health::{Discard, Evidence, HealthThreshold, HealthVerdict};
pub use intensity::{Admission, Intensity, RestartWindow};
pub use jitter::JitterSeed;
pub use journal::{Journal, JournalEntry, Ruling};
pub use limit::{Limited, OnLimit};
pub use monotonic::Monotonic;
pub use restart::{
    InvalidPolicy, RecordedState, RestartPolicy, RestartPolicyConfig, RestartRecord, RestartSnapshot, Standing,
};
pub use schedule::{InvalidSteps, RestartSteps, Schedule};
