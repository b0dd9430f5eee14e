//! From what the tree knows of a server to what the gateway goes by.

use mlx_tree_gateway::{Backend, BackendState};
use mlx_tree_workers::availability::{Availability, Reach};
use mlx_tree_workers::tree::Tree;
use tokio::sync::watch;

/// Keeps `backends` up to date, in the order of the tree's servers, as long as anybody listens.
pub(super) fn start(backends: Vec<watch::Sender<Backend>>, tree: &Tree) {
    for (sender, server) in backends.into_iter().zip(tree.servers()) {
        let mut availability = server.availability();
        tokio::spawn(async move {
            loop {
                sender.send_replace(backend(&availability.borrow_and_update()));
                tokio::select! {
                    changed = availability.changed() => if changed.is_err() {
                        return;
                    },
                    () = sender.closed() => return,
                }
            }
        });
    }
}

fn backend(known: &Availability) -> Backend {
    let ready_at = known.ready_at();
    let state = match &known.state {
        Reach::Ready { address } => BackendState::Ready { address: *address },
        Reach::Starting { reason, .. } | Reach::Waiting { reason, .. } => {
            BackendState::Restarting { ready_at, reason: reason.clone() }
        }
        Reach::Recycling { reason } => BackendState::Recycling { reason: reason.clone() },
        Reach::BreakerOpen { reason, .. } => BackendState::BreakerOpen { ready_at, reason: reason.clone() },
        Reach::Asleep => BackendState::Asleep,
        Reach::Stopped { reason } => BackendState::Stopped { reason: reason.clone() },
        Reach::Yielding { address } => BackendState::Yielding { address: *address },
        Reach::Draining => BackendState::Draining,
    };
    Backend { epoch: known.epoch, state }
}
