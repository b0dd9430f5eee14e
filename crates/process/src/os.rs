//! What only the operating system can tell about processes: the one place where Linux and macOS differ.
//!
//! Everything here is a question with a plain answer; what follows from the answers is decided
//! elsewhere, and tested on Linux. The macOS half is type-checked by the project's own CI, not run.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(target_os = "macos", test))]
mod procargs;
pub(crate) mod wait;

use std::os::fd::RawFd;

use nix::libc;

#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Cgroup, boot_id, child_ended, command, default_signals, deliver_to_process, entry, gpu_wired_limit, lock_holders,
    machine_memory, mark_cloexec, memory_limit, memory_pressure, oom_kills, process_usage, snapshot, system_name,
    variable, vfork,
};
#[cfg(target_os = "macos")]
pub(crate) use macos::{
    Cgroup, boot_id, child_ended, command, default_signals, deliver_to_process, entry, gpu_wired_limit, lock_holders,
    machine_memory, mark_cloexec, memory_limit, memory_pressure, oom_kills, process_usage, snapshot, system_name,
    variable, vfork,
};

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pid: i32,
    pub(crate) ppid: i32,
    pub(crate) pgid: i32,
    pub(crate) start_time: u64,
    pub(crate) life: Life,
}

/// Whether a process can still do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Zombie,
}

/// What is known about a process that seems to hold a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each system can tell one of the two")]
pub(crate) enum Holding {
    /// It has the very descriptor on which the lock was taken: it inherited it.
    Shares,
    /// It has the file open; whether it has the lock cannot be told.
    Opens,
}

/// The fallback of [`mark_cloexec`]: one by one. Async-signal-safe.
pub(crate) fn mark_each_cloexec(first: RawFd) {
    /// Beyond this, looking costs more than a stray descriptor is worth.
    const LAST: RawFd = 65_536;
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .ok()
        .and_then(|(soft, _)| RawFd::try_from(soft).ok())
        .unwrap_or(LAST);
    for fd in first..limit.min(LAST) {
        // SAFETY: plain system calls on a number; a closed descriptor answers EBADF.
        #[allow(unsafe_code, reason = "nix wants a borrowed descriptor, which a number that may be closed is not")]
        unsafe {
            let flags = libc::fcntl(fd, libc::F_GETFD);
            if flags >= 0 {
                libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC);
            }
        }
    }
}
