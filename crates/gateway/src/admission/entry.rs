//! The nouns of admission: what asks to go in, how it went, and what it is called meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::client::ClientKey;

/// A request that asks to go to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Who sends it.
    pub client: ClientKey,
    /// The latest that it may be let in. Whatever waits longer is denied.
    pub deadline: Instant,
    /// What [`Permit::seq`](super::Permit::seq) said, if it comes back after an earlier attempt: it keeps its place, before all
    /// that have not had their turn, the oldest first.
    pub arrived: Option<Seq>,
    /// Whether it is under suspicion.
    pub standing: Standing,
}

/// Whether a request was in flight when a server died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It was not.
    Fresh,
    /// It was: it runs alone, so that the next death, if there is one, shows whose fault it is.
    Suspect,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server did what it was asked for, or said properly that it will not. It works, and it is idle again.
    Succeeded,
    /// It did not, but it lives, and it is idle again.
    Failed,
    /// It is dead, or is taken to be.
    BackendDied,
}

/// The age of a request: the smaller, the older. It stays the same over all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub(super) u64);

/// One stay in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(pub(super) u64);

/// One of the places at the server: given, given back, never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u64);

/// What an entry gets that is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) slot: Slot,
    pub(super) seq: Seq,
    pub(super) epoch: u64,
    pub(super) address: SocketAddr,
    pub(super) queued_for: Duration,
}
