//! Who a process is, beyond a number that the system may give to somebody else.

use std::fmt;
use std::str::FromStr;

use crate::{clock, os};

/// One incarnation of a process: a pid, when it started, and in which boot.
///
/// A pid alone names whoever has it now. The three together name one process for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id; for a group's leader also the id of the group.
    pub pid: i32,
    /// When it started: clock ticks since boot on Linux, microseconds since 1970 on macOS. Only to
    /// be compared for equality, or for order within one boot.
    pub start_time: u64,
    /// See [`clock::boot_id`].
    pub boot_id: String,
}

/// What became of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The very same process is there and not a zombie.
    Alive,
    /// It has ended and waits to be reaped. Its pid is still its own.
    Zombie,
    /// No process has this pid.
    Gone,
    /// Another process has this pid now (or the identity is of another boot).
    Reused,
}

/// The text is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a process identity: expected `pid:start_time:boot_id`")]
pub struct NotAnIdentity;

// === impl Identity ===

impl Identity {
    /// The identity of the process that has `pid` now, zombies included; `None` when there is none.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        os::entry(pid).map(Self::from)
    }

    /// Our own identity.
    #[must_use]
    pub fn own() -> Self {
        let pid = nix::unistd::getpid().as_raw();
        Self::of(pid).unwrap_or_else(|| Self { pid, start_time: 0, boot_id: clock::boot_id().to_owned() })
    }

    /// What became of this process. Never a guess: a pid in use by another process is
    /// [`Presence::Reused`], and a zombie is not alive (which `kill(pid, 0)` would claim).
    #[must_use]
    pub fn presence(&self) -> Presence {
        if self.boot_id != clock::boot_id() {
            return Presence::Reused;
        }
        match os::entry(self.pid) {
            None => Presence::Gone,
            Some(entry) if entry.start_time != self.start_time => Presence::Reused,
            Some(entry) => match entry.life {
                os::Life::Alive => Presence::Alive,
                os::Life::Zombie => Presence::Zombie,
            },
        }
    }
}

impl From<os::Entry> for Identity {
    fn from(entry: os::Entry) -> Self {
        Self { pid: entry.pid, start_time: entry.start_time, boot_id: clock::boot_id().to_owned() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.start_time, self.boot_id)
    }
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or(NotAnIdentity);
        let pid = next()?.parse().map_err(|_| NotAnIdentity)?;
        let start_time = next()?.parse().map_err(|_| NotAnIdentity)?;
        let boot_id = next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if pid <= 0 || boot_id.is_empty() || !boot_id.chars().all(plain) {
            return Err(NotAnIdentity);
        }
        Ok(Self { pid, start_time, boot_id: boot_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_being_written_down() {
        let own = Identity::own();
        assert_eq!(own.to_string().parse(), Ok(own.clone()));
        assert_eq!(own.presence(), Presence::Alive);
        for bad in ["", "1", "1:2", "0:1:b", "-4:1:b", "x:1:b", "1:2:", "1:2:a b"] {
            assert_eq!(bad.parse::<Identity>(), Err(NotAnIdentity), "{bad:?}");
        }
    }

    #[test]
    fn the_same_pid_with_another_start_or_boot_is_somebody_else() {
        let mut later = Identity::own();
        later.start_time += 1;
        assert_eq!(later.presence(), Presence::Reused);
        let mut boot = Identity::own();
        boot.boot_id = "another".to_owned();
        assert_eq!(boot.presence(), Presence::Reused);
    }
}
