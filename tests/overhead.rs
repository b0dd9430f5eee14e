//! What the overhead bench is made of: a server, a load, those who stand between them, and a table.

#![allow(unreachable_pub, reason = "modules of one program")]

pub mod contestants;
pub mod load;
pub mod measure;
pub mod report;
pub mod upstream;

/// The clock that all processes of this machine share, in nanoseconds.
pub fn clock() -> u64 {
    let now = mlx_tree_process::clock::since_boot();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
