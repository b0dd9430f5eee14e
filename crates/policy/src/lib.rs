//! Pure decisions: restart, backoff, intensity, breaker, health threshold.

mod decide;
mod monotonic;

pub use decide::{Decide, Decision, Failure, Severity};
pub use monotonic::Monotonic;
