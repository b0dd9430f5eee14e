//! What an event is to somebody who wants to be told: an alarm, the end of one, or nothing.

use mlx_tree_api::{Event, Kind, Level};

use crate::Target;

/// What an event is to one who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Is {
    /// Something to tell, with a word by which two of the same kind are told apart.
    Alarm(String),
    /// Nothing to tell.
    Nothing,
}

/// What it is by what `target` has asked for.
pub(crate) fn is(event: &Event, target: &Target) -> Is {
    // A notice about a notice would never end.
    if let Kind::NotifyUndelivered { .. } = event.kind {
        return Is::Nothing;
    }
    let named = target.events.iter().any(|name| is_named(event.kind.name(), name));
    if named || wanted(&event.kind, target.level) { Is::Alarm(reason(&event.kind)) } else { Is::Nothing }
}

fn is_named(event: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(group) => event.starts_with(group),
        None => event == name,
    }
}

fn wanted(kind: &Kind, level: Level) -> bool {
    match level {
        Level::Error => needs_a_human(kind),
        Level::Warn => needs_a_human(kind) || matches!(kind.level(), Level::Warn | Level::Error),
        Level::Info => kind.level() != Level::Debug,
        Level::Debug => true,
    }
}

/// Whether somebody has to do something, or will be asked why nobody did.
pub(crate) fn needs_a_human(kind: &Kind) -> bool {
    match kind {
        Kind::ServerMemoryHigh { limit, .. } => limit == "hard",
        Kind::TreeStopped { reason } => reason != "stopped on request",
        other => other.level() == Level::Error,
    }
}

/// What tells two alarms with the same name about the same child apart.
fn reason(kind: &Kind) -> String {
    match kind {
        Kind::TreeStopped { reason }
        | Kind::ServerExited { reason, .. }
        | Kind::ServerUnhealthy { reason }
        | Kind::HealthSuspected { reason }
        | Kind::BreakerOpened { reason, .. }
        | Kind::BreakerClosed { reason }
        | Kind::ChildExited { reason }
        | Kind::FallbackUnavailable { reason, .. }
        | Kind::ServerDraining { reason, .. }
        | Kind::ServerRecycling { reason }
        | Kind::ServerPutToSleep { reason }
        | Kind::ConfigRejected { reason } => reason.clone(),
        Kind::ConfigReloaded { changes } => changes.join("; "),
        Kind::ServerMemoryHigh { limit, .. } => limit.clone(),
        Kind::RequestReplayed { request, .. }
        | Kind::RequestContinued { request, .. }
        | Kind::RequestQuarantined { request, .. }
        | Kind::RequestHeld { request, .. } => request.clone(),
        Kind::RequestDiverted { reason, .. } => reason.clone(),
        Kind::RequestFailed { code, .. } => code.clone(),
        Kind::OperatorRequested { verb } => verb.clone(),
        Kind::OrphanSettled { outcome } => outcome.clone(),
        Kind::FallbackUnloaded { model } => model.clone(),
        Kind::TreeStarted { .. }
        | Kind::TreeStopping
        | Kind::ServerSpawned { .. }
        | Kind::ServerLoading
        | Kind::ServerReady { .. }
        | Kind::ServerStopping { .. }
        | Kind::ServerStopped { .. }
        | Kind::ServerWoken
        | Kind::HealthMonitoring
        | Kind::HealthFailed { .. }
        | Kind::HealthBusy { .. }
        | Kind::HealthRecovered { .. }
        | Kind::RestartGranted { .. }
        | Kind::RestartDelayed { .. }
        | Kind::BreakerHalfOpened
        | Kind::ChildStarted
        | Kind::FallbackReady { .. }
        | Kind::GatewayListening { .. }
        | Kind::GatewayDraining { .. }
        | Kind::NotifyUndelivered { .. } => String::new(),
    }
}

/// The alarms that are over with an event of this name: whoever was told of one is told that it is over.
pub(crate) fn ends(event: &str) -> &'static [&'static str] {
    match event {
        "breaker.closed" => &["breaker.opened"],
        "config.reloaded" => &["config.rejected"],
        "server.ready" => &["server.exited", "server.unhealthy", "server.memory_high"],
        "health.recovered" => &["health.failed", "health.suspected"],
        "fallback.ready" => &["fallback.unavailable"],
        "child.started" => &["child.exited"],
        _ => &[],
    }
}
