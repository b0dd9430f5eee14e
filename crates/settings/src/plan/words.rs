//! The plan as people read it: a line for each change.

use super::{Change, Effect, Plan};
use crate::Language;

/// No value is shown at greater length, in characters.
const LONGEST: usize = 120;

// === impl Plan ===

impl Plan {
    /// A line for each change; none if nothing has changed.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        self.changes.iter().map(|change| change.line(language)).collect()
    }
}

// === impl Change ===

impl Change {
    /// `gateway.max_inflight: 4 → 8 (live)`.
    #[must_use]
    pub fn line(&self, language: Language) -> String {
        format!("{}: {} → {} ({})", self.key, short(&self.from), short(&self.to), self.effect.words(language))
    }
}

// === impl Effect ===

impl Effect {
    /// What it takes, in a few words.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        match (self, language) {
            (Self::Live, Language::En) => "live".to_owned(),
            (Self::Live, Language::Ru) => "сразу".to_owned(),
            (Self::NextStart(server), Language::En) => format!("at the next start of {server}"),
            (Self::NextStart(server), Language::Ru) => format!("при следующем запуске {server}"),
            (Self::Restart(server), Language::En) => format!("restarts {server}"),
            (Self::Restart(server), Language::Ru) => format!("перезапускает {server}"),
            (Self::Program, Language::En) => "when mlx-tree is restarted".to_owned(),
            (Self::Program, Language::Ru) => "после перезапуска mlx-tree".to_owned(),
        }
    }
}

fn short(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    let head: String = value.chars().take(LONGEST).collect();
    format!("{head}…")
}
