//! What the driver shares with the handles: the status, the events and the end.

use std::sync::Arc;

use mlx_tree_policy::Monotonic;
use tokio::sync::{broadcast, watch};

use crate::core::Supervisor;
use crate::{SupervisorEvent, SupervisorExit, SupervisorStatus};

use super::Payload;
use super::publish::{PUBLISHED_AT_ONCE, outline, snapshot};

/// How many events a slow receiver may fall behind.
const EVENTS: usize = 1024;

pub(crate) struct Shared {
    name: Arc<str>,
    status: watch::Sender<Arc<SupervisorStatus>>,
    events: broadcast::Sender<SupervisorEvent>,
    exit: watch::Sender<Option<SupervisorExit>>,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(
        name: Arc<str>,
        now: Monotonic,
        core: &Supervisor<Payload>,
        events: Option<broadcast::Sender<SupervisorEvent>>,
    ) -> Self {
        let status = if core.counts().specs <= PUBLISHED_AT_ONCE {
            snapshot(&name, core, now)
        } else {
            // Nobody may ever look at it, and it would be kept until somebody does.
            outline(&name, core, now)
        };
        let status = watch::Sender::new(Arc::new(status));
        let events = events.unwrap_or_else(|| broadcast::Sender::new(EVENTS));
        Self { name, status, events, exit: watch::Sender::new(None) }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<SupervisorStatus>> {
        self.status.subscribe()
    }

    pub(super) fn status_is_watched(&self) -> bool {
        self.status.receiver_count() > 0
    }

    pub(super) fn publish(&self, status: Arc<SupervisorStatus>) {
        // Waking nobody costs something, too.
        let is_watched = self.status_is_watched();
        self.status.send_if_modified(|current| {
            *current = status;
            is_watched
        });
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SupervisorEvent> {
        self.events.subscribe()
    }

    pub(super) fn is_observed(&self) -> bool {
        self.events.receiver_count() > 0
    }

    pub(super) fn emit(&self, event: SupervisorEvent) {
        // Without a receiver there is nobody to tell.
        let _ = self.events.send(event);
    }

    pub(crate) fn exit(&self) -> Option<SupervisorExit> {
        self.exit.borrow().clone()
    }

    /// The first reason stands.
    pub(super) fn close(&self, exit: SupervisorExit) {
        self.exit.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(exit);
            }
            first
        });
    }

    pub(crate) async fn closed(&self) -> SupervisorExit {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or(SupervisorExit::Killed),
            // Cannot be: the sender is in `self`.
            Err(_) => SupervisorExit::Killed,
        }
    }
}
