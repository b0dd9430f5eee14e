//! What is written down about one end of a server.

use mlx_tree_api::{BreakerState, Event};
use serde::{Deserialize, Serialize};

/// The version of what is written. Another one is not read.
pub const SCHEMA: u32 = 1;

/// One unplanned end of a server: what was known then, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name: begins with the moment, and is the file's name too.
    pub id: String,
    /// What the server is called.
    pub server: String,
    /// The incarnation that ended.
    pub epoch: u64,
    /// When, as an RFC 3339 stamp in UTC.
    pub at: String,
    /// Its kind, such as `mlx_lm`.
    pub kind: String,
    /// Its model, as configured.
    pub model: String,
    /// Its process; none if it could not be started at all.
    pub pid: Option<u32>,
    /// How it ended.
    pub how: How,
    /// Why: a word of a closed set.
    pub reason: String,
    /// One sentence for people, in English.
    pub message: String,
    /// The line of its stderr that names the cause.
    pub cause: Option<String>,
    /// Why it was given up, if its process had not ended by itself.
    pub given_up_for: Option<String>,
    /// Seconds from its launch to its end.
    pub uptime_s: Option<f64>,
    /// Seconds from its launch until it was ready, if it was.
    pub ready_after_s: Option<f64>,
    /// What its processes used.
    pub usage: Option<Usage>,
    /// The machine, a moment after.
    pub machine: Machine,
    /// The requests that were with it, oldest first.
    pub requests: Vec<Fate>,
    /// So many more were with it than are listed.
    pub further_requests: u64,
    /// What mlx-tree decided.
    pub decision: Option<Decision>,
    /// Its breaker before and after.
    pub breaker: BreakerThen,
    /// When it was ready again.
    pub recovery: Option<Recovery>,
    /// The last lines that it wrote, oldest first.
    pub last_lines: Vec<String>,
    /// What happened in the tree before, and just after.
    pub events: Vec<Event>,
    /// The version of mlx-tree.
    pub mlx_tree: String,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "word")]
pub enum How {
    /// By itself, with an exit code.
    Code {
        /// The code.
        code: i32,
    },
    /// By a signal that mlx-tree did not send.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Given up: a completion of one token failed.
    Canary,
    /// Given up: it made no progress.
    Stall,
    /// Given up: it missed too many health checks.
    Health,
    /// Given up: it used too much memory.
    Memory,
    /// Given up: it was not ready in time.
    StartTimeout,
    /// It could not be started.
    NotStarted,
    /// Nobody can tell.
    Unknown,
}

/// What a server's processes used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory, in bytes, when it was last looked at.
    pub memory_bytes: u64,
    /// The most that was ever seen of this incarnation.
    pub peak_bytes: u64,
    /// Seconds from that last look to the end.
    pub looked_s_before: f64,
    /// Processor time since its launch, in seconds.
    pub cpu_s: f64,
    /// Processors that it kept busy at last: 1.0 is one of them; known after two looks.
    pub processors: Option<f64>,
}

/// The machine, as far as the system tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The system in one line.
    pub system: String,
    /// All of its memory, in bytes.
    pub memory_total: Option<u64>,
    /// What could be had of it.
    pub memory_available: Option<u64>,
    /// What limits mlx-tree and its servers together, in bytes.
    pub memory_limit: Option<u64>,
    /// Processes of ours that the kernel has killed for want of memory since the last look, which was before this life's end.
    pub oom_kills: Option<u64>,
}

/// A request that was with the server when it went down, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    /// Its number.
    pub request: String,
    /// Seconds for which the server had been working on it.
    pub for_s: f64,
    /// How it went on.
    pub way: Way,
    /// How it ended.
    pub outcome: Outcome,
    /// The word that its client was told, if that was an error.
    pub code: Option<String>,
    /// Seconds for which its like is refused, if it has taken the server down twice.
    pub quarantined_s: Option<f64>,
}

/// How a request went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It was not sent to anybody again, or not yet.
    Not,
    /// It was sent to the next incarnation.
    Replayed,
    /// Its stream was regenerated and went on where it was cut.
    Continued,
    /// The fallback took it.
    Diverted,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It had not ended when the report was written last.
    Open,
    /// With an answer.
    Answered,
    /// With an error, before its client had seen any of an answer.
    Failed,
    /// With an error, after its client had seen a part.
    Cut,
    /// Its client had left.
    Left,
}

/// What was decided about a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "word")]
pub enum Decision {
    /// Started again after a delay.
    Restart {
        /// Seconds.
        delay_s: f64,
        /// Failures since the last success.
        consecutive: u32,
    },
    /// The breaker opened.
    Suspend {
        /// Why.
        reason: String,
        /// Seconds until one start is tried; none if an operator has to do something.
        open_for_s: Option<f64>,
    },
}

/// The breaker around an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerThen {
    /// Just before.
    pub before: BreakerState,
    /// When the report was written last.
    pub after: BreakerState,
}

/// That a server was ready again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Seconds after its end.
    pub after_s: f64,
    /// The incarnation.
    pub epoch: u64,
}

// === impl Report ===

impl Report {
    /// Whether the kernel has killed a process of ours for want of memory at that time.
    #[must_use]
    pub fn killed_for_memory(&self) -> bool {
        let by_kill = match self.how {
            How::Signal { signal } => signal == 9,
            How::Code { code } => code == 137,
            How::Canary
            | How::Stall
            | How::Health
            | How::Memory
            | How::StartTimeout
            | How::NotStarted
            | How::Unknown => false,
        };
        by_kill && self.machine.oom_kills.is_some_and(|kills| kills > 0)
    }
}
