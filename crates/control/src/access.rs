//! The way in for the same user: an address and a token in a file that only its owner can read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const FILE: &str = "control.json";

/// No access file of ours is longer.
const LONGEST: u64 = 64 << 10;

/// A secret of 256 random bits. Prints as `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

/// Where the control plane answers, and the token that it wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Its address, e.g. `http://127.0.0.1:8081`.
    pub url: String,
    /// mlx-tree's process.
    pub pid: u32,
    /// The token.
    pub token: Token,
}

/// Why the access file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is none: no mlx-tree runs with this state directory.
    #[error("no mlx-tree is running here (there is no {})", .0.display())]
    Absent(PathBuf),
    /// It belongs to somebody else.
    #[error("{} cannot be read: it belongs to another user", .0.display())]
    Forbidden(PathBuf),
    /// Its content makes no sense.
    #[error("{} is not an access file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system refused.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

// === impl Token ===

impl Token {
    /// A fresh one, from the operating system's source of randomness.
    ///
    /// # Errors
    /// When that source cannot be read.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0_u8; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Whether `presented` is this token. Both are compared as hashes, byte for byte to the end: the time that it takes tells
    /// nothing about either.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        let (ours, theirs) = (Sha256::digest(&self.0), Sha256::digest(presented));
        let differences = ours.iter().zip(theirs.iter()).fold(0_u8, |seen, (ours, theirs)| seen | (ours ^ theirs));
        std::hint::black_box(differences) == 0
    }

    /// The secret itself, for whoever shows it to its owner or presents it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// === impl Access ===

impl Access {
    /// Writes the access file into `state_dir`, for its owner's eyes only, in one step.
    ///
    /// # Errors
    /// When the file system refuses. A symlink at that path is replaced, never followed.
    pub fn publish(&self, state_dir: &Path) -> Result<(), AccessError> {
        let path = state_dir.join(FILE);
        let fresh = state_dir.join(format!("{FILE}.{}", self.pid));
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&fresh);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|source| AccessError::Io { path: path.clone(), source })
    }

    /// Reads the access file of `state_dir`.
    ///
    /// # Errors
    /// [`AccessError::Absent`] when nothing runs there, and so on.
    pub fn read(state_dir: &Path) -> Result<Self, AccessError> {
        let path = state_dir.join(FILE);
        let text = read_own(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AccessError::Absent(path.clone()),
            io::ErrorKind::PermissionDenied => AccessError::Forbidden(path.clone()),
            _ => AccessError::Io { path: path.clone(), source },
        })?;
        serde_json::from_slice(&text).map_err(|source| AccessError::Malformed { path, source })
    }

    /// Takes the access file away again, if it is still the one of process `pid`.
    pub fn withdraw(state_dir: &Path, pid: u32) {
        if Self::read(state_dir).is_ok_and(|access| access.pid == pid) {
            let _ = fs::remove_file(state_dir.join(FILE));
        }
    }
}

/// The content of a file, never through a symbolic link, and never from a pipe that somebody has put there.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access() -> Access {
        Access { url: "http://127.0.0.1:1".to_owned(), pid: 7, token: Token::random().expect("randomness") }
    }

    #[test]
    fn what_is_published_is_read_back_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let access = access();
        access.publish(dir.path()).expect("published");
        assert_eq!(Access::read(dir.path()).expect("read"), access);
        let mode = fs::metadata(dir.path().join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Access::withdraw(dir.path(), 8);
        assert!(Access::read(dir.path()).is_ok(), "another process's file stays");
        Access::withdraw(dir.path(), 7);
        assert!(matches!(Access::read(dir.path()), Err(AccessError::Absent(_))));
    }

    #[test]
    fn a_planted_symlink_is_replaced_and_its_target_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("target");
        fs::write(&target, "precious").expect("written");
        std::os::unix::fs::symlink(&target, dir.path().join(FILE)).expect("linked");
        access().publish(dir.path()).expect("published");
        assert_eq!(fs::read_to_string(&target).expect("read"), "precious");
        fs::rename(dir.path().join(FILE), &target).expect("renamed");
        std::os::unix::fs::symlink(&target, dir.path().join(FILE)).expect("linked");
        assert!(matches!(Access::read(dir.path()), Err(AccessError::Io { .. })), "it is not read through, either");
    }

    #[test]
    fn only_the_very_token_matches_and_it_never_prints() {
        let token = access().token;
        assert!(token.matches(&token.0.clone()));
        let mut longer = token.0.clone();
        longer.push('0');
        for wrong in ["", "0", longer.as_str(), &token.0[1..]] {
            assert!(!token.matches(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "***");
    }
}
