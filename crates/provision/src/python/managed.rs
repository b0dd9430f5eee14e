//! The virtual environment of our own.
//!
//! A virtual environment cannot be moved, so it is made in its place, and a marker written last says that it is whole.
//! Whoever finds it without the marker removes it and makes it anew, under a lock, so that of many processes one makes
//! it and the others wait and use it.

use super::{
    Origin, Pins, Python, PythonError, Surroundings, find, lock,
    pip::{self, Follower},
    probe::{self, Version},
    run::{Failure, Helper},
};
use crate::progress::{Progress, Step};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Its content is [`Python::version`] and [`Python::module_version`], a line each.
const MARKER: &str = ".complete";

const VENV_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// A slow line may need long for 350 MB; pip itself gives up a connection that stands still.
const PIP_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// An environment with exactly these pins below `directory`, made if it is not there (about half a minute and 350 MB for
/// the current ones), found again in a few milliseconds.
///
/// Any number of processes may call it at once with the same directory: one makes it, the others wait. Dropping the
/// future kills pip with its children; what it leaves is made anew by the next call.
///
/// # Errors
/// See [`PythonError`]; after an error nothing usable is left, and the next call tries again.
pub async fn managed(
    pins: &Pins,
    surroundings: &Surroundings,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<Python, PythonError> {
    // The interpreter's path is passed on to a server that may run elsewhere.
    let directory = &std::path::absolute(directory).map_err(|error| PythonError::io("find", directory, error))?;
    let environment = directory.join(pins.directory_name());
    if let Some(python) = complete(&environment) {
        return Ok(python);
    }
    fs::create_dir_all(directory).map_err(|error| PythonError::io("make", directory, error))?;
    let lock_path = directory.join(format!("{}.lock", pins.directory_name()));
    let waiting = || progress.report(Step::WaitingForOther { directory: environment.clone() });
    let lock = lock::acquire(&lock_path, waiting).await?;
    if let Some(python) = complete(&environment) {
        return Ok(python);
    }
    let python = make(pins, surroundings, &environment, &lock, progress).await?;
    progress.report(Step::Ready { interpreter: python.interpreter.clone() });
    Ok(python)
}

/// The environment with these pins below `directory`, if it has been made.
pub(super) fn existing(pins: &Pins, directory: &Path) -> Option<Python> {
    complete(&directory.join(pins.directory_name()))
}

/// The environment, if it is whole and its interpreter still there (an upgrade of the system can take that away).
fn complete(environment: &Path) -> Option<Python> {
    let interpreter = interpreter_of(environment);
    let marker = fs::read_to_string(environment.join(MARKER)).ok()?;
    let mut lines = marker.lines().map(Into::into);
    let (version, module_version) = (lines.next()?, lines.next()?);
    interpreter.is_file().then_some(Python { interpreter, origin: Origin::Managed, version, module_version })
}

fn interpreter_of(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

async fn make(
    pins: &Pins,
    surroundings: &Surroundings,
    environment: &Path,
    lock: &File,
    progress: &dyn Progress,
) -> Result<Python, PythonError> {
    let (maker, version) = find_maker(surroundings).await?;
    progress.report(Step::MakingEnvironment { directory: environment.to_owned() });
    remove(environment).await?;
    make_empty(&maker, &version, environment, lock).await?;
    progress.report(Step::Installing { what: pins.title().to_owned(), size: pins.size() });
    install(pins, environment, lock, progress).await?;
    progress.report(Step::Verifying);
    let python = probe::require(&interpreter_of(environment), pins.module(), Origin::Managed, progress).await?;
    mark(environment, &python).map_err(|error| PythonError::io("write", environment, error))?;
    Ok(python)
}

async fn find_maker(surroundings: &Surroundings) -> Result<(PathBuf, Version), PythonError> {
    for maker in find::makers(surroundings) {
        // A name on PATH may be a launcher for a version that is not installed; the next one may do.
        if let Ok(version) = probe::version(&maker).await
            && version >= Version::OLDEST
        {
            return Ok((maker, version));
        }
    }
    Err(PythonError::NoPython)
}

/// Some ten thousand files, so not on the thread of a task.
async fn remove(environment: &Path) -> Result<(), PythonError> {
    match tokio::fs::remove_dir_all(environment).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PythonError::io("remove", environment, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn make_empty(maker: &Path, version: &Version, environment: &Path, lock: &File) -> Result<(), PythonError> {
    let parent = environment.parent().unwrap_or(environment);
    let helper =
        Helper::new(maker, VENV_TIMEOUT).args(["-m", "venv"]).args([environment]).stdin(share(lock)?).directory(parent);
    let outcome = helper.run(|_| {}).await.map_err(|failure| pip_failure(failure, VENV_TIMEOUT))?;
    match outcome.code {
        0 => Ok(()),
        code => Err(pip::classify_venv(maker, version.short(), code, outcome.lines, environment)),
    }
}

async fn install(pins: &Pins, environment: &Path, lock: &File, progress: &dyn Progress) -> Result<(), PythonError> {
    let interpreter = interpreter_of(environment);
    let mut arguments = vec!["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "3"];
    let bar = if has_raw_progress(&interpreter, environment).await { "raw" } else { "off" };
    arguments.extend(["--progress-bar", bar]);
    let mut follower = Follower::default();
    let helper = Helper::new(&interpreter, PIP_TIMEOUT)
        .args(arguments)
        .args(pins.requirements())
        .stdin(share(lock)?)
        .directory(environment);
    let run = helper.run(|line| {
        if let Some(step) = follower.line(line) {
            progress.report(step);
        }
    });
    let outcome = run.await.map_err(|failure| pip_failure(failure, PIP_TIMEOUT))?;
    match outcome.code {
        0 => Ok(()),
        code => Err(pip::classify(code, outcome.lines, environment)),
    }
}

/// The raw progress bar came with pip 24.1; an older one refuses the word.
async fn has_raw_progress(interpreter: &Path, environment: &Path) -> bool {
    let helper =
        Helper::new(interpreter, Duration::from_secs(60)).args(["-m", "pip", "--version"]).directory(environment);
    let Ok(outcome) = helper.run(|_| {}).await else { return false };
    let version = outcome.lines.iter().find_map(|line| line.strip_prefix("pip ")?.split_whitespace().next());
    let mut parts = version.unwrap_or_default().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(24), Some(1))
}

fn pip_failure(failure: Failure, after: Duration) -> PythonError {
    match failure {
        Failure::Error(error) => error,
        Failure::TimedOut(lines) => PythonError::PipTimedOut { after, lines },
    }
}

/// The lock as a child's standard input; see [`lock`].
fn share(lock: &File) -> Result<File, PythonError> {
    lock.try_clone().map_err(|error| PythonError::io("share", Path::new("the lock"), error))
}

fn mark(environment: &Path, python: &Python) -> io::Result<()> {
    let writing = environment.join(".complete.new");
    fs::write(&writing, format!("{}\n{}\n", python.version, python.module_version))?;
    File::open(&writing)?.sync_all()?;
    fs::rename(writing, environment.join(MARKER))
}
