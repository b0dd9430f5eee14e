//! Who shares a file lock: the processes that inherited the descriptor it was taken on.

use std::fs;
use std::path::Path;

use super::super::Holding;

/// The processes that hold the `flock` on `path`, as far as we may look (those of our own user).
/// `/proc/locks` would name only who took the lock, which is whoever started them.
pub(crate) fn lock_holders(path: &Path) -> Vec<(i32, Holding)> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|dir| dir.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| shares(*pid, &path))
        .map(|pid| (pid, Holding::Shares))
        .collect()
}

fn shares(pid: i32, path: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        // The link is read, not followed: a stat of some other file could hang in a dead mount.
        let is_the_file = fs::read_link(descriptor.path()).is_ok_and(|target| target == path);
        is_the_file && has_flock(pid, &descriptor.file_name().to_string_lossy())
    })
}

/// `fdinfo` lists the locks of this very open file, not of others on the same path.
fn has_flock(pid: i32, descriptor: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}"))
        .is_ok_and(|info| info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")))
}
