//! The status document: everything that a consumer can read about one tree, at one moment.

use serde::{Deserialize, Serialize};

use crate::{BreakerState, ChildState, Phase, ServerState};

/// The status document.
///
/// The first five keys are a promise to every consumer: they are always there, at the top level, with these meanings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The one word for the supervised server.
    pub state: ServerState,
    /// The server's process, while there is one.
    pub process_pid: Option<u32>,
    /// Automatic restarts since this tree was started.
    pub restart_count: u64,
    /// Health checks missed in a row, right now.
    pub health_check_failures: u32,
    /// The breaker's state.
    pub circuit_breaker_state: BreakerState,

    /// The server's state, told apart as finely as it is known.
    pub phase: Phase,
    /// Why it is not serving, in one line; absent while it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Seconds until the next start, when one is due by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_attempt_in_s: Option<f64>,
    /// The server behind it all.
    pub server: Server,
    /// The breaker and the counters that drive it.
    pub breaker: Breaker,
    /// Health checking.
    pub health: Health,
    /// The children, in start order.
    pub children: Vec<Child>,
    /// How the server's last process ended, if one has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_exit: Option<Exit>,
    /// The latest restart decisions, oldest first: why it is not restarting, and when it will.
    pub journal: Vec<JournalEntry>,
    /// Each server, where there is more than one; the default one, of which the keys above tell, is the first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub servers: Vec<ServerStatus>,
    /// The one address that clients use, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gateway: Option<Gateway>,
    /// What works less well than it should, a line each, though the server may serve: a part that has failed too often, a
    /// configuration that could not be read again. Empty when all is well.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub degraded: Vec<String>,
    /// The configuration that holds, where it is known where that came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config: Option<ConfigStatus>,
    /// mlx-tree itself.
    pub supervisor: Supervisor,
}

/// One of several servers: the keys mean what those of the document mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// What it is called.
    pub name: String,
    /// When it is started.
    pub start: StartMode,
    /// So many requests are with it now.
    pub in_flight: u32,
    /// The one word for it.
    pub state: ServerState,
    /// Its process, while there is one.
    pub process_pid: Option<u32>,
    /// Its automatic restarts since its supervisor was started.
    pub restart_count: u64,
    /// Its health checks missed in a row, right now.
    pub health_check_failures: u32,
    /// Its breaker's state.
    pub circuit_breaker_state: BreakerState,
    /// Its state, told apart as finely as it is known.
    pub phase: Phase,
    /// Why it is not serving, in one line; absent while it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Seconds until its next start, when one is due by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_attempt_in_s: Option<f64>,
    /// What it is.
    pub server: Server,
    /// Its breaker and the counters that drive it.
    pub breaker: Breaker,
    /// Its health checking.
    pub health: Health,
    /// Its own children: server, health and breaker.
    pub children: Vec<Child>,
    /// How its last process ended, if one has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_exit: Option<Exit>,
    /// The latest restart decisions about it, oldest first.
    pub journal: Vec<JournalEntry>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// With the tree, and it stays.
    Always,
    /// With the tree, if there is room; it may sleep later.
    Preload,
    /// When a request asks for it; it may sleep later.
    OnDemand,
}

/// The supervised server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Its kind: `mlx_lm`, `mlx_vlm`, `llama_cpp`, `openai`, or `demo` for the built-in stand-in.
    pub kind: String,
    /// Its model, as configured.
    pub model: String,
    /// A remark that a reader must not miss, e.g. that the model's weights are random.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// Where it answers, while it has an address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Its incarnation: 1 for the first process, one more for each further one.
    pub epoch: u64,
    /// Seconds since it became ready, while it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready_for_s: Option<f64>,
    /// Resident memory of its whole process group, in bytes, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// Above so many bytes it is restarted when it is idle, if there is such a limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_soft_limit_bytes: Option<u64>,
    /// Above so many bytes it is restarted at once, if there is such a limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_hard_limit_bytes: Option<u64>,
}

