//! What can be read about a supervisor and its children at a moment.

use std::fmt;
use std::sync::Arc;

use mlx_tree_policy::{Intensity, Monotonic};

use crate::{ChildId, ChildKind, Epoch, ExitReason, Restart, Strategy};

/// A supervisor and its children at one moment. All times are on the supervisor's own clock.
#[derive(Debug, Clone)]
pub struct SupervisorStatus {
    /// The supervisor's name.
    pub name: Arc<str>,
    /// What it is doing as a whole.
    pub phase: SupervisorPhase,
    /// Which children a failure takes with it.
    pub strategy: Strategy,
    /// The limit on restarts.
    pub intensity: Intensity,
    /// How many restarts of the current window are used up.
    pub restarts_in_window: usize,
    /// When this was read.
    pub at: Monotonic,
    /// The children, in start order.
    pub children: Vec<ChildStatus>,
}

/// What a supervisor is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupervisorPhase {
    /// Its children are being started for the first time.
    Starting,
    /// It is up.
    Running,
    /// Its children are being stopped for good.
    Stopping,
    /// It has ended.
    Stopped,
}

/// One child at one moment.
#[derive(Debug, Clone)]
pub struct ChildStatus {
    /// The child's name.
    pub id: ChildId,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Whether it is restarted.
    pub restart: Restart,
    /// What it is doing.
    pub state: ChildState,
    /// Its latest incarnation; [`Epoch::NEVER`] before the first.
    pub epoch: Epoch,
    /// How often the supervisor has started it again by itself.
    pub restarts: u64,
    /// How the latest incarnation that ended did so.
    pub last_exit: Option<LastExit>,
    /// Since when it is in this state.
    pub since: Monotonic,
    /// When it is due to be started again, if that is known.
    pub next_start: Option<Monotonic>,
}

/// How and when an incarnation ended.
#[derive(Debug, Clone)]
pub struct LastExit {
    /// Which incarnation it was.
    pub epoch: Epoch,
    /// The reason.
    pub reason: ExitReason,
    /// The moment the supervisor heard of it.
    pub at: Monotonic,
}

/// What a child is doing.
///
/// ```text
///            start                started            ready()
///   Down ──────────▶ Starting ──────────▶ Up ──────────────────▶ Ready
///    ▲ ▲                │ failed           │ exit, start timeout    │ exit
///    │ │                ▼                  ▼                        ▼
///    │ └─ terminate ── Waiting{until} ◀── the policy decides ──▶ Suspended{until, reason}
///    └──────────────── Stopping ◀── terminate, group restart, supervisor stop
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState {
    /// Not running, and not about to. OTP's `undefined`.
    Down,
    /// Its start is in progress.
    Starting,
    /// Started, not yet ready.
    Up,
    /// Started and ready.
    Ready,
    /// Asked to stop (or killed), not yet ended.
    Stopping,
    /// Killed, and still there after the kill grace. It is not started again before it has ended.
    Stuck,
    /// Down until its restart is due. OTP's `restarting`.
    Waiting {
        /// When the restart is due.
        until: Monotonic,
    },
    /// Down until somebody resumes it.
    Suspended {
        /// When the suspension is expected to end, if that is known.
        until: Option<Monotonic>,
        /// One line for people.
        reason: Arc<str>,
    },
}

/// How many children there are, in OTP's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChildCounts {
    /// All children, whether they run or not.
    pub specs: usize,
    /// Those that run.
    pub active: usize,
    /// Those that are supervisors, whether they run or not.
    pub supervisors: usize,
    /// Those that are workers, whether they run or not.
    pub workers: usize,
}

/// Why a supervisor ended.
#[derive(Debug, Clone)]
pub enum SupervisorExit {
    /// It was asked to stop, and stopped its children in order.
    Stopped,
    /// A child used up the restart intensity.
    IntensityExceeded {
        /// The child whose failure was one too many.
        child: ChildId,
        /// How that child had ended.
        reason: ExitReason,
    },
    /// The policy of a child gave up.
    Escalated {
        /// The child.
        child: ChildId,
        /// How that child had ended.
        reason: ExitReason,
    },
    /// Significant children have ended by themselves.
    AutoShutdown {
        /// The one whose end was decisive.
        child: ChildId,
    },
    /// A child did not start at boot; those started before it were stopped in reverse order.
    StartFailed {
        /// The child.
        child: ChildId,
        /// How its start failed.
        reason: ExitReason,
    },
    /// It was killed, or everything was killed through it ([`SupervisorHandle::kill_now`](crate::SupervisorHandle::kill_now)).
    Killed,
}

// === impl SupervisorStatus ===

impl SupervisorStatus {
    /// The child with this name. Linear in the number of children.
    #[must_use]
    pub fn child(&self, id: &str) -> Option<&ChildStatus> {
        self.children.iter().find(|child| child.id == *id)
    }
}

// === impl SupervisorPhase ===

impl SupervisorPhase {
    /// One word for status documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

// === impl ChildState ===

impl ChildState {
    /// One word for status documents.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stuck => "stuck",
            Self::Waiting { .. } => "waiting",
            Self::Suspended { .. } => "suspended",
        }
    }
}

// === impl SupervisorExit ===

impl SupervisorExit {
    /// One word from a closed set: `stopped`, `intensity_exceeded`, `escalated`, `auto_shutdown`, `start_failed`, `killed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::IntensityExceeded { .. } => "intensity_exceeded",
            Self::Escalated { .. } => "escalated",
            Self::AutoShutdown { .. } => "auto_shutdown",
            Self::StartFailed { .. } => "start_failed",
            Self::Killed => "killed",
        }
    }
}

impl fmt::Display for SupervisorExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped on request"),
            Self::IntensityExceeded { child, reason } => {
                write!(f, "the restart intensity was exceeded by {child}, which ended with: {reason}")
            }
            Self::Escalated { child, reason } => {
                write!(f, "the policy of {child} gave up; it had ended with: {reason}")
            }
            Self::AutoShutdown { child } => write!(f, "the significant child {child} has ended"),
            Self::StartFailed { child, reason } => write!(f, "{child} did not start: {reason}"),
            Self::Killed => f.write_str("killed"),
        }
    }
}
