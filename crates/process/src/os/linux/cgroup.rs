//! A control group for one life: nothing that is started inside can leave it, and one write ends it.
//!
//! Only `cgroup.kill`, `cgroup.events` and the list of members are used; no controller is switched on, so a plain
//! directory of ours below our own group is enough. Best effort: `None` wherever that is not allowed.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

/// The control group of one life. Drop removes the directory if it is empty.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

// === impl Cgroup ===

impl Cgroup {
    /// Makes one below our own group.
    pub(crate) fn make() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = own_group()?;
        if number == 0 {
            remove_leftovers(&own);
        }
        let path = own.join(format!("mlx-tree-{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        // From here on dropped, and so removed, if it is of no use.
        let made = Self { path };
        made.path.join("cgroup.kill").exists().then_some(made)
    }

    /// For a child that is to be born inside.
    pub(crate) fn directory(&self) -> Option<OwnedFd> {
        fs::File::open(&self.path).ok().map(OwnedFd::from)
    }

    /// Brings a process inside that was born outside; what it starts from then on is born inside. Blocks for about 14 ms
    /// (the kernel waits for an RCU grace period), which is why it is not done between fork and exec.
    pub(crate) fn adopt(&self, pid: i32) {
        let _ = fs::write(self.path.join("cgroup.procs"), pid.to_string());
    }

    /// KILL to everybody inside, atomically: what forks meanwhile is killed too.
    pub(crate) fn kill(&self) {
        // The write would wait for whoever changes any control group just now, if only to kill nobody.
        if self.is_populated() {
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
        }
    }

    /// Who is inside and not dead yet.
    pub(crate) fn members(&self) -> Vec<i32> {
        if !self.is_populated() {
            return Vec::new();
        }
        fs::read_to_string(self.path.join("cgroup.procs"))
            .map(|list| list.lines().filter_map(|line| line.parse().ok()).collect())
            .unwrap_or_default()
    }

    /// Whether anybody inside is not dead yet: the kernel's own count, right at any moment. Yes when it does not tell.
    fn is_populated(&self) -> bool {
        !fs::read_to_string(self.path.join("cgroup.events")).is_ok_and(|events| events.contains("populated 0"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that is dead already may take the kernel another moment to leave.
        for _ in 0..10 {
            match fs::remove_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(Duration::from_millis(1)),
                Ok(()) | Err(_) => break,
            }
        }
    }
}

/// The directory of our own group in the unified hierarchy.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(|mount| Path::new(mount).join(own))
        .find(|path| path.join("cgroup.procs").exists() && path.join("cgroup.controllers").exists())
}

/// Removes the empty groups of programs that were killed before they could. Those with somebody
/// inside cannot be removed, and those of the living are left alone.
fn remove_leftovers(own: &Path) {
    for directory in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = directory.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix("mlx-tree-")?.split_once('-'));
        if let Some((pid, _number)) = maker
            && pid.parse().is_ok_and(|pid: i32| super::table::entry(pid).is_none())
        {
            let _ = fs::remove_dir(directory.path());
        }
    }
}
