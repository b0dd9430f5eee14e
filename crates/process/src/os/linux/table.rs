//! The process table: `/proc/<pid>/stat`, `cmdline`, `environ`.

use std::fs::{self, File};
use std::io::Read;

use nix::unistd::{Pid, getpgid};

use super::super::{Entry, Life};

/// A line of `stat` up to the last field that is read here is shorter (a name has at most 64 bytes, a number 20).
const LINE: usize = 1024;

/// The process with this pid, zombies included.
pub(crate) fn entry(pid: i32) -> Option<Entry> {
    let mut line = [0; LINE];
    // One read: this file is made whole at each, and asking for its size and its end would take as long again.
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    // A name may be any bytes.
    parse(&String::from_utf8_lossy(&line[..length]))
}

/// Every process but the kernel's own, zombies included. Costs about 6 µs for each of them.
pub(crate) fn snapshot() -> Vec<Entry> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|dir| dir.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| may_be_somebody(*pid))
        .filter_map(entry)
        .collect()
}

/// Not a thread of the kernel, of which a machine has more than processes, and to read one's line costs twenty times what
/// this call costs. They are in group 0 (as are the processes of other namespaces); whatever descends from a group that we
/// made is in one with a number, and `setpgid` leads to no other.
fn may_be_somebody(pid: i32) -> bool {
    !matches!(getpgid(Some(Pid::from_raw(pid))), Ok(group) if group.as_raw() == 0)
}

/// The command line, or the name in brackets for a process without one (a zombie, a kernel thread).
pub(crate) fn command(pid: i32) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if words.is_empty() {
        let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
        return Some(format!("[{}]", String::from_utf8_lossy(&name).trim_end()));
    }
    let words: Vec<_> = words.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    Some(words.join(" ").trim_end().to_owned())
}

/// The value of a variable in the environment that the process was started with. `None` as well when
/// we may not look, or when the process has overwritten it.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environment.split(|b| *b == 0);
    let value = entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Fields 1, 3, 4, 5, 20 and 22 of `stat`. The name (field 2) may contain anything, `)` and spaces too.
fn parse(stat: &str) -> Option<Entry> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (pid, _name) = head.split_once(' ')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let ppid = fields.next()?.parse().ok()?;
    let pgid = fields.next()?.parse().ok()?;
    let threads: i64 = fields.nth(14)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let life = match state {
        // A main thread may end before its process does: then the state is Z, but threads run on.
        "Z" | "X" | "x" if threads <= 1 => Life::Zombie,
        _ => Life::Alive,
    };
    Some(Entry { pid: pid.parse().ok()?, ppid, pgid, start_time, life })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_lie_about_itself_by_its_name() {
        let line = "77 (a) Z 1 1 (b) S 5 70 60 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 12345 999 888";
        let entry = parse(line).expect("a well-formed line");
        assert_eq!((entry.pid, entry.ppid, entry.pgid, entry.start_time), (77, 5, 70, 12345));
        assert_eq!(entry.life, Life::Alive);
    }

    #[test]
    fn everybody_is_in_the_table_but_the_threads_of_the_kernel() {
        let table = snapshot();
        let us = nix::unistd::getpid().as_raw();
        assert_eq!(table.iter().find(|one| one.pid == us).copied(), entry(us));
        assert!(table.iter().all(|one| one.pgid != 0), "{table:?}");
    }

    #[test]
    fn a_zombie_is_not_alive_unless_threads_of_it_run_on() {
        let with = |threads: u32| format!("7 (x) Z 5 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 {threads} 0 12345 9");
        assert_eq!(parse(&with(1)).map(|e| e.life), Some(Life::Zombie));
        assert_eq!(parse(&with(2)).map(|e| e.life), Some(Life::Alive));
        assert_eq!(parse("nonsense"), None);
    }
}
