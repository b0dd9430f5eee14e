//! All that is measured, by name: what `docs/METRICS.md` describes and what dashboards may ask for.

use std::fmt;

/// One metric: what its lines in the text have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name. A histogram's lines have it with `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// The names of its labels, in their order; `le` of a histogram's buckets is not among them.
    pub labels: &'static [&'static str],
    /// One line for people.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only rises, until mlx-tree is started anew.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How many took how long.
    Histogram,
}

/// All of them, in the order in which they stand in the text.
#[must_use]
pub fn families() -> &'static [&'static Family] {
    ALL
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

macro_rules! catalogue {
    ($($family:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) static $family: Family =
            Family { name: $name, kind: Type::$kind, labels: &[$($label),*], help: $help };)*

        static ALL: &[&Family] = &[$(&$family),*];
    };
}

catalogue! {
    SERVER_INFO = Gauge "mlx_tree_server_info" ["server", "kind", "model"]
        "1, with what the server is.";
    SERVER_UP = Gauge "mlx_tree_server_up" ["server"]
        "1 while the server serves, else 0.";
    SERVER_PHASE = Gauge "mlx_tree_server_phase" ["server", "phase"]
        "1 for the phase that the server is in, 0 for the others.";
    SERVER_PHASE_SECONDS = Counter "mlx_tree_server_phase_seconds_total" ["server", "phase"]
        "Time that the server has spent in the phase.";
    SERVER_STARTS = Counter "mlx_tree_server_starts_total" ["server"]
        "Processes that were started.";
    SERVER_EXITS = Counter "mlx_tree_server_exits_total" ["server", "reason"]
        "Ends that nobody had asked for, and starts that failed.";
    SERVER_RESTARTS = Counter "mlx_tree_server_restarts_total" ["server", "reason"]
        "Automatic restarts, by the reason of the end before.";
    SERVER_RECYCLES = Counter "mlx_tree_server_recycles_total" ["server"]
        "Planned restarts.";
    SERVER_START = Histogram "mlx_tree_server_start_seconds" ["server"]
        "From a launch to ready.";
    SERVER_RECOVERY = Histogram "mlx_tree_server_time_to_recover_seconds" ["server"]
        "From the moment in which the server was down, or given up, to ready again.";
    SERVER_MEMORY = Gauge "mlx_tree_server_memory_bytes" ["server"]
        "Memory of the server's process group; absent while there is none.";
    SERVER_MEMORY_LIMIT = Gauge "mlx_tree_server_memory_limit_bytes" ["server", "limit"]
        "How much memory the server may use; absent without a limit.";
    SERVER_MEMORY_HIGH = Counter "mlx_tree_server_memory_high_total" ["server", "limit"]
        "How often the server's memory came above the limit.";
    SERVER_CPU = Counter "mlx_tree_server_cpu_seconds_total" ["server"]
        "Processor time of the server's process groups.";
    PROBE = Histogram "mlx_tree_probe_seconds" ["server", "probe", "outcome"]
        "How long health checks and canaries took to be answered, or to fail.";
    HEALTH_FAILURES = Counter "mlx_tree_health_failures_total" ["server"]
        "Health checks that were missed.";
    HEALTH_STREAK = Gauge "mlx_tree_health_failure_streak" ["server"]
        "Health checks missed in a row, right now.";
    BREAKER_STATE = Gauge "mlx_tree_breaker_state" ["server", "state"]
        "1 for the state that the breaker is in, 0 for the others.";
    BREAKER_OPENINGS = Counter "mlx_tree_breaker_openings_total" ["server"]
        "How often the breaker opened.";
    IN_FLIGHT = Gauge "mlx_tree_gateway_in_flight" ["server"]
        "Requests that the server works on.";
    QUEUED = Gauge "mlx_tree_gateway_queued" ["server"]
        "Requests that wait for the server.";
    LIMIT = Gauge "mlx_tree_gateway_limit" ["server"]
        "How many requests may be with the server at once, right now.";
    ATTEMPTS = Counter "mlx_tree_attempts_total" ["server", "end"]
        "Times that a request was with the server, by how that ended.";
    REQUESTS = Counter "mlx_tree_requests_total" ["server", "outcome", "code"]
        "Requests, by how they ended; the code is that of the error that the client was told.";
    REQUEST_SECONDS = Histogram "mlx_tree_request_seconds" ["server", "outcome"]
        "From a request's arrival to its end.";
    FIRST_BYTE = Histogram "mlx_tree_request_first_byte_seconds" ["server"]
        "From a request's arrival to the first byte of its answer.";
    WAIT = Histogram "mlx_tree_request_wait_seconds" ["server"]
        "How long a request waited for its turn and for restarts.";
    HOLDS = Counter "mlx_tree_request_holds_total" ["server"]
        "Times that a request waited for a server that was not ready.";
    REPLAYS = Counter "mlx_tree_request_replays_total" ["server"]
        "Requests that were sent again, unseen by their clients.";
    CONTINUATIONS = Counter "mlx_tree_request_continuations_total" ["server"]
        "Cut streams that went on where they were cut.";
    DIVERTS = Counter "mlx_tree_request_diverts_total" ["server", "to"]
        "Requests that a fallback was asked to answer.";
    QUARANTINES = Counter "mlx_tree_request_quarantines_total" ["server"]
        "Requests that were in flight at two ends of the server, and are refused from then on.";
    CUT_STREAMS = Counter "mlx_tree_cut_streams_total" ["server"]
        "Answers of which clients have a part only, and were told so.";
    TOKENS = Counter "mlx_tree_tokens_total" ["server"]
        "Tokens that the server has produced for clients, as far as can be counted from outside.";
    FALLBACK_UP = Gauge "mlx_tree_fallback_up" ["fallback"]
        "1 while the fallback can be asked, else 0; absent where there is none.";
    READY = Gauge "mlx_tree_ready" []
        "1 while a request that comes now would be answered, as GET /readyz says.";
    DEGRADED = Gauge "mlx_tree_degraded" []
        "How much works less well than it should, in lines of the status document.";
    EVENTS = Counter "mlx_tree_events_total" ["event"]
        "Events, by their names.";
    CHILD_EXITS = Counter "mlx_tree_child_exits_total" ["child"]
        "Children of the tree, other than servers, that ended unasked.";
    OPERATOR = Counter "mlx_tree_operator_requests_total" ["verb"]
        "What operators asked for.";
    RELOADS = Counter "mlx_tree_config_reloads_total" ["outcome"]
        "Changed configurations that were applied or rejected.";
    UNDELIVERED = Counter "mlx_tree_notifications_undelivered_total" []
        "Notifications that did not reach anybody.";
    BUILD = Gauge "mlx_tree_build_info" ["version"]
        "1, with mlx-tree's version.";
    UPTIME = Gauge "mlx_tree_uptime_seconds" []
        "Time since mlx-tree was started.";
    PROCESS_MEMORY = Gauge "mlx_tree_process_resident_memory_bytes" []
        "Memory of mlx-tree itself.";
    PROCESS_CPU = Counter "mlx_tree_process_cpu_seconds_total" []
        "Processor time of mlx-tree itself.";
}
