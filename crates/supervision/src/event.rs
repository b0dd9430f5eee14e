//! What happened, one event each: the observation path of a supervisor.

use std::fmt;
use std::sync::Arc;

use mlx_tree_policy::Monotonic;

use crate::{ChildId, Epoch, ExitReason, Restart, Shutdown, SupervisorExit};

/// Something that happened in a supervisor.
///
/// Events are for logs, metrics and tests. They are sent on a bounded broadcast: a slow receiver misses some (and learns how
/// many), so no decision may rest on them.
#[derive(Debug, Clone)]
pub struct SupervisorEvent {
    /// Counts up by one with each event of this supervisor, so that a gap can be seen.
    pub seq: u64,
    /// When it happened, on the supervisor's clock.
    pub at: Monotonic,
    /// The supervisor's name.
    pub supervisor: Arc<str>,
    /// The child that it is about, if it is about one.
    pub child: Option<ChildId>,
    /// The child's incarnation; [`Epoch::NEVER`] if none.
    pub epoch: Epoch,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// All children have been started for the first time.
    SupervisorStarted,
    /// A start of the child has begun.
    ChildStarting,
    /// The child has started.
    ChildStarted,
    /// The child has become ready.
    ChildReady,
    /// The child has stayed ready for as long as its policy asked.
    ChildStable,
    /// The child had nothing to start ([`SupervisedExit::ignore`](crate::SupervisedExit::ignore)).
    ChildIgnored,
    /// The child has ended by itself, did not start, or was not ready in time.
    ChildExited {
        /// How.
        reason: ExitReason,
    },
    /// The child will be started again.
    ChildRestartScheduled {
        /// When.
        until: Monotonic,
    },
    /// The child stays down until somebody resumes it.
    ChildSuspended {
        /// When the suspension is expected to end, if that is known.
        until: Option<Monotonic>,
        /// One line for people.
        reason: Arc<str>,
    },
    /// A suspended or waiting child is started ahead of its time.
    ChildResumed,
    /// The child was asked to stop, or killed.
    ChildStopping,
    /// The child was killed after it had not stopped in time.
    ChildKilled,
    /// The child was killed and is still there.
    ChildStuck,
    /// The child has ended as asked.
    ChildStopped {
        /// How.
        reason: ExitReason,
    },
    /// The child is no longer known to the supervisor.
    ChildRemoved,
    /// What OTP's supervisor would log.
    Report(Report),
    /// The children are being stopped for good.
    SupervisorStopping,
    /// The supervisor has ended.
    SupervisorStopped {
        /// Why.
        exit: SupervisorExit,
    },
}

/// A supervisor report, with the fields of OTP's.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the supervisor was doing.
    pub context: ReportContext,
    /// How the child ended.
    pub reason: ReportReason,
    /// The child's rule on restarts.
    pub restart: Restart,
    /// The child's rule on being stopped.
    pub shutdown: Shutdown,
}

/// What the supervisor was doing when it had something to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportContext {
    /// A child did not start.
    StartError,
    /// A child ended by itself, and ought not to have.
    ChildTerminated,
    /// A child did not end as asked.
    ShutdownError,
    /// The supervisor gives up.
    Shutdown,
    /// A killed child is still there. Not in OTP, where it cannot happen.
    KillIneffective,
    /// A child's policy panicked; the child has none from now on.
    PolicyFailed,
}

/// The reason in a report.
#[derive(Debug, Clone)]
pub enum ReportReason {
    /// How the child ended.
    Exit(ExitReason),
    /// OTP's `reached_max_restart_intensity`.
    ReachedMaxRestartIntensity,
    /// The child's policy gave up.
    PolicyGaveUp,
    /// Something else, in words.
    Other(Arc<str>),
}

// === impl SupervisorEvent ===

impl fmt::Display for SupervisorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s {}", self.at.since_origin().as_secs_f64(), self.kind.name())?;
        if let Some(child) = &self.child {
            write!(f, " {child}#{}", self.epoch)?;
        }
        self.kind.fmt_detail(f, self.at)
    }
}

// === impl EventKind ===

impl EventKind {
    /// The dotted name of the event, past tense, from a closed set.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SupervisorStarted => "supervisor.started",
            Self::ChildStarting => "child.starting",
            Self::ChildStarted => "child.started",
            Self::ChildReady => "child.ready",
            Self::ChildStable => "child.stable",
            Self::ChildIgnored => "child.ignored",
            Self::ChildExited { .. } => "child.exited",
            Self::ChildRestartScheduled { .. } => "child.restart_scheduled",
            Self::ChildSuspended { .. } => "child.suspended",
            Self::ChildResumed => "child.resumed",
            Self::ChildStopping => "child.stopping",
            Self::ChildKilled => "child.killed",
            Self::ChildStuck => "child.stuck",
            Self::ChildStopped { .. } => "child.stopped",
            Self::ChildRemoved => "child.removed",
            Self::Report(_) => "supervisor.reported",
            Self::SupervisorStopping => "supervisor.stopping",
            Self::SupervisorStopped { .. } => "supervisor.stopped",
        }
    }

    fn fmt_detail(&self, f: &mut fmt::Formatter<'_>, at: Monotonic) -> fmt::Result {
        match self {
            Self::ChildExited { reason } | Self::ChildStopped { reason } => write!(f, " ({reason})"),
            Self::ChildRestartScheduled { until } => {
                write!(f, " in {:.3}s", until.saturating_since(at).as_secs_f64())
            }
            Self::ChildSuspended { reason, .. } => write!(f, " ({reason})"),
            Self::Report(report) => write!(f, " {}: {}", report.context.as_str(), report.reason),
            Self::SupervisorStopped { exit } => write!(f, " ({exit})"),
            Self::SupervisorStarted
            | Self::ChildStarting
            | Self::ChildStarted
            | Self::ChildReady
            | Self::ChildStable
            | Self::ChildIgnored
            | Self::ChildResumed
            | Self::ChildStopping
            | Self::ChildKilled
            | Self::ChildStuck
            | Self::ChildRemoved
            | Self::SupervisorStopping => Ok(()),
        }
    }
}

// === impl ReportContext ===

impl ReportContext {
    /// OTP's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::Shutdown => "shutdown",
            Self::KillIneffective => "kill_ineffective",
            Self::PolicyFailed => "policy_failed",
        }
    }
}

// === impl ReportReason ===

impl fmt::Display for ReportReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(reason) => fmt::Display::fmt(reason, f),
            Self::ReachedMaxRestartIntensity => f.write_str("reached_max_restart_intensity"),
            Self::PolicyGaveUp => f.write_str("policy_gave_up"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
