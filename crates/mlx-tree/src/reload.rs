//! A changed configuration for a tree that runs: planned, prepared, then applied as a whole or not at all.
//!
//! ```text
//!  new settings ─▶ plan ─▶ does what would hold make sense? ─▶ find or make what restarts need ─▶ apply ─▶ restarts
//!                              │ no                                │ not there                    at once    one by one,
//!                              ▼                                   ▼                                         drained
//!                          refused: nothing has changed
//! ```
//!
//! *Architecture Invariant:* whatever can fail comes before the first thing that is changed.

use std::sync::Arc;

use mlx_tree_gateway::divert::InvalidTarget;
use mlx_tree_policy::InvalidPolicy;
use mlx_tree_provision::Progress;
use mlx_tree_settings::{Contradiction, Environment, Plan, Settings, plan};
use mlx_tree_workers::availability::Reach;
use mlx_tree_workers::tree::{ServerHandle, VerbError};
use tokio::sync::{Mutex, watch};

use crate::Tree;
use crate::assemble::{Label, change, memory};
use crate::gateway::{Dials, catalogue};
use crate::prepare::{PrepareError, Prepared, prepare_one};

/// Why a server is restarted that need not be for its own sake.
const WHY: &str = "its configuration has changed";

/// Why a new configuration is refused. The old one goes on as if nothing had been asked.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is sound, and what would hold until mlx-tree is restarted is not.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// What a server would be started with is not there.
    #[error("{server} could not be started with it")]
    Prepare {
        /// Which server.
        server: String,
        /// Why not.
        source: PrepareError,
    },
    /// The fallback makes no sense.
    #[error("the fallback cannot be used")]
    Fallback(#[from] InvalidTarget),
    /// The restart policy's numbers make no sense together.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

/// A configuration that has been applied, but for the restarts that it takes.
#[must_use = "the servers that have to be restarted are restarted by `restart`"]
pub struct Reloaded {
    plan: Plan,
    restarts: Vec<ServerHandle>,
}

/// What a running tree was made of and can be told.
pub(crate) struct Live {
    pub(crate) environment: Environment,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) label: Label,
    pub(crate) dials: Option<Dials>,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    /// What the servers were last prepared with, in their order. Held while a configuration is applied: one at a time.
    pub(crate) prepared: Mutex<Vec<Prepared>>,
}

// === impl Tree ===

impl Tree {
    /// What holds now, and word of each change. A key that waits for a restart of mlx-tree has its old value.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.live.settings.subscribe()
    }

    /// What `new` would mean, without anything being done.
    #[must_use]
    pub fn foresee(&self, new: &Settings) -> Plan {
        plan(&self.live.settings.borrow(), new)
    }

    /// Goes by `new` from now on. No process is touched, and nothing that is in flight; the servers that have to be restarted
    /// for it take the new configuration at their next start, which [`Reloaded::restart`] is for. A second call waits for
    /// the first.
    ///
    /// The interpreter and the model of a server that has to be restarted are found or made first, which may take minutes;
    /// dropping the future until then changes nothing.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub async fn reload(&self, new: &Settings) -> Result<Reloaded, ReloadError> {
        let live = &self.live;
        let mut known = live.prepared.lock().await;
        let old = Arc::clone(&live.settings.borrow());
        let plan = plan(&old, new);
        plan.check()?;
        let (settings, restarts) = (plan.settings(), plan.restarts());
        let mut prepared = known.clone();
        for (server, prepared) in settings.servers().zip(&mut prepared) {
            if restarts.contains(&server.name()) {
                let made = prepare_one(server, &settings.data_dir, &live.environment, &*live.progress).await;
                *prepared = made.map_err(|source| ReloadError::Prepare { server: server.name().to_owned(), source })?;
            }
            settings.restart_policy_config_of(server).check()?;
        }
        let fallback = live.dials.as_ref().map(|dials| dials.fallback(&old, settings)).transpose()?;
        // From here on nothing fails.
        for ((handle, server), prepared) in self.servers().iter().zip(settings.servers()).zip(&prepared) {
            let change = change(settings, &live.environment, server, prepared, live.label);
            if let Err(error) = handle.change(change).await {
                tracing::error!(target: "mlx_tree::reload", %error, server = handle.name(), "the old numbers stay");
            }
        }
        self.change(memory(settings), settings.restart.intensity).await;
        if let (Some(dials), Some(fallback)) = (&live.dials, fallback) {
            let catalogue = catalogue(settings, &live.environment, &prepared);
            dials.change(settings, catalogue, live.label, fallback, self.supervisor()).await;
        }
        let restarts = self.servers().iter().filter(|server| restarts.contains(&server.name())).cloned().collect();
        *known = prepared;
        live.settings.send_replace(Arc::new(settings.clone()));
        Ok(Reloaded { plan, restarts })
    }
}

// === impl Reloaded ===

impl Reloaded {
    /// What has changed.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Restarts the servers that have to be restarted, one after the other, so that the others serve meanwhile: drained, if they
    /// serve. One that waits after a failure, or is held back, is started at once, since what failed was something else. One
    /// that sleeps or was stopped stays so: its next start has the new configuration. Answers who was restarted.
    ///
    /// # Errors
    /// The first that did not become ready, with its name. The tree goes on trying, with the new configuration.
    pub async fn restart(&self) -> Result<Vec<&str>, (String, VerbError)> {
        let (mut restarted, mut failed) = (Vec::new(), None);
        for server in &self.restarts {
            let state = server.availability().borrow().state.clone();
            let outcome = match state {
                Reach::Asleep | Reach::Stopped { .. } | Reach::Draining => continue,
                Reach::Waiting { .. } | Reach::BreakerOpen { .. } => server.restart().await,
                Reach::Ready { .. }
                | Reach::Yielding { .. }
                | Reach::Finishing { .. }
                | Reach::Starting { .. }
                | Reach::Recycling { .. } => server.recycle(WHY).await,
            };
            match outcome {
                Ok(()) => restarted.push(server.name()),
                Err(error) => failed = failed.or(Some((server.name().to_owned(), error))),
            }
        }
        failed.map_or(Ok(restarted), Err)
    }
}
