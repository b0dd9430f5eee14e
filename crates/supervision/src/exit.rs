//! How a child ended: the typed exit reason, and the error by which a child chooses its own.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub use mlx_tree_policy::Severity;
use mlx_tree_policy::{Ending, ExitStatus};

/// A shared error with its type kept.
pub type SharedError = Arc<dyn Error + Send + Sync + 'static>;

/// The same numbers on every Unix.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Why an incarnation of a child ended.
#[derive(Debug, Clone)]
pub enum ExitReason {
    /// It had nothing left to do: `stop(None)`, a drained mailbox, or a stop with a reason of its own.
    Normal,
    /// It was asked to shut down: `stop(Some("shutdown"))`.
    Shutdown,
    /// It shut down on purpose and said why: `stop(Some("shutdown: …"))`. OTP's `{shutdown, Term}`.
    ShutdownWith(Arc<str>),
    /// It was killed, or its task was cancelled. Abnormal, as in OTP.
    Killed,
    /// It failed.
    Failed(Failure),
}

/// A failure of a child.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What sort of failure it was.
    pub kind: FailureKind,
    /// Whether trying again can help.
    pub severity: Severity,
    /// One line for people: what the error displays.
    pub message: Arc<str>,
    /// The error itself, where there is one (a panic has only its text).
    pub source: Option<SharedError>,
    /// How it ended, for rules by exit status: what the child said with [`SupervisedExit::ended`], else what follows from
    /// the kind (a start timeout is a timeout, a panic counts as SIGABRT, an error as an unclean exit code).
    pub ending: Ending,
}

/// The sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A callback returned an error.
    Error,
    /// A callback of the running child panicked.
    Panic,
    /// The child did not start: its start closure or `pre_start` returned an error or panicked.
    StartFailed,
    /// The child did not become ready within its start timeout, and was stopped for it.
    StartTimeout,
}

/// The error by which a child chooses its exit reason: return it from any ractor callback.
///
/// Any other error counts as [transient](SupervisedExit::transient).
///
/// ```
/// # use mlx_tree_supervision::SupervisedExit;
/// fn open() -> Result<(), ractor::ActorProcessingErr> {
///     let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
///     Err(SupervisedExit::permanent(missing).into())
/// }
/// # assert!(open().is_err());
/// ```
#[derive(Debug, Clone)]
pub struct SupervisedExit(Choice);

#[derive(Debug, Clone)]
enum Choice {
    Fail { severity: Severity, error: SharedError, ending: Option<Ending> },
    Ignore,
}

/// A start had nothing to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IgnoredStart;

// === impl ExitReason ===

