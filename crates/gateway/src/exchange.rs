//! One request from its first byte to its last: attempts, replay, relay and the honest end.
//!
//! ```text
//!             ┌──────────────────────────── replay, continue ◀────────────────────┐
//!             ▼                                                                    │
//!  Ask ─▶ gate ─▶ attempt ─▶ first event ─▶ relay or assemble ─▶ whole: the answer │
//!           │        │                          │                                  │
//!           │ no     └─────── a fault ──────────┴──▶ verdict ──────────────────────┘
//!           ▼                                          │ no further attempt
//!        divert, if nothing was sent ◀─────────────────┴──▶ the error: a status, or an event and an end that no client
//!                                                           takes for a whole answer
//! ```
//!
//! How far the client has come decides what may still be done (see [`verdict`]): L0, it has seen nothing; L1, a status and
//! comments; L2, a part of an answer.
//!
//! *Architecture Invariant:* all events of one answer come from one attempt. The one exception is a greedy answer, whose second
//! generation is compared with what the client has before anything of it is sent.

mod account;
mod attempt;
mod diversion;
mod labels;
mod life;
mod relay;
pub mod verdict;
mod visit;
mod whole;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hyper::Response;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::{ClientKey, Gate, Quarantine, RetryBudget};
use crate::answer::Body;
use crate::backend::{Backend, Observer};
use crate::divert::Fallback;
use crate::front::RequestId;
use crate::request::{Ask, Catalogue, Delivery, Digest};

pub(crate) use account::Account;
use life::Life;
pub(crate) use visit::Visit;

/// How long connecting to a server on this machine may take.
const CONNECT: Duration = Duration::from_secs(5);

/// After so long without an answer a streaming client is sent a status and comments, so that it does not give up.
pub const OPEN_AFTER: Duration = Duration::from_secs(20);

/// A streaming client that waits is sent a comment so often.
const COMMENT_EVERY: Duration = Duration::from_secs(10);

/// A server's end is seen on its connections before it is known. After so long without news a broken connection is just that.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);

/// One server, as the data plane reaches it.
pub struct Route {
    /// What it is, for `x-mlx-tree-backend`: `mlx_lm`.
    pub kind: RwLock<Arc<str>>,
    /// Its name.
    pub server: Arc<str>,
    /// Who may go to it.
    pub gate: Gate,
    /// What it is doing.
    pub backend: watch::Receiver<Backend>,
    /// Who took it down.
    pub quarantine: Mutex<Quarantine<Digest>>,
    /// How many requests may be sent to it a second time.
    pub retries: Mutex<RetryBudget>,
}

/// What all exchanges share that begin by the same configuration.
pub struct Common {
    /// The models that there are.
    pub catalogue: Catalogue,
    /// How many requests may wait for one server.
    pub max_queue: usize,
    /// How long a request may wait, for its turn and for restarts together.
    pub hold_budget: Duration,
    /// A server that says nothing for so long is given up by the request that waits for it.
    pub stall_timeout: Duration,
    /// After so long without an answer a streaming client is sent a status and comments: [`OPEN_AFTER`], but for tests.
    pub open_after: Duration,
    /// What becomes of a greedy stream that is cut.
    pub continuation: Continuation,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    /// Who else may answer.
    pub fallback: Option<Arc<dyn Fallback>>,
    /// Whether what is in flight may still take its time.
    pub ending: watch::Receiver<Ending>,
}

/// Whether what is in flight may take its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It may.
    Not,
    /// It ends with an error, now.
    Now,
}

/// What becomes of a greedy stream that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// It goes on.
    Greedy,
    /// It ends with an error.
    Never,
}

/// Who asks, under which number, and for how long.
pub struct Caller {
    /// The number.
    pub id: RequestId,
    /// Who shares the server with others.
    pub client: ClientKey,
    /// How long the client itself waits, if it says so.
    pub patience: Option<Duration>,
    /// Since when.
    pub since: Instant,
}

/// Answers `ask`. Dropping the future, or the body of the answer, gives the request up.
pub(crate) async fn exchange(
    common: Arc<Common>,
    route: Arc<Route>,
    ask: Ask,
    caller: Caller,
    mut account: Account,
) -> Response<Body> {
    account.is_for(&route.server);
    let delivery = ask.delivery;
    let life = match Life::begin(common, route, ask, caller, account) {
        Ok(life) => life,
        Err(refusal) => return refusal.response().map(Body::from),
    };
    match delivery {
        Delivery::Whole => whole::answer(life).await,
        Delivery::Stream { .. } => relay::answer(life).await,
    }
}

// === impl Route ===

impl Route {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Arc<str> {
        Arc::clone(&self.kind.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is something else from now on.
    pub fn set_kind(&self, kind: &Arc<str>) {
        *self.kind.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(kind);
    }

    fn quarantine<R>(&self, act: impl FnOnce(&mut Quarantine<Digest>) -> R) -> R {
        act(&mut self.quarantine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn retries<R>(&self, act: impl FnOnce(&mut RetryBudget) -> R) -> R {
        act(&mut self.retries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
