//! Which Python interpreter runs the server.
//!
//! In order: the configured one; `$VIRTUAL_ENV/bin/python`; `python3` of `PATH`; each only if it can import the module.
//! When none can, a virtual environment of our own below the data directory, made once with pinned versions
//! ([`managed`]).

use crate::progress::{Progress, Silent};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

mod error;
mod find;
mod lock;
mod managed;
mod pins;
mod pip;
mod probe;
mod run;

pub use self::{error::PythonError, managed::managed, pins::Pins};

/// What `server.python` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Find one, or make one.
    #[default]
    Auto,
    /// This one and no other: a path, or a name to be found on `PATH`.
    Interpreter(PathBuf),
}

/// The Python package that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// `mlx_lm`.
    MlxLm,
    /// `mlx_vlm`.
    MlxVlm,
}

/// What this crate has to know of the environment; it reads none itself. Children inherit the process's environment as
/// it is: proxies and pip's own settings matter to pip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `PATH`.
    pub path: Option<OsString>,
    /// `VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
}

/// An interpreter that imports the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// To be run as it is; links are not followed, for a virtual environment is known by the path of its interpreter.
    pub interpreter: PathBuf,
    /// How it was found.
    pub origin: Origin,
    /// Its version, as "3.11.4".
    pub version: String,
    /// The version of the module, as "0.32.2".
    pub module_version: String,
}

/// How an interpreter was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Named by the configuration.
    Configured,
    /// The active virtual environment.
    VirtualEnv,
    /// `python3` on `PATH`.
    Path,
    /// The environment that this program made.
    Managed,
}

/// Finds the interpreter, or makes the managed environment below `<data_dir>/python/`.
///
/// Resolves when the interpreter has imported the module: a second or two as a rule, about half a minute when the
/// environment is made. Dropping the future ends what was started with all its children; an environment half made stays
/// and is made anew the next time.
///
/// # Errors
/// See [`PythonError`]. With [`Choice::Interpreter`] nothing else is tried.
pub async fn resolve(
    choice: &Choice,
    module: Module,
    surroundings: &Surroundings,
    data_dir: &Path,
    progress: &dyn Progress,
) -> Result<Python, PythonError> {
    if let Choice::Interpreter(named) = choice {
        let interpreter = find::interpreter(named, surroundings)?;
        return probe::require(&interpreter, module, Origin::Configured, progress).await;
    }
    for (interpreter, origin) in find::candidates(surroundings) {
        if let Ok(python) = probe::require(&interpreter, module, origin, progress).await {
            return Ok(python);
        }
    }
    managed(&Pins::current(module), surroundings, &data_dir.join("python"), progress).await
}

/// The interpreter that [`resolve`] would answer without making anything; `None` if it would make the managed environment.
///
/// # Errors
/// See [`PythonError`].
pub async fn look(
    choice: &Choice,
    module: Module,
    surroundings: &Surroundings,
    data_dir: &Path,
) -> Result<Option<Python>, PythonError> {
    if let Choice::Interpreter(named) = choice {
        let interpreter = find::interpreter(named, surroundings)?;
        return probe::require(&interpreter, module, Origin::Configured, &Silent).await.map(Some);
    }
    for (interpreter, origin) in find::candidates(surroundings) {
        if let Ok(python) = probe::require(&interpreter, module, origin, &Silent).await {
            return Ok(Some(python));
        }
    }
    Ok(managed::existing(&Pins::current(module), &data_dir.join("python")))
}

// === impl Choice ===

impl From<&str> for Choice {
    /// As the configuration has it: "auto", or an interpreter.
    fn from(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            _ => Self::Interpreter(text.into()),
        }
    }
}

// === impl Module ===

impl Module {
    /// The name to import.
    #[must_use]
    pub fn import_name(self) -> &'static str {
        match self {
            Self::MlxLm => "mlx_lm",
            Self::MlxVlm => "mlx_vlm",
        }
    }
}
