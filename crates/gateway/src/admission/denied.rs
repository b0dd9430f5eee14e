//! Why a request does not get to its server, and when it should come again.

use std::sync::Arc;
use std::time::Duration;

use crate::refusal::{Code, Refusal};

/// Why an entry ended without a permit. Its `Display` is the sentence that the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// As many wait as may.
    #[error("The server has its hands full: {in_flight} requests are in work and {queued} wait, which is all that may. {}", again(*.retry_after))]
    Overloaded {
        /// In work at the time.
        in_flight: usize,
        /// Waiting at the time.
        queued: usize,
        /// When there should be room.
        retry_after: Duration,
    },
    /// There is room to wait, but its turn would come after its deadline.
    #[error("The server has its hands full: with {queued} requests waiting, the turn of this one would come in about {} s, after its deadline. {}", whole(*.wait), again(*.retry_after))]
    TooLong {
        /// Waiting at the time.
        queued: usize,
        /// How long it would have waited, as far as can be told.
        wait: Duration,
        /// When to try again.
        retry_after: Duration,
    },
    /// The queue is full, most of it is this client's, and another client wants in.
    #[error("This client had {queued} requests waiting, more than any other, and the queue is full: its youngest made room for another client's. {}", again(*.retry_after))]
    ShareExceeded {
        /// How many this client had waiting.
        queued: usize,
        /// When there should be room.
        retry_after: Duration,
    },
    /// Its deadline has come before its turn.
    #[error("The request waited {} s, which is as long as it may: {hindrance}. {}", whole(*.waited), again(*.retry_after))]
    TimedOut {
        /// How long it has waited.
        waited: Duration,
        /// What it waited for.
        hindrance: Hindrance,
        /// When to try again.
        retry_after: Duration,
    },
    /// The server is being restarted and will not be back in time.
    #[error("The server is being restarted ({reason}) and will not serve this request before its deadline. {}", again(*.retry_after))]
    Restarting {
        /// Why it went down.
        reason: Arc<str>,
        /// When it should be back.
        retry_after: Duration,
    },
    /// The breaker is open, and the trial will not have ended in time.
    #[error("The server keeps failing and is left alone for a while ({reason}). {}", again(*.retry_after))]
    CircuitOpen {
        /// Why it opened.
        reason: Arc<str>,
        /// When the trial should have ended.
        retry_after: Duration,
    },
    /// The server is stopped, and only an operator starts it.
    #[error("The server is stopped ({reason}) and waits for an operator to start it.")]
    Stopped {
        /// Why.
        reason: Arc<str>,
    },
    /// mlx-tree is ending.
    #[error("The server is shutting down and takes no new requests.")]
    ShuttingDown,
}

/// What keeps the entries of a queue waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// The server serves others.
    #[error("the server was busy with others")]
    Busy,
    /// It is being restarted.
    #[error("the server was being restarted ({0})")]
    Restarting(Arc<str>),
    /// Its breaker is open.
    #[error("the server keeps failing and was left alone for a while ({0})")]
    CircuitOpen(Arc<str>),
    /// It is being started because it is wanted.
    #[error("the server was asleep and is being started")]
    Asleep,
    /// It gets nothing new for now.
    #[error("the server was finishing what it had ({0})")]
    Yielding(Arc<str>),
    /// It takes no requests any more.
    #[error("the server takes no requests")]
    Shut,
}

/// An operator has to act: no sooner than people do.
const STOPPED_FOR: Duration = Duration::from_secs(30);

/// What a service manager needs to start mlx-tree again.
const SHUT_FOR: Duration = Duration::from_secs(5);

/// Seconds for people, rounded up.
fn whole(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// When to come again, as `Retry-After` will say it.
fn again(after: Duration) -> String {
    format!("Try again in {} s.", whole(after).clamp(1, 60))
}

// === impl Denied ===

impl Denied {
    /// The word for programs.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Overloaded { .. } | Self::TooLong { .. } => Code::ServerOverloaded,
            Self::ShareExceeded { .. } => Code::ClientShareExceeded,
            Self::TimedOut { .. } => Code::QueueTimeout,
            Self::Restarting { .. } => Code::BackendRestarting,
            Self::CircuitOpen { .. } => Code::BackendCircuitOpen,
            Self::Stopped { .. } => Code::BackendStopped,
            Self::ShuttingDown => Code::ShuttingDown,
        }
    }

    /// When to try again.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Overloaded { retry_after, .. }
            | Self::TooLong { retry_after, .. }
            | Self::ShareExceeded { retry_after, .. }
            | Self::TimedOut { retry_after, .. }
            | Self::Restarting { retry_after, .. }
            | Self::CircuitOpen { retry_after, .. } => *retry_after,
            Self::Stopped { .. } => STOPPED_FOR,
            Self::ShuttingDown => SHUT_FOR,
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code(), denied.to_string()).retry_after(denied.retry_after())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_says_what_why_and_when() {
        let retry_after = Duration::from_millis(6_200);
        let reason: Arc<str> = "signal 9".into();
        let (waited, wait) = (Duration::from_secs(90), Duration::from_secs(120));
        let hindrance = Hindrance::Restarting(reason.clone());
        let all = [
            Denied::Overloaded { in_flight: 4, queued: 64, retry_after },
            Denied::TooLong { queued: 48, wait, retry_after },
            Denied::ShareExceeded { queued: 64, retry_after },
            Denied::TimedOut { waited, hindrance, retry_after },
            Denied::Restarting { reason: reason.clone(), retry_after },
            Denied::CircuitOpen { reason: reason.clone(), retry_after: Duration::from_secs(600) },
            Denied::Stopped { reason },
            Denied::ShuttingDown,
        ];
        let told = all.map(|denied| format!("{} {denied}", denied.code().as_str()));
        assert_eq!(
            told,
            [
                "server_overloaded The server has its hands full: 4 requests are in work and 64 wait, which is all that may. \
             Try again in 7 s.",
                "server_overloaded The server has its hands full: with 48 requests waiting, the turn of this one would come in \
             about 120 s, after its deadline. Try again in 7 s.",
                "client_share_exceeded This client had 64 requests waiting, more than any other, and the queue is full: its \
             youngest made room for another client's. Try again in 7 s.",
                "queue_timeout The request waited 90 s, which is as long as it may: the server was being restarted (signal 9). \
             Try again in 7 s.",
                "backend_restarting The server is being restarted (signal 9) and will not serve this request before its \
             deadline. Try again in 7 s.",
                "backend_circuit_open The server keeps failing and is left alone for a while (signal 9). Try again in 60 s.",
                "backend_stopped The server is stopped (signal 9) and waits for an operator to start it.",
                "shutting_down The server is shutting down and takes no new requests.",
            ]
        );
    }
}
