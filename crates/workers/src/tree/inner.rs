//! What a running tree holds, for its handle and for its status.

use std::sync::Arc;

use mlx_tree_policy::RestartPolicyConfig;
use mlx_tree_supervision::SupervisorHandle;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::breaker::RestartGate;
use crate::health::{HealthView, Served};
use crate::server::Blueprint;

/// One running tree.
pub(super) struct Inner {
    pub(super) supervisor: SupervisorHandle,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) gate: RestartGate,
    pub(super) health: watch::Receiver<HealthView>,
    pub(super) facts: Facts,
    pub(super) started: Instant,
    pub(super) served: Served,
    /// One verb at a time changes what is wanted; waiting for the outcome is done without it.
    pub(super) verbs: Mutex<()>,
}

/// What the status says of the configuration.
pub(super) struct Facts {
    pub(super) kind: String,
    pub(super) model: String,
    pub(super) note: Option<String>,
    pub(super) health_threshold: u32,
    pub(super) restart: RestartPolicyConfig,
}
