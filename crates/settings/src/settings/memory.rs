//! `[memory]`: what the servers may take together, and how they take turns.

use std::time::Duration;

use crate::plan::Diff;
use crate::reader::Section;
use crate::value::{duration, optional_size};

/// What the servers may take together, and how they take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySettings {
    /// How much all of them may need at once, in bytes; `None` means that there is always room.
    pub budget: Option<u64>,
    /// How long a server stays before it gives way to another one, however idle it is.
    pub min_stay: Duration,
    /// How long another one waits for the room of a server in use, before that one gets no new requests.
    pub turn: Duration,
    /// How long a server above its soft limit may go on without being idle.
    pub soft_patience: Duration,
    /// How much time there is at least between two restarts of one server for its soft limit.
    pub soft_every: Duration,
}

// === impl MemorySettings ===

impl MemorySettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            budget: section.read("budget", optional_size).0,
            min_stay: section.read("min_stay", duration),
            turn: section.read("turn", duration),
            soft_patience: section.read("soft_patience", duration),
            soft_every: section.read("soft_every", duration),
        }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { budget, min_stay, turn, soft_patience, soft_every } = self;
        diff.live("budget", budget, &new.budget);
        diff.live("min_stay", min_stay, &new.min_stay);
        diff.live("turn", turn, &new.turn);
        diff.live("soft_patience", soft_patience, &new.soft_patience);
        diff.live("soft_every", soft_every, &new.soft_every);
    }
}
