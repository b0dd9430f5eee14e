//! What a configuration says of one server, and the three moments at which it is looked at.
//!
//! ```text
//!  Recipes::change ──▶ newest ──── a launch takes it ────▶ running: the incarnation that there is, with what it was
//!                        │                                 started with, and its watcher
//!                        └── a stop, an end, a decision ──▶ looked at anew each time: graces, timeouts, restart type
//! ```
//!
//! *Architecture Invariant:* an incarnation is judged by what it was started with. Whatever starts the next one, planned or
//! not, takes the newest.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlx_tree_policy::Severity;
use mlx_tree_process::Grace;
use mlx_tree_supervision::Restart;

use super::diagnosis::Reason;
use super::failure::ServerFailure;
use super::launch::PortChoice;
use super::probe::WarmUp;
use super::profile::{CommandParts, Profile};
use crate::health::Evidence;

/// How one server is started, judged and stopped.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// How this kind of server is started and judged.
    pub profile: Profile,
    /// The interpreter, the model and so on; the port is filled in for each launch.
    pub parts: CommandParts,
    /// Its working directory; ours if none.
    pub cwd: Option<PathBuf>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where to listen.
    pub host: IpAddr,
    /// On which port.
    pub port: PortChoice,
    /// What to ask of a fresh server before it is called ready.
    pub warm_up: Vec<WarmUp>,
    /// From the launch to ready.
    pub start_timeout: Duration,
    /// Between TERM and KILL of a healthy server.
    pub grace: Grace,
    /// Between TERM and KILL of a server that has stopped answering.
    pub hung_grace: Grace,
    /// How long a planned end waits for what it works on.
    pub drain: Duration,
    /// One probe.
    pub probe_timeout: Duration,
    /// Which exits call for a restart.
    pub restart: Restart,
}

/// The recipe that holds now, and the one that the present incarnation was started with. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Recipes(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    newest: Arc<Recipe>,
    running: Arc<Recipe>,
}

// === impl Recipe ===

impl Recipe {
    /// What its processor time shows of it.
    pub(crate) const fn evidence(&self) -> Evidence {
        match self.parts.job {
            Some(_) => Evidence::AnswersOnly,
            None => Evidence::ProcessorTime,
        }
    }

    /// A failure as this server has to take it: one that found its port taken gets another port at its next start, so
    /// trying again does help, unless it insists on that very port.
    pub(super) fn weigh(&self, failure: ServerFailure) -> ServerFailure {
        match (self.port, failure.reason) {
            (PortChoice::Free, Reason::PortInUse | Reason::ForeignListener) => {
                ServerFailure { severity: Severity::Transient, ..failure }
            }
            _ => failure,
        }
    }
}

// === impl Recipes ===

impl Recipes {
    /// `recipe` holds until it is changed.
    #[must_use]
    pub fn of(recipe: Recipe) -> Self {
        let recipe = Arc::new(recipe);
        Self(Arc::new(Mutex::new(Pages { newest: Arc::clone(&recipe), running: recipe })))
    }

    /// What holds now.
    #[must_use]
    pub fn newest(&self) -> Arc<Recipe> {
        self.with(|pages| Arc::clone(&pages.newest))
    }

    /// What the present incarnation was started with; of its health check, the path that is asked now.
    #[must_use]
    pub fn running(&self) -> Arc<Recipe> {
        self.with(|pages| Arc::clone(&pages.running))
    }

    /// What holds now, for an incarnation that is started with it.
    pub(super) fn take(&self) -> Arc<Recipe> {
        self.with(|pages| {
            pages.running = Arc::clone(&pages.newest);
            Arc::clone(&pages.newest)
        })
    }

    /// `recipe` holds from now on. What runs is not touched: its next launch takes it.
    pub fn change(&self, recipe: Recipe) {
        self.with(|pages| {
            if pages.running.profile.kind == recipe.profile.kind {
                // Where to ask is no part of a process.
                let mut running = Recipe::clone(&pages.running);
                running.profile.health_path.clone_from(&recipe.profile.health_path);
                pages.running = Arc::new(running);
            }
            pages.newest = Arc::new(recipe);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pages) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
