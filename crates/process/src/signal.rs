//! The only door through which this program sends a signal.
//!
//! Whoever wants to signal something names it by [`Identity`]; a bare number is not accepted. The
//! door stays shut for pid ≤ 1 (`kill(-1)` is *everybody*), for ourselves and our own group, and
//! for an identity whose pid belongs to somebody else by now.

use std::fmt;

use nix::errno::Errno;
use nix::sys::signal as sys;
use nix::unistd::{Pid, getpgrp, getpid};

use crate::identity::{Identity, Presence};
use crate::os;

/// The signals this program has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Please end.
    Term,
    /// End now; cannot be ignored.
    Kill,
    /// Run again after a stop.
    Continue,
    /// Freeze; cannot be ignored. For tests of frozen servers.
    Stop,
    /// As if from the terminal.
    Interrupt,
    /// Abort with SIGABRT. For tests.
    Abort,
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Every process of the group led by this one.
    Group(&'a Identity),
    /// This process alone.
    Process(&'a Identity),
}

/// Why no signal was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// pid ≤ 1, our own pid, or our own group.
    #[error("refusing to signal pid {0}: it is init, everybody or ourselves")]
    Protected(i32),
    /// The pid has gone to another process since.
    #[error("refusing to signal pid {0}: it belongs to another process now")]
    Stranger(i32),
    /// There is nobody to signal.
    #[error("no process {0}")]
    Nobody(i32),
    /// The system does not let us.
    #[error("not permitted to signal pid {0}")]
    NotPermitted(i32),
    /// Anything else the system had to say.
    #[error("signalling pid {0} failed: {1}")]
    Failed(i32, Errno),
}

/// Sends signals for a [`crate::ProcessGroup`]; replaced in tests by one that "sends" in vain.
pub trait Killer: Send + Sync + fmt::Debug {
    /// Sends `signal` to the whole group of `leader`, whose pid cannot have been reused (the caller
    /// has not reaped it).
    ///
    /// # Errors
    /// As [`send`].
    fn signal_group(&self, leader: &Identity, signal: Signal) -> Result<(), Refused>;
}

/// The real thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

/// Sends `signal` to `target`, or says why not. The identity is checked immediately before.
///
/// # Errors
/// [`Refused`]; nothing was sent then.
pub fn send(target: Target<'_>, signal: Signal) -> Result<(), Refused> {
    let (Target::Group(identity) | Target::Process(identity)) = target;
    let pid = identity.pid;
    match identity.presence() {
        Presence::Alive | Presence::Zombie => deliver(target, signal),
        Presence::Reused => Err(Refused::Stranger(pid)),
        Presence::Gone => Err(Refused::Nobody(pid)),
    }
}

/// Sends `signal`; `target`'s pid is known to be its own, or checked below where that can be done
/// without a gap.
pub(crate) fn deliver(target: Target<'_>, signal: Signal) -> Result<(), Refused> {
    let (Target::Group(identity) | Target::Process(identity)) = target;
    refuse_protected(identity.pid)?;
    match target {
        Target::Group(leader) => sorted(leader.pid, sys::killpg(Pid::from_raw(leader.pid), signal.number())),
        Target::Process(process) => os::deliver_to_process(process, signal),
    }
}

/// By bare number, for [`os::deliver_to_process`] where the system has nothing better.
pub(crate) fn deliver_by_number(pid: i32, signal: Signal) -> Result<(), Refused> {
    refuse_protected(pid)?;
    sorted(pid, sys::kill(Pid::from_raw(pid), signal.number()))
}

fn refuse_protected(pid: i32) -> Result<(), Refused> {
    if pid <= 1 || pid == getpid().as_raw() || pid == getpgrp().as_raw() {
        return Err(Refused::Protected(pid));
    }
    Ok(())
}

fn sorted(pid: i32, sent: Result<(), Errno>) -> Result<(), Refused> {
    match sent {
        Ok(()) => Ok(()),
        Err(Errno::ESRCH) => Err(Refused::Nobody(pid)),
        // macOS answers EPERM for a group of zombies only; the caller looks at the members anyway.
        Err(Errno::EPERM) => Err(Refused::NotPermitted(pid)),
        Err(other) => Err(Refused::Failed(pid, other)),
    }
}

/// The usual name of a signal: `SIGKILL`, or `signal 64` where it has none.
#[must_use]
pub fn signal_name(number: i32) -> String {
    sys::Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |s| s.as_str().to_owned())
}

// === impl Signal ===

impl Signal {
    pub(crate) fn number(self) -> sys::Signal {
        match self {
            Self::Term => sys::Signal::SIGTERM,
            Self::Kill => sys::Signal::SIGKILL,
            Self::Continue => sys::Signal::SIGCONT,
            Self::Stop => sys::Signal::SIGSTOP,
            Self::Interrupt => sys::Signal::SIGINT,
            Self::Abort => sys::Signal::SIGABRT,
        }
    }
}

// === impl System ===

impl Killer for System {
    fn signal_group(&self, leader: &Identity, signal: Signal) -> Result<(), Refused> {
        deliver(Target::Group(leader), signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pid(pid: i32) -> Identity {
        Identity { pid, ..Identity::own() }
    }

    #[test]
    fn nobody_can_signal_everybody_init_or_ourselves() {
        for pid in [i32::MIN, -1, 0, 1, getpid().as_raw(), getpgrp().as_raw()] {
            let who = with_pid(pid);
            assert_eq!(deliver(Target::Process(&who), Signal::Continue), Err(Refused::Protected(pid)));
            assert_eq!(deliver(Target::Group(&who), Signal::Continue), Err(Refused::Protected(pid)));
        }
    }

    #[test]
    fn a_pid_that_went_to_another_process_is_refused() {
        // The parent of this test is alive, but it did not start when this identity says.
        let parent = nix::unistd::getppid().as_raw();
        let mut stale = Identity::of(parent).expect("the parent is alive");
        stale.start_time = stale.start_time.wrapping_add(7);
        assert_eq!(send(Target::Process(&stale), Signal::Kill), Err(Refused::Stranger(parent)));
        assert_eq!(send(Target::Group(&stale), Signal::Kill), Err(Refused::Stranger(parent)));
    }

    #[test]
    fn signals_have_their_usual_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(6), "SIGABRT");
        assert_eq!(signal_name(64), "signal 64");
    }
}
