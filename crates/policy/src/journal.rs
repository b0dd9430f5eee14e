//! The last decisions with their reasons: why is it not restarting, and when will it?

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Monotonic, TripCause};

/// One decision, and why it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// When it was made.
    pub when: Monotonic,
    /// The incarnation that it is about, if any.
    pub epoch: Option<u64>,
    /// One line: the failure, or the event, that called for a decision.
    pub reason: String,
    /// What was decided.
    pub decision: Ruling,
    /// When it ends or falls due, if that is known.
    pub until: Option<Monotonic>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The child is restarted after this delay.
    Restart {
        /// Zero means at once.
        after: Duration,
    },
    /// The breaker has opened, for this cause.
    Opened(TripCause),
    /// The breaker was open already and stays so.
    StaysOpen,
    /// One trial start is allowed.
    HalfOpened,
    /// The trial has passed its probation: the breaker is closed, but nothing is forgotten yet.
    ProbationPassed,
    /// The run counts as a success: everything is forgotten.
    Succeeded,
    /// The operator has cleared everything.
    Reset,
}

/// A ring of the last decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    capacity: usize,
    entries: VecDeque<JournalEntry>,
}

// === impl Journal ===

impl Journal {
    /// How many decisions are kept unless told otherwise.
    pub const DEFAULT_CAPACITY: usize = 64;

    /// An empty journal that keeps the last `capacity` decisions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, entries: VecDeque::new() }
    }

    /// Adds a decision; drops the oldest one if there is no room.
    pub fn push(&mut self, entry: JournalEntry) {
        if self.capacity == 0 {
            return;
        }
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The decisions, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The newest decision.
    #[must_use]
    pub fn last(&self) -> Option<&JournalEntry> {
        self.entries.back()
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_decisions_are_kept() {
        let mut journal = Journal::new(2);
        for second in 0..5 {
            journal.push(JournalEntry {
                when: Monotonic::new(Duration::from_secs(second)),
                epoch: None,
                reason: String::new(),
                decision: Ruling::Reset,
                until: None,
            });
        }
        let seconds: Vec<u64> = journal.iter().map(|entry| entry.when.since_origin().as_secs()).collect();
        assert_eq!(seconds, [3, 4]);
    }

    #[test]
    fn a_journal_without_room_keeps_nothing() {
        let mut journal = Journal::new(0);
        journal.push(JournalEntry {
            when: Monotonic::ORIGIN,
            epoch: None,
            reason: String::new(),
            decision: Ruling::Reset,
            until: None,
        });
        assert_eq!(journal.last(), None);
    }
}
