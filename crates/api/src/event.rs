//! The one event type: logs, narration, metrics, status and screens are folds over it.

mod facts;

use serde::{Deserialize, Serialize};

/// Who should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Routine.
    Debug,
    /// A step in a life cycle.
    Info,
    /// Something went wrong and mlx-tree deals with it.
    Warn,
    /// A human is needed.
    Error,
}

/// Something that happened, numbered and stamped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up by one from 1, per tree.
    pub seq: u64,
    /// When, as an RFC 3339 stamp in UTC.
    pub at: String,
    /// The child that it is about.
    pub child: String,
    /// That child's incarnation; 0 where none is meant.
    pub epoch: u64,
    /// The server that it is about, where `child` does not say so: that of a request. `epoch` is that server's incarnation then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened. The serialised name is dotted and in the past tense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Kind {
    /// The tree is up; children follow.
    #[serde(rename = "tree.started")]
    TreeStarted {
        /// mlx-tree's own process.
        pid: u32,
    },
    /// The tree is being stopped.
    #[serde(rename = "tree.stopping")]
    TreeStopping,
    /// The tree has ended.
    #[serde(rename = "tree.stopped")]
    TreeStopped {
        /// How it went.
        reason: String,
    },
    /// A server process runs.
    #[serde(rename = "server.spawned")]
    ServerSpawned {
        /// The process.
        pid: u32,
        /// Where it will answer.
        url: String,
    },
    /// The server answers its health check; its model is loading.
    #[serde(rename = "server.loading")]
    ServerLoading,
    /// The server answered a canary and is ready.
    #[serde(rename = "server.ready")]
    ServerReady {
        /// The process.
        pid: u32,
        /// Where it answers.
        url: String,
        /// Seconds from spawn to ready.
        took_s: f64,
    },
    /// The server's process is gone without having been asked to go, or could not be started at all.
    #[serde(rename = "server.exited")]
    ServerExited {
        /// A word of a closed set.
        reason: String,
        /// The exit code, if it exited.
        code: Option<i32>,
        /// The signal, if one ended it.
        signal: Option<i32>,
        /// One sentence for people.
        message: String,
        /// The stderr line that names the cause.
        cause: Option<String>,
    },
    /// mlx-tree gave the server up and is ending its process.
    #[serde(rename = "server.unhealthy")]
    ServerUnhealthy {
        /// Why.
        reason: String,
    },
    /// The server is being stopped on request.
    #[serde(rename = "server.stopping")]
    ServerStopping {
        /// Seconds until SIGKILL.
        grace_s: f64,
    },
    /// The server's process group is gone, as requested.
    #[serde(rename = "server.stopped")]
    ServerStopped {
        /// How it went, e.g. `exit code 0`, `SIGTERM`, `SIGKILL after 10 s`.
        how: String,
    },
    /// A server that was asleep is started, because somebody asked for it.
    #[serde(rename = "server.woken")]
    ServerWoken,
    /// A server is stopped until somebody asks for it again.
    #[serde(rename = "server.put_to_sleep")]
    ServerPutToSleep {
        /// Why, in one line.
        reason: String,
    },
    /// A server left behind by an earlier mlx-tree was dealt with.
    #[serde(rename = "orphan.settled")]
    OrphanSettled {
        /// What was done, e.g. `ended pid 4711`.
        outcome: String,
    },
    /// Health checks have begun.
    #[serde(rename = "health.monitoring")]
    HealthMonitoring,
    /// A health check was missed.
    #[serde(rename = "health.failed")]
    HealthFailed {
        /// Missed in a row, this one included.
        streak: u32,
        /// Missed in a row that make it count as down.
        threshold: u32,
        /// Why.
        reason: String,
    },
    /// A health check was missed while the server was making progress: busy is not down.
    #[serde(rename = "health.busy")]
    HealthBusy {
        /// What was slow.
        reason: String,
    },
    /// There is doubt; a canary will settle it.
    #[serde(rename = "health.suspected")]
    HealthSuspected {
        /// Why.
        reason: String,
    },
    /// Good answers again after missed ones.
    #[serde(rename = "health.recovered")]
    HealthRecovered {
        /// Missed in a row before this.
        after: u32,
    },
    /// The restart policy has granted a restart.
    #[serde(rename = "restart.granted")]
    RestartGranted {
        /// Failures since the last success.
        consecutive: u32,
    },
    /// The restart will happen after its backoff.
    #[serde(rename = "restart.delayed")]
    RestartDelayed {
        /// Seconds.
        delay_s: f64,
    },
    /// The breaker opened: restarts are blocked.
    #[serde(rename = "breaker.opened")]
    BreakerOpened {
        /// Why.
        reason: String,
        /// Seconds until it goes half-open.
        open_for_s: Option<f64>,
    },
    /// The breaker let one start through, as a trial.
    #[serde(rename = "breaker.half_opened")]
    BreakerHalfOpened,
    /// The breaker closed: normal again.
    #[serde(rename = "breaker.closed")]
    BreakerClosed {
        /// Why: `recovered` or `reset`.
        reason: String,
    },
    /// A child of the root supervisor other than the server was started.
    #[serde(rename = "child.started")]
    ChildStarted,
    /// A child of the root supervisor ended without having been asked to.
    #[serde(rename = "child.exited")]
    ChildExited {
        /// Why.
        reason: String,
    },
    /// The fallback can be asked.
    #[serde(rename = "fallback.ready")]
    FallbackReady {
        /// What it is.
        name: String,
        /// How many models it has.
        models: u64,
    },
    /// The fallback cannot be asked.
    #[serde(rename = "fallback.unavailable")]
    FallbackUnavailable {
        /// What it is.
        name: String,
        /// Why.
        reason: String,
    },
    /// A model of the fallback has left the memory, so that the server has room.
    #[serde(rename = "fallback.unloaded")]
    FallbackUnloaded {
        /// The model.
        model: String,
    },
    /// The gateway has its address.
    #[serde(rename = "gateway.listening")]
    GatewayListening {
        /// Where clients go.
        url: String,
    },
    /// The gateway takes no new requests any more; what is in flight ends.
    #[serde(rename = "gateway.draining")]
    GatewayDraining {
        /// Requests in flight.
        in_flight: u64,
    },
    /// A request waits for a server that is not ready.
    #[serde(rename = "request.held")]
    RequestHeld {
        /// The request.
        request: String,
        /// Why the server is not ready.
        reason: String,
    },
    /// A request whose server went down, and whose client has seen nothing of the answer, is sent to the next incarnation.
    #[serde(rename = "request.replayed")]
    RequestReplayed {
        /// The request.
        request: String,
        /// The attempt that begins now; the first one was 1.
        attempt: u32,
    },
    /// A greedy stream that was cut has been regenerated up to where it was cut, and goes on.
    #[serde(rename = "request.continued")]
    RequestContinued {
        /// The request.
        request: String,
        /// The attempt that goes on.
        attempt: u32,
    },
    /// A request is answered by a fallback.
    #[serde(rename = "request.diverted")]
    RequestDiverted {
        /// The request.
        request: String,
        /// The fallback.
        to: String,
        /// Why.
        reason: String,
    },
    /// A request was in flight at two ends of the server and is refused from now on.
    #[serde(rename = "request.quarantined")]
    RequestQuarantined {
        /// The request.
        request: String,
        /// Seconds that its like is refused.
        for_s: f64,
    },
    /// A request ended with an error that was not its own fault.
    #[serde(rename = "request.failed")]
    RequestFailed {
        /// The request.
        request: String,
        /// The word that its client was told.
        code: String,
        /// The sentence that its client was told.
        message: String,
        /// Whether the client had seen a part of the answer.
        cut: bool,
    },
    /// The server gets nothing new; what it works on may end before it is stopped.
    #[serde(rename = "server.draining")]
    ServerDraining {
        /// Why, in one line.
        reason: String,
        /// Requests that it works on.
        in_flight: u64,
    },
    /// A planned restart: no failure, and nothing that counts as one.
    #[serde(rename = "server.recycling")]
    ServerRecycling {
        /// Who asked for it and why, in one line.
        reason: String,
    },
    /// The server's memory is above a limit.
    #[serde(rename = "server.memory_high")]
    ServerMemoryHigh {
        /// What its process group uses, in bytes.
        memory_bytes: u64,
        /// The limit, in bytes.
        limit_bytes: u64,
        /// Which one: `soft` or `hard`.
        limit: String,
    },
    /// A changed configuration holds from now on.
    #[serde(rename = "config.reloaded")]
    ConfigReloaded {
        /// What has changed, a line each; empty if nothing has.
        changes: Vec<String>,
    },
    /// A changed configuration cannot be used; the old one goes on.
    #[serde(rename = "config.rejected")]
    ConfigRejected {
        /// Why.
        reason: String,
    },
    /// Somebody who was to be told could not be.
    #[serde(rename = "notify.undelivered")]
    NotifyUndelivered {
        /// Who, as it is called in the configuration.
        to: String,
        /// Why.
        reason: String,
    },
    /// An operator's verb arrived.
    #[serde(rename = "operator.requested")]
    OperatorRequested {
        /// The verb.
        verb: String,
    },
}
