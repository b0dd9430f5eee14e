//! The breaker: when restarts do not help, there are none for a while; then one, as a trial.

mod actor;
mod gate;
mod history;
mod never;

pub use actor::{BreakerActor, BreakerArguments, BreakerMessage, Sleeper};
pub use gate::RestartGate;
pub use history::{History, HistoryError};
pub use never::GateOrNever;
