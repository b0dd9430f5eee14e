//! What only the operating system can tell about processes: the one place where Linux and macOS differ.
//!
//! Everything here is a question with a plain answer; what follows from the answers is decided
//! elsewhere, and tested on Linux. The macOS half is type-checked, not run, by the project's own CI.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(crate) use linux::{boot_id, entry};

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
