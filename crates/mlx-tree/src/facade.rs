//! `Tree::new(settings)…start().await?`: the whole of mlx-tree in one call.

use std::ffi::{OsStr, OsString};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use mlx_tree_api::{Fold, Status, Trend};
use mlx_tree_gateway::divert::InvalidTarget;
use mlx_tree_metrics::{Metrics, Own};
use mlx_tree_process::state::{InstanceError, InstanceLock, StateDir, StateError};
use mlx_tree_process::usage;
use mlx_tree_provision::{Progress, Silent};
use mlx_tree_reports::Recorder;
use mlx_tree_settings::{Environment, Settings};
use mlx_tree_supervision::ChildSpec;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::tree::{self, Start, TreeError, VerbError};
use tokio::sync;

use crate::assemble::{Label, Parts, Places, plan};
use crate::black_box;
use crate::degraded::{Watch, degraded};
use crate::gateway::{BindError, Door, Planned, Window, catalogue};
use crate::prepare::{PrepareError, Prepared, prepare};
use crate::reload::Live;

/// A running tree. All that can be done with it is on [`tree::Tree`], to which it dereferences.
#[derive(Clone)]
pub struct Tree {
    tree: tree::Tree,
    gateway: Option<Window>,
    watch: Arc<Watch>,
    metrics: Arc<Metrics>,
    recorder: Option<Arc<Recorder>>,
    pub(crate) live: Arc<Live>,
}

/// A tree that has not been started.
pub struct Builder {
    settings: Settings,
    environment: Environment,
    children: Vec<ChildSpec>,
    progress: Arc<dyn Progress>,
    guard: Vec<OsString>,
    label: Label,
    bus: Bus,
}

