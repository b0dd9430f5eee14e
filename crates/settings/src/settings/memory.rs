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
}

// === impl MemorySettings ===

impl MemorySettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            budget: section.read("budget", optional_size).0,
            min_stay: section.read("min_stay", duration),
            turn: section.read("turn", duration),
        }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { budget, min_stay, turn } = self;
        diff.live("budget", budget, &new.budget);
        diff.live("min_stay", min_stay, &new.min_stay);
        diff.live("turn", turn, &new.turn);
    }
}
