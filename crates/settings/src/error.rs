//! What is wrong with a configuration: everything at once, each with its key, its value and the layer it came from.

use std::fmt::{self, Write as _};

use crate::Origin;

/// All that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, such as `server.port`; `None` if it is about a whole file or variable.
    pub key: Option<String>,
    /// The value as it was written, or `***` where the key looks secret.
    pub value: Option<String>,
    /// The layer that it comes from.
    pub origin: Origin,
    /// What is wrong.
    pub problem: Problem,
    /// What would be right.
    pub help: Option<String>,
}

/// The other side of a [`Problem::Conflict`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} (from {origin})")]
pub struct OtherKey {
    /// The key.
    pub key: String,
    /// Its value, as it may be shown.
    pub value: String,
    /// The layer that it comes from.
    pub origin: Origin,
}

/// The kinds of things that can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// Others could decide what is run.
    #[error("the file can be changed by others (mode {mode:04o})")]
    WritableByOthers {
        /// Its permissions.
        mode: u32,
    },
    /// It is no TOML.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// The first line that is wrong, from 1.
        line: usize,
        /// The column in it, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The variable's value is no Unicode.
    #[error("the value is not valid Unicode")]
    NotUnicode,
    /// Two variables of the same layer mean the same key.
    #[error("`{0}` sets the same key")]
    SetTwice(String),
    /// There is no such key.
    #[error("there is no such key")]
    UnknownKey,
    /// The value has the wrong type, or cannot be read as what it should be.
    #[error("{0}")]
    Malformed(String),
    /// The value is of the right type, but makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The value makes no sense together with that of another key.
    #[error("{reason}; {with}")]
    Conflict {
        /// Why.
        reason: String,
        /// The other key.
        with: Box<OtherKey>,
    },
    /// Others could put another file in its place.
    #[error("its directory can be changed by others (mode {mode:04o})")]
    InWritableDirectory {
        /// The directory's permissions.
        mode: u32,
    },
    /// An address that others could reach.
    #[error("{0}")]
    NotLoopback(String),
    /// An argument that mlx-tree gives itself.
    #[error("`{argument}` sets {flag}, which is mlx-tree's own")]
    ReservedArgument {
        /// The argument.
        argument: String,
        /// The flag that it sets.
        flag: String,
    },
    /// Code from a model repository would be run without the configuration saying so.
    #[error("`{0}` lets the server run code that comes with a model")]
    RemoteCode(String),
    /// A default depends on something that is not known.
    #[error("{0}")]
    NoDefault(String),
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// What a program that fails because of these exits with (`EX_CONFIG`).
    pub const EXIT_CODE: u8 = 78;

    /// Some errors, or nothing if there are none.
    pub(crate) fn from_list(errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// The errors: what is wrong with whole layers first, then by key in the order in which the keys are read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ConfigError> {
        self.0.iter()
    }
}

/// The whole report, in several lines.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a problem")?,
            count => write!(f, "the configuration has {count} problems")?,
        }
        for error in &self.0 {
            write!(f, "\n\n{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

// === impl ConfigError ===

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = String::new();
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(head, "{key} = {value}")?,
            (Some(key), None) => head.push_str(key),
            (None, Some(value)) => head.push_str(value),
            (None, None) => {}
        }
        if head.is_empty() {
            write!(f, "in {}:", self.origin)?;
        } else {
            write!(f, "{head}  (from {})", self.origin)?;
        }
        write!(f, "\n  {}", self.problem)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
