//! `[log]`: what mlx-tree says.

use crate::reader::Section;
use crate::value::{Choice, choice};

/// What mlx-tree says, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The language of the narration.
    pub language: Language,
    /// The form of the log.
    pub format: LogFormat,
    /// How much is said.
    pub level: LogLevel,
}

/// A language of the narration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A story for people.
    Narration,
    /// Every event as a line.
    Text,
    /// Every event as a JSON object.
    Json,
}

/// How much is said; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What needs a human.
    Error,
    /// What has healed itself.
    Warn,
    /// What happens to the server.
    Info,
    /// Routine.
    Debug,
    /// Everything.
    Trace,
}

impl LogSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            language: section.read("language", choice),
            format: section.read("format", choice),
            level: section.read("level", choice),
        }
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// The level's name, as filters of `tracing` know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.name()
    }
}

impl Choice for Language {
    const WORDS: &'static [(&'static str, Self)] = &[("en", Self::En), ("ru", Self::Ru)];
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("narration", Self::Narration), ("text", Self::Text), ("json", Self::Json)];
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}
