//! What is in flight to the current incarnation, and what is still taken for in flight.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Slot, Standing};

/// Longer than any incarnation, and within what a clock can count.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A slot that is taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    since: Instant,
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
    /// The suspect that runs alone, and until when it does.
    alone: Option<(Slot, Instant)>,
    next: u64,
}

// === impl Slots ===

impl Slots {
    /// How many count as in flight.
    pub(super) fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Until when a suspect is to be left alone, if one is.
    pub(super) fn alone(&self, now: Instant) -> Option<Instant> {
        self.alone.map(|(_, until)| until).filter(|until| *until > now)
    }

    /// Takes one more. A suspect is left alone until it is done, for `trial` at most.
    pub(super) fn take(&mut self, now: Instant, standing: Standing, trial: Duration) -> Slot {
        let slot = Slot(self.next);
        self.next += 1;
        self.taken.insert(slot, Taken { since: now, until: None });
        match standing {
            Standing::Fresh => {}
            Standing::Suspect => self.alone = now.checked_add(trial.min(FOREVER)).map(|until| (slot, until)),
        }
        slot
    }

    /// Gives one back; for how long it was taken, if it still counted.
    pub(super) fn release(&mut self, now: Instant, slot: Slot) -> Option<Duration> {
        let taken = self.taken.remove(&slot)?;
        self.alone = self.alone.filter(|(suspect, _)| *suspect != slot);
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
        while let Some(&(_, slot)) = self.lingering.first().filter(|(until, _)| *until <= now) {
            self.lingering.pop_first();
            self.taken.remove(&slot);
            self.alone = self.alone.filter(|(suspect, _)| *suspect != slot);
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
        self.alone = None;
        were
    }
}
