//! What is in flight to the current incarnation, and what is still taken for in flight.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Slot, Standing};

/// A slot that is taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    since: Instant,
    standing: Standing,
    /// Until when it is kept, if nobody uses it any more.
    until: Option<Instant>,
}

/// The slots of the current incarnation. One of an earlier incarnation is not in here, so nothing that is still said about it
/// changes anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    taken: HashMap<Slot, Taken>,
    /// Those that nobody uses any more, by their ends.
    lingering: BTreeSet<(Instant, Slot)>,
    suspects: usize,
    next: u64,
}

// === impl Slots ===

impl Slots {
    /// How many count as in flight.
    pub(super) fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Whether a suspect is among them.
    pub(super) const fn has_suspect(&self) -> bool {
        self.suspects > 0
    }

    /// Takes one more.
    pub(super) fn take(&mut self, now: Instant, standing: Standing) -> Slot {
        let slot = Slot(self.next);
        self.next += 1;
        self.taken.insert(slot, Taken { since: now, standing, until: None });
        self.suspects += usize::from(standing == Standing::Suspect);
        slot
    }

    /// Gives one back; for how long it was taken, if it still counted.
    pub(super) fn release(&mut self, now: Instant, slot: Slot) -> Option<Duration> {
        let taken = self.taken.remove(&slot)?;
        self.suspects -= usize::from(taken.standing == Standing::Suspect);
        if let Some(until) = taken.until {
            self.lingering.remove(&(until, slot));
        }
        Some(now.duration_since(taken.since))
    }

    /// Keeps one until then, though nobody uses it any more.
    pub(super) fn linger(&mut self, slot: Slot, until: Instant) {
        let Some(taken) = self.taken.get_mut(&slot) else { return };
        if let Some(before) = taken.until.replace(until) {
            self.lingering.remove(&(before, slot));
        }
        self.lingering.insert((until, slot));
    }

    /// Gives back those that have been kept long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(until, slot)) = self.lingering.first().filter(|(until, _)| *until <= now) {
            if self.release(now, slot).is_none() {
                self.lingering.remove(&(until, slot));
            }
        }
    }

    /// When the next one is given back by itself.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.lingering.first().map(|(until, _)| *until)
    }

    /// The incarnation is over: none counts any more. How many there were.
    pub(super) fn forget(&mut self) -> usize {
        let were = self.taken.len();
        self.taken.clear();
        self.lingering.clear();
        self.suspects = 0;
        were
    }
}
