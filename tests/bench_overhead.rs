//! The overhead bench: what it costs to ask through mlx-tree instead of asking the server, beside nginx and HAProxy.
//!
//! ```text
//! cargo bench -p mlx-tree --bench overhead -- --help
//! ```

mod overhead;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use overhead::contestants::{Choice, Contestant};
use overhead::measure::{Numbers, Round};
use overhead::{report, upstream};
use support::say;

/// The same trivial server asked directly, through mlx-tree, nginx and HAProxy, in turns; medians of the rounds.
///
/// The server is a part of this program, in a process of its own, which mlx-tree starts and the others use too. It answers at once,
/// or streams tokens at a pace, each with the time at which it was sent.
#[derive(Debug, Parser)]
#[command(name = "overhead")]
struct Arguments {
    /// Rounds; in each of them every contestant has its turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each turn, for each number of connections.
    #[arg(long, default_value_t = 1.0)]
    turn: f64,
    /// Connections of the load, one after the other: 1 and this many.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Tokens of a plain answer.
    #[arg(long, default_value_t = 16)]
    tokens: u32,
    /// Tokens of a stream …
    #[arg(long, default_value_t = 200)]
    stream_tokens: u32,
    /// … and how many of them a second.
    #[arg(long, default_value_t = 200)]
    pace: u32,
    /// Streams that are held open while memory is looked at.
    #[arg(long, default_value_t = 256)]
    streams: usize,
    /// Who takes part: mlx-tree, nginx, haproxy.
    #[arg(long, value_delimiter = ',', default_value = "mlx-tree,nginx,haproxy", value_parser = Choice::parse)]
    with: Vec<Choice>,
    /// Plays the server on this port.
    #[arg(long, hide = true)]
    be_the_server: Option<u16>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(port) = arguments.be_the_server {
        upstream::serve(port);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let contestants = runtime.block_on(Contestant::all(&arguments.with, arguments.streams));
    let round = Round {
        turn: Duration::from_secs_f64(arguments.turn),
        connections: arguments.connections,
        tokens: arguments.tokens,
        stream_tokens: arguments.stream_tokens,
        pace: arguments.pace,
    };
    say(&format!(
        "plain answers of {} tokens at once; streams of {} tokens, {} a second; {} rounds of {} s",
        round.tokens, round.stream_tokens, round.pace, arguments.rounds, arguments.turn
    ));
    let mut numbers: Vec<Numbers> = contestants.iter().map(|_| Numbers::default()).collect();
    for number in 0..arguments.rounds {
        for place in 0..contestants.len() {
            // Each of them is the first one once.
            let at = (place + number) % contestants.len();
            numbers[at].add(&round.measure(contestants[at].address, || contestants[at].work()));
        }
    }
    report::table(&contestants, &mut numbers, &round);
    let memory: Vec<_> = contestants.iter().map(|it| it.memory(arguments.streams)).collect();
    report::memory(&contestants, &memory, arguments.streams);
    let errors: usize = numbers.iter().map(|it| it.errors).sum();
    runtime.block_on(async {
        for contestant in contestants {
            contestant.end().await;
        }
    });
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
