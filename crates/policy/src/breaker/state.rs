//! The three states of a breaker, and what brings it from one to the next.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::Monotonic;

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// The healthy state: everything may be tried.
    Closed,
    /// Nothing may be tried.
    Open {
        /// When a trial is due; `None` means not before somebody resets it.
        until: Option<Monotonic>,
        /// How many openings since the last success came before this one; the open time grows with it.
        cycle: u32,
        /// What opened it.
        reason: Trip,
    },
    /// One trial is under way.
    HalfOpen {
        /// When it began.
        since: Monotonic,
        /// When it counts as failed if it is still undecided.
        deadline: Monotonic,
    },
}

/// What opened a breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// Which guard it was.
    pub cause: TripCause,
    /// One line for people: the failure that set it off.
    pub detail: String,
}

/// The guard that opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TripCause {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// One more restart would have exceeded the restart intensity.
    IntensityExceeded,
    /// A failure that no retry can cure.
    PermanentFailure,
    /// The trial failed, or the run that began with it failed before it counted as a success.
    TrialFailed,
    /// The trial was not decided before its deadline.
    TrialTimedOut,
    /// An operator's order.
    Forced,
}

/// A text that names no [`TripCause`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTripCauseError(String);

// === impl BreakerState ===

impl BreakerState {
    /// The name of the state in status and logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

// === impl Trip ===

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.describe(), self.detail)
    }
}

// === impl TripCause ===

impl TripCause {
    /// Every cause.
    pub const ALL: [Self; 6] = [
        Self::ConsecutiveFailures,
        Self::IntensityExceeded,
        Self::PermanentFailure,
        Self::TrialFailed,
        Self::TrialTimedOut,
        Self::Forced,
    ];

    /// A stable name, for status, state files and metrics; [`FromStr`] reads it back.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::IntensityExceeded => "intensity_exceeded",
            Self::PermanentFailure => "permanent_failure",
            Self::TrialFailed => "trial_failed",
            Self::TrialTimedOut => "trial_timed_out",
            Self::Forced => "forced",
        }
    }

    /// The same in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "too many failed restarts in a row",
            Self::IntensityExceeded => "restart intensity exceeded",
            Self::PermanentFailure => "a retry cannot help",
            Self::TrialFailed => "the trial failed",
            Self::TrialTimedOut => "the trial took too long",
            Self::Forced => "opened by an operator",
        }
    }
}

impl fmt::Display for TripCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TripCause {
    type Err = ParseTripCauseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or_else(|| ParseTripCauseError(text.to_owned()))
    }
}

// === impl ParseTripCauseError ===

impl fmt::Display for ParseTripCauseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no cause that opens a breaker", self.0)
    }
}

impl Error for ParseTripCauseError {}
