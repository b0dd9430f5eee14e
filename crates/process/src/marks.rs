//! By what a descendant of a life is recognised, wherever it has gone: the mark in its environment, and
//! the lock that it inherited. Both are certain; neither can be had by accident.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::exit::Survivor;
use crate::identity::Identity;
use crate::launch::NONCE_VARIABLE;
use crate::os::{self, Entry, Holding, Life};
use crate::output::escape_short;

/// The longest command line that is shown.
const COMMAND: usize = 200;

/// The marks of one life, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// The value of [`NONCE_VARIABLE`].
    pub(crate) nonce: Option<String>,
    /// The file of the inherited lock.
    pub(crate) lock: Option<PathBuf>,
}

// === impl Marks ===

impl Marks {
    /// Everybody alive in `table` who started at `since` or later and bears one of the marks.
    pub(crate) fn bearers(&self, since: u64, table: &[Entry]) -> Vec<Identity> {
        let sharers = self.lock.as_deref().map(sharers).unwrap_or_default();
        let us = nix::unistd::getpid().as_raw();
        table
            .iter()
            .filter(|entry| entry.life == Life::Alive && entry.start_time >= since && entry.pid != us)
            .filter(|entry| {
                // Between fork and exec our own children share all our descriptors, but not this
                // variable: it is in no environment of ours.
                let shares = entry.ppid != us && sharers.contains(&entry.pid);
                shares || self.is_in_environment_of(entry.pid)
            })
            .map(|entry| Identity::from(*entry))
            .collect()
    }

    fn is_in_environment_of(&self, pid: i32) -> bool {
        self.nonce.is_some() && os::variable(pid, NONCE_VARIABLE) == self.nonce
    }
}

/// Whether anybody holds the lock.
pub(crate) fn is_locked(lock: &Path) -> bool {
    // A file that is not there, or not for us to open, is locked by nobody we could know of.
    File::open(lock).is_ok_and(|file| file.try_lock_shared().is_err())
}

/// Who holds the lock for certain. Looked for only when it is not free, because the search reads the
/// descriptors of every process.
fn sharers(lock: &Path) -> Vec<i32> {
    if !is_locked(lock) {
        return Vec::new();
    }
    os::lock_holders(lock)
        .into_iter()
        .filter_map(|(pid, holding)| match holding {
            Holding::Shares => Some(pid),
            Holding::Opens => None,
        })
        .collect()
}

/// Names a process for people.
pub(crate) fn survivor(pid: i32) -> Survivor {
    Survivor { pid, command: escape_short(&os::command(pid).unwrap_or_default(), COMMAND) }
}
