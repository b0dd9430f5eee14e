//! How long is a server away when it is killed and started again at once? Ours against the floor:
//! `wait` and `spawn` of the standard library, which end no group and keep no output.
//!
//! `cargo run --release -p mlx-tree-process --example restart_latency`
#![allow(clippy::print_stdout, reason = "an example speaks to people")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mlx_tree_process::signal::{Signal, Target, send};
use mlx_tree_process::{CgroupUse, Launch, ProcessGroup};

const ARGV: [&str; 3] = ["/bin/sh", "-c", "echo ready; exec sleep 1000"];
const ROUNDS: usize = 200;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    show("floor: wait + spawn", floor());
    for (name, cgroup) in [("ours, no control group", CgroupUse::Never), ("ours", CgroupUse::WhereAllowed)] {
        let (noticed, back) = ours(cgroup).await;
        show(&format!("{name}: killed to exit known"), noticed);
        show(&format!("{name}: killed to running again"), back);
    }
}

fn start() -> Child {
    let mut child = Command::new(ARGV[0]).args(&ARGV[1..]).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    child
}

fn floor() -> Vec<Duration> {
    let mut child = start();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let killed = Instant::now();
        child.kill().expect("alive");
        child.wait().expect("reaped");
        child = start();
        times.push(killed.elapsed());
    }
    child.kill().expect("alive");
    child.wait().expect("reaped");
    times
}

async fn ours(cgroup: CgroupUse) -> (Vec<Duration>, Vec<Duration>) {
    let start = async || {
        let launch = Launch::new(ARGV).env("PATH", "/usr/bin:/bin").cgroup(cgroup);
        let group = ProcessGroup::spawn(launch).expect("a shell");
        group.output().next().await.expect("a line");
        group
    };
    let (mut noticed, mut back) = (Vec::new(), Vec::new());
    let mut group = start().await;
    for _ in 0..ROUNDS {
        let killed = Instant::now();
        send(Target::Process(group.identity()), Signal::Kill).expect("alive");
        group.exited().await;
        noticed.push(killed.elapsed());
        group = start().await;
        back.push(killed.elapsed());
    }
    group.kill();
    group.exited().await;
    (noticed, back)
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{what:45} median {:>9.2?}   p95 {:>9.2?}", times[times.len() / 2], times[times.len() * 95 / 100]);
}
