//! The second path: somebody else has stopped the supervisor's actor, so its mailbox is closed and its children still run.

use std::time::Duration;

use ractor::ActorCell;
use tokio::time::{Instant, timeout_at};

use crate::{Shutdown, Strategy, SupervisorExit};

use super::driver::Driver;

// === impl Driver ===

impl Driver {
    /// Stops the children as an ordered stop would have done. Nothing to do if that is how it came here.
    pub(super) async fn stop_what_is_left(&mut self) {
        if self.exit.is_none() {
            let in_turn = match self.core.config().strategy {
                Strategy::OneForOne | Strategy::OneForAll | Strategy::RestForOne => true,
                Strategy::Dynamic => false,
            };
            let kill_grace = self.core.config().kill_grace;
            let keys: Vec<_> = self.core.keys_in_stop_order().collect();
            let mut asked = Vec::new();
            for key in keys {
                let Some(shutdown) = self.core.rules(key).map(|rules| rules.shutdown) else { continue };
                let Some(running) = self.core.payload_mut(key).and_then(|payload| payload.running.as_ref()) else {
                    continue;
                };
                let cell = running.cell.clone();
                match shutdown {
                    Shutdown::Kill => cell.kill(),
                    Shutdown::Timeout(_) | Shutdown::Infinity => running.stop(),
                }
                let asked_at = Instant::now();
                if in_turn {
                    ended(&cell, shutdown, asked_at, kill_grace).await;
                } else {
                    asked.push((cell, shutdown, asked_at));
                }
            }
            for (cell, shutdown, asked_at) in asked {
                ended(&cell, shutdown, asked_at, kill_grace).await;
            }
            self.exit = Some(SupervisorExit::Stopped);
        }
        self.close();
    }
}

async fn ended(cell: &ActorCell, shutdown: Shutdown, asked_at: Instant, kill_grace: Duration) {
    let in_time = match shutdown {
        Shutdown::Infinity => cell.wait(None).await.is_ok(),
        Shutdown::Timeout(limit) => wait_until(cell, asked_at.checked_add(limit)).await,
        Shutdown::Kill => false,
    };
    if !in_time {
        cell.kill();
        wait_until(cell, Instant::now().checked_add(kill_grace)).await;
    }
}

async fn wait_until(cell: &ActorCell, deadline: Option<Instant>) -> bool {
    match deadline {
        Some(deadline) => timeout_at(deadline, cell.wait(None)).await.is_ok(),
        None => cell.wait(None).await.is_ok(),
    }
}
