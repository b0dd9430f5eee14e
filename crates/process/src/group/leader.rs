//! Our child, and through it the group: alive, or a zombie that keeps the group's number for us.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::exit::{Core, How};
use crate::identity::Identity;
use crate::os::{self, Cgroup, Entry, Life};
use crate::signal::{Killer, Signal};

/// How long a dying runtime may be held up by a group that does not end.
const LAST_RESORT: Duration = Duration::from_secs(2);

/// The leader of a group, until it is reaped. **Drop** without [`Leader::reap`] kills the group and
/// reaps it, blocking for up to 2 s: the last resort when a runtime is shut down or a task panics.
pub(super) struct Leader {
    identity: Identity,
    killer: Arc<dyn Killer>,
    cgroup: Option<Arc<Cgroup>>,
    reaped: bool,
}

// === impl Leader ===

impl Leader {
    pub(super) fn new(identity: Identity, killer: Arc<dyn Killer>, cgroup: Option<Arc<Cgroup>>) -> Self {
        Self { identity, killer, cgroup, reaped: false }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Signals the group. Its number is its own for as long as we have not reaped the leader, so
    /// there is nothing to check first; that nobody is there any more is no error.
    pub(super) fn signal(&self, signal: Signal) {
        if self.reaped {
            return;
        }
        if let Err(refused) = self.killer.signal_group(&self.identity, signal) {
            tracing::debug!(group = self.identity.pid, ?signal, %refused, "no signal sent");
        }
        if signal == Signal::Kill
            && let Some(cgroup) = &self.cgroup
        {
            cgroup.kill();
        }
    }

    /// The members of the group, and of its control group, that can still do something.
    pub(super) fn living<'a>(&'a self, table: &'a [Entry]) -> impl Iterator<Item = i32> + 'a {
        let inside = self.cgroup.as_ref().map(|cgroup| cgroup.members()).unwrap_or_default();
        table
            .iter()
            .filter(move |entry| entry.pgid == self.identity.pid || inside.contains(&entry.pid))
            .filter(|entry| entry.life == Life::Alive)
            .map(|entry| entry.pid)
    }

    /// Collects the leader, which has ended. The group's number is free for others from here on.
    pub(super) fn reap(&mut self) -> (How, Core) {
        self.reaped = true;
        os::wait::reap(self.identity.pid)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            self.signal(Signal::Kill);
            if os::wait::has_ended(self.identity.pid) && self.living(&os::snapshot()).next().is_none() {
                break;
            }
            if started.elapsed() >= LAST_RESORT {
                tracing::error!(group = self.identity.pid, "a process group did not end; it is left behind");
                break;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        self.reap();
    }
}
