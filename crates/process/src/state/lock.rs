//! Two locks that the kernel keeps for us: it forgets neither, and frees both when their holders end.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use super::directory::{StateDir, StateError};
use crate::exit::Survivor;

/// Proof that we are the one supervisor of this instance. Released by drop, and by our death.
#[derive(Debug)]
pub struct InstanceLock {
    dir: StateDir,
    _file: File,
}

/// Another supervisor runs this instance, or its lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another one has the lock. Touch nothing.
    #[error("this instance is supervised already{}", pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Held {
        /// Who, as written in the lock file.
        pid: Option<i32>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The lock that the server inherits: locked means that a server of this instance, or something
/// that descends from one, is alive. Give it to [`crate::Launch::lock`]; we keep no copy.
#[derive(Debug)]
pub struct ServerLock {
    file: File,
}

/// No server may be started now.
#[derive(Debug, thiserror::Error)]
pub enum ServerLockError {
    /// An earlier server, or something it started, is alive still.
    #[error("an earlier server is still alive{}", name(holders))]
    Held {
        /// Who, as far as we can see.
        holders: Vec<Survivor>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

fn name(holders: &[Survivor]) -> String {
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

// === impl InstanceLock ===

impl InstanceLock {
    /// Becomes the supervisor of this instance, at once or not at all.
    ///
    /// # Errors
    /// [`InstanceError::Held`] names the other one.
    pub fn acquire(dir: &StateDir) -> Result<Self, InstanceError> {
        let _ = dir;
        unimplemented!()
    }

    /// The directory that it locks.
    #[must_use]
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }
}

// === impl ServerLock ===

impl ServerLock {
    /// Takes the lock for the next server, waiting up to a second for an earlier one that is just
    /// ending.
    ///
    /// # Errors
    /// [`ServerLockError::Held`] names who is alive still; start nothing then.
    pub async fn acquire(instance: &InstanceLock) -> Result<Self, ServerLockError> {
        let _ = instance;
        unimplemented!()
    }
}

impl AsFd for ServerLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
