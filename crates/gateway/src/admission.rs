//! Who may go to the server now, who waits, and who is told to come back: the queue, the permits and the budgets.

mod budget;
mod client;
mod denied;
mod entry;
mod estimate;
mod gate;
mod limits;
mod machine;
mod pace;
mod quarantine;
mod queue;
mod slots;

pub use budget::{BudgetLimits, Retry, RetryBudget};
pub use client::ClientKey;
pub use denied::{Denied, Hindrance};
pub use entry::{Entry, Outcome, Seq, Standing};
pub use gate::{Gate, Permit};
pub use limits::Limits;
pub use machine::Snapshot;
pub use pace::Limited;
pub use quarantine::{Quarantine, QuarantineLimits, Verdict};
