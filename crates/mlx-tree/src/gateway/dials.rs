//! What a gateway can be told while it serves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlx_tree_gateway::Gateway;
use mlx_tree_gateway::divert::{Fallback, InvalidTarget};
use mlx_tree_gateway::front::FrontConfig;
use mlx_tree_gateway::gateway::Terms;
use mlx_tree_gateway::request::Catalogue;
use mlx_tree_settings::Settings;
use mlx_tree_supervision::{ChildSpec, RuleChange, SupervisorHandle};
use mlx_tree_workers::FALLBACK;
use tokio::sync::watch;

use super::fallback::{self, Around};
use super::{GATEWAY, catalogue, continuation, front_config, limits, shutdown};
use crate::assemble::Label;

/// The dials of one gateway.
pub(crate) struct Dials {
    gateway: Arc<Gateway>,
    front: watch::Sender<FrontConfig>,
    drain: watch::Sender<Duration>,
    around: Around,
    fallback: Mutex<Option<Arc<dyn Fallback>>>,
}

/// What becomes of the fallback.
pub(crate) enum FallbackChange {
    /// Nothing.
    Stays,
    /// It is this one from now on, with this worker; or there is none.
    Becomes(Option<(Arc<dyn Fallback>, ChildSpec)>),
}

// === impl Dials ===

impl Dials {
    pub(super) const fn new(
        gateway: Arc<Gateway>,
        front: watch::Sender<FrontConfig>,
        drain: watch::Sender<Duration>,
        around: Around,
        fallback: Option<Arc<dyn Fallback>>,
    ) -> Self {
        Self { gateway, front, drain, around, fallback: Mutex::new(fallback) }
    }

    /// What becomes of the fallback when `new` comes after `old`.
    ///
    /// # Errors
    /// [`InvalidTarget`] if there can be no such fallback.
    pub(crate) fn fallback(&self, old: &Settings, new: &Settings) -> Result<FallbackChange, InvalidTarget> {
        if old.fallback == new.fallback {
            return Ok(FallbackChange::Stays);
        }
        let planned = fallback::planned(&new.fallback, &self.around)?;
        Ok(FallbackChange::Becomes(planned.map(|planned| (planned.fallback, planned.child))))
    }

    /// Turns all of them to `settings`. Whoever is being served goes on as they began.
    pub(crate) async fn change(
        &self,
        settings: &Settings,
        catalogue: Catalogue,
        label: Label,
        fallback: FallbackChange,
        supervisor: &SupervisorHandle,
    ) {
        let numbers = &settings.gateway;
        let worker = match fallback {
            FallbackChange::Stays => None,
            FallbackChange::Becomes(next) => {
                let (next, child) = next.unzip();
                *self.fallback.lock().unwrap_or_else(PoisonError::into_inner) = next;
                Some(child)
            }
        };
        let fallback = self.fallback.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.gateway.change(Terms {
            catalogue,
            kinds: catalogue::members(settings, label),
            limits: limits(numbers),
            hold_budget: numbers.hold_budget,
            stall_timeout: numbers.stall_timeout,
            continuation: continuation(numbers),
            fallback,
        });
        self.front.send_replace(front_config(numbers));
        self.drain.send_replace(settings.shutdown.drain);
        let rules = RuleChange { shutdown: Some(shutdown(settings)), ..RuleChange::default() };
        if let Err(error) = supervisor.change_rules(GATEWAY, rules).await {
            tracing::debug!(target: "mlx_tree::reload", %error, "the gateway's limit stays as it is");
        }
        if let Some(child) = worker {
            replace_worker(supervisor, child).await;
        }
    }
}

/// The fallback's worker is another one, or there is none. Requests that the old fallback answers hold that by themselves.
async fn replace_worker(supervisor: &SupervisorHandle, child: Option<ChildSpec>) {
    // There may have been none.
    let _ = supervisor.terminate_child(FALLBACK).await;
    let _ = supervisor.delete_child(FALLBACK).await;
    if let Some(child) = child
        && let Err(error) = supervisor.start_child(child).await
    {
        tracing::error!(target: "mlx_tree::reload", %error, "the fallback has no worker, and is asked unseen");
    }
}
