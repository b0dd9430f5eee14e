//! One maker of an environment at a time, over all processes.
//!
//! The lock is on the open file, so whoever inherits that file holds it too: pip gets it as its standard input. When the
//! program is killed and its pip lives on, the next program waits until that pip is done instead of racing it.

use super::PythonError;
use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

/// How often a taken lock is tried. Polled, so that a dropped future stops waiting at once.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// Resolves when this process holds the lock; calls `on_wait` once if that takes a while. Held until the file and all
/// its copies are closed.
pub(super) async fn acquire(path: &Path, on_wait: impl FnOnce()) -> Result<File, PythonError> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|error| PythonError::io("open", path, error))?;
    let mut on_wait = Some(on_wait);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(PythonError::io("lock", path, error)),
        }
        if let Some(on_wait) = on_wait.take() {
            on_wait();
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}
