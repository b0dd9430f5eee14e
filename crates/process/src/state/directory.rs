//! The state directory: ours alone, or not used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// A directory that belongs to us, that nobody else can enter, and that is not a symlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

/// The state directory or a file in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A symbolic link where a directory or file of ours should be.
    #[error("{path}: refusing to follow a symbolic link", path = path.display())]
    Symlink {
        /// Where.
        path: PathBuf,
    },
    /// Something else than a directory is in its place.
    #[error("{path}: is not a directory", path = path.display())]
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error("{path}: belongs to user {owner}, not to us", path = path.display())]
    WrongOwner {
        /// Where.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Anything else the system had to say.
    #[error("{path}: cannot be used", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

// === impl StateDir ===

impl StateDir {
    /// Makes the directory (and its parents) if need be, and makes it private: mode 0700.
    ///
    /// # Errors
    /// [`StateError`]; a symlink or somebody else's directory is refused, never repaired.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        let io = |source| StateError::Io { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        // Looked at without following it; later swaps would need write access to the parent, and
        // whoever has that as another user is kept out by the owner check of every file.
        let found = fs::symlink_metadata(&path).map_err(io)?;
        if found.file_type().is_symlink() {
            return Err(StateError::Symlink { path });
        }
        if !found.is_dir() {
            return Err(StateError::NotADirectory { path });
        }
        if found.uid() != geteuid().as_raw() {
            return Err(StateError::WrongOwner { path, owner: found.uid() });
        }
        if found.mode() & 0o7777 != 0o700 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(io)?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file of ours (mode 0600) so that a reader, or a power cut, sees the old one or this one whole. What is in the
    /// way, a symbolic link included, is replaced and never written through.
    ///
    /// # Errors
    /// [`StateError`]; the old file, if any, is still there, and nothing of the new one.
    pub fn replace_file(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let new = self.file(&format!("{name}.new"));
        let written = self.write_whole(&new, name, content);
        if written.is_err() {
            // On a full disk every byte counts.
            let _ = fs::remove_file(&new);
        }
        written.map_err(|source| StateError::Io { path: new, source })
    }

    fn write_whole(&self, new: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        // One left behind by a crash, or a link put there: removed, never followed.
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(new, self.file(name))?;
        // The rename itself is on disk only when its directory is.
        File::open(&self.path)?.sync_all()
    }

    /// Reads a file, never through a symbolic link and never from anything but a file, and of a longer one the first
    /// `longest` bytes. `None` when there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read_file(&self, name: &str, longest: u64) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => return Err(StateError::Symlink { path }),
            Err(source) => return Err(StateError::Io { path, source }),
        };
        let mut bytes = Vec::new();
        let read = file.take(longest).read_to_end(&mut bytes);
        read.map_err(|source| StateError::Io { path, source })?;
        Ok(Some(bytes))
    }

    /// Opens (and creates, mode 0600) a file of ours for reading and writing, never through a symlink.
    pub(crate) fn open_file(&self, name: &str) -> Result<File, StateError> {
        let path = self.file(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
            .open(&path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
                return Err(StateError::Symlink { path });
            }
            Err(source) => return Err(StateError::Io { path, source }),
        };
        let found = file.metadata().map_err(|source| StateError::Io { path: path.clone(), source })?;
        if found.uid() != geteuid().as_raw() {
            return Err(StateError::WrongOwner { path, owner: found.uid() });
        }
        Ok(file)
    }
}
