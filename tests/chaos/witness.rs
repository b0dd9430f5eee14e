//! Looks at the processes all the time: how many servers live at once, and how much mlx-tree takes (Linux).

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{exists, processes};

/// Looks from its start to its end.
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Account>,
}

/// What it has seen.
#[derive(Debug, Default)]
pub struct Account {
    /// How many servers there were, one after the other.
    pub servers: BTreeSet<u32>,
    /// Which of them were alive at the same time.
    pub crowds: BTreeSet<Vec<u32>>,
    /// The most connections that a server had at once, health checks included, as far as one who looks now and then can tell.
    pub connections: usize,
    /// Of mlx-tree, in bytes: at the beginning, and the most.
    pub memory: (u64, u64),
    /// Descriptors of mlx-tree: at the beginning, and at the end.
    pub descriptors: (usize, usize),
}

/// Often enough that a server does not come and go unseen; a look costs a few files.
const EVERY: Duration = Duration::from_millis(10);

// === impl Witness ===

impl Witness {
    /// Begins to look at the mlx-tree `pid`.
    pub fn of(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let first = processes::resident(pid);
                let open = || processes::descriptors(pid).len();
                let mut seen = Account { memory: (first, first), descriptors: (open(), 0), ..Account::default() };
                while !stop.load(Ordering::Relaxed) {
                    let servers = servers_of(pid);
                    seen.servers.extend(&servers);
                    if servers.len() > 1 {
                        // One that ends while the table is read may be listed beside the next one.
                        let both: Vec<u32> = servers_of(pid).into_iter().filter(|it| servers.contains(it)).collect();
                        if both.len() > 1 {
                            seen.crowds.insert(both);
                        }
                    }
                    seen.memory.1 = seen.memory.1.max(processes::resident(pid));
                    let busiest = servers.iter().filter_map(|it| port_of(*it)).map(connections_at).max();
                    seen.connections = seen.connections.max(busiest.unwrap_or(0));
                    thread::sleep(EVERY);
                }
                seen.descriptors.1 = open();
                seen
            }
        });
        Self { stop, thread }
    }

    /// Ends looking.
    pub fn end(self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it looks and does nothing else")
    }
}

/// The children of `pid` that have become a server: not the guard, and not a copy of mlx-tree that is about to execute one.
fn servers_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|children| children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_server = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.any(|word| word == b"stand-in" || word == b"mlx_lm") && exists(*pid)
    };
    children.into_iter().filter(is_server).collect()
}

/// The port in the command line of a server.
fn port_of(pid: u32) -> Option<u16> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = words.split(|byte| *byte == 0).skip_while(|word| *word != b"--port").skip(1);
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

/// How many connections are established at a port of the loopback address.
fn connections_at(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let (here, established) = (format!("0100007F:{port:04X}"), "01");
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&here) && words.nth(1) == Some(established)
    };
    table.lines().filter(is_one).count()
}
