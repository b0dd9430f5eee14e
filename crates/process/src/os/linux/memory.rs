//! What one process uses.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// Memory in bytes (proportional where the kernel tells, resident otherwise) and processor time.
pub(crate) fn process_usage(pid: i32) -> Option<(u64, Duration)> {
    Some((proportional(pid).or_else(|| resident(pid))?, cpu(pid)?))
}

/// The line `oom_kill <count>` of our own control group: `memory.events` (v2) counts those below it,
/// too; `memory.oom_control` (v1) our own only.
pub(crate) fn oom_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().find_map(|line| {
        let (_number, rest) = line.split_once(':')?;
        let (controllers, own) = rest.split_once(':')?;
        let own = own.trim_start_matches('/');
        let file = match controllers {
            "" => Path::new("/sys/fs/cgroup").join(own).join("memory.events"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Path::new("/sys/fs/cgroup/memory").join(own).join("memory.oom_control")
            }
            _ => return None,
        };
        count(&fs::read_to_string(file).ok()?)
    })
}

fn count(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Shared pages are divided among those who share them, so that sums over a group are right.
fn proportional(pid: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn resident(pid: i32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?)
}

/// Fields 14 and 15 of `stat`, in clock ticks.
fn cpu(pid: i32) -> Option<Duration> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    Some(Duration::from_millis((user + system) * 1000 / ticks.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kills_are_counted_and_not_the_shortages() {
        assert_eq!(count("low 0\nhigh 0\nmax 7\noom 5\noom_kill 3\noom_group_kill 1\n"), Some(3));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), Some(2));
        assert_eq!(count("low 0\n"), None);
    }

    #[test]
    fn our_own_use_is_more_than_nothing() {
        let (memory, _cpu) = process_usage(nix::unistd::getpid().as_raw()).expect("we are there");
        assert!(memory > 100_000, "{memory}");
    }
}
