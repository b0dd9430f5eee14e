//! The running tree, as the control plane sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use mlx_tree::Tree;
use mlx_tree::api::{Event, Status, Trend};
use mlx_tree::control::{Done, Operator, Refusal, Verb};
use mlx_tree::tree::{self, VerbError};
use tokio::sync::{Notify, broadcast};

use super::reload::Reloader;
use crate::cli::fleet::{self, Rollout};

/// The tree, as the control plane sees it.
#[derive(Clone)]
pub(super) struct Plane {
    pub(super) tree: Tree,
    pub(super) control: SocketAddr,
    pub(super) shutdown: Arc<Notify>,
    pub(super) rollout: Rollout,
    pub(super) reloader: Reloader,
}

impl Operator for Plane {
    async fn status(&self) -> Status {
        let mut status = self.tree.status().await;
        status.supervisor.control = Some(format!("http://{}", self.control));
        status.config = Some(self.reloader.status());
        status
    }

    async fn alive(&self) -> bool {
        self.tree.supervisor().snapshot().await.is_ok()
    }

    async fn metrics(&self) -> String {
        self.tree.metrics().await
    }

    async fn trend(&self) -> Trend {
        self.tree.trend()
    }

    async fn perform(&self, verb: Verb) -> Result<Done, Refusal> {
        if self.tree.servers().len() > 1
            && let Some(outcome) = fleet::perform(&self.tree, &self.rollout, verb).await
        {
            return outcome;
        }
        let done = |message: String| Ok(Done::new(verb, message));
        match verb {
            Verb::Start => self.tree.start_server().await.map_err(|error| refusal(&error))?,
            Verb::Stop => {
                self.tree.stop_server().await.map_err(|error| refusal(&error))?;
                return done("the server is stopped; `mlx-tree start` starts it again".to_owned());
            }
            Verb::Restart => self.tree.restart_server().await.map_err(|error| refusal(&error))?,
            Verb::Drain => {
                self.tree.drain_server().await.map_err(|error| refusal(&error))?;
                return done(
                    "the server has finished what it had, and is stopped; `mlx-tree start` starts it again".to_owned(),
                );
            }
            Verb::Reload => return self.reloader.reload().await,
            Verb::Reset => {
                self.tree.reset().await;
                return done("failures forgotten, breaker closed".to_owned());
            }
            Verb::Shutdown => {
                self.shutdown.notify_one();
                return done("mlx-tree is ending".to_owned());
            }
        }
        let status = self.tree.status().await;
        let pid = status.process_pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        done(format!("the server is ready{pid}"))
    }

    async fn foresee(&self) -> Result<Done, Refusal> {
        self.reloader.foresee().await
    }

    fn logs(&self) -> (Vec<String>, broadcast::Receiver<String>) {
        tree::Tree::logs(&self.tree)
    }

    fn events(&self, seq: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        tree::Tree::events(&self.tree, seq)
    }
}

pub(crate) fn refusal(error: &VerbError) -> Refusal {
    let (code, help) = match error {
        VerbError::NotReady { .. } => {
            ("not_ready", Some("it is tried again as the policy says; see `mlx-tree status`"))
        }
        VerbError::Held { .. } => {
            ("held", Some("`mlx-tree restart` starts it now; `mlx-tree status` says why it waits"))
        }
        VerbError::Stopped => ("stopped", None),
        VerbError::Overtaken => ("overtaken", None),
        VerbError::Kept => ("kept", Some("`mlx-tree stop` stops it")),
        VerbError::Stuck => ("stuck", Some("only the kernel can let go of it: look at its disk and driver, or reboot")),
        VerbError::Gone => ("gone", None),
    };
    Refusal { code, message: error.to_string(), help: help.map(str::to_owned) }
}
