//! Why an attempt came to nothing.

use std::io;
use std::time::Duration;

use hyper::header::InvalidHeaderValue;

/// The same numbers on Linux and macOS; std has no names for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Why there is no connection. Nothing has been sent: another attempt repeats nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("nobody listens at the server's address")]
    Refused,
    /// Nobody has accepted.
    #[error("the server has not accepted a connection within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// There is no descriptor for it: neither in this process nor, perhaps, on this machine. Nothing of the server's doing.
    #[error("mlx-tree is out of file descriptors")]
    Exhausted,
    /// Anything else.
    #[error("connecting to the server failed")]
    Failed(#[source] io::Error),
    /// HTTP could not begin on it.
    #[error("the connection to the server failed at once")]
    Http(#[source] hyper::Error),
    /// The address is no proper `Host`.
    #[error("the server's address is no proper Host")]
    Authority(#[source] InvalidHeaderValue),
}

/// Why there is no answer. What the server has done of it, nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It closed or reset the connection before the head of its answer was there.
    #[error("the server closed the connection before it had answered")]
    Closed(#[source] hyper::Error),
    /// What it sent is no HTTP.
    #[error("the head of the server's answer is malformed")]
    BadHead(#[source] hyper::Error),
    /// It has too many headers, or too large ones.
    #[error("the head of the server's answer is too large")]
    HeadTooLarge(#[source] hyper::Error),
    /// It answered that it will speak something else from here on.
    #[error("the server wants to speak another protocol")]
    Switched,
}

// === impl ConnectError ===

impl ConnectError {
    pub(super) fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(ENFILE | EMFILE) => Self::Exhausted,
            _ if error.kind() == io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Failed(error),
        }
    }
}

// === impl CallError ===

impl CallError {
    pub(super) fn of(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLarge(error)
        } else if error.is_parse() {
            Self::BadHead(error)
        } else {
            // An end of file, a reset, or a connection that had gone before anything was written.
            Self::Closed(error)
        }
    }
}
