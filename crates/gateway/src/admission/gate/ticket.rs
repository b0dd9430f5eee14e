//! One that waits at a gate.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::{Answer, Shared};
use crate::admission::denied::Denied;
use crate::admission::entry::Place;
use crate::backend::Backend;

/// A place in the queue. Dropped, it is left.
pub(super) struct Ticket {
    gate: Arc<Shared>,
    place: Place,
    deadline: Instant,
    answered: oneshot::Receiver<Answer>,
    backend: watch::Receiver<Backend>,
}

// === impl Ticket ===

impl Ticket {
    pub(super) const fn new(
        gate: Arc<Shared>,
        place: Place,
        deadline: Instant,
        answered: oneshot::Receiver<Answer>,
        backend: watch::Receiver<Backend>,
    ) -> Self {
        Self { gate, place, deadline, answered, backend }
    }

    /// Resolves with the answer, at the deadline at the latest.
    pub(super) async fn wait(mut self) -> Answer {
        let (mut watching, mut expired) = (true, false);
        loop {
            tokio::select! {
                biased;
                answer = &mut self.answered => return answer.unwrap_or(Err(Denied::ShuttingDown)),
                news = self.backend.changed(), if watching => {
                    // Nobody tells any more: the last that was told holds.
                    watching = news.is_ok();
                    self.gate.act(|_, _, _| ());
                }
                () = sleep_until(self.deadline), if !expired => {
                    expired = true;
                    if let Some(denied) = self.expire() {
                        return Err(denied);
                    }
                    // It had been answered already, and the answer is on its way.
                }
            }
        }
    }

    fn expire(&self) -> Option<Denied> {
        self.gate.act(|core, now, effects| {
            let denied = core.machine.on_expire(now, self.place, effects);
            if denied.is_some() {
                core.waiters.remove(&self.place);
            }
            denied
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let place = self.place;
        self.gate.act(|core, now, effects| {
            if core.waiters.remove(&place).is_some() {
                core.machine.on_leave(now, place, effects);
            }
        });
    }
}
