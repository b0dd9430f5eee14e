//! Finding the program and the directory before anything is forked, so that errors can be precise.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::SpawnError;

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// The file to execute. A word without `/` is looked up in `env`'s `PATH`, as `execvp` would; a
/// relative path counts from `cwd`, where the child will be.
pub(super) fn program(
    argv0: &OsStr,
    cwd: Option<&Path>,
    env: &BTreeMap<OsString, OsString>,
) -> Result<PathBuf, SpawnError> {
    let path = Path::new(argv0);
    if argv0.is_empty() {
        return Err(SpawnError::NotFound { path: path.to_owned() });
    }
    if argv0.as_bytes().contains(&b'/') {
        return Ok(cwd.map_or_else(|| path.to_owned(), |cwd| cwd.join(path)));
    }
    let search = env.get(OsStr::new("PATH")).map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
    let mut barred = None;
    // Relative entries of PATH are left out: they would mean another program in every directory.
    for directory in std::env::split_paths(search).filter(|directory| directory.is_absolute()) {
        let candidate = directory.join(path);
        match fs::metadata(&candidate) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(found) if found.is_file() => barred = barred.or(Some(candidate)),
            Ok(_) | Err(_) => {}
        }
    }
    Err(barred
        .map_or_else(|| SpawnError::NotFound { path: path.to_owned() }, |path| SpawnError::NotExecutable { path }))
}

/// Checks that the child will be able to enter its directory.
pub(super) fn working_directory(cwd: &Path) -> Result<(), SpawnError> {
    let bad = |source| SpawnError::BadWorkingDirectory { path: cwd.to_owned(), source };
    let found = fs::metadata(cwd).map_err(bad)?;
    if !found.is_dir() {
        return Err(bad(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    access(cwd, AccessFlags::X_OK).map_err(|errno| bad(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(value: &str) -> BTreeMap<OsString, OsString> {
        BTreeMap::from([("PATH".into(), value.into())])
    }

    #[test]
    fn a_bare_word_is_found_in_the_given_path_only() {
        let found = program(OsStr::new("sh"), None, &path_of("/nowhere:bin:/bin:/usr/bin"));
        assert_eq!(found.expect("every system has it"), Path::new("/bin/sh"));
        let missing = program(OsStr::new("sh"), None, &path_of("/nowhere"));
        assert!(matches!(missing, Err(SpawnError::NotFound { .. })));
        assert!(program(OsStr::new("sh"), None, &BTreeMap::new()).is_ok());
    }

    #[test]
    fn a_file_in_the_path_that_may_not_be_executed_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("tool"), "").expect("a file");
        let env = path_of(dir.path().to_str().expect("UTF-8"));
        let barred = program(OsStr::new("tool"), None, &env);
        assert!(matches!(barred, Err(SpawnError::NotExecutable { path }) if path == dir.path().join("tool")));
    }

    #[test]
    fn a_relative_program_counts_from_the_directory_of_the_child() {
        let found = program(OsStr::new("bin/tool"), Some(Path::new("/srv")), &BTreeMap::new());
        assert_eq!(found.expect("not looked at yet"), Path::new("/srv/bin/tool"));
        assert!(matches!(program(OsStr::new(""), None, &BTreeMap::new()), Err(SpawnError::NotFound { .. })));
    }
}
