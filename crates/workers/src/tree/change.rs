//! A changed configuration, applied to what runs: nothing is stopped or started by it.

use mlx_tree_policy::{Intensity, InvalidPolicy};
use mlx_tree_supervision::{ChangeRulesError, RuleChange};

use super::{MemoryPlan, ServerChange, ServerHandle, Tree, subtree};
use crate::SERVER;

// === impl Tree ===

impl Tree {
    /// What the servers may take together from now on, and how often their supervisors restart what has no policy of its own.
    pub async fn change(&self, memory: MemoryPlan, intensity: Intensity) {
        self.inner.memory.send_if_modified(|known| std::mem::replace(known, memory) != memory);
        let homes = self.servers().iter().filter_map(|server| server.server.home.borrow().clone());
        let homes: Vec<_> = homes.chain([self.supervisor().clone()]).collect();
        for home in homes {
            // One that has ended keeps no intensity.
            let _ = home.change_intensity(intensity).await;
        }
    }
}

// === impl ServerHandle ===

impl ServerHandle {
    /// Lives by `change` from now on: what runs goes on as it was started, its next launch takes the new recipe, and times,
    /// limits and counts hold at once.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if the restart policy's numbers make no sense together; nothing has changed then.
    pub async fn change(&self, change: ServerChange) -> Result<(), InvalidPolicy> {
        let server = &self.server;
        let ServerChange { recipe, health, restart, stay, shown } = change;
        server.gate.set_config(restart)?;
        let rules = RuleChange {
            restart: Some(subtree::restart(&recipe)),
            shutdown: Some(subtree::shutdown(&recipe)),
            readiness: Some(subtree::readiness(&recipe)),
        };
        server.blueprint.recipes.change(recipe);
        server.numbers.send_if_modified(|known| std::mem::replace(known, health) != health);
        server.stay.send_if_modified(|known| std::mem::replace(known, stay) != stay);
        server.shown.send_replace(shown);
        let home = server.home.borrow().clone();
        if let Some(home) = home {
            match home.change_rules(SERVER, rules).await {
                // A supervisor that is being started anew takes the rules from the recipe.
                Ok(()) | Err(ChangeRulesError::NotFound | ChangeRulesError::SupervisorGone) => {}
                Err(error @ (ChangeRulesError::Temporary | ChangeRulesError::Invalid(_))) => {
                    tracing::error!(target: "mlx_tree::tree", %error, "the rules of the server stay as they are");
                }
            }
        }
        Ok(())
    }
}
