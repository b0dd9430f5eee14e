//! From settings to the plan of a tree: every key finds its place here, and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use mlx_tree_process::Grace;
use mlx_tree_process::state::InstanceLock;
use mlx_tree_provision::model::Network;
use mlx_tree_settings::{Environment, RestartMode, Settings};
use mlx_tree_supervision::{ChildSpec, Restart};
use mlx_tree_workers::breaker::History;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::health::{HealthNumbers, Served, Spans};
use mlx_tree_workers::server::profile::{CommandParts, Profile};
use mlx_tree_workers::server::{Blueprint, GuardKeeper, LogBook, PortChoice, WarmUp, probe};
use mlx_tree_workers::tree::{Plan, no_server};
use tokio::sync::Semaphore;

use crate::prepare::Prepared;

/// What a demo is called wherever a server's kind, its model or a remark about it is shown.
pub const DEMO_KIND: &str = "demo (not MLX)";
/// See [`DEMO_KIND`].
pub const DEMO_MODEL: &str = "stand-in";
/// See [`DEMO_KIND`].
pub const DEMO_NOTE: &str = "demo, not MLX: a built-in stand-in answers";

/// What the server is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// As it is configured.
    Server,
    /// A demo.
    Demo,
}

/// What a plan needs beside the settings.
pub(crate) struct Parts {
    pub(crate) prepared: Prepared,
    pub(crate) instance: Option<Arc<InstanceLock>>,
    pub(crate) guard: Vec<OsString>,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) label: Label,
    pub(crate) bus: Bus,
}

pub(crate) fn plan(settings: &Settings, environment: &Environment, parts: Parts) -> Plan {
    let Parts { prepared, instance, guard, children, label, bus } = parts;
    let server = &settings.server;
    let history = instance.as_ref().map(|instance| History::in_dir(instance.dir().path()));
    let (kind, model, note) = match label {
        Label::Server => (server.kind.as_str().to_owned(), server.model.clone(), prepared.note.clone()),
        Label::Demo => (DEMO_KIND.to_owned(), DEMO_MODEL.to_owned(), Some(DEMO_NOTE.to_owned())),
    };
    let blueprint = Blueprint {
        profile: Profile::of(server.kind, &prepared.model, settings.health.path.as_deref()),
        parts: CommandParts {
            python: prepared.python.as_ref().map_or_else(PathBuf::new, |python| python.interpreter.clone()),
            model: prepared.model.clone(),
            args: server.args.clone(),
            command: server.command.clone(),
            host: server.host,
            port: server.port,
        },
        cwd: Some(server.cwd.clone()),
        env: server_environment(settings, environment, prepared.network),
        host: server.host,
        port: if server.port == 0 { PortChoice::Free } else { PortChoice::Fixed(server.port) },
        warm_up: server
            .preload
            .iter()
            .map(|preload| WarmUp { model: preload.model.clone(), prompt: preload.prompt.clone() })
            .collect(),
        start_timeout: server.start_timeout,
        grace: Grace::new(settings.shutdown.grace),
        hung_grace: Grace::new(settings.shutdown.hung_grace),
        probe_timeout: settings.health.timeout,
        restart: match settings.restart.policy {
            RestartMode::Permanent => Restart::Permanent,
            RestartMode::Transient => Restart::Transient,
            RestartMode::Temporary => Restart::Temporary,
        },
        instance,
        guard: GuardKeeper::new(guard),
        client: probe::client(),
        bus,
        logs: LogBook::new(),
        clock: Clock::since_boot(),
        view: no_server(),
        permit: Arc::new(Semaphore::new(1)),
    };
    let health = &settings.health;
    Plan {
        blueprint,
        health: HealthNumbers {
            interval: health.interval,
            timeout: health.timeout,
            failure_threshold: health.failure_threshold,
            canary_timeout: health.canary_timeout,
            spans: Spans { canary_idle: health.canary_idle, stall_after: health.stall_after },
        },
        restart: settings.restart_policy_config(),
        history,
        served: Served::default(),
        children,
        model,
        kind,
        note,
    }
}

/// What the server sees of the environment: what settings let through, what the configuration adds, and what we insist on.
fn server_environment(settings: &Settings, environment: &Environment, network: Network) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> =
        environment.inherited_by_server().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // Python would keep the last lines of a crash in its buffer.
    variables.insert("PYTHONUNBUFFERED".into(), "1".into());
    if network == Network::NotNeeded {
        // A name in a request must not send the server to the hub, where it would block everybody.
        variables.insert("HF_HUB_OFFLINE".into(), "1".into());
    }
    variables.extend(settings.server.env.iter().map(|(name, value)| (name.into(), value.into())));
    variables.into_iter().collect()
}
