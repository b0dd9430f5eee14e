//! macOS: libproc and sysctl, declared by hand (the `libproc` crate would bring bindgen and a C++ parser).

mod ffi;

use std::convert::Infallible;
use std::ffi::c_void;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::wait::child_ended_by_sigchld;
use super::{Entry, Holding, Life, mark_each_cloexec, procargs};
use crate::identity::Identity;
use crate::machine::Memory;
use crate::signal::{Refused, Signal};

/// See [`crate::clock::boot_id`]. Unlike `kern.boottime` it does not move when the clock is set.
pub(crate) fn boot_id() -> Option<String> {
    ffi::sysctl_text(c"kern.bootsessionuuid").filter(|id| !id.is_empty())
}

/// The process with this pid, zombies included.
pub(crate) fn entry(pid: i32) -> Option<Entry> {
    let info = ffi::bsd_info(pid)?;
    let life = if info.pbi_status == nix::libc::SZOMB { Life::Zombie } else { Life::Alive };
    Some(Entry {
        pid,
        ppid: i32::try_from(info.pbi_ppid).ok()?,
        pgid: i32::try_from(info.pbi_pgid).ok()?,
        start_time: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
        life,
    })
}

/// Everybody that we may look at: the processes of our own user.
pub(crate) fn snapshot() -> Vec<Entry> {
    ffi::all_pids().into_iter().filter_map(entry).collect()
}

/// The command line, or the name.
pub(crate) fn command(pid: i32) -> Option<String> {
    match procargs::parse(&ffi::procargs(pid)?) {
        Some(args) if !args.argv.is_empty() => Some(args.argv.join(" ")),
        _ => None,
    }
}

/// The value of a variable in the environment that the process was started with.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    let args = procargs::parse(&ffi::procargs(pid)?)?;
    args.env.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// Who has the file open. Whether they share the lock, the system does not tell.
pub(crate) fn lock_holders(path: &Path) -> Vec<(i32, Holding)> {
    ffi::pids_by_path(path).into_iter().map(|pid| (pid, Holding::Opens)).collect()
}

/// Physical footprint (which includes Metal memory, as RSS does not) and processor time.
pub(crate) fn process_usage(pid: i32) -> Option<(u64, Duration)> {
    let usage = ffi::rusage(pid)?;
    Some((usage.ri_phys_footprint, ffi::mach_time(usage.ri_user_time + usage.ri_system_time)))
}

/// There is no such count here.
pub(crate) fn oom_kills() -> Option<u64> {
    None
}

/// What is available can only be guessed from `vm_stat`, so it is not said.
pub(crate) fn machine_memory() -> Option<Memory> {
    let total = ffi::sysctl_number(c"hw.memsize").filter(|total| *total > 0)?;
    Some(Memory { total, available: None, swap: None })
}

/// There are no control groups here.
pub(crate) fn memory_limit() -> Option<u64> {
    None
}

/// There is no such count here.
pub(crate) fn memory_pressure() -> Option<f64> {
    None
}

pub(crate) fn system_name() -> String {
    let version = ffi::sysctl_text(c"kern.osproductversion").unwrap_or_default();
    format!("macOS {version}").trim_end().to_owned()
}

/// In MiB, and 0 for what the system thinks best.
pub(crate) fn gpu_wired_limit() -> Option<u64> {
    ffi::sysctl_number(c"iogpu.wired_limit_mb").filter(|limit| *limit > 0).map(|limit| limit.saturating_mul(1 << 20))
}

/// Resolves when our child has ended, leaving it a zombie.
///
/// SIGCHLD and not kqueue's `NOTE_EXIT`: this way is the fallback of Linux too and so is run by tests.
pub(crate) async fn child_ended(pid: i32) {
    child_ended_by_sigchld(pid).await;
}

/// There is no handle to a process here: the identity has been checked, the rest is microseconds.
pub(crate) fn deliver_to_process(identity: &Identity, signal: Signal) -> Result<(), Refused> {
    crate::signal::deliver_by_number(identity.pid, signal)
}

/// Marks every descriptor ≥ 3 close-on-exec. Async-signal-safe: runs between fork and exec.
pub(crate) fn mark_cloexec() {
    mark_each_cloexec(3);
}

/// Gives every signal its default disposition. Async-signal-safe: runs between fork and exec.
pub(crate) fn default_signals() {
    const LAST: nix::libc::c_int = 31;
    for signal in 1..=LAST {
        // SAFETY: the default disposition runs no code of ours.
        #[allow(unsafe_code, reason = "nix marks every change of a disposition unsafe")]
        unsafe {
            nix::libc::signal(signal, nix::libc::SIG_DFL);
        }
    }
}

/// There is no such way here: the ordinary one is taken.
///
/// # Safety
/// Nothing is done.
#[allow(unsafe_code, reason = "as its namesake of Linux")]
pub(crate) unsafe fn vfork(
    _cgroup: Option<BorrowedFd<'_>>,
    _body: unsafe extern "C" fn(*const c_void) -> !,
    _argument: *const c_void,
) -> io::Result<i32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There are no control groups here; this type has no values.
#[derive(Debug)]
pub(crate) struct Cgroup(Infallible);

// === impl Cgroup ===

impl Cgroup {
    pub(crate) fn make() -> Option<Self> {
        None
    }

    pub(crate) fn directory(&self) -> Option<OwnedFd> {
        match self.0 {}
    }

    pub(crate) fn adopt(&self, _pid: i32) {
        match self.0 {}
    }

    pub(crate) fn kill(&self) {
        match self.0 {}
    }

    pub(crate) fn members(&self) -> Vec<i32> {
        match self.0 {}
    }
}
