//! The decisions of admission, without clocks and channels: what happens goes in with the time, what is to be done comes out.
//!
//! The diagram and the rules are in the head of [`admission`](super).

mod backend;

pub(in crate::admission) use backend::{ended, serves};

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::denied::{Denied, Hindrance};
use super::entry::{Entry, Grant, Outcome, Place, Seq, Slot, Standing};
use super::estimate::Estimate;
use super::limits::Limits;
use super::pace::{Limited, Pace};
use super::queue::{Queue, Waiting};
use super::slots::Slots;
use crate::backend::{Backend, BackendState};

/// Who is in, who waits, and what the server is trusted with.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    limits: Limits,
    backend: Backend,
    queue: Queue,
    slots: Slots,
    pace: Pace,
    estimate: Estimate,
    next_seq: u64,
    next_place: u64,
}

/// What becomes of one that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It goes in at once.
    Admitted(Grant),
    /// It waits here, and an [`Effect`] will end it; that may be among those of this very call.
    Waiting(Place),
    /// It is sent away.
    Denied(Denied),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Let this one in.
    Admit(Place, Grant),
    /// Send this one away.
    Deny(Place, Denied),
    /// Tell the tree that somebody waits for the server, which is asleep.
    Wanted,
}

/// A gate at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The incarnation that it is about.
    pub epoch: u64,
    /// How many requests the server works on, or is still taken to work on.
    pub in_flight: usize,
    /// How many wait.
    pub queued: usize,
    /// How many may be in flight now.
    pub limit: usize,
    /// Why it is not `max_inflight`.
    pub limited: Limited,
    /// How long requests take, once a few have been completed.
    pub service_time: Option<Duration>,
}

