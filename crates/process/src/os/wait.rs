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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// This is the way of macOS; both systems run it here.
    #[tokio::test]
    async fn an_exit_is_noticed_by_sigchld_and_the_zombie_is_left_to_be_reaped() {
        for (script, expected) in [("exit 3", How::Code(3)), ("sleep 0.1; kill -9 $$", How::Signal(9))] {
            #[allow(clippy::zombie_processes, reason = "reaped by hand below, which is the point")]
            let child = Command::new("/bin/sh").args(["-c", script]).spawn().expect("a shell");
            let pid = child.id().cast_signed();
            tokio::time::timeout(Duration::from_secs(20), child_ended_by_sigchld(pid)).await.expect("noticed");
            assert!(has_ended(pid));
            assert_eq!(crate::os::entry(pid).map(|entry| entry.life), Some(crate::os::Life::Zombie));
            assert_eq!(reap(pid), (expected, Core::None));
            assert_eq!(crate::os::entry(pid), None);
            assert!(has_ended(pid), "what somebody has reaped has ended");
        }
    }
}
