//! The handle to a running process group: wishes go in, the exit comes out.

mod ending;
mod leader;
mod owner;
mod spawn;
mod sweep;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::owner::{Held, Wish};
use crate::exit::Exit;
use crate::identity::Identity;
use crate::launch::{Grace, Launch, SpawnError};
use crate::output::{OutputLines, Tail};

/// A running process group. Clones are handles to the same group.
///
/// **Drop**: when the last handle goes, the group is stopped in the background (TERM, CONT, the
/// launch's `drop_grace`, KILL); nothing is awaited, and [`ProcessGroup::exited`] futures still
/// resolve. Requires a tokio runtime with I/O and time enabled (and a clock that is not paused: real
/// processes take real time); if the runtime is shut down, the group is killed on the spot.
#[derive(Clone)]
pub struct ProcessGroup {
    inner: Arc<Inner>,
}

struct Inner {
    identity: Identity,
    nonce: String,
    wishes: mpsc::UnboundedSender<Wish>,
    condition: watch::Receiver<Condition>,
    output: OutputLines,
    tail: Tail,
    held: Held,
}

/// Where a group is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nobody has asked it to end.
    Running,
    /// TERM was sent; its grace runs.
    Stopping,
    /// KILL was sent.
    Killing,
    /// It did not end within 5 s of KILL. The group is still there, and still waited for.
    Stuck(Stuck),
    /// It is gone and reaped.
    Gone(Exit),
}

/// A group that KILL does not end: it hangs in the kernel (a driver, a dead network mount).
/// Nothing a program can do; a human is needed. What is [held](Launch::hold) stays held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pid {pid} is still there {} s after KILL: it hangs in the kernel", since_kill.as_secs())]
pub struct Stuck {
    /// The leader.
    pub pid: i32,
    /// How long ago KILL was first sent.
    pub since_kill: Duration,
}

// === impl ProcessGroup ===

impl ProcessGroup {
    /// Starts the program as the leader of a new process group.
    ///
    /// The child gets: standard input from `/dev/null`; output into pipes that are always read; no
    /// other descriptor but the lock; default signal dispositions and an empty signal mask; no core
    /// dumps; exactly the environment of the launch plus [`crate::launch::NONCE_VARIABLE`]. Returns when the
    /// program has been executed (a few milliseconds; not cancellable).
    ///
    /// # Errors
    /// [`SpawnError`]; nothing runs then, and held values have been dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(launch: Launch) -> Result<Self, SpawnError> {
        spawn::spawn(launch)
    }

    /// The leader. Its pid is the id of the group.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The random mark that all descendants of this life carry in their environment; write it into
    /// the [`crate::state::Record`].
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.inner.nonce
    }

    /// Resolves when the *whole* group is gone, the leader has been reaped and held values have
    /// been dropped. Any number may wait; the future does not keep the handle alive and may be
    /// dropped at any time. A stuck group does not resolve it: see [`ProcessGroup::condition`].
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut condition = self.condition();
        async move {
            loop {
                if let Condition::Gone(exit) = &*condition.borrow_and_update() {
                    return exit.clone();
                }
                if condition.changed().await.is_err() {
                    // The owner task was dropped or panicked; its leader's drop has killed the group.
                    return Exit::by_last_resort();
                }
            }
        }
    }

    /// The exit, if it has happened.
    #[must_use]
    pub fn try_exited(&self) -> Option<Exit> {
        match &*self.inner.condition.borrow() {
            Condition::Gone(exit) => Some(exit.clone()),
            Condition::Running | Condition::Stopping | Condition::Killing | Condition::Stuck(_) => None,
        }
    }

    /// Asks the group to end: TERM to all of it, CONT after it (a frozen process would sit out its
    /// grace), then KILL when `grace` has passed.
    ///
    /// The wish is sent by the call, not by the first poll, and dropping the future does not take
    /// it back. A second stop joins the first; the earlier of the two deadlines counts.
    ///
    /// # Errors
    /// [`Stuck`] when the group is still there 5 s after KILL. It goes on being waited for.
    pub fn stop(&self, grace: Grace) -> impl Future<Output = Result<Exit, Stuck>> + Send + 'static {
        self.wish(Wish::Stop(grace));
        let (exited, mut condition) = (self.exited(), self.condition());
        async move {
            let stuck = async {
                loop {
                    if let Condition::Stuck(stuck) = &*condition.borrow_and_update() {
                        return stuck.clone();
                    }
                    if condition.changed().await.is_err() {
                        // It has ended, and so has its owner: the other branch knows how.
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                biased;
                exit = exited => Ok(exit),
                stuck = stuck => Err(stuck),
            }
        }
    }

    /// Sends KILL to the group now, stop or no stop. Await [`ProcessGroup::exited`] for the end.
    pub fn kill(&self) {
        self.wish(Wish::Kill);
    }

    /// Where the group is in its life; the last value is [`Condition::Gone`].
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.inner.condition.clone()
    }

    /// Keeps `value` until the group is gone and reaped; drops it at once if that has happened.
    pub fn hold(&self, value: Box<dyn Any + Send>) {
        let mut held = self.inner.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => held.push(value),
            None => {
                drop(held);
                drop(value);
            }
        }
    }

    /// The lines that the group writes, standard output and error together, in the order in which
    /// we read them. Handles compete for lines: have one reader.
    #[must_use]
    pub fn output(&self) -> OutputLines {
        self.inner.output.clone()
    }

    /// The last 64 KiB of standard error of this life; stays readable after the exit.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.inner.tail.clone()
    }

    fn wish(&self, wish: Wish) {
        // Nobody receives once the group is gone, and then there is nothing left to wish for.
        let _ = self.inner.wishes.send(wish);
    }
}

impl fmt::Debug for ProcessGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessGroup")
            .field("identity", &self.inner.identity)
            .field("condition", &*self.inner.condition.borrow())
            .finish_non_exhaustive()
    }
}
