//! What the server's state means for those who wait and for those who come.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Effect};
use crate::admission::denied::Denied;
use crate::admission::entry::Entry;
use crate::admission::queue::Waiting;
use crate::backend::{Backend, BackendState, End};

/// When to come again, if nobody knows how long a restart takes.
const UNKNOWN: Duration = Duration::from_secs(5);

/// When to come again, if nothing is going to be started by itself.
const NOT_SOON: Duration = Duration::from_secs(60);

/// The incarnation that works on what is in flight, if there is one.
fn serving(backend: &Backend) -> Option<u64> {
    serves(backend, backend.epoch).then_some(backend.epoch)
}

/// Whether `backend` works on what was sent to this incarnation.
pub(in crate::admission) fn serves(backend: &Backend, epoch: u64) -> bool {
    let up = match backend.state {
        BackendState::Ready { .. }
        | BackendState::Yielding { .. }
        | BackendState::Finishing { .. }
        | BackendState::Draining => true,
        BackendState::Restarting { .. }
        | BackendState::BreakerOpen { .. }
        | BackendState::Recycling { .. }
        | BackendState::Asleep
        | BackendState::Stopped { .. } => false,
    };
    // What is ending for good says nothing else when it is gone.
    up && backend.epoch == epoch && backend.ended.is_none_or(|ended| ended.epoch != epoch)
}

/// How this incarnation ended, by what is known `now`: what whoever saw the end of it says; until that is known, what follows.
/// That it was to go, sooner or later, does not make an end a planned one.
pub(in crate::admission) fn ended(epoch: u64, now: &Backend) -> End {
    if let Some(ended) = now.ended.filter(|ended| ended.epoch == epoch) {
        return ended.how;
    }
    match now.state {
        BackendState::Recycling { .. }
        | BackendState::Finishing { .. }
        | BackendState::Asleep
        | BackendState::Stopped { .. }
        | BackendState::Draining => End::Planned,
        BackendState::Ready { .. }
        | BackendState::Yielding { .. }
        | BackendState::Restarting { .. }
        | BackendState::BreakerOpen { .. } => End::Death,
    }
}

// === impl Admission ===

impl Admission {
    /// There is news of the server.
    pub(in crate::admission) fn on_backend(&mut self, now: Instant, backend: Backend, effects: &mut Vec<Effect>) {
        // What has run out by now did so before the news.
        self.slots.expire(now);
        let before = std::mem::replace(&mut self.backend, backend);
        let (was, is) = (serving(&before), serving(&self.backend));
        if let Some(was) = was
            && is != Some(was)
        {
            let in_flight = self.slots.forget();
            match ended(was, &self.backend) {
                End::Death => self.pace.on_death(now, in_flight),
                End::Planned => self.pace.on_end(now),
            }
        }
        if is.is_some() && is != was {
            self.pace.on_ready(now);
        }
        self.settle(now, effects);
    }

