//! Before the first start: is there a server whose supervisor died, and how does it end?

use super::directory::StateError;
use super::lock::InstanceLock;
use crate::exit::Survivor;
use crate::identity::Identity;
use crate::launch::Grace;

/// What was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// No earlier server is alive.
    Nothing,
    /// There was one, certainly ours; it has been ended (TERM, CONT, grace, KILL).
    Ended {
        /// Who was ended: the recorded leader where it was alive, and whoever held the lock.
        processes: Vec<Survivor>,
    },
    /// Somebody holds the server lock who is not certainly ours, or could not be ended. No signal was sent to a
    /// process that is not certainly ours. Start nothing.
    Held {
        /// Who, as far as we can see.
        holders: Vec<Survivor>,
    },
}

/// Ends the server that an earlier supervisor of this instance left behind, if there is one.
///
/// Certain is: a process that shares the inherited server lock (Linux), the recorded process with the
/// very same start time in this very boot, a process with the recorded nonce in its environment.
/// Nobody else is ever signalled. The record is removed once nothing is left.
///
/// Takes at most `grace` plus a few seconds.
///
/// # Errors
/// [`StateError`].
pub async fn settle_orphan(instance: &InstanceLock, grace: Grace) -> Result<Settled, StateError> {
    let _ = (instance, grace, None::<Identity>);
    unimplemented!()
}
