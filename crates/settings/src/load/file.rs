//! A configuration file: it decides what is run, so nobody else may be able to change it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{FileUse, UsedFile};
use crate::layers::Layers;
use crate::{ConfigError, Origin, Problem};

/// Larger files are no configuration.
const MAX_LEN: u64 = 1024 * 1024;

/// Permission to write for the group and for everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Permission to write for everybody, and the bit that lets only owners rename and remove.
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Whether the file has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    IfPresent,
    Required,
}

/// Reads the file that `origin` names into the layers.
pub(super) fn add(
    layers: &mut Layers,
    origin: &Origin,
    demand: Demand,
    errors: &mut Vec<ConfigError>,
) -> Option<UsedFile> {
    let path = origin.file()?;
    let (problem, help) = match read(path) {
        Ok((mode, _)) if mode & WRITABLE_BY_OTHERS != 0 => {
            let help = format!("chmod go-w {}", path.display());
            (Problem::WritableByOthers { mode }, Some(help))
        }
        Ok((_, text)) => {
            if let Some((directory, mode)) = writable_directory(path) {
                let help = Some(format!("chmod o-w {}", directory.display()));
                errors.push(error(origin, Problem::InWritableDirectory { mode }, help));
            }
            layers.add_file(origin, &text, errors);
            return Some(UsedFile { path: path.clone(), used: FileUse::Read });
        }
        Err(error) if is_absent(&error) && demand == Demand::IfPresent => {
            return Some(UsedFile { path: path.clone(), used: FileUse::Absent });
        }
        Err(error) => (Problem::Unreadable(error.to_string()), None),
    };
    errors.push(error(origin, problem, help));
    None
}

fn error(origin: &Origin, problem: Problem, help: Option<String>) -> ConfigError {
    ConfigError { key: None, value: None, origin: origin.clone(), problem, help }
}

/// The file's directory, if everybody may put another file in its place.
fn writable_directory(path: &Path) -> Option<(&Path, u32)> {
    let directory = path.parent()?;
    let mode = std::fs::metadata(directory).ok()?.mode() & 0o7777;
    (mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0).then_some((directory, mode))
}

/// The permissions and the text of one and the same file, whatever happens to its name meanwhile.
fn read(path: &Path) -> io::Result<(u32, String)> {
    // Asked first, since to open a pipe would be to wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut text = String::new();
    file.take(MAX_LEN + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LEN {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok((metadata.mode() & 0o7777, text))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
