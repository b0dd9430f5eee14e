//! What two configurations that are sound by themselves may contradict in, while one half of each holds.
//!
//! A new configuration has been checked as a whole. What runs after a reload is not all of it, since some keys wait for a
//! restart of mlx-tree: tokens may be gone that the address, which stays, must not be without.

use std::net::SocketAddr;

use super::Plan;
use crate::{Settings, StartMode};

/// The new configuration is sound, and cannot be applied without a restart of mlx-tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The gateway would be open to the network.
    #[error(
        "gateway.tokens cannot be emptied while the gateway listens on {0}, where others reach it; a new gateway.listen \
         holds when mlx-tree is restarted"
    )]
    OpenToAll(SocketAddr),
    /// A server would be given a port that is taken until then.
    #[error("server.port cannot become {port}: {by} has it until mlx-tree is restarted")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it.
        by: &'static str,
    },
    /// The servers that there are do not fit into the new budget.
    #[error("memory.budget cannot hold the servers that run until mlx-tree is restarted")]
    NoRoom,
}

// === impl Plan ===

impl Plan {
    /// Whether what would hold after it makes sense.
    ///
    /// # Errors
    /// [`Contradiction`]; nothing of it is to be applied then.
    pub fn check(&self) -> Result<(), Contradiction> {
        let settings = &self.settings;
        if let Some(listen) = settings.gateway.listen.filter(|listen| !listen.ip().is_loopback())
            && settings.gateway.tokens.is_empty()
        {
            return Err(Contradiction::OpenToAll(listen));
        }
        check_ports(settings)?;
        check_memory(settings)
    }
}

fn check_ports(settings: &Settings) -> Result<(), Contradiction> {
    let taken = [(settings.gateway.listen, "the gateway"), (Some(settings.control.listen), "the control API")];
    for server in settings.servers().filter(|server| server.port != 0) {
        let wanted = SocketAddr::new(server.host, server.port);
        if let Some((_, by)) = taken.iter().find(|(address, _)| *address == Some(wanted)) {
            return Err(Contradiction::PortTaken { port: server.port, by });
        }
    }
    Ok(())
}

fn check_memory(settings: &Settings) -> Result<(), Contradiction> {
    let Some(budget) = settings.memory.budget else { return Ok(()) };
    let need = |start: fn(StartMode) -> bool| {
        settings.servers().filter(move |it| start(it.start)).map(|it| it.memory.unwrap_or(budget))
    };
    let always: u64 = need(|start| start == StartMode::Always).fold(0, u64::saturating_add);
    let largest = need(|start| start != StartMode::Always).max().unwrap_or(0);
    if always.saturating_add(largest) > budget { Err(Contradiction::NoRoom) } else { Ok(()) }
}
