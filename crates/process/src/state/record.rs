//! The note about the running server that the next supervisor will find.

use super::directory::{StateDir, StateError};
use crate::identity::Identity;

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
        let _ = dir;
        unimplemented!()
    }

    /// Reads the note. `None` when there is none, or when it is not one of ours (torn, foreign, another version):
    /// a hint that cannot be read is no hint.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read(dir: &StateDir) -> Result<Option<Self>, StateError> {
        let _ = dir;
        unimplemented!()
    }

    /// Removes the note; nothing happens when there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove(dir: &StateDir) -> Result<(), StateError> {
        let _ = dir;
        unimplemented!()
    }
}