/// Why a tree could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another mlx-tree runs with the same state directory.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The address for clients cannot be had.
    #[error(transparent)]
    Gateway(#[from] BindError),
    /// The fallback makes no sense.
    #[error("the fallback cannot be used")]
    Fallback(#[from] InvalidTarget),
    /// The interpreter or the model is not there.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The tree itself would not start.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The server was started and is not ready. The tree has been stopped again.
    #[error(transparent)]
    Server(#[from] VerbError),
}

// === impl Tree ===

impl Tree {
    /// Begins a tree with these settings, in the environment of this process.
    #[expect(clippy::new_ret_no_self, reason = "reads as `Tree::new(settings).child(…).start()`")]
    #[must_use]
    pub fn new(settings: Settings) -> Builder {
        Builder {
            settings,
            environment: Environment::capture(),
            children: Vec::new(),
            progress: Arc::new(Silent),
            guard: Vec::new(),
            label: Label::Server,
            bus: Bus::new(),
        }
    }

    /// Stops the whole tree, children in reverse order, and resolves when it is down. The gateway lets nobody new in, and ends
    /// what is in flight. A second call joins the first.
    pub async fn stop(&self) {
        if let Some(gateway) = &self.gateway {
            gateway.close();
        }
        self.tree.stop().await;
        self.reports_written().await;
    }

    /// Resolves when the reports about servers that went down are written, as far as they go; after two seconds at the latest.
    /// [`Tree::stop`] does so too. Without reports (`settings.reports.keep = 0`) there is nothing to wait for.
    pub async fn reports_written(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.flush().await;
        }
    }

    /// The status document of this moment, with what the gateway knows and what is degraded.
    pub async fn status(&self) -> Status {
        let mut status = self.tree.status().await;
        status.gateway = self.gateway.as_ref().map(Window::status);
        status.degraded = degraded(&status, &self.watch.facts(Instant::now()));
        status
    }

    /// All that has been counted and measured, as Prometheus text: what `docs/METRICS.md` describes.
    pub async fn metrics(&self) -> String {
        let own = usage::of_self().await.ok();
        let own = Own { memory_bytes: own.map(|own| own.memory_bytes), cpu: own.map(|own| own.cpu) };
        self.metrics.render(&self.status().await, &own)
    }

    /// The last minutes of each server.
    #[must_use]
    pub fn trend(&self) -> Trend {
        self.metrics.trend()
    }
}

impl Deref for Tree {
    type Target = tree::Tree;

    fn deref(&self) -> &tree::Tree {
        &self.tree
    }
}

// === impl Builder ===

impl Builder {
    /// Adds a child of your own beside the server, its watcher, its breaker and the gateway. It is started after them and
    /// stopped before them.
    #[must_use]
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
        self
    }

    /// Reads this environment instead of the process's own.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Tells `progress` what is being done while the interpreter and the model are found or made.
    #[must_use]
    pub fn progress(mut self, progress: impl Progress + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Starts `argv` as the guard process, which ends the server should this process be killed. It must call
    /// [`mlx_tree_process::guard::guard_main`], as `mlx-tree guard` does. Without one, a server that is orphaned that way
    /// lives until the next start ends it.
    #[must_use]
    pub fn guard(mut self, argv: Vec<OsString>) -> Self {
        self.guard = argv;
        self
    }

    /// Says "demo, not MLX" wherever the server is named: its command is a stand-in.
    #[must_use]
    pub fn demo(mut self) -> Self {
        self.label = Label::Demo;
        self
    }

    /// Publishes events on `bus`, so that one who subscribed before the start misses none.
    #[must_use]
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// Starts the tree, and resolves when the default server is ready; at once if it sleeps.
    ///
    /// # Errors
    /// [`StartError`] says why not; nothing runs then.
    pub async fn start(self) -> Result<Tree, StartError> {
        let tree = self.launch().await?;
        match tree.default_server().start_mode() {
            Start::Always => {}
            Start::Preload | Start::OnDemand => return Ok(tree),
        }
        match tree.ready().await {
            Ok(()) => Ok(tree),
            Err(error) => {
                tree.stop().await;
                tree.closed().await;
                Err(error.into())
            }
        }
    }

    /// Starts the tree, and resolves when its children have been started, the server perhaps not yet ready. What fails from
    /// then on is for the tree to deal with.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn launch(self) -> Result<Tree, StartError> {
        let instance = self.lock()?;
        let door = self.open_door()?;
        let prepared = self.prepare().await?;
        self.launch_with(prepared, instance, door).await
    }

    /// Takes the address that clients will use, so that it is known to be free; `None` if there is to be no gateway.
    ///
    /// # Errors
    /// [`StartError::Gateway`] when it cannot be had.
    pub fn open_door(&self) -> Result<Option<Door>, StartError> {
        Ok(Door::open(&self.settings.gateway)?)
    }

    /// Becomes the one mlx-tree of its state directory: the first step of [`Builder::launch`], for one who wants to do
    /// something between the steps.
    ///
    /// # Errors
    /// [`StartError::Instance`] names the process that was first.
    pub fn lock(&self) -> Result<Arc<InstanceLock>, StartError> {
        let dir = StateDir::open(&self.settings.state_dir)?;
        Ok(Arc::new(InstanceLock::acquire(&dir)?))
    }

    /// Finds or makes what the server needs: the second step. Dropping the future ends what it has begun.
    ///
    /// # Errors
    /// [`StartError::Prepare`] says what to install.
    pub async fn prepare(&self) -> Result<Prepared, StartError> {
        Ok(prepare(&self.settings, &self.environment, &*self.progress).await?)
    }

    /// Starts the tree: the last step.
    ///
    /// # Errors
    /// [`StartError::Tree`]; nothing runs then.
    pub async fn launch_with(
        self,
        prepared: Prepared,
        instance: Arc<InstanceLock>,
        door: Option<Door>,
    ) -> Result<Tree, StartError> {
        let Self { settings, environment, children, guard, label, bus, progress } = self;
        let watch = Arc::new(Watch::default());
        bus.attach(Arc::clone(&watch) as Arc<dyn Fold>);
        let metrics = Arc::new(Metrics::new(settings.servers().map(|server| server.name().to_owned())));
        bus.attach(metrics.clone());
        let (places, prepared) = (places(&settings, instance)?, prepared.into_list());
        // Kept beside the plan, which takes it.
        let behind = door.map(|door| (door, catalogue(&settings, &environment, &prepared)));
        let mut plan =
            plan(&settings, &environment, Parts { prepared: prepared.clone(), places, guard, children, label, bus });
        let link = match behind {
            Some((door, catalogue)) => {
                let Planned { children, link, window, dials } = Planned::new(&settings, catalogue, label, door, &plan)?;
                // Before the user's own children: it is there for clients when they start.
                plan.children.splice(0..0, children);
                Some((link, window, dials))
            }
            None => None,
        };
        let recorder = black_box::record(settings.reports, &settings.state_dir, &plan);
        let tree = tree::Tree::start(plan).await?;
        let (gateway, dials) = link
            .map(|(link, window, dials)| {
                link.tie(&tree);
                (window, dials)
            })
            .unzip();
        let settings = sync::watch::Sender::new(Arc::new(settings));
        let live = Live { environment, progress, label, dials, settings, prepared: sync::Mutex::new(prepared) };
        Ok(Tree { tree, gateway, watch, metrics, recorder, live: Arc::new(live) })
    }
}

/// Each further server has a place of its own below the tree's, and so has each that was there in an earlier run.
fn places(settings: &Settings, first: Arc<InstanceLock>) -> Result<Places, StartError> {
    let below = first.dir().path().join("servers");
    let open = |name: &OsStr| -> Result<_, StartError> {
        StateDir::open(&below)?;
        Ok(Arc::new(InstanceLock::acquire(&StateDir::open(below.join(name))?)?))
    };
    let names: Vec<&OsStr> = settings.further_servers.iter().map(|server| OsStr::new(server.name())).collect();
    let further = names.iter().map(|name| open(name)).collect::<Result<_, _>>()?;
    let left = std::fs::read_dir(&below).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let abandoned = left.filter(|left| !names.contains(&left.as_os_str())).map(|left| open(&left));
    Ok(Places { abandoned: abandoned.collect::<Result<_, _>>()?, first, further })
}
