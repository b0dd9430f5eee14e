//! How much memory and processor time a whole group uses.

use std::io;
use std::time::Duration;

use crate::identity::Identity;

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

/// What the group of `leader` uses now. Runs off the runtime's threads: with a large model, the
/// kernel may take tens of milliseconds to add up its pages.
///
/// # Errors
/// The process table could not be read. A group that is gone uses nothing.
pub async fn of_group(leader: &Identity) -> io::Result<Usage> {
    let _ = leader;
    unimplemented!()
}
