//! Linux: `/proc`, pidfd, close_range, control groups.

mod cgroup;
mod locks;
mod memory;
mod table;
mod vfork;

pub(crate) use self::cgroup::Cgroup;
pub(crate) use self::locks::lock_holders;
pub(crate) use self::memory::{
    gpu_wired_limit, machine_memory, memory_limit, memory_pressure, oom_kills, process_usage, system_name,
};
pub(crate) use self::table::{command, entry, snapshot, variable};
pub(crate) use self::vfork::vfork;

use std::fs;
use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::wait::{child_ended_by_sigchld, has_ended};
use crate::identity::{Identity, Presence};
use crate::signal::{Refused, Signal};

/// See [`crate::clock::boot_id`].
pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Resolves when our child has ended, leaving it a zombie.
pub(crate) async fn child_ended(pid: i32) {
    // SAFETY: the descriptor is open, and owned by the `AsyncFd` from here on.
    #[allow(unsafe_code, reason = "registering a descriptor is unsafe in tokio, whoever owns it")]
    let watched = pidfd(pid).and_then(|fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.ok());
    let Some(watched) = watched else {
        return child_ended_by_sigchld(pid).await;
    };
    while !has_ended(pid) {
        match watched.readable().await {
            Ok(mut ready) => {
                if !has_ended(pid) {
                    ready.clear_ready();
                }
            }
            Err(_) => return child_ended_by_sigchld(pid).await,
        }
    }
}

/// Signals one process through its pidfd, so that not even a pid reused within the last microsecond
/// can be hit.
pub(crate) fn deliver_to_process(identity: &Identity, signal: Signal) -> Result<(), Refused> {
    let pid = identity.pid;
    let Some(fd) = pidfd(pid) else {
        return crate::signal::deliver_by_number(pid, signal);
    };
    // Only now: the descriptor and the table entry are of the same process if the entry still fits.
    match identity.presence() {
        Presence::Alive | Presence::Zombie => {}
        Presence::Reused => return Err(Refused::Stranger(pid)),
        Presence::Gone => return Err(Refused::Nobody(pid)),
    }
    pidfd_send_signal(&fd, raw_signal(signal)).map_err(|error| match error {
        rustix::io::Errno::SRCH => Refused::Nobody(pid),
        rustix::io::Errno::PERM => Refused::NotPermitted(pid),
        other => Refused::Failed(pid, Errno::from_raw(other.raw_os_error())),
    })
}

/// Marks every descriptor ≥ 3 close-on-exec. Async-signal-safe: runs between fork and exec.
pub(crate) fn mark_cloexec() {
    const FIRST: RawFd = 3;
    // SAFETY: a plain system call on numbers; it touches no memory of ours.
    #[allow(unsafe_code, reason = "close_range with CLOEXEC is in no safe wrapper that we use")]
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done != 0 {
        // Before Linux 5.11, or forbidden by a seccomp filter.
        super::mark_each_cloexec(FIRST);
    }
}

/// Gives every signal its default disposition. Async-signal-safe: runs between fork and exec.
///
/// By bare system call: the C library refuses to touch the two signals that it keeps for itself, but
/// whoever started us may have ignored those as well.
pub(crate) fn default_signals() {
    const LAST: libc::c_int = 64;
    const SET_SIZE: usize = size_of::<u64>();
    // The kernel's structure (handler, flags, restorer, mask), all zero: SIG_DFL.
    let default = [0_u64; 4];
    for signal in 1..=LAST {
        // SAFETY: the kernel reads no more than the array has, and nobody is told the old handler.
        #[allow(unsafe_code, reason = "there is no wrapper for the bare call")]
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), SET_SIZE);
        }
    }
}

fn pidfd(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn raw_signal(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
        Signal::Continue => rustix::process::Signal::CONT,
        Signal::Stop => rustix::process::Signal::STOP,
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Abort => rustix::process::Signal::ABORT,
    }
}
