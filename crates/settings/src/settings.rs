//! What the configuration amounts to: plain data, checked.

mod checks;
mod control;
mod directories;
mod fallback;
mod gateway;
mod health;
mod log;
mod memory;
mod notify;
mod reports;
mod restart;
mod server;
mod servers;
mod shutdown;

pub use control::ControlSettings;
pub use fallback::{AliasConsent, FallbackKind, FallbackModel, FallbackPolicy, FallbackSettings};
pub use gateway::{ContinueStreams, GatewaySettings, Tokens, UnknownModel};
pub use health::HealthSettings;
pub use log::{Language, LogFormat, LogLevel, LogSettings};
pub use memory::MemorySettings;
pub use notify::{NotifyLevel, NotifySettings, NotifySink, SecretUrl};
pub use reports::ReportsSettings;
pub use restart::{BreakerSettings, RestartMode, RestartSettings};
pub use server::{
    CommandTemplate, LaunchSettings, Preload, PythonChoice, Ranks, ServerKind, ServerSettings, StartMode,
};
pub use shutdown::ShutdownSettings;

use std::path::PathBuf;

use mlx_tree_policy::{BreakerConfig, HealthThreshold, RestartPolicyConfig};

use crate::Environment;
use crate::reader::Reader;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where locks, history and the server's record are kept. Absolute.
    pub state_dir: PathBuf,
    /// Where the managed Python environment and made models live. Absolute.
    pub data_dir: PathBuf,
    /// Who is told when something needs a human, in the order of the configuration. Each has a name of its own.
    pub notify: Vec<NotifySettings>,
    /// The server that is kept alive; the first and default one of several.
    pub server: ServerSettings,
    /// The others of several, in the order of the configuration. Each has a name of its own.
    pub further_servers: Vec<ServerSettings>,
    /// What the servers may take together.
    pub memory: MemorySettings,
    /// When it is restarted.
    pub restart: RestartSettings,
    /// When restarting is given up for a while.
    pub breaker: BreakerSettings,
    /// How its health is watched.
    pub health: HealthSettings,
    /// How it is stopped.
    pub shutdown: ShutdownSettings,
    /// The one address that clients use.
    pub gateway: GatewaySettings,
    /// What may answer in the servers' place.
    pub fallback: FallbackSettings,
    /// Who may ask about it.
    pub control: ControlSettings,
    /// What is written down when a server goes down.
    pub reports: ReportsSettings,
    /// What mlx-tree says.
    pub log: LogSettings,
}

// === impl Settings ===

impl Settings {
    /// All servers, the default one first.
    pub fn servers(&self) -> impl Iterator<Item = &ServerSettings> {
        std::iter::once(&self.server).chain(&self.further_servers)
    }

    /// The numbers of the default server's restart policy.
    #[must_use]
    pub const fn restart_policy_config(&self) -> RestartPolicyConfig {
        self.restart_policy_config_of(&self.server)
    }

    /// The numbers of a server's restart policy.
    #[must_use]
    pub const fn restart_policy_config_of(&self, server: &ServerSettings) -> RestartPolicyConfig {
        RestartPolicyConfig {
            intensity: self.restart.intensity,
            backoff: self.restart.backoff,
            breaker: BreakerConfig {
                failure_threshold: self.breaker.failure_threshold,
                open_for: self.breaker.open_for,
                open_growth: self.breaker.open_growth,
                open_max: self.breaker.open_max,
                probation: self.breaker.probation,
                // A trial may take a whole start, and then has to hold.
                half_open_deadline: server.start_timeout.saturating_add(self.breaker.probation),
            },
            stable_after: self.restart.stable_after,
        }
    }

    /// The counter of missed health checks, for one incarnation of the server.
    #[must_use]
    pub const fn health_threshold(&self) -> HealthThreshold {
        HealthThreshold::new(self.health.failure_threshold, self.health.interval)
    }

    /// Reads every section, in the order in which they are shown.
    pub(crate) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Self {
        let state_dir = directories::state_dir(&mut reader.section(""), environment);
        let data_dir = directories::data_dir(&mut reader.section(""), environment);
        let notify = notify::read(&mut reader.section(""), environment);
        let settings = Self {
            notify,
            server: ServerSettings::read(&mut reader.section("server"), environment, &state_dir),
            further_servers: servers::further(reader, environment, &state_dir),
            memory: MemorySettings::read(&mut reader.section("memory")),
            restart: RestartSettings::read(&mut reader.section("restart")),
            breaker: BreakerSettings::read(&mut reader.section("breaker")),
            health: HealthSettings::read(&mut reader.section("health")),
            shutdown: ShutdownSettings::read(&mut reader.section("shutdown")),
            gateway: GatewaySettings::read(&mut reader.section("gateway")),
            fallback: FallbackSettings::read(&mut reader.section("fallback")),
            control: ControlSettings::read(&mut reader.section("control")),
            reports: ReportsSettings::read(&mut reader.section("reports")),
            log: LogSettings::read(&mut reader.section("log"), environment),
            state_dir,
            data_dir,
        };
        checks::between_sections(&settings, reader);
        servers::check(&settings, reader);
        settings
    }
}
