//! What a person who waits gets to see.

use std::{fmt, path::PathBuf};

/// Receives the steps of something that takes a while. Called from the task that works, so it must be quick.
pub trait Progress: Send + Sync {
    /// Something began or moved on.
    fn report(&self, step: Step);
}

/// Nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

/// About how large an environment is, in MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What is downloaded, unless pip's cache has it.
    pub download: u64,
    /// What it takes on the disk.
    pub disk: u64,
}

/// One step; [`fmt::Display`] is a line for a terminal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// An interpreter is asked whether it can import the module.
    Looking {
        /// The interpreter.
        interpreter: PathBuf,
    },
    /// Another process makes the same environment; this one waits for it.
    WaitingForOther {
        /// The environment's directory.
        directory: PathBuf,
    },
    /// A virtual environment is begun.
    MakingEnvironment {
        /// Its directory.
        directory: PathBuf,
    },
    /// The packages are being installed.
    Installing {
        /// What, with its version.
        what: String,
        /// About how large it is, if that is known.
        size: Option<Size>,
    },
    /// One file is being downloaded.
    Downloading {
        /// The file.
        what: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A line of pip that is nothing of the above.
    Line(String),
    /// The new environment is asked whether it works.
    Verifying,
    /// The environment is ready.
    Ready {
        /// Its interpreter.
        interpreter: PathBuf,
    },
}

// === impl Silent ===

impl Progress for Silent {
    fn report(&self, _: Step) {}
}

impl<F: Fn(Step) + Send + Sync> Progress for F {
    fn report(&self, step: Step) {
        self(step);
    }
}

// === impl Step ===

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looking { interpreter } => write!(f, "looking at {}", interpreter.display()),
            Self::WaitingForOther { directory } => {
                write!(f, "waiting for another process that makes {}", directory.display())
            }
            Self::MakingEnvironment { directory } => {
                write!(f, "making a virtual environment in {}", directory.display())
            }
            Self::Installing { what, size: None } => write!(f, "installing {what}"),
            Self::Installing { what, size: Some(Size { download, disk }) } => {
                write!(f, "installing {what} (about {download} MB to download, {disk} MB on disk)")
            }
            Self::Downloading { what, done, total } => {
                let mb = |bytes: &u64| format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
                write!(f, "downloading {what} ({}/{} MB)", mb(done), mb(total))
            }
            Self::Line(line) => f.write_str(line),
            Self::Verifying => f.write_str("importing it once"),
            Self::Ready { interpreter } => write!(f, "ready: {}", interpreter.display()),
        }
    }
}
