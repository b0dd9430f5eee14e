//! Reads the cases of a trace from stdin (JSON lines), runs each through the supervisor's machine on virtual time, and
//! prints what was observed (JSON lines), in the words in which OTP's own supervisor was observed.
//!
//! ```text
//! cargo run -p mlx-tree-supervision --example otp_replay < cases.jsonl > ours.jsonl
//! ```

mod case;
mod world;

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let case: case::Case = serde_json::from_str(&line)?;
        let events = world::World::play(&case, world::View::Otp);
        writeln!(out, "{}", serde_json::json!({"id": case.id, "events": events}))?;
    }
    Ok(())
}
