//! What one process uses, and what the machine has.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::machine::{Memory, Swap};

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

/// From `/proc/meminfo`.
pub(crate) fn machine_memory() -> Option<Memory> {
    memory_of(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_of(meminfo: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let swap = field("SwapTotal").zip(field("SwapFree"));
    Some(Memory {
        total: field("MemTotal")?,
        available: field("MemAvailable"),
        swap: swap.map(|(total, free)| Swap { total, free }),
    })
}

/// The smallest `memory.max` of our own control group and those above it (v2), or `memory.limit_in_bytes` of our own (v1).
pub(crate) fn memory_limit() -> Option<u64> {
    /// What a limit that is none looks like in v1: the largest number of whole pages.
    const NO_LIMIT: u64 = 1 << 60;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |path: &Path| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let limits = groups.lines().filter_map(|line| {
        let (controllers, own) = line.split_once(':')?.1.split_once(':')?;
        let own = Path::new(own.trim_start_matches('/'));
        match controllers {
            "" => own.ancestors().filter_map(|at| read(&Path::new("/sys/fs/cgroup").join(at).join("memory.max"))).min(),
            _ if controllers.split(',').any(|name| name == "memory") => {
                read(&Path::new("/sys/fs/cgroup/memory").join(own).join("memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    limits.min().filter(|limit| *limit < NO_LIMIT)
}

/// `some avg10` of `/proc/pressure/memory`.
pub(crate) fn memory_pressure() -> Option<f64> {
    pressure(&fs::read_to_string("/proc/pressure/memory").ok()?)
}

fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

/// `PRETTY_NAME` of `/etc/os-release`.
pub(crate) fn system_name() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "Linux".to_owned())
}

/// There is no such limit here.
pub(crate) fn gpu_wired_limit() -> Option<u64> {
    None
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
    fn memory_and_pressure_are_read_as_the_kernel_writes_them() {
        let meminfo =
            "MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:   8192 kB\nSwapTotal: 4 kB\nSwapFree: 2 kB\n";
        let swap = Some(Swap { total: 4096, free: 2048 });
        assert_eq!(memory_of(meminfo), Some(Memory { total: 16 << 20, available: Some(8 << 20), swap }));
        assert_eq!(memory_of("MemTotal: many\n"), None);
        let text = "some avg10=1.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(pressure(text), Some(1.25));
    }

    #[test]
    fn our_own_use_is_more_than_nothing() {
        let (memory, _cpu) = process_usage(nix::unistd::getpid().as_raw()).expect("we are there");
        assert!(memory > 100_000, "{memory}");
    }
}
