//! The narration in English.

use super::mebibytes;
use crate::Kind;

pub(super) fn english(kind: &Kind) -> Option<(&'static str, String)> {
    Some(match kind {
        Kind::TreeStarted { pid } => ("🌳", format!("Supervision tree started (PID: {pid})")),
        Kind::TreeStopping => ("🛑", "Stopping the tree".to_owned()),
        Kind::TreeStopped { reason } => ("🏁", format!("Tree stopped ({reason})")),
        Kind::ServerSpawned { pid, url } => {
            ("🚀", format!("Server process started (PID: {pid}), loading; it will answer at {url}"))
        }
        Kind::ServerReady { pid, .. } => ("✅", format!("MLX API Server is up and healthy (PID: {pid})")),
        Kind::ServerExited { code: Some(code), .. } => ("❌", format!("Server went down (code: {code})")),
        Kind::ServerExited { signal: Some(signal), .. } => ("❌", format!("Server went down (signal: {signal})")),
        Kind::ServerExited { message, .. } => ("❌", format!("Server is down: {message}")),
        Kind::ServerUnhealthy { reason } => ("💔", format!("Server counts as down and is being ended: {reason}")),
        Kind::ServerStopping { grace_s } => {
            ("🛑", format!("Stopping the server (SIGTERM, up to {grace_s:.0}s, then SIGKILL)"))
        }
        Kind::ServerStopped { how } => ("⏹️", format!("Server stopped ({how})")),
        Kind::ServerWoken => ("⏰", "Server is wanted and is started".to_owned()),
        Kind::ServerPutToSleep { reason } => ("😴", format!("Server is put to sleep: {reason}")),
        Kind::OrphanSettled { outcome } => ("🧹", format!("A server was left behind by an earlier run: {outcome}")),
        Kind::HealthMonitoring => ("🔍", "Monitoring loop started".to_owned()),
        Kind::HealthFailed { streak, threshold, .. } => ("⚠️", format!("Health check failed ({streak}/{threshold})")),
        Kind::HealthSuspected { reason } => ("🤔", format!("Server is suspect: {reason}")),
        Kind::HealthRecovered { after } => ("💚", format!("Health checks pass again (after {after} missed)")),
        Kind::RestartGranted { .. } => ("🔄", "Attempting to restart the server...".to_owned()),
        Kind::RestartDelayed { delay_s } => {
            ("⏳", format!("Waiting {delay_s:.1}s before the restart (exponential backoff)"))
        }
        Kind::BreakerOpened { reason, open_for_s } => {
            let span = open_for_s.map_or_else(|| "until reset".to_owned(), |span| format!("for {span:.0}s"));
            ("🔴", format!("Circuit breaker OPEN: no restarts {span} ({reason})"))
        }
        Kind::BreakerHalfOpened => ("🟡", "Circuit breaker HALF_OPEN: one restart as a trial".to_owned()),
        Kind::BreakerClosed { reason } => ("🟢", format!("Circuit breaker CLOSED ({reason})")),
        Kind::ChildExited { reason } => ("❌", format!("ended unexpectedly: {reason}")),
        Kind::FallbackReady { name, models } => ("🪂", format!("The fallback {name} can be asked (models: {models})")),
        Kind::FallbackUnavailable { name, reason } => ("🪂", format!("The fallback {name} cannot be asked: {reason}")),
        Kind::FallbackUnloaded { model } => ("🪂", format!("The fallback's model {model} made room in memory")),
        Kind::GatewayListening { url } => ("🚪", format!("Clients are served at {url}")),
        Kind::GatewayDraining { in_flight } => ("🚪", format!("No new requests; {in_flight} in flight may finish")),
        Kind::RequestReplayed { request, attempt } => {
            ("🔁", format!("Request {request} is sent again (attempt {attempt}); its client has noticed nothing"))
        }
        Kind::RequestContinued { request, attempt } => {
            ("🧵", format!("Stream {request} goes on where it was cut (attempt {attempt})"))
        }
        Kind::RequestDiverted { request, to, reason } => {
            ("🔀", format!("Request {request} is answered by the fallback {to}, and labelled so: {reason}"))
        }
        Kind::RequestQuarantined { request, for_s } => {
            ("☣️", format!("Request {request} took the server down twice and is refused for {for_s:.0}s"))
        }
        Kind::RequestFailed { request, code, message, .. } => {
            ("⚠️", format!("Request {request} failed ({code}): {message}"))
        }
        Kind::ServerDraining { reason, in_flight: 0 } => ("🚰", format!("Server gets nothing new: {reason}")),
        Kind::ServerDraining { reason, in_flight } => {
            ("🚰", format!("Server gets nothing new and ends what it works on (in flight: {in_flight}): {reason}"))
        }
        Kind::ServerRecycling { reason } => ("♻️", format!("Planned restart of the server: {reason}")),
        Kind::ServerMemoryHigh { memory_bytes, limit_bytes, limit } => {
            let (used, allowed) = (mebibytes(*memory_bytes), mebibytes(*limit_bytes));
            ("🐘", format!("Server uses {used} MiB, more than its {limit} limit of {allowed} MiB"))
        }
        Kind::ConfigReloaded { changes } if changes.is_empty() => {
            ("📄", "Configuration read again: no change".to_owned())
        }
        Kind::ConfigReloaded { changes } => ("📄", format!("Configuration changed: {}", changes.join("; "))),
        Kind::ConfigRejected { reason } => ("📄", format!("Configuration cannot be used, the old one stays: {reason}")),
        Kind::NotifyUndelivered { to, reason } => ("📪", format!("{to} could not be told: {reason}")),
        Kind::OperatorRequested { verb } => ("👤", format!("Operator: {verb}")),
        Kind::ServerLoading | Kind::HealthBusy { .. } | Kind::ChildStarted | Kind::RequestHeld { .. } => return None,
    })
}
