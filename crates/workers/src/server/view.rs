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
        Self { epoch, phase: ServerPhase::Absent, process: None, url: None }
    }

    /// Its process id, while it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| u32::try_from(process.pid).ok())
    }
}
