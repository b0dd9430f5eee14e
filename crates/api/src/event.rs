//! The one event type: logs, narration, metrics, status and screens are folds over it.

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
    /// An operator's verb arrived.
    #[serde(rename = "operator.requested")]
    OperatorRequested {
        /// The verb.
        verb: String,
    },
}

// === impl Kind ===

impl Kind {
    /// The dotted name, as it is serialised.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TreeStarted { .. } => "tree.started",
            Self::TreeStopping => "tree.stopping",
            Self::TreeStopped { .. } => "tree.stopped",
            Self::ServerSpawned { .. } => "server.spawned",
            Self::ServerLoading => "server.loading",
            Self::ServerReady { .. } => "server.ready",
            Self::ServerExited { .. } => "server.exited",
            Self::ServerUnhealthy { .. } => "server.unhealthy",
            Self::ServerStopping { .. } => "server.stopping",
            Self::ServerStopped { .. } => "server.stopped",
            Self::ServerWoken => "server.woken",
            Self::ServerPutToSleep { .. } => "server.put_to_sleep",
            Self::OrphanSettled { .. } => "orphan.settled",
            Self::HealthMonitoring => "health.monitoring",
            Self::HealthFailed { .. } => "health.failed",
            Self::HealthBusy { .. } => "health.busy",
            Self::HealthSuspected { .. } => "health.suspected",
            Self::HealthRecovered { .. } => "health.recovered",
            Self::RestartGranted { .. } => "restart.granted",
            Self::RestartDelayed { .. } => "restart.delayed",
            Self::BreakerOpened { .. } => "breaker.opened",
            Self::BreakerHalfOpened => "breaker.half_opened",
            Self::BreakerClosed { .. } => "breaker.closed",
            Self::ChildStarted => "child.started",
            Self::ChildExited { .. } => "child.exited",
            Self::FallbackReady { .. } => "fallback.ready",
            Self::FallbackUnavailable { .. } => "fallback.unavailable",
            Self::FallbackUnloaded { .. } => "fallback.unloaded",
            Self::GatewayListening { .. } => "gateway.listening",
            Self::GatewayDraining { .. } => "gateway.draining",
            Self::RequestHeld { .. } => "request.held",
            Self::RequestReplayed { .. } => "request.replayed",
            Self::RequestContinued { .. } => "request.continued",
            Self::RequestDiverted { .. } => "request.diverted",
            Self::RequestQuarantined { .. } => "request.quarantined",
            Self::RequestFailed { .. } => "request.failed",
            Self::OperatorRequested { .. } => "operator.requested",
        }
    }

    /// Who should care.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::ServerLoading | Self::ChildStarted | Self::HealthBusy { .. } | Self::RequestHeld { .. } => {
                Level::Debug
            }
            Self::TreeStarted { .. }
            | Self::TreeStopping
            | Self::TreeStopped { .. }
            | Self::ServerSpawned { .. }
            | Self::ServerReady { .. }
            | Self::ServerStopping { .. }
            | Self::ServerStopped { .. }
            | Self::ServerWoken
            | Self::ServerPutToSleep { .. }
            | Self::HealthMonitoring
            | Self::HealthRecovered { .. }
            | Self::RestartGranted { .. }
            | Self::RestartDelayed { .. }
            | Self::BreakerHalfOpened
            | Self::BreakerClosed { .. }
            | Self::FallbackReady { .. }
            | Self::FallbackUnloaded { .. }
            | Self::GatewayListening { .. }
            | Self::GatewayDraining { .. }
            | Self::RequestReplayed { .. }
            | Self::RequestContinued { .. }
            | Self::OperatorRequested { .. } => Level::Info,
            Self::ServerExited { .. }
            | Self::ServerUnhealthy { .. }
            | Self::OrphanSettled { .. }
            | Self::HealthFailed { .. }
            | Self::HealthSuspected { .. }
            | Self::FallbackUnavailable { .. }
            | Self::RequestDiverted { .. }
            | Self::RequestFailed { .. }
            | Self::ChildExited { .. } => Level::Warn,
            Self::BreakerOpened { .. } | Self::RequestQuarantined { .. } => Level::Error,
        }
    }
}
