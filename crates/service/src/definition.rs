//! What is to run as a service, whoever is to run it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Who runs services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// systemd, on Linux.
    Systemd,
    /// launchd, on macOS.
    Launchd,
}

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One user's, who may install it without being root.
    User,
    /// The machine's.
    System,
}

/// What a service is called: a part of a file name, and nothing that a shell, a path or a unit would read otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a word is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be the name of a service: letters, digits, `-`, `_` and `.` can, up to 64, a letter or digit first"
)]
pub struct NameError(String);

/// The account of a service of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs(String);

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What it is called.
    pub name: Name,
    /// Whose it is.
    pub scope: Scope,
    /// The program, as an absolute path.
    pub program: String,
    /// Its arguments behind `run`; `reload` gets the same ones.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Whose account it runs under, if it is the machine's.
    pub run_as: Option<RunAs>,
    /// The longest that its own end may take.
    pub stop: Duration,
    /// Directories that it writes to, beside those that the service manager makes for it.
    pub writes: Vec<String>,
    /// The file for its output, where the service manager keeps none by itself.
    pub log: Option<String>,
}

/// Why a definition cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// No file of a service manager can hold it, or nobody could read it there.
    #[error("{0:?} has a control character and cannot stand in a unit")]
    ControlCharacter(String),
    /// systemd runs no program whose path has one of these.
    #[error("the path of the program, {0:?}, has a quote or a backslash, which systemd does not take")]
    Quote(String),
    /// The program would be looked for.
    #[error("{0:?} is no absolute path")]
    NotAbsolute(String),
}

// === impl Manager ===

impl Manager {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Name ===

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What systemd calls it.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("{}.service", self.0)
    }

    /// What launchd calls it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("local.{}", self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        let first = word.starts_with(|it: char| it.is_ascii_alphanumeric());
        let rest = word.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'));
        if first && rest && word.len() <= 64 {
            Ok(Self(word.strip_suffix(".service").unwrap_or(word).to_owned()))
        } else {
            Err(NameError(word.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl RunAs ===

impl RunAs {
    /// The account's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunAs {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        Name::from_str(word).map(|_| Self(word.to_owned()))
    }
}

// === impl Definition ===

impl Definition {
    /// Whether it can be written down for `manager` at all.
    ///
    /// # Errors
    /// [`DefinitionError`] names what cannot be.
    pub fn check(&self, manager: Manager) -> Result<(), DefinitionError> {
        match manager {
            Manager::Systemd if self.program.contains(['"', '\'', '\\']) => {
                return Err(DefinitionError::Quote(self.program.clone()));
            }
            Manager::Systemd | Manager::Launchd => {}
        }
        if !self.program.starts_with('/') {
            return Err(DefinitionError::NotAbsolute(self.program.clone()));
        }
        let variables = self.variables.iter().flat_map(|(name, value)| [name, value]);
        let words = [&self.program].into_iter().chain(&self.arguments).chain(&self.writes).chain(&self.log);
        match words.chain(variables).find(|word| word.chars().any(char::is_control)) {
            Some(word) => Err(DefinitionError::ControlCharacter(word.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word() {
        for good in ["mlx-tree", "a", "coder_2", "mlx.tree"] {
            assert_eq!(good.parse::<Name>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        assert_eq!("mlx-tree.service".parse::<Name>().map(|name| name.unit()), Ok("mlx-tree.service".to_owned()));
        for bad in ["", "-x", ".hidden", "../up", "a/b", "a b", "a%b", "a@b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Name>(), Err(NameError(bad.to_owned())));
        }
    }
}
