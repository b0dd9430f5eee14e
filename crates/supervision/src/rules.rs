//! The words of a child spec and of a supervisor: what is restarted, how it is stopped, and when the supervisor gives up.

use std::time::Duration;

/// Which children a failure takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Only the child that failed.
    #[default]
    OneForOne,
    /// Every child.
    OneForAll,
    /// The child that failed and those that were started after it.
    RestForOne,
    /// Only the child that failed; children come and go, a child that is down is forgotten, and all are stopped at once.
    /// OTP's `simple_one_for_one`, Elixir's `DynamicSupervisor`.
    Dynamic,
}

/// Whether a child that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always. Kubernetes: `Always`.
    #[default]
    Permanent,
    /// After an abnormal end only. Kubernetes: `OnFailure`.
    Transient,
    /// Never; the child is forgotten once it has ended. Kubernetes: `Never`.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Asked to stop, and killed if it has not ended after this time.
    Timeout(Duration),
    /// Asked to stop, and waited for without a limit.
    Infinity,
    /// Killed at once. OTP's `brutal_kill`.
    Kill,
}

/// What a child is; decides its default [`Shutdown`] and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChildKind {
    /// A leaf. Default shutdown: 5 s.
    #[default]
    Worker,
    /// A subtree. Default shutdown: [`Shutdown::Infinity`], so that it can stop its own children.
    Supervisor,
}

/// Whether the end of a child can end its supervisor (see [`AutoShutdown`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Significance {
    /// It cannot.
    #[default]
    Ordinary,
    /// It can. Not allowed for a permanent child, nor where auto-shutdown is off.
    Significant,
}

/// When a supervisor shuts itself down because significant children have ended by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// As soon as one of them has.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// When a child counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Readiness {
    /// As soon as it has started (`pre_start` and `post_start` have returned).
    #[default]
    Started,
    /// When it says so with [`ChildContext::ready`](crate::ChildContext::ready).
    Explicit {
        /// How long after the beginning of its start the child may take. Later it is stopped by its own shutdown rule and
        /// has failed with [`FailureKind::StartTimeout`](crate::FailureKind::StartTimeout).
        start_timeout: Duration,
    },
}

/// What happens when a child without a policy exceeds the supervisor's restart intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnIntensityExceeded {
    /// OTP's answer: the supervisor stops every child and exits with reason shutdown.
    #[default]
    Escalate,
    /// The child is suspended until somebody resumes it, and the window starts anew.
    Suspend,
}

// === impl Shutdown ===

impl Shutdown {
    /// OTP's default for a child of this kind.
    #[must_use]
    pub const fn default_for(kind: ChildKind) -> Self {
        match kind {
            ChildKind::Worker => Self::Timeout(Duration::from_secs(5)),
            ChildKind::Supervisor => Self::Infinity,
        }
    }
}

// === impl Strategy ===

impl Strategy {
    /// The name in OTP's spelling, for logs and status documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::Dynamic => "dynamic",
        }
    }
}

// === impl Restart ===

impl Restart {
    /// The name in OTP's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        }
    }
}
