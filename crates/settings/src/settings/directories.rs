//! Directories and paths: `~` is the home directory, and a relative path starts where it was written.

use std::path::{Component, Path, PathBuf};

use crate::layers::Found;
use crate::reader::Section;
use crate::value::{Reject, Shown, text};
use crate::{Environment, Origin, Problem};

pub(super) fn state_dir(section: &mut Section<'_, '_>, environment: &Environment) -> PathBuf {
    own_directory(section, "state_dir", environment, environment.default_state_dir())
}

pub(super) fn data_dir(section: &mut Section<'_, '_>, environment: &Environment) -> PathBuf {
    own_directory(section, "data_dir", environment, environment.default_data_dir())
}

/// One of mlx-tree's own directories; an empty one means the platform's.
fn own_directory(
    section: &mut Section<'_, '_>,
    key: &str,
    environment: &Environment,
    default: Option<PathBuf>,
) -> PathBuf {
    let found = section.reader().found(key);
    let parsed = text(&found.value).and_then(|text| match (text.as_str(), default) {
        ("", Some(default)) => Ok(default),
        ("", None) => Err(Reject {
            problem: Problem::NoDefault("the home directory is not known, so there is no default".to_owned()),
            help: Some(format!("set HOME, or give {key} a directory")),
        }),
        (text, _) => resolve(text, &found.origin, environment),
    });
    // Whatever is wrong, nothing is used in its place: there are no settings then.
    let path = parsed.unwrap_or_else(|reject| {
        section.reader().reject(key, reject);
        PathBuf::new()
    });
    section.reader().note(key.to_owned(), path.shown(), found.origin);
    path
}

/// A path that is not empty, made absolute.
pub(super) fn path(found: &Found, environment: &Environment) -> Result<PathBuf, Reject> {
    resolve(&text(&found.value)?, &found.origin, environment)
}

/// Makes a path absolute: `~` is the home directory; in a file, a relative path starts from that file's directory,
/// elsewhere from the current one.
pub(super) fn resolve(text: &str, origin: &Origin, environment: &Environment) -> Result<PathBuf, Reject> {
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = environment.home().ok_or_else(|| Reject {
                problem: Problem::NoDefault("the home directory is not known".to_owned()),
                help: Some("write the whole path, or set HOME".to_owned()),
            })?;
            home.join(rest.trim_start_matches('/'))
        }
        Some(_) => {
            return Err(Reject::invalid(
                "the home directory of somebody else is not looked up",
                "write the whole path",
            ));
        }
        None => {
            let base = origin.file().and_then(|file| file.parent()).unwrap_or_else(|| environment.current_dir());
            base.join(text)
        }
    };
    Ok(without_dots(&path))
}

/// Leaves out `.`, for the sake of those who read it. `..` stays: what it means depends on links.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|component| !matches!(component, Component::CurDir)).collect()
}
