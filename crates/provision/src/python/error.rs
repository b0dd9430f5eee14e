//! Why there is no interpreter to run the server with.

use super::{Module, Pins};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Each variant says what to do about it, as far as something can be done.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// The configured interpreter does not exist.
    #[error("there is no Python interpreter {}", interpreter.display())]
    NotFound {
        /// As it was given.
        interpreter: PathBuf,
    },
    /// No interpreter of 3.10 or newer is on `PATH`.
    #[error("no Python 3.10 or newer on PATH")]
    NoPython,
    /// The interpreter is there but does not run as one.
    #[error("{} does not run as a Python interpreter: {reason}", interpreter.display())]
    Broken {
        /// The interpreter.
        interpreter: PathBuf,
        /// The last thing it said.
        reason: String,
    },
    /// The interpreter did not answer.
    #[error("{} did not import {module} within {} s", interpreter.display(), after.as_secs())]
    TimedOut {
        /// The interpreter.
        interpreter: PathBuf,
        /// The name of the module.
        module: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// The interpreter works, the module is missing.
    #[error("{} has no module {module}", interpreter.display())]
    NoModule {
        /// The interpreter.
        interpreter: PathBuf,
        /// The name of the module.
        module: &'static str,
        /// The line that installs it.
        pip_line: String,
    },
    /// The module is there, but importing it fails.
    #[error("{} cannot import {module}: {reason}", interpreter.display())]
    ImportFailed {
        /// The interpreter.
        interpreter: PathBuf,
        /// The name of the module.
        module: &'static str,
        /// The last line of the traceback.
        reason: String,
    },
    /// `venv` is not installed, as on Debian without `python3-venv`.
    #[error("{} cannot make virtual environments: {reason}", interpreter.display())]
    VenvMissing {
        /// The interpreter.
        interpreter: PathBuf,
        /// Its version, as "3.11".
        version: String,
        /// The last thing it said.
        reason: String,
    },
    /// The package index cannot be reached.
    #[error("the Python packages cannot be downloaded: no connection to the package index")]
    Offline {
        /// pip's last lines.
        lines: Vec<String>,
    },
    /// No space is left.
    #[error("no space left in {}", directory.display())]
    DiskFull {
        /// Where the environment was being made.
        directory: PathBuf,
    },
    /// The directory cannot be written.
    #[error("no permission to write {}", directory.display())]
    Permission {
        /// Where the environment was to be made.
        directory: PathBuf,
    },
    /// No release of the packages fits this machine or this Python.
    #[error("there is no {what} for this Python or this machine")]
    NoDistribution {
        /// The requirement that pip names.
        what: String,
        /// pip's last lines.
        lines: Vec<String>,
    },
    /// pip failed for another reason.
    #[error("pip failed with code {code}: {}", lines.last().map_or("", String::as_str))]
    PipFailed {
        /// Its exit code; -1 when a signal ended it.
        code: i32,
        /// Its last lines.
        lines: Vec<String>,
    },
    /// pip did not come to an end.
    #[error("pip was not done after {} minutes", after.as_secs() / 60)]
    PipTimedOut {
        /// How long it had.
        after: Duration,
        /// Its last lines.
        lines: Vec<String>,
    },
    /// A file or process operation failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as "make" or "lock".
        doing: &'static str,
        /// The file, directory or program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

// === impl PythonError ===

impl PythonError {
    /// What the person can do about it, for the `help:` line.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let demo = "`mlx-tree demo` runs the same tree over a built-in stand-in, without Python";
        match self {
            Self::NotFound { .. } => Some("set server.python to an interpreter, or to \"auto\"".to_owned()),
            Self::NoPython => Some(format!(
                "install one: `sudo apt install python3 python3-venv` on Debian and Ubuntu, `brew install python` on macOS; {demo}"
            )),
            Self::NoModule { pip_line, .. } => Some(format!(
                "set server.python to \"auto\", which makes an environment of its own, or install it there: {pip_line}"
            )),
            Self::VenvMissing { version, .. } => {
                Some(format!("on Debian and Ubuntu: `sudo apt install python3-venv` (or python{version}-venv)"))
            }
            Self::Offline { .. } => Some(format!("connect this machine or set pip's index or proxy; {demo}")),
            Self::DiskFull { .. } => Some("free about 1 GB, or choose another data directory".to_owned()),
            Self::Permission { .. } => Some("choose another data directory".to_owned()),
            Self::NoDistribution { .. } => Some(format!(
                "MLX needs macOS 14 on Apple silicon, or Linux with glibc 2.35, and Python 3.10 or newer; {demo}"
            )),
            Self::Broken { .. } | Self::TimedOut { .. } | Self::ImportFailed { .. } => {
                Some("try it by hand, or set server.python to another interpreter".to_owned())
            }
            Self::PipFailed { .. } | Self::PipTimedOut { .. } | Self::Io { .. } => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull { directory: path.to_owned() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { directory: path.to_owned() }
            }
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }

    pub(crate) fn no_module(interpreter: &Path, module: Module) -> Self {
        let requirements = Pins::current(module).loose().join(" ");
        Self::NoModule {
            interpreter: interpreter.to_owned(),
            module: module.import_name(),
            pip_line: format!("{} -m pip install {requirements}", interpreter.display()),
        }
    }
}
