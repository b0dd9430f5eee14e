//! The closed sets of words that may stand in labels. Where a word comes from a text, it is looked up here.

/// What is said of a word that is in no set.
pub const OTHER: &str = "other";

/// Why a server went down: `workers::server::diagnosis::Reason`.
pub const REASONS: &[&str] = &[
    "exit_code",
    "unexpected_exit",
    "crashed",
    "killed",
    "terminated_externally",
    "metal_out_of_memory",
    "port_in_use",
    "python_module_missing",
    "bad_model",
    "bad_arguments",
    "cannot_execute",
    "bad_working_directory",
    "out_of_resources",
    "generation_died",
    "start_timeout",
    "canary_failed",
    "unhealthy",
    "memory_limit",
    "foreign_listener",
    "worker_failed",
    "unknown",
];

/// What a client is told: `gateway::Code`.
pub const CODES: &[&str] = &[
    "invalid_json",
    "invalid_parameter",
    "parameter_not_allowed",
    "malformed_request",
    "invalid_api_key",
    "host_not_allowed",
    "origin_not_allowed",
    "model_not_found",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "request_quarantined",
    "client_share_exceeded",
    "headers_too_large",
    "http_version_not_supported",
    "internal_error",
    "backend_crashed",
    "bad_upstream_response",
    "server_overloaded",
    "queue_timeout",
    "backend_restarting",
    "backend_circuit_open",
    "backend_stopped",
    "shutting_down",
    "fallback_unsupported",
    "fallback_model_missing",
    "fallback_unavailable",
    "upstream_timeout",
];

/// Those of them by which a request is not answered for want of a server or of room.
pub const FAILURES: &[&str] = &[
    "client_share_exceeded",
    "internal_error",
    "backend_crashed",
    "bad_upstream_response",
    "server_overloaded",
    "queue_timeout",
    "backend_restarting",
    "backend_circuit_open",
    "backend_stopped",
    "shutting_down",
    "fallback_unsupported",
    "fallback_model_missing",
    "fallback_unavailable",
    "upstream_timeout",
];

/// What a fallback is called: `gateway::divert::TargetKind`.
pub const FALLBACKS: &[&str] = &["ollama", "openai"];

/// What an operator can ask for.
pub const VERBS: &[&str] = &["start", "stop", "restart", "drain", "reload", "reset", "shutdown"];

/// Children that are no servers. Of several servers each has the first two.
pub const CHILDREN: &[&str] = &["health", "breaker", "gateway", "residency", "fallback"];

/// Which limit of memory.
pub const LIMITS: &[&str] = &["soft", "hard"];

/// The word of `set` that `word` is.
pub(crate) fn known(set: &'static [&'static str], word: &str) -> &'static str {
    set.iter().find(|known| **known == word).copied().unwrap_or(OTHER)
}
