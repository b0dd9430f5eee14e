//! A flood of output (F23), in a test program of its own: it measures the memory of the whole process, which no other test
//! must use at the same time.

#![allow(clippy::print_stdout, reason = "what was measured is shown")]

use std::time::Duration;

use mlx_tree_process::{How, Launch, ProcessGroup};
use tokio::time::timeout;

/// Longer than a line takes, shorter than the patience of a person.
const LONG: Duration = Duration::from_secs(20);

/// Both the 80 MiB that nobody takes, and the 80 MiB that are read line by line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_neither_blocks_the_child_nor_fills_our_memory() {
    for reading in ["nobody reads", "all is read"] {
        let before = resident();
        let (longest, dropped, taken) = flood(reading).await;
        let grown = resident().saturating_sub(before);
        assert!(grown < 8 * 1024 * 1024, "{reading}: memory grew by {} KiB", grown / 1024);
        assert!(taken + dropped > 1_000_000, "{reading}: {taken} lines taken, {dropped} dropped");
        if reading == "nobody reads" {
            assert!(dropped > 1_000_000, "{dropped} dropped");
        }
        println!("{reading}: {longest}, {taken} taken, {dropped} dropped, {} KiB grown", grown / 1024);
    }
}

async fn flood(reading: &str) -> (String, u64, u64) {
    let group =
        ProcessGroup::spawn(Launch::new([env!("CARGO_BIN_EXE_mlx-tree-process-helper"), "flood"])).expect("it starts");
    let lines = group.output();
    let mut taken = 0;
    if reading == "all is read" {
        while let Some(line) = timeout(LONG, lines.next()).await.expect("in time") {
            assert!(line.text.len() <= 3 * 16 * 1024);
            taken += 1;
        }
    }
    let exit = timeout(Duration::from_secs(60), group.exited()).await.expect("it is not blocked");
    assert_eq!(exit.how, How::Code(0));
    (group.tail().text(), lines.dropped(), taken)
}

#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("readable");
    statm.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 4096
}

#[cfg(target_os = "macos")]
fn resident() -> u64 {
    0
}
