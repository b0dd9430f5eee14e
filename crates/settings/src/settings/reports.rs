//! `[reports]`: what is written down when a server goes down.

use crate::plan::{Diff, Effect};
use crate::reader::Section;
use crate::value::{Size, integer, size};

/// How many reports are kept, and how much they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportsSettings {
    /// So many; the oldest ones go. 0: none is written.
    pub keep: u32,
    /// All of them together, in bytes.
    pub max_bytes: u64,
}

// === impl ReportsSettings ===

impl ReportsSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self { keep: section.read("keep", integer(0..=10_000)), max_bytes: section.read("max_bytes", size).0 }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { keep, max_bytes } = self;
        diff.key("keep", &Effect::Program, keep, &new.keep);
        diff.key("max_bytes", &Effect::Program, &Size(*max_bytes), &Size(new.max_bytes));
    }
}
