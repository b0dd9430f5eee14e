//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// The layer that a value comes from, later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The built-in configuration.
    Default,
    /// The user's own file.
    UserFile(PathBuf),
    /// The file that `--config` names.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// How it was given, for messages: `--port`.
    pub name: String,
    /// What it sets: `server.port`.
    pub key: String,
    /// To what.
    pub value: FlagValue,
}

/// The value of a [`Flag`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagValue {
    /// One word, read as the key demands.
    Text(String),
    /// Several words, for keys that hold a list.
    List(Vec<String>),
}

// === impl Origin ===

impl Origin {
    /// The file, if it is one.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::UserFile(path) | Self::File(path) => Some(path),
            Self::Default | Self::Env(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::UserFile(path) | Self::File(path) => path.display().fmt(f),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

// === impl Flag ===

impl Flag {
    /// A flag with one word.
    #[must_use]
    pub fn text(name: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into(), value: FlagValue::Text(value.into()) }
    }

    /// A flag with several words.
    #[must_use]
    pub fn list<W: Into<String>>(
        name: impl Into<String>,
        key: impl Into<String>,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self { name: name.into(), key: key.into(), value: FlagValue::List(words) }
    }
}
