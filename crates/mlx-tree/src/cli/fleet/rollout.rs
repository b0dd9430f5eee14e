//! The restart of several servers: those that serve one after the other, so that the others serve meanwhile.

use std::sync::Arc;

use mlx_tree::Tree;
use mlx_tree::control::{Done, Refusal, Verb};
use mlx_tree::tree::ServerHandle;
use mlx_tree::workers::availability::Reach;
use tokio::sync::Mutex;

use super::{Each, at_once, carry_out, refused};

/// Of all restarts of all servers one at a time. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Rollout(Arc<Mutex<()>>);

// === impl Rollout ===

impl Rollout {
    /// Restarts all servers. Those that do not serve have nothing to lose, and are restarted at once; then those that serve,
    /// one after the other, until one of them does not come back: the rest goes on as it is. While that is under way, another
    /// call cuts the wait for what is in flight short, and waits for the end of it all.
    pub(super) async fn perform(&self, tree: &Tree) -> Result<Done, Refusal> {
        let servers = tree.servers();
        let Ok(_first) = self.0.try_lock() else {
            for server in servers {
                server.hurry().await;
            }
            let _over = self.0.lock().await;
            return Ok(Done::new(Verb::Restart, "the restart that was under way already is over"));
        };
        let (serving, others): (Vec<_>, Vec<_>) = servers.iter().partition(|server| serves(server));
        let failed = at_once(Each::Restart, others).await;
        for (at, server) in serving.iter().enumerate() {
            if let Err(error) = carry_out(Each::Restart, server).await {
                let untouched: Vec<_> = serving[at + 1..].iter().map(|server| server.name()).collect();
                let refusal = refused(&(server.name().to_owned(), error));
                let help = "`mlx-tree stop` and `mlx-tree start` restart all of them, whatever happens".to_owned();
                return Err(if untouched.is_empty() {
                    refusal
                } else {
                    let message = format!("{}; left as they are: {}", refusal.message, untouched.join(", "));
                    Refusal { message, help: Some(help), ..refusal }
                });
            }
        }
        match failed.last() {
            Some(failed) => Err(refused(failed)),
            None => {
                let message = format!("{} servers have been restarted; those that sleep go on sleeping", servers.len());
                Ok(Done::new(Verb::Restart, message))
            }
        }
    }
}

fn serves(server: &ServerHandle) -> bool {
    match server.availability().borrow().state {
        Reach::Ready { .. } | Reach::Yielding { .. } => true,
        Reach::Finishing { .. }
        | Reach::Starting { .. }
        | Reach::Recycling { .. }
        | Reach::Waiting { .. }
        | Reach::BreakerOpen { .. }
        | Reach::Asleep
        | Reach::Stopped { .. }
        | Reach::Draining => false,
    }
}