    /// Where the server is, if its gate is open.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        match self.backend.state {
            BackendState::Ready { address } => Some(address),
            BackendState::Restarting { .. }
            | BackendState::BreakerOpen { .. }
            | BackendState::Yielding { .. }
            | BackendState::Finishing { .. }
            | BackendState::Recycling { .. }
            | BackendState::Asleep
            | BackendState::Stopped { .. }
            | BackendState::Draining => None,
        }
    }

    /// Why nobody may wait, if the gate is shut.
    pub(super) fn shut(&self) -> Option<Denied> {
        match &self.backend.state {
            BackendState::Stopped { reason } | BackendState::Finishing { reason } => {
                Some(Denied::Stopped { reason: reason.clone() })
            }
            BackendState::Draining => Some(Denied::ShuttingDown),
            BackendState::Ready { .. }
            | BackendState::Restarting { .. }
            | BackendState::BreakerOpen { .. }
            | BackendState::Yielding { .. }
            | BackendState::Recycling { .. }
            | BackendState::Asleep => None,
        }
    }

    /// Whether one that arrives can be let in before its deadline, as far as can be told. If nothing can be told it waits,
    /// except for a breaker: that is open because nothing helped.
    pub(super) fn in_time(&mut self, now: Instant, entry: &Entry) -> Result<(), Denied> {
        let ahead = match entry.arrived {
            Some(_) => 0,
            None => self.queue.ahead_of(&entry.client),
        };
        let wait = self.estimate.wait(ahead, self.pace.clamp(now)).unwrap_or_default();
        let late = |ready_at: Instant| ready_at.max(now).checked_add(wait).is_none_or(|turn| turn > entry.deadline);
        let fits = match self.backend.state {
            BackendState::Ready { .. } => !late(now),
            BackendState::Restarting { ready_at, .. } => ready_at.is_none_or(|ready_at| !late(ready_at)),
            BackendState::BreakerOpen { ready_at, .. } => ready_at.is_some_and(|ready_at| !late(ready_at)),
            BackendState::Asleep
            | BackendState::Yielding { .. }
            | BackendState::Finishing { .. }
            | BackendState::Recycling { .. }
            | BackendState::Stopped { .. }
            | BackendState::Draining => true,
        };
        if fits { Ok(()) } else { Err(self.late(now, wait)) }
    }

    /// When to come again.
    pub(super) fn again(&mut self, now: Instant) -> Duration {
        let until = |ready_at: Instant| ready_at.saturating_duration_since(now);
        let ready_in = match self.backend.state {
            BackendState::Ready { .. } => Duration::ZERO,
            BackendState::Restarting { ready_at, .. } => ready_at.map_or(UNKNOWN, until),
            BackendState::BreakerOpen { ready_at, .. } => ready_at.map_or(NOT_SOON, until),
            BackendState::Asleep
            | BackendState::Yielding { .. }
            | BackendState::Finishing { .. }
            | BackendState::Recycling { .. }
            | BackendState::Stopped { .. }
            | BackendState::Draining => UNKNOWN,
        };
        ready_in.saturating_add(self.estimate.again(self.queue.len(), self.pace.clamp(now)))
    }

    /// Goes through those who wait, after news of the server.
    fn settle(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let hopeless: Vec<Waiting> = match self.backend.state {
            BackendState::Ready { .. } => return self.pump(now, effects),
            BackendState::Asleep => {
                if !self.queue.is_empty() {
                    effects.push(Effect::Wanted);
                }
                return;
            }
            BackendState::Yielding { .. } | BackendState::Recycling { .. } => return,
            // Only what is certain is held against one that waits already: the estimate of its turn is not.
            BackendState::Restarting { ready_at, .. } => {
                ready_at.map_or_else(Vec::new, |at| self.queue.remove_all(|w| w.deadline < at.max(now)))
            }
            BackendState::BreakerOpen { ready_at, .. } => {
                self.queue.remove_all(|waiting| ready_at.is_none_or(|at| waiting.deadline < at.max(now)))
            }
            BackendState::Stopped { .. } | BackendState::Finishing { .. } | BackendState::Draining => {
                self.queue.remove_all(|_| true)
            }
        };
        for waiting in hopeless {
            let denied = self.shut().unwrap_or_else(|| self.late(now, Duration::ZERO));
            effects.push(Effect::Deny(waiting.place, denied));
        }
    }

    /// What one is told that cannot be let in before its deadline.
    fn late(&mut self, now: Instant, wait: Duration) -> Denied {
        let (queued, retry_after) = (self.queue.len(), self.again(now));
        match &self.backend.state {
            BackendState::BreakerOpen { reason, .. } => Denied::CircuitOpen { reason: reason.clone(), retry_after },
            BackendState::Restarting { reason, .. } => Denied::Restarting { reason: reason.clone(), retry_after },
            BackendState::Ready { .. }
            | BackendState::Yielding { .. }
            | BackendState::Finishing { .. }
            | BackendState::Recycling { .. }
            | BackendState::Asleep
            | BackendState::Stopped { .. }
            | BackendState::Draining => Denied::TooLong { queued, wait, retry_after },
        }
    }
}
