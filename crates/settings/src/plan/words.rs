//! The plan as people read it: a line for each change.

use std::fmt;

use super::{Change, Effect, Plan};

/// No value is shown at greater length, in characters.
const LONGEST: usize = 120;

// === impl Plan ===

impl Plan {
    /// A line for each change; none if nothing has changed.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.changes.iter().map(ToString::to_string).collect()
    }

    /// The same for whoever may read it: without the values of what may hold a secret, whatever it is called.
    #[must_use]
    pub fn open_lines(&self) -> Vec<String> {
        self.changes.iter().map(Change::open_line).collect()
    }
}

// === impl Change ===

/// `gateway.max_inflight: 4 → 8 (live)`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {} ({})", self.key, short(&self.from), short(&self.to), self.effect)
    }
}

impl Change {
    fn open_line(&self) -> String {
        let end = self.key.rsplit('.').next().unwrap_or_default();
        let is_private = self.key.contains(".env.") || ["args", "command", "notify"].contains(&end);
        if is_private { format!("{}: … → … ({})", self.key, self.effect) } else { self.to_string() }
    }
}

// === impl Effect ===

/// What it takes, in a few words.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::NextStart(server) => write!(f, "at the next start of {server}"),
            Self::Restart(server) => write!(f, "restarts {server}"),
            Self::Program => f.write_str("when mlx-tree is restarted"),
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
