//! How a process group ended: as a value, and in words.

use std::fmt;
use std::time::Duration;

use crate::signal::signal_name;

/// The end of one life of a process group. There is exactly one per [`crate::ProcessGroup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// What the operating system says about the leader.
    pub how: How,
    /// Whether the end had been asked for, and how firmly, when it came.
    pub asked: Asked,
    /// Whether the leader dumped core (never, unless it raised its own limit again).
    pub core: Core,
    /// From the spawn until the exit was noticed.
    pub lived: Duration,
    /// Processes that descend from this life and outlived it despite KILL: known by group,
    /// inherited lock, environment mark or cgroup. Empty in every ordinary case.
    pub survivors: Vec<Survivor>,
}

/// What the operating system says about the leader's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// It returned or called `exit`.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Somebody else collected the status; that it ended is certain, how is not.
    Unknown,
}

/// How firmly the end had been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// Nobody asked: whatever the status, this was not planned.
    No,
    /// A stop was under way, within its grace.
    Stop,
    /// KILL had been sent: the grace had passed, or a kill was asked for.
    Kill,
}

/// Whether there is a core dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Core {
    /// None.
    None,
    /// The system says that one was written.
    Dumped,
}

/// A process that outlived the group it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// Its command line, escaped and shortened; empty when it could not be read.
    pub command: String,
}

// === impl Exit ===

impl Exit {
    /// A planned end: somebody had asked for it.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.asked != Asked::No
    }

    /// The group was killed because its owner went away; nobody saw more.
    pub(crate) fn by_last_resort() -> Self {
        Self { how: How::Unknown, asked: Asked::Kill, core: Core::None, lived: Duration::ZERO, survivors: Vec::new() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.how.fmt(f)?;
        match self.core {
            Core::None => {}
            Core::Dumped => f.write_str(" (core dumped)")?,
        }
        write!(f, " after {}", Words(self.lived))?;
        match self.asked {
            Asked::No => {}
            Asked::Stop => f.write_str(", as asked")?,
            Asked::Kill => f.write_str(", killed as asked")?,
        }
        if !self.survivors.is_empty() {
            let names: Vec<String> = self.survivors.iter().map(ToString::to_string).collect();
            write!(f, "; left behind: {}", names.join(", "))?;
        }
        Ok(())
    }
}

// === impl How ===

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(number) => write!(f, "ended by {}", signal_name(*number)),
            Self::Unknown => f.write_str("ended in an unknown way"),
        }
    }
}

// === impl Survivor ===

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command.is_empty() {
            write!(f, "pid {}", self.pid)
        } else {
            write!(f, "pid {} ({})", self.pid, self.command)
        }
    }
}

/// A duration as people say it: `1.2 s`, `350 ms`.
struct Words(Duration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(how: How, asked: Asked) -> Exit {
        Exit { how, asked, core: Core::None, lived: Duration::from_millis(1500), survivors: Vec::new() }
    }

    #[test]
    fn an_exit_reads_as_a_sentence() {
        assert_eq!(exit(How::Code(1), Asked::No).to_string(), "exited with code 1 after 1.5 s");
        assert_eq!(exit(How::Signal(15), Asked::Stop).to_string(), "ended by SIGTERM after 1.5 s, as asked");
        let mut left = exit(How::Signal(9), Asked::Kill);
        left.lived = Duration::from_millis(20);
        left.survivors.push(Survivor { pid: 42, command: "sleep 9".into() });
        assert_eq!(left.to_string(), "ended by SIGKILL after 20 ms, killed as asked; left behind: pid 42 (sleep 9)");
    }
}
