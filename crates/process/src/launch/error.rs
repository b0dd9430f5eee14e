//! Why a program could not be started, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// The program could not be started. Nothing is running, nothing is left.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// ENOENT: no such program, or the interpreter named in its first line does not exist.
    #[error("{path}: no such program", path = path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
    },
    /// EACCES: it is there but may not be executed.
    #[error("{path}: not executable", path = path.display())]
    NotExecutable {
        /// What was tried.
        path: PathBuf,
    },
    /// ENOEXEC: not a program for this machine, or a script without `#!`.
    #[error("{path}: not a program this system can run", path = path.display())]
    BadFormat {
        /// What was tried.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("{path}: is a directory, not a program", path = path.display())]
    IsDirectory {
        /// What was tried.
        path: PathBuf,
    },
    /// The working directory is missing, not a directory, or closed to us.
    #[error("{path}: not a usable working directory", path = path.display())]
    BadWorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine is short of something; worth another try later.
    #[error("{path}: the system is short of {what}", path = path.display())]
    Resources {
        /// What was to be started.
        path: PathBuf,
        /// What is lacking.
        what: ResourceShortage,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{path}: could not be started", path = path.display())]
    Other {
        /// What was to be started.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the machine is short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceShortage {
    /// EAGAIN: process slots (`ulimit -u`, pids.max).
    Processes,
    /// ENOMEM.
    Memory,
    /// EMFILE, ENFILE.
    FileDescriptors,
}

// === impl SpawnError ===

impl SpawnError {
    /// What the person who reads this can do, in one sentence.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "check the path and the PATH given to the server; for a script, check that the interpreter in its first line exists"
            }
            Self::NotExecutable { .. } => {
                "allow it to be executed (chmod +x), and check that its directories can be entered"
            }
            Self::BadFormat { .. } => {
                "it is built for another kind of machine, or it is a script without a #! line; name its interpreter first"
            }
            Self::IsDirectory { .. } => "name the program inside the directory",
            Self::BadWorkingDirectory { .. } => "create the directory, or choose one that exists and can be entered",
            Self::Resources { what, .. } => match what {
                ResourceShortage::Processes => "too many processes run for this user: end some, or raise `ulimit -u`",
                ResourceShortage::Memory => "free memory, or choose a smaller model",
                ResourceShortage::FileDescriptors => "too many files are open: raise `ulimit -n`",
            },
            Self::Other { .. } => "the cause below is what the operating system said",
        }
    }

    /// Whether the same launch may succeed later with nothing changed by hand.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Resources { .. })
    }

    /// Sorts what the system said about running `path`.
    pub(crate) fn from_exec(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let shortage = |what, source| Self::Resources { path: path.clone(), what, source };
        match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR) => Self::NotFound { path },
            Some(Errno::EACCES | Errno::EPERM | Errno::EISDIR) => {
                if path.is_dir() {
                    Self::IsDirectory { path }
                } else {
                    Self::NotExecutable { path }
                }
            }
            Some(Errno::ENOEXEC) => Self::BadFormat { path },
            Some(Errno::EAGAIN) => shortage(ResourceShortage::Processes, source),
            Some(Errno::ENOMEM) => shortage(ResourceShortage::Memory, source),
            Some(Errno::EMFILE | Errno::ENFILE) => shortage(ResourceShortage::FileDescriptors, source),
            _ => Self::Other { path, source },
        }
    }
}

// === impl ResourceShortage ===

impl std::fmt::Display for ResourceShortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::FileDescriptors => "file descriptors",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(errno: Errno) -> SpawnError {
        SpawnError::from_exec(Path::new("/no/such/program"), errno.into())
    }

    /// F25 and F31: which are worth another try, and which are not.
    #[test]
    fn only_a_shortage_is_worth_another_try() {
        for (errno, what) in [
            (Errno::EAGAIN, ResourceShortage::Processes),
            (Errno::ENOMEM, ResourceShortage::Memory),
            (Errno::EMFILE, ResourceShortage::FileDescriptors),
            (Errno::ENFILE, ResourceShortage::FileDescriptors),
        ] {
            let error = sorted(errno);
            assert!(matches!(&error, SpawnError::Resources { what: found, .. } if *found == what), "{error:?}");
            assert!(error.is_transient());
        }
        for errno in [Errno::ENOENT, Errno::EACCES, Errno::ENOEXEC, Errno::E2BIG] {
            assert!(!sorted(errno).is_transient(), "{errno}");
        }
        assert!(matches!(sorted(Errno::E2BIG), SpawnError::Other { .. }));
        assert_eq!(sorted(Errno::EAGAIN).to_string(), "/no/such/program: the system is short of processes");
    }

    #[test]
    fn a_directory_is_called_one() {
        let error = SpawnError::from_exec(Path::new("/"), Errno::EACCES.into());
        assert!(matches!(error, SpawnError::IsDirectory { .. }), "{error:?}");
    }
}
