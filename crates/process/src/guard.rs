//! The small process that ends our groups when we cannot, because we were killed ourselves.

use std::ffi::OsString;
use std::future::Future;

use crate::exit::How;
use crate::identity::Identity;
use crate::launch::{Grace, SpawnError};

/// A running guard process.
///
/// **Drop** closes the pipe, which to the guard is the same as our death: whatever is still
/// protected is ended. [`Guard::release`] first.
#[derive(Debug)]
pub struct Guard {}

/// The guard process is gone; start another and protect the groups again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guard process is gone")]
pub struct GuardGone;

// === impl Guard ===

impl Guard {
    /// Starts `argv` (our own program with its hidden `guard` command, which must call
    /// [`guard_main`]) in a session of its own, out of reach of the terminal's signals.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn start<I>(argv: I) -> Result<Self, SpawnError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let _: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        unimplemented!()
    }

    /// The guard process itself.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        unimplemented!()
    }

    /// From now on, ends the group of `leader` should we die: TERM, CONT, `grace`, KILL. Several
    /// groups may be protected; protecting one again changes its grace.
    ///
    /// # Errors
    /// [`GuardGone`].
    pub fn protect(&self, leader: &Identity, grace: Grace) -> Result<(), GuardGone> {
        let _ = (leader, grace);
        unimplemented!()
    }

    /// The group has ended: forget it. Releasing what is not protected changes nothing.
    ///
    /// # Errors
    /// [`GuardGone`].
    pub fn release(&self, leader: &Identity) -> Result<(), GuardGone> {
        let _ = leader;
        unimplemented!()
    }

    /// Resolves when the guard process has ended, however it ended. Any number may wait.
    pub fn died(&self) -> impl Future<Output = How> + Send + 'static {
        async { unimplemented!() }
    }
}

/// What the hidden `guard` command runs: reads standard input until its end, then ends the groups
/// that are protected at that moment. Returns the exit code for the process.
///
/// Single-threaded, and needs no runtime. Ignores SIGINT, SIGTERM, SIGHUP.
#[must_use]
pub fn guard_main() -> u8 {
    unimplemented!()
}
