//! A running tree, for those who hold it: its servers, the verbs on the default one, and the end.

use std::sync::Arc;

use mlx_tree_api::{Event, Kind, Status};
use mlx_tree_process::signal::{self, Signal, Target};
use mlx_tree_supervision::{ChildState, EventKind, Supervisor, SupervisorEvent, SupervisorExit, SupervisorHandle};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::subtree::{self, Beginning};
use super::{MemoryPlan, Plan, Server, ServerHandle, TreeError, VerbError, orphans, status};
use crate::SERVER;
use crate::availability::follow;
use crate::bus::Bus;
use crate::health::Served;
use crate::residency;
use crate::server::LogBook;
use crate::usage;

/// How far a watcher of the supervisors' events may lag.
const EVENTS: usize = 1024;

/// A running tree. Cheap to clone; all clones are one tree. Dropping the last one does not stop it: [`Tree::stop`] does.
#[derive(Clone)]
pub struct Tree {
    pub(super) inner: Arc<Inner>,
}

/// What a running tree holds.
pub(super) struct Inner {
    pub(super) supervisor: SupervisorHandle,
    /// The default one first.
    pub(super) servers: Vec<ServerHandle>,
    pub(super) started: Instant,
    pub(super) memory: watch::Sender<MemoryPlan>,
    bus: Bus,
    logs: LogBook,
    /// Its receivers are with the tasks that look after the servers as long as the tree lives.
    watchers: watch::Sender<()>,
}

// === impl Tree ===

impl Tree {
    /// Starts the tree that `plan` describes. Resolves when all its children have been started, which is before the server
    /// is ready: see [`Tree::ready`].
    ///
    /// # Errors
    /// [`TreeError`]; nothing runs then.
    pub async fn start(plan: Plan) -> Result<Self, TreeError> {
        let Plan { server, further, memory, children, logs, abandoned } = plan;
        let (intensity, memory) = (server.restart.intensity, watch::Sender::new(memory));
        let servers: Vec<Arc<Server>> =
            std::iter::once(server).chain(further).map(Server::new).collect::<Result<_, _>>()?;
        let first = &servers[0];
        let (bus, grace) = (first.blueprint.bus.clone(), first.blueprint.recipes.newest().grace);
        for server in &servers {
            if let Some(instance) = &server.blueprint.instance {
                orphans::settle(instance, server.blueprint.recipes.newest().grace, &server.blueprint.label, &bus)
                    .await?;
            }
        }
        for instance in &abandoned {
            orphans::settle(instance, grace, "tree", &bus).await?;
        }
        bus.emit("tree", 0, Kind::TreeStarted { pid: std::process::id() });
        let (events, heard) = broadcast::channel(EVENTS);
        let held = subtree::beginning(first) == Beginning::Held;
        let root = Supervisor::one_for_one()
            .clock_starts_at(first.blueprint.clock.now())
            .intensity(intensity)
            .events_into(events.clone())
            .children(subtree::children(first))
            .children(servers[1..].iter().map(|server| subtree::supervisor(server, &events)))
            .children(residency::child_spec(&servers, memory.subscribe()))
            .children(children);
        drop(events);
        let name = root_name();
        let supervisor = root.name(Arc::clone(&name)).start().await?;
        tell_of_other_children(heard, name, bus.clone());
        let watchers = watch::Sender::new(());
        for server in &servers {
            look_after(&watchers, follow(Arc::clone(server), supervisor.clone()));
            look_after(&watchers, usage::measure(Arc::clone(server), supervisor.clone()));
        }
        if held {
            let down = |state: &ChildState| *state == ChildState::Down;
            let mut status = supervisor.status();
            let _ = status.wait_for(|status| !status.child(SERVER).is_some_and(|child| down(&child.state))).await;
        }
        let servers = servers.into_iter().map(|server| ServerHandle { server }).collect();
        Ok(Self {
            inner: Arc::new(Inner { supervisor, servers, started: Instant::now(), memory, bus, logs, watchers }),
        })
    }

    /// The status document of this moment.
    pub async fn status(&self) -> Status {
        status::compose(&self.inner).await
    }

    /// The servers; the default one first.
    #[must_use]
    pub fn servers(&self) -> &[ServerHandle] {
        &self.inner.servers
    }

