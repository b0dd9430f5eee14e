//! Noticing that a child has ended without reaping it, and reaping it.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Core, How};

/// Between two looks where no notice is to be had.
const RECHECK: Duration = Duration::from_millis(200);

/// Whether our child has ended; leaves it a zombie. True as well if somebody else has reaped it.
pub(crate) fn has_ended(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Ok(status) => return status.is_some(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// Resolves when our child has ended, leaving it a zombie: SIGCHLD, and a look now and then in case
/// it was lost. The way of macOS, and of Linux without pidfd.
pub(crate) async fn child_ended_by_sigchld(pid: i32) {
    let mut children = signal(SignalKind::child()).ok();
    while !has_ended(pid) {
        let notice = async {
            match &mut children {
                Some(children) => children.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = notice => {}
            () = tokio::time::sleep(RECHECK) => {}
        }
    }
}

/// Collects a child that has ended: from here on its pid may be given to somebody else.
pub(crate) fn reap(pid: i32) -> (How, Core) {
    loop {
        return match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => (How::Code(code), Core::None),
            Ok(WaitStatus::Signaled(_, signal, true)) => (How::Signal(signal as i32), Core::Dumped),
            Ok(WaitStatus::Signaled(_, signal, false)) => (How::Signal(signal as i32), Core::None),
            Err(Errno::EINTR) => continue,
            // A real-time signal has no name in nix; somebody else may have reaped the child.
            Ok(_) | Err(_) => (How::Unknown, Core::None),
        };
    }
}