impl ExitReason {
    /// OTP's question for a transient child: `true` for a failure or a kill, `false` for an end on purpose.
    #[must_use]
    pub const fn is_abnormal(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => false,
            Self::Killed | Self::Failed(_) => true,
        }
    }

    /// The failure, if it was one.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) | Self::Killed => None,
        }
    }

    /// The error of type `T` that caused this exit, if there is one.
    #[must_use]
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        self.failure().and_then(Failure::downcast_ref)
    }

    /// Whether trying again can help; everything but a permanent failure can be tried again.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Failed(failure) => failure.severity,
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) | Self::Killed => Severity::Transient,
        }
    }

    /// How it ended, for rules by exit status ([`Decide::with_exit_rules`](crate::Decide::with_exit_rules)): an end on
    /// purpose counts as exit code 0, a kill as SIGKILL, a failure as it says itself.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => Ending::Exited(ExitStatus::SUCCESS),
            Self::Killed => Ending::Exited(ExitStatus::Signal(SIGKILL)),
            Self::Failed(failure) => failure.ending,
        }
    }

    /// One word from a closed set, for logs and metrics: `normal`, `shutdown`, `killed`, `error`, `panic`, `start_failed`,
    /// `start_timeout`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown | Self::ShutdownWith(_) => "shutdown",
            Self::Killed => "killed",
            Self::Failed(failure) => failure.kind.code(),
        }
    }

    /// Reads the reason that ractor gives with `ActorTerminated`.
    #[must_use]
    pub(crate) fn from_termination(reason: Option<&str>) -> Self {
        match reason {
            Some("killed" | "actor_task_cancelled") => Self::Killed,
            Some("shutdown") => Self::Shutdown,
            Some(other) => match other.strip_prefix("shutdown:") {
                Some(detail) => Self::ShutdownWith(detail.trim().into()),
                None => Self::Normal,
            },
            None => Self::Normal,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(detail) => write!(f, "shutdown: {detail}"),
            Self::Killed => f.write_str("killed"),
            Self::Failed(failure) => fmt::Display::fmt(failure, f),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// A failure without an error value.
    #[must_use]
    pub fn new(kind: FailureKind, severity: Severity, message: impl Into<Arc<str>>) -> Self {
        Self { kind, severity, message: message.into(), source: None, ending: kind.ending() }
    }

    /// Reads the error that a child ended with; a [`SupervisedExit`] inside decides the severity.
    #[must_use]
    pub fn from_error(kind: FailureKind, error: Box<dyn Error + Send + Sync + 'static>) -> Self {
        let (severity, error, ending) = match error.downcast::<SupervisedExit>() {
            Ok(exit) => match exit.0 {
                Choice::Fail { severity, error, ending } => (severity, error, ending),
                // Only a start can be ignored; anywhere else it is an error like any other.
                Choice::Ignore => (Severity::Transient, Arc::new(IgnoredStart) as SharedError, None),
            },
            Err(error) => (Severity::Transient, SharedError::from(error), None),
        };
        let ending = ending.unwrap_or(kind.ending());
        Self { kind, severity, message: error.to_string().into(), source: Some(error), ending }
    }

    /// The error of type `T` that caused this failure, if there is one.
    #[must_use]
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        self.source.as_deref().and_then(|error| error.downcast_ref::<T>())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FailureKind::Error => f.write_str(&self.message),
            FailureKind::Panic => write!(f, "panic: {}", self.message),
            FailureKind::StartFailed => write!(f, "start failed: {}", self.message),
            FailureKind::StartTimeout => write!(f, "start timeout: {}", self.message),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message is the source's own text, so the chain goes on with what is below it.
        self.source.as_deref().and_then(Error::source)
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// One word, as in [`ExitReason::code`].
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::StartFailed => "start_failed",
            Self::StartTimeout => "start_timeout",
        }
    }

    /// How an actor that fails like this has ended, in the words of processes. A panic is an abort: what becomes of it
    /// where panics do not unwind.
    const fn ending(self) -> Ending {
        match self {
            Self::Error | Self::StartFailed => Ending::Unknown,
            Self::Panic => Ending::Exited(ExitStatus::Signal(SIGABRT)),
            Self::StartTimeout => Ending::TimedOut,
        }
    }
}

// === impl SupervisedExit ===

impl SupervisedExit {
    /// A failure that the next start may well cure.
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Self {
        Self(Choice::Fail { severity: Severity::Transient, error: error.into().into(), ending: None })
    }

    /// A failure that no retry can cure. A policy that knows severities does not burn its tries on it.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Self {
        Self(Choice::Fail { severity: Severity::Permanent, error: error.into().into(), ending: None })
    }

    /// OTP's `ignore`, from `pre_start` only: there is nothing to start, and that is no failure. The child stays down (a
    /// temporary or dynamic one is forgotten) and the supervisor goes on with the next one.
    #[must_use]
    pub const fn ignore() -> Self {
        Self(Choice::Ignore)
    }

    /// Says how the process behind the child ended, for rules by exit status. Without effect on
    /// [`ignore`](SupervisedExit::ignore).
    #[must_use]
    pub fn ended(mut self, how: impl Into<Ending>) -> Self {
        match &mut self.0 {
            Choice::Fail { ending, .. } => *ending = Some(how.into()),
            Choice::Ignore => {}
        }
        self
    }

    pub(crate) const fn is_ignore(&self) -> bool {
        matches!(self.0, Choice::Ignore)
    }
}

impl fmt::Display for SupervisedExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Fail { error, .. } => fmt::Display::fmt(error, f),
            Choice::Ignore => fmt::Display::fmt(&IgnoredStart, f),
        }
    }
}

impl Error for SupervisedExit {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            // What displays as this error is the inner one, so the chain goes on below it.
            Choice::Fail { error, .. } => error.source(),
            Choice::Ignore => None,
        }
    }
}

// === impl IgnoredStart ===

impl fmt::Display for IgnoredStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there was nothing to start")
    }
}

impl Error for IgnoredStart {}
