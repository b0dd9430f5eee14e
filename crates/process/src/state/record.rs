//! The note about the running server that the next supervisor will find.

use std::fs;
use std::io;

use super::directory::{StateDir, StateError};
use crate::identity::Identity;

const FILE: &str = "server.state";

/// The first line; another version would have another one.
const HEAD: &str = "mlx-tree server 1";

/// More than this was not written by us.
const LONGEST: u64 = 4096;

/// Who the server is. A hint only: the [`super::ServerLock`] says for certain whether one is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The leader of the server's group; its pid is the id of the group.
    pub server: Identity,
    /// Where it listens.
    pub port: u16,
    /// [`crate::ProcessGroup::nonce`].
    pub nonce: String,
}

// === impl Record ===

impl Record {
    /// Writes the note so that a reader, or a power cut, sees the old one or this one whole.
    ///
    /// # Errors
    /// [`StateError`]; the old note, if any, is still there.
    pub fn write(&self, dir: &StateDir) -> Result<(), StateError> {
        dir.replace_file(FILE, self.to_text().as_bytes())
    }

    /// Reads the note. `None` when there is none, or when it is not one of ours (torn, foreign, of
    /// another version): a hint that cannot be read is no hint.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read(dir: &StateDir) -> Result<Option<Self>, StateError> {
        let bytes = dir.read_file(FILE, LONGEST)?;
        Ok(bytes.and_then(|bytes| Self::from_text(&String::from_utf8_lossy(&bytes))))
    }

    /// Removes the note; nothing happens when there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove(dir: &StateDir) -> Result<(), StateError> {
        remove(dir, FILE)
    }

    fn to_text(&self) -> String {
        format!("{HEAD}\nserver={}\nport={}\nnonce={}\n", self.server, self.port, self.nonce)
    }

    fn from_text(text: &str) -> Option<Self> {
        // A note without its last newline was cut off, and a cut number is another number.
        let body = text.strip_suffix('\n')?.strip_prefix(HEAD)?.strip_prefix('\n')?;
        let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let nonce = field("nonce")?;
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        Some(Self {
            server: field("server")?.parse().ok()?,
            port: field("port")?.parse().ok()?,
            nonce: nonce.to_owned(),
        })
    }
}

fn remove(dir: &StateDir, name: &str) -> Result<(), StateError> {
    let path = dir.file(name);
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StateError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn place() -> (tempfile::TempDir, StateDir) {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = StateDir::open(temporary.path().join("state")).expect("a state directory");
        (temporary, dir)
    }

    fn record() -> Record {
        Record { server: Identity::own(), port: 8080, nonce: "c0ffee".to_owned() }
    }

    #[test]
    fn a_record_is_read_back_as_written_and_is_for_us_alone() {
        let (_temporary, dir) = place();
        assert_eq!(Record::read(&dir).expect("readable"), None);
        record().write(&dir).expect("written");
        let other = Record { port: 9, ..record() };
        other.write(&dir).expect("written over");
        assert_eq!(Record::read(&dir).expect("readable"), Some(other));
        let mode = fs::metadata(dir.file(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Record::remove(&dir).expect("removed");
        Record::remove(&dir).expect("nothing to remove is fine");
        assert_eq!(Record::read(&dir).expect("readable"), None);
    }

    #[test]
    fn a_torn_or_foreign_record_is_no_record() {
        let text = record().to_text();
        assert_eq!(Record::from_text(&text), Some(record()));
        for cut in 0..text.len() {
            assert_eq!(Record::from_text(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Record::from_text(&text.replace("server 1", "server 2")), None);
        assert_eq!(Record::from_text(&text.replace("c0ffee", "c0 ffee")), None);
    }

    #[test]
    fn a_symlink_in_the_place_of_the_record_is_neither_read_nor_written_through() {
        let (temporary, dir) = place();
        let victim = temporary.path().join("victim");
        fs::write(&victim, record().to_text()).expect("a file");
        symlink(&victim, dir.file(FILE)).expect("a link");
        symlink(&victim, dir.file("server.state.new")).expect("a link");
        assert!(matches!(Record::read(&dir), Err(StateError::Symlink { .. })));
        Record { port: 1, ..record() }.write(&dir).expect("replaces the links");
        assert_eq!(fs::read_to_string(&victim).expect("untouched"), record().to_text());
    }
}
