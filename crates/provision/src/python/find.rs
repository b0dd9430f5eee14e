//! Where interpreters are looked for.

use super::{Origin, PythonError, Surroundings};
use nix::unistd::{AccessFlags, access};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The names under which an interpreter that can make an environment is looked for. Known good versions first: the
/// newest Python has often no wheels yet.
const MAKERS: [&str; 6] = ["python3.13", "python3.12", "python3.11", "python3.10", "python3", "python"];

/// The configured interpreter: a path, a virtual environment's directory, or a name on `PATH`.
pub(super) fn interpreter(named: &Path, surroundings: &Surroundings) -> Result<PathBuf, PythonError> {
    let not_found = || PythonError::NotFound { interpreter: named.to_owned() };
    if named.is_dir() {
        let inside = std::path::absolute(named.join("bin/python"));
        let inside = inside.map_err(|error| PythonError::io("find", named, error))?;
        return if is_program(&inside) { Ok(inside) } else { Err(not_found()) };
    }
    if named.components().count() > 1 {
        // The server may run in another directory.
        let absolute = std::path::absolute(named).map_err(|error| PythonError::io("find", named, error))?;
        return if is_program(&absolute) { Ok(absolute) } else { Err(not_found()) };
    }
    on_path(&named.to_string_lossy(), surroundings).next().ok_or_else(not_found)
}

/// The interpreters that may have the module, best first.
pub(super) fn candidates(surroundings: &Surroundings) -> Vec<(PathBuf, Origin)> {
    let active = surroundings.virtual_env.iter().map(|root| root.join("bin/python")).filter(|path| is_program(path));
    let active = active.map(|path| (path, Origin::VirtualEnv));
    let path = on_path("python3", surroundings).take(1).map(|path| (path, Origin::Path));
    active.chain(path).collect()
}

/// The interpreters that may make a virtual environment, best first.
pub(super) fn makers(surroundings: &Surroundings) -> Vec<PathBuf> {
    MAKERS.iter().flat_map(|name| on_path(name, surroundings).take(1)).collect()
}

fn on_path<'a>(name: &'a str, surroundings: &'a Surroundings) -> impl Iterator<Item = PathBuf> + 'a {
    let directories = surroundings.path.iter().flat_map(env::split_paths);
    // A relative entry would run what lies in the working directory.
    directories
        .filter(|directory| directory.is_absolute())
        .map(move |directory| directory.join(name))
        .filter(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}
