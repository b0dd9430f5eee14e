//! `[log]`: what mlx-tree says.

use crate::Environment;
use crate::plan::{Diff, Effect};
use crate::reader::Section;
use crate::value::{Choice, choice};

/// What mlx-tree says, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The language that people are spoken to in: the one of the configuration, or that of the environment.
    pub language: Language,
    /// The form of the log.
    pub format: LogFormat,
    /// How much is said.
    pub level: LogLevel,
}

/// A language that people are spoken to in.
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

/// A language, or whichever the environment names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    OfEnvironment,
    This(Language),
}

impl LogSettings {
    pub(super) fn read(section: &mut Section<'_, '_>, environment: &Environment) -> Self {
        let language = match section.read("language", choice) {
            Wanted::This(language) => language,
            Wanted::OfEnvironment => environment.language(),
        };
        Self { language, format: section.read("format", choice), level: section.read("level", choice) }
    }

    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self { language, format, level } = self;
        diff.live("language", &Wanted::This(*language), &Wanted::This(new.language));
        diff.key("format", &Effect::Program, format, &new.format);
        diff.live("level", level, &new.level);
    }

    /// What holds when `new` has come after these settings: what has begun in one form goes on in it.
    pub(crate) const fn followed_by(self, new: Self) -> Self {
        Self { format: self.format, ..new }
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

impl Choice for Wanted {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::OfEnvironment), ("en", Self::This(Language::En)), ("ru", Self::This(Language::Ru))];
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
