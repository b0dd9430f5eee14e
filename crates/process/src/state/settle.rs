//! Before the first start: is there a server whose supervisor died, and how does it end?

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::directory::StateError;
use super::lock::{InstanceLock, SERVER_LOCK, ServerLock, holders};
use super::record::Record;
use crate::exit::Survivor;
use crate::launch::Grace;
use crate::marks::Marks;
use crate::orphan::{self, GroupNumber, Orphan, Outcome};

/// How long the lock may take to become free after the last process that we know of has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// No earlier server is alive.
    Nothing,
    /// There was one, certainly ours; it has been ended (TERM, CONT, grace, KILL).
    Ended {
        /// Who was ended: the recorded group, and whoever bore its marks.
        processes: Vec<Survivor>,
    },
    /// Somebody holds the server lock who is not certainly ours, or could not be ended. No signal was
    /// sent to a process that is not certainly ours. Start nothing.
    Held {
        /// Who, as far as we can see.
        holders: Vec<Survivor>,
    },
}

/// Ends the server that an earlier supervisor of this instance left behind, if there is one.
///
/// Certain is: a process that shares the inherited server lock (Linux), the recorded process with the
/// very same start time in this very boot together with its group, a process with the recorded nonce
/// in its environment. Nobody else is ever signalled. The record is removed once nothing is left.
///
/// An orphan is always ended, never adopted: its output pipes broke when its supervisor died, so
/// that it fails at its next line, and its exit code would be lost (docs/adr/0034).
///
/// Takes at most `grace` plus a few seconds. Dropping the future does not stop it.
///
/// # Errors
/// [`StateError`].
pub async fn settle_orphan(instance: &InstanceLock, grace: Grace) -> Result<Settled, StateError> {
    let dir = instance.dir();
    let record = Record::read(dir)?;
    let lock = dir.file(SERVER_LOCK);
    let orphan = Orphan {
        leader: record.as_ref().map(|record| record.server.clone()),
        marks: Marks { nonce: record.map(|record| record.nonce), lock: Some(lock.clone()) },
        number: GroupNumber::MayBeReused,
        grace,
    };
    let Outcome { found, left } = spawn_blocking(move || orphan::end(&[orphan])).await.unwrap_or_default();
    if !left.is_empty() {
        return Ok(Settled::Held { holders: left });
    }
    let patience = Instant::now() + PATIENCE;
    while ServerLock::try_acquire(dir)?.is_none() {
        if Instant::now() >= patience {
            return Ok(Settled::Held { holders: holders(&lock) });
        }
        sleep(Duration::from_millis(20)).await;
    }
    Record::remove(dir)?;
    Ok(if found.is_empty() { Settled::Nothing } else { Settled::Ended { processes: found } })
}
