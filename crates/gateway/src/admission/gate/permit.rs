//! The right to have one request at the server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::admission::entry::{Grant, Outcome, Seq};
use crate::admission::machine::{ended, serves};
use crate::backend::End;

/// One request may be at one incarnation of the server, until this is given back.
///
/// It is given back when the *server* is idle again as far as this request goes, not when the client leaves: with
/// [`finish`](Self::finish) if that is known, else with [`linger`](Self::linger). Dropped, it is a failure whose end nobody
/// has seen (a panic, a cancelled task): its slot is kept for [`linger_max`](crate::admission::Limits::linger_max).
///
/// A permit of an incarnation that is over counts no more, however long it is held and whatever is said of it.
#[must_use = "dropped, its slot is blocked for a while"]
pub struct Permit {
    gate: Arc<Shared>,
    grant: Grant,
    state: State,
    /// From the very moment in which it is let in, so that nobody takes a server for idle to which something is on its way.
    _use: Option<Box<dyn Send + Sync>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// On its way to the one who waits for it: nothing has been sent.
    Fresh,
    /// In use.
    Used,
    /// Given back.
    Over,
}

// === impl Permit ===

impl Permit {
    pub(super) fn new(gate: Arc<Shared>, grant: Grant) -> Self {
        let in_use = gate.observer.in_use(&gate.server);
        Self { gate, grant, state: State::Fresh, _use: in_use }
    }

    /// Marks it as taken: from now on something may have been sent.
    pub(super) fn delivered(mut self) -> Self {
        self.state = State::Used;
        self
    }

    /// The incarnation that it is good for.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.grant.epoch
    }

    /// Where that incarnation listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.grant.address
    }

    /// The age of the request, for [`Entry::arrived`](crate::admission::Entry::arrived) if it has to come back.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.grant.seq
    }

    /// How long this stay in the queue took.
    #[must_use]
    pub const fn queued_for(&self) -> Duration {
        self.grant.queued_for
    }

    /// Resolves when the incarnation is over, with how it ended: at once if it is already. Until then a broken connection is
    /// only that. Does not resolve while it is draining. Cancel-safe.
    ///
    /// A server's death is seen on the connection a few milliseconds before it is known here, so hold the permit and wait for
    /// this for a second or so before taking it for a mere broken connection.
    pub fn gone(&self) -> impl Future<Output = End> + Send + use<> {
        let (mut backend, epoch) = (self.gate.backend(), self.grant.epoch);
        async move {
            if let Ok(now) = backend.wait_for(|backend| !serves(backend, epoch)).await {
                return ended(epoch, &now);
            }
            // Nobody tells any more. Only the connection knows.
            std::future::pending().await
        }
    }

    /// The attempt has ended.
    pub fn finish(mut self, outcome: Outcome) {
        self.state = State::Over;
        let slot = self.grant.slot;
        self.gate.settle(|machine, now, effects| machine.on_finish(now, slot, outcome, effects));
    }

    /// The client has left and the connection to the server is closed; the server will notice within `grace`, which is
    /// [`linger_max`](crate::admission::Limits::linger_max) at most. The slot is kept for as long.
    pub fn linger(mut self, grace: Duration) {
        self.keep(grace);
    }

    fn keep(&mut self, grace: Duration) {
        self.state = State::Over;
        let slot = self.grant.slot;
        self.gate.settle(|machine, now, effects| machine.on_linger(now, slot, grace, effects));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.state {
            State::Fresh => self.keep(Duration::ZERO),
            State::Used => self.keep(Duration::MAX),
            State::Over => {}
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("epoch", &self.grant.epoch).field("seq", &self.grant.seq).finish_non_exhaustive()
    }
}
