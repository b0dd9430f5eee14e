//! From settings to the plan of a tree: every key finds its place here, and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use mlx_tree_policy::memory::MemoryLimits;
use mlx_tree_process::Grace;
use mlx_tree_process::state::InstanceLock;
use mlx_tree_provision::model::Network;
use mlx_tree_settings::{
    self as settings, Environment, LaunchSettings, RestartMode, ServerSettings, Settings, StartMode,
};
use mlx_tree_supervision::{ChildSpec, Restart};
use mlx_tree_workers::SERVER;
use mlx_tree_workers::availability::StartTimes;
use mlx_tree_workers::breaker::History;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::health::{HealthNumbers, Served, Spans};
use mlx_tree_workers::server::job::{Job, Ranks};
use mlx_tree_workers::server::profile::{CommandParts, Profile};
use mlx_tree_workers::server::{Blueprint, GuardKeeper, LogBook, PortChoice, Recipe, Recipes, WarmUp, probe};
use mlx_tree_workers::tree::{MemoryPlan, Plan, ServerChange, ServerPlan, Shown, Start, Stay, no_server};
use tokio::sync::Semaphore;

use crate::prepare::Prepared;

/// What a demo is called wherever a server's kind, its model or a remark about it is shown.
pub const DEMO_KIND: &str = "demo (not MLX)";
/// See [`DEMO_KIND`].
pub const DEMO_MODEL: &str = "stand-in";
/// See [`DEMO_KIND`].
pub const DEMO_NOTE: &str = "demo, not MLX: a built-in stand-in answers";

/// The program that makes a job of a server.
const LAUNCHER: &str = "mlx.launch";

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
    /// In the order of the servers.
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) places: Places,
    pub(crate) guard: Vec<OsString>,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) label: Label,
    pub(crate) bus: Bus,
}

/// Where the servers keep their locks, records and histories.
pub(crate) struct Places {
    /// The default server's place, which is the tree's own.
    pub(crate) first: Arc<InstanceLock>,
    /// Those of the further servers, in their order.
    pub(crate) further: Vec<Arc<InstanceLock>>,
    /// Those of servers that are not configured any more.
    pub(crate) abandoned: Vec<Arc<InstanceLock>>,
}

/// What all servers have in common.
struct Common<'a> {
    settings: &'a Settings,
    environment: &'a Environment,
    guard: GuardKeeper,
    bus: Bus,
    clock: Clock,
}

/// What is one server's own.
struct Own<'a> {
    server: &'a ServerSettings,
    /// What its events are stamped with.
    stamp: String,
    prepared: &'a Prepared,
    place: Arc<InstanceLock>,
    logs: LogBook,
    label: Label,
}

pub(crate) fn plan(settings: &Settings, environment: &Environment, parts: Parts) -> Plan {
    let Parts { prepared, places, guard, children, label, bus } = parts;
    let common = Common { settings, environment, guard: GuardKeeper::new(guard), bus, clock: Clock::since_boot() };
    let logs = LogBook::new();
    let several = !settings.further_servers.is_empty();
    let book = |name: &str| if several { LogBook::within(&logs, name) } else { logs.clone() };
    let first = Own {
        server: &settings.server,
        stamp: SERVER.to_owned(),
        prepared: &prepared[0],
        place: places.first,
        logs: book(settings.server.name()),
        label,
    };
    let server = common.server_plan(first);
    let further = settings.further_servers.iter().zip(&prepared[1..]).zip(places.further);
    let further = further
        .map(|((server, prepared), place)| {
            let (stamp, logs) = (format!("{}/{SERVER}", server.name()), book(server.name()));
            common.server_plan(Own { server, stamp, prepared, place, logs, label: Label::Server })
        })
        .collect();
    Plan { server, further, memory: memory(settings), children, logs, abandoned: places.abandoned }
}

// === impl Common ===

impl Common<'_> {
    fn server_plan(&self, own: Own<'_>) -> ServerPlan {
        let Own { server, stamp, prepared, place, logs, label } = own;
        ServerPlan {
            history: Some(History::in_dir(place.dir().path())),
            blueprint: self.blueprint(server, stamp, prepared, place, logs),
            health: health_numbers(self.settings),
            restart: self.settings.restart_policy_config_of(server),
            served: Served::default(),
            shown: shown(server, prepared, label),
            start: match server.start {
                StartMode::Always => Start::Always,
                StartMode::Preload => Start::Preload,
                StartMode::OnDemand => Start::OnDemand,
            },
            stay: stay(self.settings, server),
        }
    }

    fn blueprint(
        &self,
        server: &ServerSettings,
        stamp: String,
        prepared: &Prepared,
        place: Arc<InstanceLock>,
        logs: LogBook,
    ) -> Blueprint {
        Blueprint {
            name: server.name().into(),
            label: stamp.into(),
            recipes: Recipes::of(recipe(self.settings, self.environment, server, prepared)),
            instance: Some(place),
            guard: self.guard.clone(),
            client: probe::client(),
            bus: self.bus.clone(),
            logs,
            clock: self.clock,
            starts: StartTimes::default(),
            view: no_server(),
            permit: Arc::new(Semaphore::new(1)),
        }
    }
}

