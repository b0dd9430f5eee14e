//! What became of a message, and why a child cannot be spoken to.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::Monotonic;

use crate::{ChildId, Epoch};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is in the mailbox of this incarnation.
    Delivered(Epoch),
    /// It waits for the next incarnation.
    Stashed,
}

/// A message that could not be delivered, nor kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered<M> {
    /// The message, given back.
    pub message: M,
    /// Why. If the child is expected back, there is no stash, or it is full.
    pub why: Unavailable,
}

/// Why a child cannot be spoken to. All points in time are on its supervisor's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// An incarnation is being started, or has ended just now.
    Starting,
    /// An incarnation is being stopped, or does not end although it was killed.
    Stopping,
    /// It waits for its restart.
    BackingOff {
        /// When that is due.
        until: Monotonic,
        /// How long that is from now.
        retry_after: Duration,
    },
    /// It is suspended until somebody resumes it.
    Suspended {
        /// When the suspension is expected to end, if that is known.
        until: Option<Monotonic>,
        /// How long that is from now.
        retry_after: Option<Duration>,
        /// One line for people.
        reason: Arc<str>,
    },
    /// It is down, and nobody is about to start it.
    Down,
    /// Its supervisor does not know it any more, or ends.
    Gone,
}

/// Why there is no stable address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StableError {
    /// The supervisor has no child of this name.
    #[error("there is no child {0}")]
    NoSuchChild(ChildId),
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    SupervisorGone,
}

// === impl Undelivered ===

impl<M> fmt::Debug for Undelivered<M> {
    /// Without the message, which need not be printable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<M> fmt::Display for Undelivered<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.why, f)
    }
}

impl<M> Error for Undelivered<M> {}

// === impl Unavailable ===

impl Unavailable {
    /// When to try again, if that is known: for a `Retry-After`.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BackingOff { retry_after, .. } => Some(*retry_after),
            Self::Suspended { retry_after, .. } => *retry_after,
            Self::Starting | Self::Stopping | Self::Down | Self::Gone => None,
        }
    }

    /// Whether there will be another incarnation, as far as is known.
    #[must_use]
    pub const fn is_expected_back(&self) -> bool {
        match self {
            Self::Starting | Self::Stopping | Self::BackingOff { .. } | Self::Suspended { .. } => true,
            Self::Down | Self::Gone => false,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("it is starting"),
            Self::Stopping => f.write_str("it is stopping"),
            Self::BackingOff { retry_after, .. } => {
                write!(f, "it is backing off; it is started again in {retry_after:?}")
            }
            Self::Suspended { retry_after: Some(span), reason, .. } => {
                write!(f, "it is suspended ({reason}), for another {span:?}")
            }
            Self::Suspended { retry_after: None, reason, .. } => write!(f, "it is suspended ({reason})"),
            Self::Down => f.write_str("it is down"),
            Self::Gone => f.write_str("it is gone"),
        }
    }
}

impl Error for Unavailable {}
