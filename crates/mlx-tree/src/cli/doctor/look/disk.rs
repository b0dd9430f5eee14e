//! Directories of ours, and the disks that they are on.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::super::facts::{Known, Owner, Seen};

/// What stands there. Blocks.
pub(super) fn seen(path: &Path) -> Known<Seen> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let writable =
                nearest(path).is_some_and(|above| access(above, AccessFlags::W_OK | AccessFlags::X_OK).is_ok());
            return Ok(if writable { Seen::Absent } else { Seen::CannotBeMade });
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Seen::CannotBeMade),
        Err(error) => return Err(error.to_string()),
    };
    if found.file_type().is_symlink() {
        return Ok(Seen::Link);
    }
    if !found.is_dir() {
        return Ok(Seen::Other);
    }
    let owner = if found.uid() == geteuid().as_raw() { Owner::Us } else { Owner::User(found.uid()) };
    Ok(Seen::Directory { owner, mode: found.mode() & 0o7777 })
}

/// What is free there for us, in bytes. Blocks.
pub(super) fn free(path: &Path) -> Known<u64> {
    let there = nearest(path).ok_or_else(|| "no directory above it is there".to_owned())?;
    let disk = statvfs(there).map_err(|error| error.to_string())?;
    // The types of these differ from one system to the next.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
    Ok(free)
}

/// It, or the nearest directory above that is there.
fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|it| it.is_dir())
}
