//! From the blueprint of a server to a running process group: port, locks, environment, guard, record, in that order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_process::port::{self, PortState};
use mlx_tree_process::state::{InstanceLock, Record, ServerLock, ServerLockError};
use mlx_tree_process::{Identity, Launch, ProcessGroup};
use reqwest::Client;
use tokio::sync::{Semaphore, watch};

use super::diagnosis::Reason;
use super::failure::ServerFailure;
use super::guard::GuardKeeper;
use super::job::Job;
use super::logbook::LogBook;
use super::profile::CommandParts;
use super::recipe::{Recipe, Recipes};
use super::view::ServerView;
use crate::availability::StartTimes;
use crate::bus::Bus;
use crate::clock::Clock;

/// How long a launch waits for the process before it to be gone. That one has had its grace and its KILL by then.
const PREDECESSOR: Duration = Duration::from_secs(30);
/// How often a launch looks for a free port. Two launches of one moment may well name the same one; ten do not.
const FREE_PORT_TRIES: u32 = 10;

/// Everything that is the same for all incarnations of one server.
pub struct Blueprint {
    /// What it is called; unique.
    pub name: Arc<str>,
    /// What its events are stamped with: `server`, or of several `coder/server`.
    pub label: Arc<str>,
    /// How it is started, judged and stopped, as of now.
    pub recipes: Recipes,
    /// The proof that we are the one supervisor of this instance, and the way to its state; without it (in a library that
    /// wants none) an orphan cannot be told from a stranger.
    pub instance: Option<Arc<InstanceLock>>,
    /// Ends the server when we cannot.
    pub guard: GuardKeeper,
    /// Talks to the server.
    pub client: Client,
    /// The observation path.
    pub bus: Bus,
    /// What the server writes.
    pub logs: LogBook,
    /// The tree's clock.
    pub clock: Clock,
    /// How long its starts took.
    pub starts: StartTimes,
    /// The control path: what the world is told about the process.
    pub view: watch::Sender<ServerView>,
    /// One permit: whoever has it may have a process. It comes back when the whole group is gone.
    pub permit: Arc<Semaphore>,
}

/// On which port the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// Always on this one.
    Fixed(u16),
    /// On a free one, chosen anew for each launch.
    Free,
}

/// A process group with its address.
pub(super) struct Launched {
    pub(super) group: ProcessGroup,
    pub(super) address: SocketAddr,
}

// === impl Blueprint ===

impl Blueprint {
    /// Starts a process for one incarnation, once the one before it is entirely gone.
    pub(super) async fn launch(&self, recipe: &Recipe) -> Result<Launched, ServerFailure> {
        let Ok(Ok(permit)) = tokio::time::timeout(PREDECESSOR, Arc::clone(&self.permit).acquire_owned()).await else {
            let message = format!("the process before it is still there {} s later", PREDECESSOR.as_secs());
            return Err(ServerFailure::plain(Reason::OutOfResources, message));
        };
        let address = take_address(recipe).await?;
        let job = match recipe.parts.job.clone() {
            Some(job) => Some(with_ports(recipe, job).await?),
            None => None,
        };
        let argv = recipe.profile.argv(&CommandParts { port: address.port(), job, ..recipe.parts.clone() });
        let mut launch = Launch::new(argv).envs(recipe.env.iter().cloned()).hold(permit).drop_grace(recipe.hung_grace);
        if let Some(cwd) = &recipe.cwd {
            launch = launch.cwd(cwd);
        }
        if let Some(instance) = &self.instance {
            launch = launch.lock(ServerLock::acquire(instance).await.map_err(|error| locked(&error))?);
        }
        let group = ProcessGroup::spawn(launch).map_err(|error| ServerFailure::spawn(&error))?;
        self.guard.protect(group.identity(), recipe.hung_grace);
        self.note_down(&group, address);
        Ok(Launched { group, address })
    }

    /// A process is gone: nobody needs to look after it any more.
    pub(super) fn forget(&self, process: &Identity) {
        self.guard.release(process);
        if let Some(instance) = &self.instance
            && let Err(error) = Record::remove(instance.dir())
        {
            tracing::warn!(target: "mlx_tree::server", %error, "the note about the server cannot be removed");
        }
    }

    fn note_down(&self, group: &ProcessGroup, address: SocketAddr) {
        let Some(instance) = &self.instance else { return };
        let record = Record { server: group.identity().clone(), port: address.port(), nonce: group.nonce().to_owned() };
        // The lock is the truth and the note a hint: a server without a note is found all the same.
        if let Err(error) = record.write(instance.dir()) {
            tracing::warn!(target: "mlx_tree::server", %error, "the note about the server cannot be written");
        }
    }
}

/// Names a port that nobody holds.
async fn take_address(recipe: &Recipe) -> Result<SocketAddr, ServerFailure> {
    let PortChoice::Fixed(port) = recipe.port else { return take_free_address(recipe).await };
    match look_at(recipe, port).await? {
        PortState::Free => Ok(SocketAddr::new(recipe.host, port)),
        PortState::Held { holders } => {
            let holders: Vec<_> = holders.iter().map(|it| format!("pid {} ({})", it.pid, it.command)).collect();
            let who = if holders.is_empty() { "a process of another user".to_owned() } else { holders.join(", ") };
            Err(ServerFailure::plain(Reason::PortInUse, format!("port {port} is held by {who}")))
        }
    }
}

/// A port that was free a moment ago may be somebody else's by now: then another one will do.
async fn take_free_address(recipe: &Recipe) -> Result<SocketAddr, ServerFailure> {
    for _ in 0..FREE_PORT_TRIES {
        let port = port::free_port(recipe.host).map_err(|error| {
            ServerFailure::plain(Reason::OutOfResources, format!("no free port can be had: {error}"))
        })?;
        if look_at(recipe, port).await? == PortState::Free {
            return Ok(SocketAddr::new(recipe.host, port));
        }
    }
    let message = format!("{FREE_PORT_TRIES} free ports were taken by others, one after the other");
    Err(ServerFailure::plain(Reason::OutOfResources, message))
}

/// A job whose ranks have free ports in a row.
async fn with_ports(recipe: &Recipe, job: Job) -> Result<Job, ServerFailure> {
    let count = job.ports();
    for _ in 0..FREE_PORT_TRIES {
        let first = take_free_address(recipe).await?.port();
        let mut free = first.checked_add(count).is_some();
        for port in (first..first.saturating_add(count)).skip(1) {
            free = free && look_at(recipe, port).await? == PortState::Free;
        }
        if free {
            return Ok(job.on_ports_from(if count == 0 { 0 } else { first }));
        }
    }
    let message = format!("no {count} free ports in a row were found for its ranks");
    Err(ServerFailure::plain(Reason::OutOfResources, message))
}

async fn look_at(recipe: &Recipe, port: u16) -> Result<PortState, ServerFailure> {
    let address = SocketAddr::new(recipe.host, port);
    port::check(address).await.map_err(|error| {
        ServerFailure::plain(Reason::BadArguments, format!("{address} cannot be listened on: {error}"))
    })
}

fn locked(error: &ServerLockError) -> ServerFailure {
    ServerFailure::plain(Reason::OutOfResources, error.to_string())
}
