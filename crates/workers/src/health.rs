//! Watching a ready server: is it alive, busy, or down?

mod actor;
mod liveness;
mod progress;

pub use actor::{Evidence, HealthActor, HealthArguments, HealthMessage, HealthNumbers};
pub use liveness::{Action, Finding, Liveness, Progress, Spans, Standing};
pub use progress::{HealthView, Served};
