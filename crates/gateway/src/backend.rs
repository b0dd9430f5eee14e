//! What the gateway knows of a server, and what it tells others about its requests.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mlx_tree_api::{Kind, Sample};
use tokio::time::Instant;

/// A server as the gateway sees it: the one fact that its gate goes by, stamped with the incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The incarnation. A permit or an answer of an earlier one changes nothing.
    pub epoch: u64,
    /// Whether it can serve.
    pub state: BackendState,
    /// How the last incarnation ended of which that is known: an earlier one, or this one.
    pub ended: Option<Ended>,
}

/// How an incarnation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The incarnation.
    pub epoch: u64,
    /// How.
    pub how: End,
}

/// Whether what was with a server at its end may have been at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It went down by itself, or had to be given up; also while somebody waited for it to finish.
    Death,
    /// It lived, and was told to go.
    Planned,
}

/// Whether a server can serve, and if not, when it will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendState {
    /// It serves, here. Its gate is open.
    Ready {
        /// A loopback address that mlx-tree has chosen.
        address: SocketAddr,
    },
    /// It is being started, or waits for its restart. Its gate is holding.
    Restarting {
        /// When it will be ready, as far as can be told.
        ready_at: Option<Instant>,
        /// Why it went down, in one line.
        reason: Arc<str>,
    },
    /// Its breaker is open: nothing is started for a while.
    BreakerOpen {
        /// When it will be ready if the trial succeeds.
        ready_at: Option<Instant>,
        /// Why it opened.
        reason: Arc<str>,
    },
    /// It serves what it has and gets nothing new for now: another server waits for its memory, or it is about to be restarted.
    /// Its gate is holding.
    Yielding {
        /// Where it serves.
        address: SocketAddr,
        /// Why, in one line.
        reason: Arc<str>,
    },
    /// It serves what it has, and is stopped then. Its gate is shut.
    Finishing {
        /// Why, in one line.
        reason: Arc<str>,
    },
    /// It was told to go, and comes back: a restart that somebody has asked for. Its gate is holding.
    Recycling {
        /// Who has asked, in one line.
        reason: Arc<str>,
    },
    /// It is not running and starts when it is asked for: see [`Observer::wanted`].
    Asleep,
    /// It is not running, and nobody is going to start it but an operator.
    Stopped {
        /// Why.
        reason: Arc<str>,
    },
    /// It is being stopped for good: what is in flight ends, nothing new begins.
    Draining,
}

/// Who is told what the gateway does. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something of an answer of `server` has arrived: it lives.
    fn progressed(&self, server: &str);

    /// A request waits for `server`, which is asleep.
    fn wanted(&self, server: &str);

    /// A request may be sent to `server` from now on; what is returned is dropped when it has left. Keeps the server from being
    /// put to sleep, and from being ended as long as a drain may take. Called under the lock of the server's gate.
    fn in_use(&self, server: &str) -> Option<Box<dyn Send + Sync>> {
        let _ = server;
        None
    }

    /// `server` is to sleep until the next request asks for it; resolves when it does, with the reason if it cannot. Dropping
    /// the future calls that off as long as something is in flight there.
    fn unload(&self, server: &str) -> BoxFuture<'static, Result<(), String>> {
        let why = format!("{server} is not put to sleep");
        Box::pin(std::future::ready(Err(why)))
    }

    /// Something happened to a request.
    fn tell(&self, server: &str, epoch: u64, kind: Kind);

    /// Something has been measured. Called for every token, so it must be quick.
    fn sample(&self, sample: &Sample<'_>) {
        let _ = sample;
    }
}

// === impl Backend ===

impl Backend {
    /// A server of which no end is known.
    #[must_use]
    pub const fn new(epoch: u64, state: BackendState) -> Self {
        Self { epoch, state, ended: None }
    }
}

/// An observer that looks away; for tests.
impl Observer for () {
    fn progressed(&self, _server: &str) {}

    fn wanted(&self, _server: &str) {}

    fn tell(&self, _server: &str, _epoch: u64, _kind: Kind) {}
}