/// The breaker and its counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    /// Its state.
    pub state: BreakerState,
    /// Why it opened, while it is not closed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Seconds until it goes half-open, while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub half_open_in_s: Option<f64>,
    /// Failures since the last success (ready, and up for `stable_after`).
    pub consecutive_failures: u32,
    /// Failed restarts in a row that open it.
    pub failure_threshold: u32,
    /// Restarts that count towards the restart intensity right now.
    pub restarts_in_window: u32,
    /// The restart intensity: so many restarts …
    pub max_restarts: u32,
    /// … in so many seconds.
    pub period_s: f64,
}

/// Health checking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Checks missed in a row.
    pub failures: u32,
    /// Checks missed in a row that make the server count as down.
    pub failure_threshold: u32,
    /// Seconds since the last good answer, of a check or a canary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_ok_s_ago: Option<f64>,
    /// What the last bad answer was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
}

/// The one address that clients use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Where it is.
    pub url: String,
    /// Requests that the servers work on.
    pub in_flight: u64,
    /// Requests that wait.
    pub queued: u64,
    /// What goes on at each server.
    pub gates: Vec<Gate>,
}

/// The gate of one server: how much it is given at once, and what waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The server's name.
    pub server: String,
    /// Requests that it works on, or is still taken to work on.
    pub in_flight: u64,
    /// Requests that wait for it.
    pub queued: u64,
    /// So many may be in flight now.
    pub limit: u64,
    /// Why that is less than `gateway.max_inflight`, while it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limited_by: Option<LimitedBy>,
}

/// Why a server is given fewer requests at once than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// It is back, and has not completed a request yet.
    SlowStart,
    /// It went down under several requests, and is trusted with one more after each stretch without that.
    Clamped,
    /// A request that was in flight when it went down has it for itself.
    Suspect,
}

/// One child of the root supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: ChildState,
    /// Its incarnation.
    pub epoch: u64,
    /// Automatic restarts so far.
    pub restarts: u64,
    /// Why its last incarnation ended, if one has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_exit: Option<String>,
    /// Seconds until it is started again, while it waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_start_in_s: Option<f64>,
}

/// How a server process ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// The incarnation that ended.
    pub epoch: u64,
    /// When, as an RFC 3339 stamp.
    pub at: String,
    /// A word of a closed set, e.g. `killed`, `metal_out_of_memory`, `python_module_missing`.
    pub reason: String,
    /// The exit code, if it exited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<i32>,
    /// The signal, if one ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<i32>,
    /// One sentence for people.
    pub message: String,
    /// The line of its stderr that names the cause, where one was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// One restart decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Seconds ago.
    pub ago_s: f64,
    /// The incarnation that it was about.
    pub epoch: u64,
    /// What had happened.
    pub reason: String,
    /// What was decided.
    pub decision: String,
}

/// The configuration that holds, and what is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The files that it is read from, as far as they are there.
    pub files: Vec<String>,
    /// Seconds since it was last read and found good.
    pub loaded_s_ago: f64,
    /// Why what is on disk cannot be used, in one line, if it was tried and cannot; what was read before goes on then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rejected: Option<String>,
    /// The keys whose new values wait for a restart of mlx-tree.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pending: Vec<String>,
}

/// mlx-tree itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Supervisor {
    /// The process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Seconds since it was started.
    pub uptime_s: f64,
    /// Where the control plane answers, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub control: Option<String>,
    /// Its state directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state_dir: Option<String>,
}

// === impl Status ===

impl Status {
    /// Whether a request that comes now can be answered: by a server that serves, or by one that is asleep and is started by
    /// it. `Err` says what is missing, a line each.
    ///
    /// # Errors
    /// What is missing.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        let asleep = self.servers.first().is_some_and(|first| {
            first.state == ServerState::Stopped
                && match first.start {
                    StartMode::Always => false,
                    StartMode::Preload | StartMode::OnDemand => true,
                }
        });
        if self.state == ServerState::Running || asleep {
            return Ok(());
        }
        let why = self.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        Err(vec![format!("the server is {}{why}", self.phase)])
    }
}