/// What a changed configuration says of a server that is there.
pub(crate) fn change(
    settings: &Settings,
    environment: &Environment,
    server: &ServerSettings,
    prepared: &Prepared,
    label: Label,
) -> ServerChange {
    ServerChange {
        recipe: recipe(settings, environment, server, prepared),
        health: health_numbers(settings),
        restart: settings.restart_policy_config_of(server),
        stay: stay(settings, server),
        shown: shown(server, prepared, label),
    }
}

/// What the servers may take together.
pub(crate) const fn memory(settings: &Settings) -> MemoryPlan {
    let memory = settings.memory;
    MemoryPlan { budget: memory.budget, min_stay: memory.min_stay, turn: memory.turn }
}

fn stay(settings: &Settings, server: &ServerSettings) -> Stay {
    Stay {
        idle_stop: server.idle_stop,
        memory: server.memory.unwrap_or(0),
        limits: MemoryLimits {
            soft: server.memory_soft_limit,
            hard: server.memory_hard_limit,
            patience: settings.memory.soft_patience,
            every: settings.memory.soft_every,
        },
    }
}

fn shown(server: &ServerSettings, prepared: &Prepared, label: Label) -> Shown {
    match label {
        Label::Server => {
            Shown { kind: server.kind.as_str().to_owned(), model: server.model.clone(), note: prepared.note.clone() }
        }
        Label::Demo => {
            Shown { kind: DEMO_KIND.to_owned(), model: DEMO_MODEL.to_owned(), note: Some(DEMO_NOTE.to_owned()) }
        }
    }
}

const fn health_numbers(settings: &Settings) -> HealthNumbers {
    let health = &settings.health;
    HealthNumbers {
        interval: health.interval,
        timeout: health.timeout,
        failure_threshold: health.failure_threshold,
        canary_timeout: health.canary_timeout,
        spans: Spans { canary_idle: health.canary_idle, stall_after: health.stall_after },
    }
}

/// How `server` is started, judged and stopped.
pub(crate) fn recipe(
    settings: &Settings,
    environment: &Environment,
    server: &ServerSettings,
    prepared: &Prepared,
) -> Recipe {
    Recipe {
        profile: Profile::of(server.kind, &prepared.model, settings.health.path.as_deref()),
        parts: CommandParts {
            python: prepared.python.as_ref().map_or_else(PathBuf::new, |python| python.interpreter.clone()),
            model: prepared.model.clone(),
            args: server.args.clone(),
            command: server.command.clone(),
            host: server.host,
            port: server.port,
            job: server.launch.as_ref().map(|launch| job(launch, prepared)),
        },
        cwd: Some(server.cwd.clone()),
        env: server_environment(environment, server, prepared.network),
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
        drain: settings.shutdown.drain,
        probe_timeout: settings.health.timeout,
        restart: match settings.restart.policy {
            RestartMode::Permanent => Restart::Permanent,
            RestartMode::Transient => Restart::Transient,
            RestartMode::Temporary => Restart::Temporary,
        },
    }
}

/// What a server sees of the environment: what settings let through, what the configuration adds, and what we insist on.
fn server_environment(
    environment: &Environment,
    server: &ServerSettings,
    network: Network,
) -> Vec<(OsString, OsString)> {
    let inherited = environment.inherited_by_server();
    let mut variables: BTreeMap<OsString, OsString> =
        inherited.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // Python would keep the last lines of a crash in its buffer.
    variables.insert("PYTHONUNBUFFERED".into(), "1".into());
    if network == Network::NotNeeded {
        // A name in a request must not send the server to the hub, where it would block everybody.
        variables.insert("HF_HUB_OFFLINE".into(), "1".into());
    }
    variables.extend(server.env.iter().map(|(name, value)| (name.into(), value.into())));
    variables.into_iter().collect()
}

/// The launcher comes with MLX, so it is beside the interpreter that has MLX; if not, on the server's search path.
fn job(launch: &LaunchSettings, prepared: &Prepared) -> Job {
    let beside = prepared.python.as_ref().map(|python| python.interpreter.with_file_name(LAUNCHER));
    Job {
        launcher: beside.filter(|path| path.exists()).unwrap_or_else(|| LAUNCHER.into()),
        ranks: match &launch.ranks {
            settings::Ranks::Here(count) => Ranks::Here { count: *count, first_port: 0 },
            settings::Ranks::Hosts(file) => Ranks::Hosts(file.clone()),
        },
        backend: launch.backend.clone(),
    }
}
