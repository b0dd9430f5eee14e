//! How much memory and processor time a whole group uses.

use std::io;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::identity::{Identity, Presence};
use crate::os::{self, Life};

/// What a group uses, summed over its living members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory in bytes: proportional set size on Linux (resident set size where that is not to be
    /// had), physical footprint on macOS, which unlike RSS includes Metal memory.
    pub memory_bytes: u64,
    /// User and system time of the living members since each started.
    pub cpu: Duration,
    /// How many living members there are.
    pub processes: u32,
}

/// What the group of `leader` uses now. Works off the runtime's threads: with a large model, the
/// kernel may take tens of milliseconds to add up its pages.
///
/// # Errors
/// The work could not be done because the runtime is shutting down. A group that is gone uses nothing.
pub async fn of_group(leader: &Identity) -> io::Result<Usage> {
    let leader = leader.clone();
    spawn_blocking(move || sum(&leader)).await.map_err(io::Error::other)
}

/// What this very process uses now, without those that it has started.
///
/// # Errors
/// As for [`of_group`], or it cannot be read.
pub async fn of_self() -> io::Result<Usage> {
    let own = || os::process_usage(i32::try_from(std::process::id()).ok()?);
    let (memory_bytes, cpu) = spawn_blocking(own).await.map_err(io::Error::other)?.ok_or(io::ErrorKind::Unsupported)?;
    Ok(Usage { memory_bytes, cpu, processes: 1 })
}

/// How many processes of our control group, and of those below it, the kernel has killed for want of memory so far.
/// A count that grew while a server died of SIGKILL is the proof of what is otherwise a suspicion.
///
/// `None` where that is not counted: on macOS, or without a memory controller.
#[must_use]
pub fn oom_kills() -> Option<u64> {
    os::oom_kills()
}

fn sum(leader: &Identity) -> Usage {
    let mut total = Usage::default();
    match leader.presence() {
        Presence::Reused => return total,
        Presence::Alive | Presence::Zombie | Presence::Gone => {}
    }
    for entry in os::snapshot() {
        let member = entry.pgid == leader.pid && entry.start_time >= leader.start_time && entry.life == Life::Alive;
        if let Some((memory, cpu)) = member.then(|| os::process_usage(entry.pid)).flatten() {
            total.memory_bytes += memory;
            total.cpu += cpu;
            total.processes += 1;
        }
    }
    total
}
