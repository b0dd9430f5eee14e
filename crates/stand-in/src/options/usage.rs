//! What is wrong with a command line.

use crate::json;
use std::{fmt, path::PathBuf};

/// A command line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No such flag.
    UnknownFlag {
        /// As it was given.
        flag: String,
    },
    /// The flag needs a value and is the last word.
    MissingValue {
        /// The flag.
        flag: String,
    },
    /// The value does not fit the flag.
    BadValue {
        /// The flag.
        flag: String,
        /// Its value.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
    /// A word is not UTF-8.
    NotText {
        /// The word, as far as it can be shown.
        word: String,
    },
    /// The script of `--script` cannot be used.
    Script {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

// === impl UsageError ===

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlag { flag } => write!(f, "unknown flag {flag}; --help lists them"),
            Self::MissingValue { flag } => write!(f, "{flag} needs a value"),
            Self::BadValue { flag, value, expected } => write!(f, "{flag} {}: expected {expected}", json::quote(value)),
            Self::NotText { word } => write!(f, "not UTF-8: {word}"),
            Self::Script { path, reason } => write!(f, "script {}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for UsageError {}
