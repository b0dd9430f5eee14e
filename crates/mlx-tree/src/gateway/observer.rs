//! What the gateway tells the tree: that a server lives, that one is wanted, and what happens to requests.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::OnceLock;

use mlx_tree_api::{Kind, Sample};
use mlx_tree_gateway::Observer;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::tree::{ServerHandle, Tree};

use super::GATEWAY;

/// Tells a tree, once there is one.
pub(super) struct TreeObserver {
    bus: Bus,
    servers: OnceLock<HashMap<String, ServerHandle>>,
}

// === impl TreeObserver ===

impl TreeObserver {
    pub(super) fn new(bus: Bus) -> Self {
        Self { bus, servers: OnceLock::new() }
    }

    pub(super) fn tie(&self, tree: &Tree) {
        let servers = tree.servers().iter().map(|server| (server.name().to_owned(), server.clone())).collect();
        let _ = self.servers.set(servers);
    }

    fn server(&self, name: &str) -> Option<&ServerHandle> {
        self.servers.get()?.get(name)
    }
}

impl Observer for TreeObserver {
    fn progressed(&self, server: &str) {
        if let Some(server) = self.server(server) {
            server.served().add(1);
        }
    }

    fn wanted(&self, server: &str) {
        if let Some(server) = self.server(server) {
            server.wanted();
        }
    }

    fn in_use(&self, server: &str) -> Option<Box<dyn Send + Sync>> {
        Some(Box::new(self.server(server)?.activity().begin()))
    }

    fn unload(&self, server: &str) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
        let server = self.server(server).cloned();
        Box::pin(async move {
            match server {
                Some(server) => server.unload().await.map_err(|error| error.to_string()),
                None => Err("the tree is not there yet".to_owned()),
            }
        })
    }

    fn tell(&self, server: &str, epoch: u64, kind: Kind) {
        self.bus.emit_about(server, GATEWAY, epoch, kind);
    }

    fn sample(&self, sample: &Sample<'_>) {
        self.bus.sample(sample);
    }
}