/// A death that has been seen on a connection is heard of from the tree within this, or it was none.
const DEATH_NOTICE: Duration = Duration::from_secs(1);

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: Limits, backend: Backend, now: Instant) -> Self {
        let mut pace = Pace::new(&limits);
        if matches!(backend.state, BackendState::Ready { .. }) {
            pace.on_ready(now);
        }
        Self {
            limits,
            backend,
            queue: Queue::default(),
            slots: Slots::default(),
            pace,
            estimate: Estimate::default(),
            next_seq: 0,
            next_place: 0,
        }
    }

    /// A request wants in.
    pub(super) fn on_arrive(&mut self, now: Instant, entry: &Entry, effects: &mut Vec<Effect>) -> Arrival {
        self.on_time(now, effects);
        let seq = entry.arrived.unwrap_or(Seq(self.next_seq));
        self.next_seq = self.next_seq.max(seq.0.saturating_add(1));
        let place = Place(self.next_place);
        self.next_place += 1;
        let waiting = Waiting {
            place,
            seq,
            client: entry.client,
            standing: entry.standing,
            deadline: entry.deadline,
            since: now,
        };
        if let Some(denied) = self.shut() {
            return Arrival::Denied(denied);
        }
        if entry.deadline <= now {
            return Arrival::Denied(self.timed_out(now, &waiting));
        }
        if let Some(address) = self.address().filter(|_| self.queue.is_empty() && self.has_room(now, entry.standing)) {
            return Arrival::Admitted(self.grant(now, &waiting, address));
        }
        let stays = self.in_time(now, entry).and_then(|()| self.room_to_wait(now, entry, effects));
        if let Err(denied) = stays {
            return Arrival::Denied(denied);
        }
        match entry.arrived {
            Some(_) => self.queue.push_back_in(waiting),
            None => self.queue.push(waiting),
        }
        if matches!(self.backend.state, BackendState::Asleep | BackendState::Yielding { .. }) {
            effects.push(Effect::Wanted);
        }
        self.pump(now, effects);
        Arrival::Waiting(place)
    }

    /// One that waits has gone: its client left.
    pub(super) fn on_leave(&mut self, now: Instant, place: Place, effects: &mut Vec<Effect>) {
        self.queue.remove(place);
        self.on_time(now, effects);
    }

    /// The deadline of one that waits has come. `None` if it does not wait any more: it has its answer.
    pub(super) fn on_expire(&mut self, now: Instant, place: Place, effects: &mut Vec<Effect>) -> Option<Denied> {
        let expired = self.queue.remove(place);
        self.on_time(now, effects);
        expired.map(|waiting| self.timed_out(now, &waiting))
    }

    /// An attempt has ended, and the server is idle again as far as that one goes.
    pub(super) fn on_finish(&mut self, now: Instant, slot: Slot, outcome: Outcome, effects: &mut Vec<Effect>) {
        match outcome {
            Outcome::Succeeded => {
                if let Some(took) = self.slots.release(now, slot) {
                    self.estimate.on_completed(took);
                    self.pace.on_success();
                }
            }
            // The tree has not said so yet. Until it does, the slot is kept: no other request is wasted on what may be a
            // corpse, and the death will count all that were in flight.
            Outcome::BackendDied if self.address().is_some() => self.keep(now, slot, DEATH_NOTICE),
            Outcome::BackendDied | Outcome::Failed => {
                self.slots.release(now, slot);
            }
        }
        self.on_time(now, effects);
    }

    /// The client has left; the server works on for so long, at most.
    pub(super) fn on_linger(&mut self, now: Instant, slot: Slot, grace: Duration, effects: &mut Vec<Effect>) {
        self.keep(now, slot, grace.min(self.limits.linger_max));
        self.on_time(now, effects);
    }

    /// Time has passed.
    pub(super) fn on_time(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.slots.expire(now);
        self.pump(now, effects);
    }

    /// The limits have been changed. Nobody is sent away for it.
    pub(super) fn on_limits(&mut self, now: Instant, limits: Limits, effects: &mut Vec<Effect>) {
        self.pace.on_limits(now, &limits);
        self.limits = limits;
        self.on_time(now, effects);
    }

    /// When [`on_time`](Self::on_time) would let somebody in, if nothing else happens before; `None` if only events can.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() || self.address().is_none() {
            return None;
        }
        [self.slots.next_expiry(), self.slots.alone(now), self.pace.next_rise(now)].into_iter().flatten().min()
    }

    /// What there is to show.
    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let (in_flight, suspect) = (self.slots.taken(), self.slots.alone(now).is_some());
        Snapshot {
            epoch: self.backend.epoch,
            in_flight,
            queued: self.queue.len(),
            limit: if suspect { 1 } else { self.pace.limit(now) },
            limited: if suspect { Limited::Suspect } else { self.pace.limited(now) },
            service_time: self.estimate.wait(1, 1),
        }
    }

    /// Lets in whoever may go now, in order. The next in order is never overtaken.
    fn pump(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(address) = self.address() else { return };
        while let Some(&head) = self.queue.head() {
            let effect = if head.deadline <= now {
                Effect::Deny(head.place, self.timed_out(now, &head))
            } else if self.has_room(now, head.standing) {
                Effect::Admit(head.place, self.grant(now, &head, address))
            } else {
                return;
            };
            self.queue.pop();
            effects.push(effect);
        }
    }

    /// Whether one more may be in flight.
    fn has_room(&self, now: Instant, standing: Standing) -> bool {
        let taken = self.slots.taken();
        let alone = match standing {
            Standing::Fresh => true,
            Standing::Suspect => taken == 0,
        };
        alone && self.slots.alone(now).is_none() && taken < self.pace.limit(now)
    }

    fn grant(&mut self, now: Instant, waiting: &Waiting, address: SocketAddr) -> Grant {
        self.pace.on_admit(now);
        let slot = self.slots.take(now, waiting.standing, self.limits.stable);
        let queued_for = now.duration_since(waiting.since);
        Grant { slot, seq: waiting.seq, epoch: self.backend.epoch, address, queued_for }
    }

    /// Keeps a slot, unless that is for no time at all.
    fn keep(&mut self, now: Instant, slot: Slot, grace: Duration) {
        match now.checked_add(grace).filter(|until| *until > now) {
            Some(until) => self.slots.linger(slot, until),
            None => {
                self.slots.release(now, slot);
            }
        }
    }

    /// Whether there is room to wait, if need be by sending away the youngest of the client that has most.
    fn room_to_wait(&mut self, now: Instant, entry: &Entry, effects: &mut Vec<Effect>) -> Result<(), Denied> {
        let (queued, limits) = (self.queue.len(), self.limits);
        let full = match entry.arrived {
            // It was let in once already. There are no more of those than have been in flight, unless somebody holds
            // permits of servers that are long dead; that has a bound too.
            Some(_) => self.queue.returning() >= limits.max_queue.saturating_add(limits.max_inflight.get()),
            None => queued >= limits.max_queue,
        };
        if !full {
            return Ok(());
        }
        // The newcomer's client must still have fewer than the other afterwards as before: else two would push each other
        // out in turns.
        let evicted = match entry.arrived {
            Some(_) => None,
            None => self.queue.evict(self.queue.of(&entry.client) + 2),
        };
        let retry_after = self.estimate.again(queued, self.pace.clamp(now));
        match evicted {
            Some((waiting, had)) => {
                effects.push(Effect::Deny(waiting.place, Denied::ShareExceeded { queued: had, retry_after }));
                Ok(())
            }
            None => Err(Denied::Overloaded { in_flight: self.slots.taken(), queued, retry_after }),
        }
    }

    /// One whose deadline has come.
    fn timed_out(&mut self, now: Instant, waiting: &Waiting) -> Denied {
        let hindrance = match &self.backend.state {
            BackendState::Ready { .. } => Hindrance::Busy,
            BackendState::Restarting { reason, .. } => Hindrance::Restarting(reason.clone()),
            BackendState::BreakerOpen { reason, .. } => Hindrance::CircuitOpen(reason.clone()),
            BackendState::Asleep => Hindrance::Asleep,
            BackendState::Yielding { reason, .. } => Hindrance::Yielding(reason.clone()),
            BackendState::Recycling { reason } => Hindrance::Restarting(reason.clone()),
            BackendState::Stopped { .. } | BackendState::Finishing { .. } | BackendState::Draining => Hindrance::Shut,
        };
        let (waited, retry_after) = (now.duration_since(waiting.since), self.again(now));
        Denied::TimedOut { waited, hindrance, retry_after }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
