//! A worker that ends without having ended its server: what is told and shown then.

use std::sync::Arc;

use super::{Life, ServerState};
use crate::server::diagnosis::Reason;
use crate::server::failure::ServerFailure;
use crate::server::view::{End, Ended, ServerPhase, ServerView};

impl Drop for ServerState {
    /// Neither an exit nor a stop was the end: the actor has panicked, or was killed.
    fn drop(&mut self) {
        let group = match std::mem::replace(&mut self.life, Life::Gone) {
            Life::Gone => return,
            Life::Launching(launch) => {
                launch.abort();
                None
            }
            // Letting go of a group ends it; the next incarnation waits for that.
            Life::Running { group, .. } | Life::Ending { group, .. } => Some(group),
        };
        let message = "mlx-tree's own worker of it has ended unexpectedly, and so it is ended too";
        self.emit(ServerFailure::plain(Reason::WorkerFailed, message).event());
        let (epoch, blueprint) = (self.epoch(), Arc::clone(&self.blueprint));
        let absent = move || {
            blueprint.view.send_if_modified(|view| {
                let ours = view.epoch == epoch;
                if ours {
                    view.become_ended(ServerView::absent(epoch), End::ByItself);
                }
                ours
            });
        };
        let Some(group) = group else { return absent() };
        self.blueprint.view.send_if_modified(|view| {
            let ours = view.epoch == epoch;
            if ours {
                view.phase = ServerPhase::Stopping;
                view.ended = Some(Ended { epoch, how: End::ByItself });
            }
            ours
        });
        let (exited, identity) = (group.exited(), group.identity().clone());
        let guard = self.blueprint.guard.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Its record stays: by now it may be the next incarnation's.
            runtime.spawn(async move {
                let _ = exited.await;
                guard.release(&identity);
                absent();
            });
        }
    }
}
