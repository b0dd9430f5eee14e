//! A generic OTP-style supervisor over ractor.

pub mod core;

mod context;
mod error;
mod event;
mod exit;
mod handle;
mod id;
mod pace;
mod panic;
mod rules;
mod shell;
mod slot;
mod spec;
mod start;
mod status;
mod supervisor;
#[cfg(feature = "test-util")]
pub mod test_util;

pub use crate::core::ChildRules;
pub use context::ChildContext;
pub use error::{
    DeleteChildError, InvalidSpec, RestartChildError, ResumeChildError, StartChildError, StartError, SupervisorGone,
    SuspendChildError, TerminateChildError, WaitReadyError,
};
pub use event::{EventKind, Report, ReportContext, ReportReason, SupervisorEvent};
pub use exit::{ExitReason, Failure, FailureKind, Severity, SharedError, SupervisedExit};
pub use handle::{StartedChild, SupervisorHandle};
pub use id::{ChildId, Epoch};
pub use mlx_tree_policy::{Backoff, Decide, Decision, Intensity, Monotonic};
pub use rules::{AutoShutdown, ChildKind, OnIntensityExceeded, Readiness, Restart, Shutdown, Significance, Strategy};
pub use slot::Slot;
pub use spec::ChildSpec;
pub use status::{ChildCounts, ChildState, ChildStatus, LastExit, SupervisorExit, SupervisorPhase, SupervisorStatus};
pub use supervisor::Supervisor;
