//! Two locks that the kernel keeps for us: it forgets neither, and frees both when their holders end.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::directory::{StateDir, StateError};
use crate::exit::Survivor;
use crate::identity::Identity;
use crate::marks::survivor;
use crate::os;

const SUPERVISOR_LOCK: &str = "supervisor.lock";
pub(super) const SERVER_LOCK: &str = "server.lock";

/// How long to wait for an earlier server that is just ending, or for a child of ours that is between
/// fork and exec and shares all our descriptors for that moment.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longer than any child needs from its fork to its exec, shorter than a person notices.
const FORK_TO_EXEC: Duration = Duration::from_millis(200);

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
    #[error("another mlx-tree has this state directory{}", pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
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
    path: PathBuf,
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
    /// Becomes the supervisor of this instance, or says who is. Where somebody seems to be, it looks again for a fifth of a
    /// second: a lock that has just been released is still held by a child that another thread is starting at this moment,
    /// between its fork and its exec.
    ///
    /// # Errors
    /// [`InstanceError::Held`] names the other one.
    pub fn acquire(dir: &StateDir) -> Result<Self, InstanceError> {
        let mut file = dir.open_file(SUPERVISOR_LOCK)?;
        let io = |source| StateError::Io { path: dir.file(SUPERVISOR_LOCK), source };
        // The clock of the machine, not tokio's, which a test may have stopped.
        let patience = std::time::Instant::now() + FORK_TO_EXEC;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if std::time::Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return Err(InstanceError::Held { pid: holder(&mut file) }),
                Err(TryLockError::Error(source)) => return Err(io(source).into()),
            }
        }
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { dir: dir.clone(), _file: file })
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
        let patience = Instant::now() + PATIENCE;
        loop {
            match Self::try_acquire(instance.dir())? {
                Some(lock) => return Ok(lock),
                None if Instant::now() < patience => sleep(Duration::from_millis(10)).await,
                None => return Err(ServerLockError::Held { holders: holders(&instance.dir().file(SERVER_LOCK)) }),
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub(super) fn try_acquire(dir: &StateDir) -> Result<Option<Self>, StateError> {
        let file = dir.open_file(SERVER_LOCK)?;
        let path = dir.file(SERVER_LOCK);
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StateError::Io { path, source }),
        }
    }
}

impl ServerLock {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for ServerLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The pid that the holder wrote. It writes it just after it has locked, so a moment is given to it, which on a busy machine
/// is a long one.
fn holder(file: &mut File) -> Option<i32> {
    for _ in 0..400 {
        let mut text = String::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(32).read_to_string(&mut text));
        // An earlier holder's pid may still be there; a process that is gone holds nothing.
        let pid = text.trim().parse().ok().filter(|pid| Identity::of(*pid).is_some());
        if read.is_ok() && pid.is_some() {
            return pid;
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Who seems to have the server lock.
pub(super) fn holders(path: &Path) -> Vec<Survivor> {
    let us = nix::unistd::getpid().as_raw();
    os::lock_holders(path).into_iter().filter(|(pid, _)| *pid != us).map(|(pid, _)| survivor(pid)).collect()
}