    /// The default server: the first one.
    #[must_use]
    pub fn default_server(&self) -> &ServerHandle {
        &self.inner.servers[0]
    }

    /// Resolves when the default server is ready; see [`ServerHandle::ready`].
    ///
    /// # Errors
    /// As there.
    pub async fn ready(&self) -> Result<(), VerbError> {
        self.default_server().ready().await
    }

    /// Starts the default server; see [`ServerHandle::start`].
    ///
    /// # Errors
    /// As there.
    pub async fn start_server(&self) -> Result<(), VerbError> {
        self.default_server().start().await
    }

    /// Stops the default server; see [`ServerHandle::stop`].
    ///
    /// # Errors
    /// As there.
    pub async fn stop_server(&self) -> Result<(), VerbError> {
        self.default_server().stop().await
    }

    /// Restarts the default server; see [`ServerHandle::restart`].
    ///
    /// # Errors
    /// As there.
    pub async fn restart_server(&self) -> Result<(), VerbError> {
        self.default_server().restart().await
    }

    /// Lets the default server finish what it works on, and stops it; see [`ServerHandle::drain`].
    ///
    /// # Errors
    /// As there.
    pub async fn drain_server(&self) -> Result<(), VerbError> {
        self.default_server().drain().await
    }

    /// Forgets the failures of the default server; see [`ServerHandle::reset`].
    pub async fn reset(&self) {
        self.default_server().reset().await;
    }

    /// Stops the whole tree, children in reverse order, and resolves when it is down. A second call joins the first.
    pub async fn stop(&self) {
        self.inner.bus.emit("tree", 0, Kind::TreeStopping);
        self.inner.supervisor.stop().await;
    }

    /// Kills the servers' whole process groups and every child, at once. Resolves when all have ended.
    pub async fn kill_now(&self) {
        for server in self.servers() {
            if let Some(process) = &server.view().borrow().process {
                // Nobody is there any more: what was wanted.
                let _ = signal::send(Target::Group(process), Signal::Kill);
            }
        }
        self.inner.supervisor.kill_now().await;
    }

    /// Resolves when the tree has ended, for whatever reason, and the servers' process groups are gone.
    pub async fn closed(&self) -> SupervisorExit {
        let exit = self.inner.supervisor.closed().await;
        for server in self.servers() {
            let _gone = server.server.blueprint.permit.acquire().await;
        }
        // They hold the servers, and by that the lock of the state directory.
        self.inner.watchers.closed().await;
        self.inner.bus.emit("tree", 0, Kind::TreeStopped { reason: exit.to_string() });
        exit
    }

    /// The remembered events above number `seq`, and those to come.
    #[must_use]
    pub fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        self.inner.bus.replay_after(seq)
    }

    /// The last lines that the servers wrote, and those to come; of several, each line with the name of its server.
    #[must_use]
    pub fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        self.inner.logs.read()
    }

    /// The root supervisor, for children that are added while it runs.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorHandle {
        &self.inner.supervisor
    }

    /// Where to count what the default server's clients receive.
    #[must_use]
    pub fn served(&self) -> &Served {
        self.default_server().served()
    }
}

/// Runs `task`, and lets go of what tells that it is there when it is not.
fn look_after(watchers: &watch::Sender<()>, task: impl Future<Output = ()> + Send + 'static) {
    let present = watchers.subscribe();
    tokio::spawn(async move {
        task.await;
        drop(present);
    });
}

fn root_name() -> Arc<str> {
    "root".into()
}

/// A server's own story is told by its worker; of the other children the supervisors' events tell.
fn tell_of_other_children(mut events: broadcast::Receiver<SupervisorEvent>, root: Arc<str>, bus: Bus) {
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let Some(child) = event.child.as_ref().filter(|child| child.as_str() != SERVER) else { continue };
                    let EventKind::ChildExited { reason, .. } = &event.kind else { continue };
                    let kind = Kind::ChildExited { reason: reason.to_string() };
                    if event.supervisor == root {
                        bus.emit(child.as_str(), event.epoch.get(), kind);
                    } else {
                        bus.emit(&format!("{}/{child}", event.supervisor), event.epoch.get(), kind);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}
