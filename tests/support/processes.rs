//! The process table, as far as the tests need it (Linux).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub words: Vec<String>,
}

/// Everybody alive, zombies not counted; nobody where there is no such table.
pub fn all() -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn of(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    Some(Process { pid, parent, words: words.filter(|word| !word.is_empty()).collect() })
}

/// The guard process of the mlx-tree `pid`.
pub fn guard_of(pid: u32) -> Option<u32> {
    let is_guard = |process: &Process| process.parent == pid && process.words.get(1).is_some_and(|it| it == "guard");
    all().into_iter().find(is_guard).map(|process| process.pid)
}

/// The stand-ins (leaders and grandchildren) that serve the instance whose home is `home`.
pub fn stand_ins_of(home: &Path) -> Vec<Process> {
    let wanted = format!("HOME={}", home.display());
    let serves = |process: &Process| {
        process.words.get(1).is_some_and(|it| it == "stand-in")
            && fs::read(format!("/proc/{}/environ", process.pid))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
    };
    all().into_iter().filter(serves).collect()
}

/// What it has handed to the system to write so far, in bytes.
pub fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("it is there, and ours");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).expect("the kernel counts it")
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process with memory");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    kilobytes * 1024
}

/// What the descriptors of the process lead to.
pub fn descriptors(pid: u32) -> BTreeMap<u32, PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, fs::read_link(entry.path()).ok()?)))
        .collect()
}

/// The signals that the process ignores, as the kernel's bit mask.
pub fn ignored_signals(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    u64::from_str_radix(mask.trim(), 16).expect("hexadecimal")
}

/// Looks at the process table all the time for the stand-ins of one home.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Sightings>,
}

#[derive(Default)]
struct Sightings {
    servers: BTreeSet<u32>,
    crowds: BTreeSet<Vec<u32>>,
}

// === impl Watch ===

impl Watch {
    /// Begins to look.
    pub fn of(home: &Path) -> Self {
        let (home, stop) = (home.to_owned(), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut seen = Sightings::default();
                let look = || stand_ins_of(&home).into_iter().map(|process| process.pid).collect::<BTreeSet<u32>>();
                while !stop.load(Ordering::Relaxed) {
                    let first = look();
                    seen.servers.extend(&first);
                    if first.len() > 1 {
                        // One that ends while the table is read may be listed beside the next one: both have to be there
                        // twice.
                        let both: Vec<u32> = first.intersection(&look()).copied().collect();
                        if both.len() > 1 {
                            seen.crowds.insert(both);
                        }
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                seen
            }
        });
        Self { stop, thread }
    }

    /// Ends looking. Answers how many servers there were altogether, and which were alive at the same time.
    pub fn end(self) -> (usize, BTreeSet<Vec<u32>>) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("it looks and does nothing else");
        (seen.servers.len(), seen.crowds)
    }
}
