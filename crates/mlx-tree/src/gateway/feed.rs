//! From what the tree knows of a server to what the gateway goes by, and word back that it does.

use std::sync::Weak;

use mlx_tree_gateway::{Backend, BackendState, End, Ended, Gateway};
use mlx_tree_workers::availability::{Availability, Reach};
use mlx_tree_workers::server;
use mlx_tree_workers::tree::Tree;
use tokio::sync::watch;

/// Keeps `backends`, by which `gateway` goes, up to date, in the order of the tree's servers, as long as anybody listens.
pub(super) fn start(backends: Vec<watch::Sender<Backend>>, gateway: &Weak<Gateway>, tree: &Tree) {
    for (sender, server) in backends.into_iter().zip(tree.servers()) {
        let (gateway, name) = (Weak::clone(gateway), server.name().to_owned());
        let (mut availability, forwarding) = (server.availability(), server.forwarding());
        tokio::spawn(async move {
            loop {
                let known = availability.borrow_and_update().clone();
                sender.send_replace(backend(&known));
                if let Some(gateway) = gateway.upgrade() {
                    gateway.catch_up(&name);
                }
                forwarding.heeds(known);
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
        Reach::Yielding { address, reason } => BackendState::Yielding { address: *address, reason: reason.clone() },
        Reach::Finishing { reason, .. } => BackendState::Finishing { reason: reason.clone() },
        Reach::Draining => BackendState::Draining,
    };
    Backend { epoch: known.epoch, state, ended: known.ended.map(ended) }
}

fn ended(known: server::Ended) -> Ended {
    let how = match known.how {
        server::End::ByItself => End::Death,
        server::End::AsTold => End::Planned,
    };
    Ended { epoch: known.epoch, how }
}
