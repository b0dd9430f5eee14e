//! The file that a service manager reads: written in one step, and never over one that is not ours.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What tells a file of ours from any other.
pub const MARK: &str = "Written by `mlx-tree service install`";

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file that mlx-tree has written, with this text.
    Ours(String),
    /// Something else: a file of somebody else, or a link, as a masked unit is.
    Foreign,
}

/// Why a file cannot be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {}", path.display(), doing)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What was wanted with it.
    pub doing: &'static str,
    /// Why not.
    pub source: io::Error,
}

/// Looks what is at `path`, following no link.
pub(crate) fn look(path: &Path) -> Result<Found, FileError> {
    let failed = |source| FileError { path: path.to_owned(), doing: "read", source };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed(error)),
    };
    if !meta.is_file() {
        return Ok(Found::Foreign);
    }
    let bytes = fs::read(path).map_err(failed)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) if text.contains(MARK) => Found::Ours(text),
        Ok(_) | Err(_) => Found::Foreign,
    })
}

/// Writes `text` to `path` in one step; a link there is replaced, not followed. Makes the directories above.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let attempt = || -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        let fresh = beside(path, &format!("new-{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&fresh, path)) {
            let _ = fs::remove_file(&fresh);
            return Err(error);
        }
        Ok(())
    };
    attempt().map_err(|source| FileError { path: path.to_owned(), doing: "written", source })
}

/// Puts what is at `path` aside, and answers where it is now. What was put aside before stays.
pub(crate) fn put_aside(path: &Path) -> Result<PathBuf, FileError> {
    let endings = std::iter::once("replaced".to_owned()).chain((2_u32..).map(|n| format!("replaced-{n}")));
    let mut free = endings.map(|ending| beside(path, &ending)).filter(|aside| fs::symlink_metadata(aside).is_err());
    let aside = free.next().unwrap_or_else(|| beside(path, "replaced"));
    fs::rename(path, &aside).map_err(|source| FileError { path: path.to_owned(), doing: "put aside", source })?;
    Ok(aside)
}

/// Puts back what [`put_aside`] has put aside.
pub(crate) fn put_back(aside: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(aside, path).map_err(|source| FileError { path: path.to_owned(), doing: "put back", source })
}

/// Removes the file at `path`.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(|source| FileError { path: path.to_owned(), doing: "removed", source })
}

/// A name that no service manager takes for a unit.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_known_and_a_link_is_never_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("below/it.service");
        assert_eq!(look(&path).expect("looked"), Found::Nothing);
        let text = format!("# {MARK}\n");
        write(&path, &text).expect("written");
        assert_eq!(look(&path).expect("looked"), Found::Ours(text.clone()));
        let precious = dir.path().join("precious");
        fs::write(&precious, MARK).expect("written");
        remove(&path).expect("removed");
        std::os::unix::fs::symlink(&precious, &path).expect("a link");
        assert_eq!(look(&path).expect("looked"), Found::Foreign, "even if it leads to something like ours");
        write(&path, &text).expect("written");
        assert_eq!(fs::read_to_string(&precious).expect("read"), MARK);
        fs::write(&path, b"[Service]\nExecStart=/bin/\xff\n").expect("written");
        assert_eq!(look(&path).expect("looked"), Found::Foreign);
        let aside = put_aside(&path).expect("put aside");
        assert!(aside.exists() && !path.exists());
        fs::write(&path, "another").expect("written");
        let other = put_aside(&path).expect("put aside");
        assert!(other != aside && aside.exists() && other.exists(), "the first one stays");
        assert_eq!(fs::read_dir(dir.path().join("below")).expect("a directory").count(), 2, "nothing is left over");
    }
}
