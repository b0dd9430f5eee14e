//! Pure decisions — restart, backoff, intensity, breaker, health threshold — that take `now` and return what to do.
//!
//! Nothing in here reads a clock, sleeps, spawns or logs. A driver (a supervisor, an actor, a test) tells a policy what
//! happened and when, and carries out the answer. Begin with [`RestartPolicy`], which composes all the others.

mod backoff;
mod breaker;
mod decide;
mod health;
mod intensity;
mod journal;
mod monotonic;
mod restart;

pub use backoff::{Backoff, InvalidBackoff};
pub use breaker::{
    Breaker, BreakerConfig, BreakerState, InvalidBreaker, Outcome, ParseTripCauseError, Permit, Refused, Trip,
    TripCause,
};
pub use decide::{Decide, Decision, Failure, Severity};
pub use health::{Discard, Evidence, HealthThreshold, HealthVerdict};
pub use intensity::{Admission, Intensity, RestartWindow};
pub use journal::{Journal, JournalEntry, Ruling};
pub use monotonic::Monotonic;
pub use restart::{
    InvalidPolicy, JitterSeed, RecordedState, RestartPolicy, RestartPolicyConfig, RestartRecord, RestartSnapshot,
    Standing,
};
