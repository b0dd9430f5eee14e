//! What the world is told about the server's process: the control path's one fact, stamped with its epoch.

use mlx_tree_policy::Monotonic;
use mlx_tree_process::Identity;

/// The server's process, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// The incarnation.
    pub epoch: u64,
    /// Where it is in its life.
    pub phase: ServerPhase,
    /// Its process, from the spawn until it is gone.
    pub process: Option<Identity>,
    /// Where it answers, e.g. `http://127.0.0.1:8080`, from the spawn until it is gone.
    pub url: Option<String>,
    /// How the last incarnation ended of which that is decided: the one before, or this one once it is being ended or gone.
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

/// Whether an end was a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It went down by itself, or was given up because it did not serve, or not as it should; also while somebody waited for
    /// it to finish.
    ByItself,
    /// It lived and was told to go.
    AsTold,
}

/// Where one incarnation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPhase {
    /// There is none, or it is gone.
    Absent,
    /// It is being launched.
    Starting,
    /// Its process runs; no canary has been answered yet.
    Loading,
    /// It serves.
    Ready {
        /// Since when.
        since: Monotonic,
    },
    /// It is being ended.
    Stopping,
}

// === impl ServerView ===

impl ServerView {
    /// No server yet.
    #[must_use]
    pub const fn absent(epoch: u64) -> Self {
        Self { epoch, phase: ServerPhase::Absent, process: None, url: None, ended: None }
    }

    /// It becomes `next`, and how the last one ended is not forgotten.
    pub(super) fn become_next(&mut self, next: Self) {
        *self = Self { ended: self.ended, ..next };
    }

    /// It becomes `next`, whose incarnation has ended so, or is ending so.
    pub(super) fn become_ended(&mut self, next: Self, how: End) {
        *self = Self { ended: Some(Ended { epoch: next.epoch, how }), ..next };
    }

    /// Its process id, while it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| u32::try_from(process.pid).ok())
    }
}
