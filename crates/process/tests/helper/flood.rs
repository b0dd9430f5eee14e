//! 80 MiB as fast as they go: short lines, bytes that are no UTF-8, and 16 MiB without a newline.

use std::io::Write;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

pub(crate) fn run() {
    let mut out = std::io::stdout().lock();
    let mut longest = Duration::ZERO;
    let mut write = |bytes: &[u8]| {
        let started = Instant::now();
        out.write_all(bytes).expect("a reader");
        longest = longest.max(started.elapsed());
    };
    let lines: Vec<u8> =
        b"a line of the flood, with \xff\xfe that is no UTF-8\n".iter().copied().cycle().take(64 * 1024).collect();
    let block = vec![b'x'; 64 * 1024];
    for _ in 0..32 * MIB / lines.len() {
        write(&lines);
    }
    for _ in 0..16 * MIB / block.len() {
        write(&block);
    }
    for _ in 0..32 * MIB / lines.len() {
        write(&lines);
    }
    eprintln!("longest write: {} ms", longest.as_millis());
}
