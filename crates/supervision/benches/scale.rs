//! What supervision costs as the number of children grows, beside the least that a supervisor for ractor can do, and beside
//! OTP's own where `escript` is installed.
//!
//! ```text
//! cargo bench -p mlx-tree-supervision --bench scale                      # 1, 1,000 and 10,000 children
//! cargo bench -p mlx-tree-supervision --bench scale -- --up-to 1000      # small numbers only
//! cargo bench -p mlx-tree-supervision --bench scale -- --up-to 100000    # everything
//! ```
//!
//! OTP takes minutes until 100,000 children that die at once are back, so it is given a limit (`--otp-seconds`, default: 20):
//! what takes longer is shown as `> 20 s`, and that run ends there. `--otp-up-to` leaves it out above a number of children.
//! `--rounds` says of how many runs a number is the median (default: 3), `--threads` how many worker threads there are
//! (default: 2). Each run is a process of its own, since freed memory is not given back; the ways take turns, so that a busy
//! machine is unfair to none.
//!
//! All ways are measured alike: a child tells the bench that it is up, the bench kills it from a thread that is no worker,
//! and waits until it hears of the next incarnation. Bytes are the growth of resident memory (of `erlang:memory(total)` for
//! OTP) from before the supervisor until all children are up, divided by their number, so for one child they say nothing.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "scale/measure.rs"]
mod measure;
#[path = "scale/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::process::Command;

/// The restarts whose latency is measured in each run.
const LATENCIES: usize = 1000;

const SIZES: [usize; 4] = [1, 1_000, 10_000, 100_000];

/// Who supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Bare,
    OursStatic,
    OursDynamic,
    OtpStatic,
    OtpDynamic,
}

/// What one run has found, by name.
pub(crate) type Findings = BTreeMap<String, f64>;

struct Options {
    up_to: usize,
    otp_up_to: usize,
    otp_seconds: usize,
    rounds: usize,
    threads: usize,
    one: Option<(Way, usize)>,
}

// === impl Way ===

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::Bare, Self::OursStatic, Self::OursDynamic, Self::OtpStatic, Self::OtpDynamic];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "ractor",
            Self::OursStatic => "ours-static",
            Self::OursDynamic => "ours-dynamic",
            Self::OtpStatic => "otp-static",
            Self::OtpDynamic => "otp-dynamic",
        }
    }

    const fn is_otp(self) -> bool {
        matches!(self, Self::OtpStatic | Self::OtpDynamic)
    }

    fn command(self, children: usize, options: &Options) -> Command {
        match self {
            Self::Bare | Self::OursStatic | Self::OursDynamic => {
                let mut command = Command::new(std::env::current_exe().expect("a program"));
                command.args(["--one", self.name(), &children.to_string(), "--threads", &options.threads.to_string()]);
                command
            }
            Self::OtpStatic | Self::OtpDynamic => {
                let way = if self == Self::OtpStatic { "static" } else { "dynamic" };
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scale/otp.escript");
                let mut command = Command::new("escript");
                let (children, latencies) = (children.to_string(), LATENCIES.to_string());
                command.args([script, way, &children, &latencies, &options.otp_seconds.to_string()]);
                command
            }
        }
    }

    /// One run; `None` if it failed.
    fn run(self, children: usize, options: &Options) -> Option<Findings> {
        let output = self.command(children, options).output().ok()?;
        if !output.status.success() {
            eprintln!("{} with {children} children: {}", self.name(), String::from_utf8_lossy(&output.stderr));
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Some(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect())
    }
}

// === impl Options ===

impl Options {
    fn from_arguments() -> Self {
        let mut options =
            Self { up_to: 10_000, otp_up_to: usize::MAX, otp_seconds: 20, rounds: 3, threads: 2, one: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("a number after the option");
            match &*argument {
                "--up-to" => options.up_to = number(),
                "--otp-up-to" => options.otp_up_to = number(),
                "--otp-seconds" => options.otp_seconds = number(),
                "--rounds" => options.rounds = number(),
                "--threads" => options.threads = number(),
                "--one" => {
                    let name = arguments.next().expect("a way");
                    let way = Way::ALL.into_iter().find(|way| way.name() == name).expect("a way");
                    let children = arguments.next().and_then(|text| text.parse().ok()).expect("a number of children");
                    options.one = Some((way, children));
                }
                // Cargo's.
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        options
    }
}

fn main() {
    let options = Options::from_arguments();
    if let Some((way, children)) = options.one {
        return measure::run(way, children, options.threads);
    }
    let has_otp = Command::new("escript").output().is_ok();
    if !has_otp {
        println!("escript is not installed (Debian: erlang-base): no comparison with OTP");
    }
    println!("{} worker threads, medians of {} runs", options.threads, options.rounds);
    for children in SIZES.into_iter().filter(|&children| children <= options.up_to) {
        let ways = Way::ALL.into_iter().filter(|way| !way.is_otp() || has_otp && children <= options.otp_up_to);
        let ways: Vec<_> = ways.collect();
        let mut runs: BTreeMap<Way, Vec<Findings>> = BTreeMap::new();
        for _ in 0..options.rounds {
            for &way in &ways {
                runs.entry(way).or_default().extend(way.run(children, &options));
            }
        }
        table::print(children, &runs, options.otp_seconds);
    }
}
