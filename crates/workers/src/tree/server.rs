//! One server of a running tree, for those who hold it: what it is, how it stands, and what an operator can have done.

mod planned;
mod verbs;

pub use planned::Forwarding;
pub(crate) use planned::{Heeded, Planned};

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mlx_tree_api::ServerStatus;
use mlx_tree_supervision::SupervisorHandle;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::time::Instant;

use super::{ServerPlan, Shown, Start, Stay, TreeError};
use crate::SERVER;
use crate::activity::Activity;
use crate::availability::{self, Availability, Reach, Turn, Wish};
use crate::breaker::{History, RestartGate};
use crate::health::{HealthNumbers, HealthView, Served};
use crate::server::{Blueprint, ServerView};

/// One server of a running tree. Cheap to clone; all clones are one server. Dropping it has no effect.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) server: Arc<Server>,
}

/// Why a verb did not come to what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// The server was started and is not ready; the tree goes on trying as its policy says.
    #[error("the server is not ready: {reason}")]
    NotReady {
        /// Why.
        reason: String,
    },
    /// The server is down, and the tree will start it again by itself.
    #[error("the server is down and will be started by itself{}", after(.wait))]
    Held {
        /// After this time, where that is known.
        wait: Option<Duration>,
    },
    /// Somebody stopped it meanwhile.
    #[error("the server was stopped meanwhile")]
    Stopped,
    /// It is kept in memory, whoever may want it to sleep.
    #[error("the server is always there, and is not put to sleep")]
    Kept,
    /// Somebody wanted it running meanwhile.
    #[error("the server was wanted running meanwhile")]
    Overtaken,
    /// KILL does not end it.
    #[error("the server does not end: it hangs in the kernel")]
    Stuck,
    /// The tree is gone.
    #[error("the tree has ended")]
    Gone,
}

/// What is known of one server, whoever needs it.
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) gate: RestartGate,
    pub(crate) numbers: watch::Sender<HealthNumbers>,
    pub(crate) health: watch::Sender<HealthView>,
    pub(crate) history: Option<History>,
    pub(crate) served: Served,
    pub(crate) activity: Activity,
    pub(crate) start: Start,
    pub(crate) stay: watch::Sender<Stay>,
    /// The supervisor that has it now.
    pub(crate) home: watch::Sender<Option<SupervisorHandle>>,
    pub(crate) wish: watch::Sender<Wish>,
    pub(crate) turn: watch::Sender<Turn>,
    /// The planned end that is under way.
    pub(crate) planned: watch::Sender<Option<Planned>>,
    /// How many planned ends there have been.
    plans: AtomicU64,
    pub(crate) heeded: watch::Sender<Heeded>,
    /// When somebody last asked for it.
    pub(crate) wanted: watch::Sender<Option<Instant>>,
    pub(crate) availability: watch::Sender<Availability>,
    pub(super) shown: watch::Sender<Shown>,
    /// The children that it has now.
    pub(super) siblings: watch::Sender<super::Siblings>,
    /// One verb at a time changes what is wanted; waiting for the outcome is done without it.
    pub(super) verbs: Mutex<()>,
}

// === impl Server ===

impl Server {
    pub(super) fn new(plan: ServerPlan) -> Result<Arc<Self>, TreeError> {
        let gate = plan.gate()?;
        let ServerPlan { blueprint, health, restart: _, history, served, shown, start, stay } = plan;
        let wish = match start {
            Start::Always => Wish::Run,
            Start::Preload | Start::OnDemand => Wish::Sleep,
        };
        let wanted = match start {
            Start::Preload => Some(Instant::now()),
            Start::Always | Start::OnDemand => None,
        };
        Ok(Arc::new(Self {
            name: Arc::clone(&blueprint.name),
            blueprint: Arc::new(blueprint),
            gate,
            numbers: watch::Sender::new(health),
            health: watch::Sender::new(HealthView::unwatched()),
            history,
            served,
            activity: Activity::new(),
            start,
            stay: watch::Sender::new(stay),
            home: watch::Sender::new(None),
            wish: watch::Sender::new(wish),
            turn: watch::Sender::new(Turn::Keeps),
            planned: watch::Sender::new(None),
            plans: AtomicU64::new(0),
            heeded: watch::Sender::new(Heeded::ByNobody),
            wanted: watch::Sender::new(wanted),
            availability: watch::Sender::new(Availability::unknown()),
            shown: watch::Sender::new(shown),
            siblings: watch::Sender::new(super::Siblings::default()),
            verbs: Mutex::new(()),
        }))
    }

    /// Whether it can be used, by the facts of this very moment.
    pub(crate) fn reach_now(&self) -> Reach {
        let home = self.home.borrow().clone();
        let status = home.map(|home| Arc::clone(&home.status().borrow()));
        let (view, gate) = (self.blueprint.view.borrow().clone(), self.gate.snapshot());
        let planned = self.planned.borrow().clone();
        availability::Facts {
            child: status.as_ref().and_then(|status| status.child(SERVER)),
            view: &view,
            gate: &gate,
            wish: *self.wish.borrow(),
            turn: *self.turn.borrow(),
            planned: planned.as_ref(),
            restart: self.blueprint.recipes.newest().restart,
            since: Instant::now(),
            clock: self.blueprint.clock,
        }
        .judge()
    }

    /// Whether somebody else decides when it is in memory.
    pub(crate) fn sleeps(&self) -> bool {
        match self.start {
            Start::Always => false,
            Start::Preload | Start::OnDemand => true,
        }
    }
}

// === impl ServerHandle ===

impl ServerHandle {
    /// What it is called; `server` if it is the only one and has no name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// Its model, as configured.
    #[must_use]
    pub fn model(&self) -> String {
        self.server.shown.borrow().model.clone()
    }

    /// Its process, as of now, and as it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<ServerView> {
        self.server.blueprint.view.subscribe()
    }

    /// Whether it can be used, and if not, when: as of now, and as it changes.
    #[must_use]
    pub fn availability(&self) -> watch::Receiver<Availability> {
        self.server.availability.subscribe()
    }

    /// Where to count what its clients receive.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.server.served
    }

    /// Where to count the requests that are with it.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.server.activity
    }

    /// When it is started.
    #[must_use]
    pub fn start_mode(&self) -> Start {
        self.server.start
    }

    /// A request waits for it. A server that sleeps is started as soon as there is room for it; the want is forgotten two
    /// minutes after it was last told. Any number of requests may tell, again and again; for a server that runs or is being
    /// started it means nothing.
    pub fn wanted(&self) {
        self.server.wanted.send_replace(Some(Instant::now()));
    }

    /// What there is to say about it, at this moment.
    pub async fn status(&self) -> ServerStatus {
        super::status::of_server(&self.server).await
    }

    /// The last lines that it wrote, and those to come.
    #[must_use]
    pub fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        self.server.blueprint.logs.read()
    }
}

fn after(wait: &Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(" in {:.1} s", wait.as_secs_f64()))
}
