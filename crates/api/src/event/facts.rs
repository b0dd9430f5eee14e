//! What every event has: its name on the wire, and who should care.

use super::{Kind, Level};

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
            Self::ServerDraining { .. } => "server.draining",
            Self::ServerRecycling { .. } => "server.recycling",
            Self::ServerMemoryHigh { .. } => "server.memory_high",
            Self::ConfigReloaded { .. } => "config.reloaded",
            Self::ConfigRejected { .. } => "config.rejected",
            Self::NotifyUndelivered { .. } => "notify.undelivered",
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
            | Self::ServerDraining { .. }
            | Self::ServerRecycling { .. }
            | Self::ConfigReloaded { .. }
            | Self::OperatorRequested { .. } => Level::Info,
            Self::ServerExited { .. }
            | Self::ServerUnhealthy { .. }
            | Self::OrphanSettled { .. }
            | Self::HealthFailed { .. }
            | Self::HealthSuspected { .. }
            | Self::FallbackUnavailable { .. }
            | Self::RequestDiverted { .. }
            | Self::RequestFailed { .. }
            | Self::ServerMemoryHigh { .. }
            | Self::NotifyUndelivered { .. }
            | Self::ChildExited { .. } => Level::Warn,
            Self::ConfigRejected { .. } | Self::BreakerOpened { .. } | Self::RequestQuarantined { .. } => Level::Error,
        }
    }
}
