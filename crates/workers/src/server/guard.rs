//! Keeps the guard process, which ends the servers should we be killed; should the guard be killed, there is another one.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mlx_tree_process::{Grace, Guard, Identity};
use tokio::time::{Instant, sleep};

/// A guard that ends so soon after its start is not replaced at once: something is wrong with it.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// Holds the guard process, and starts another one should it be gone.
#[derive(Debug, Clone)]
pub struct GuardKeeper {
    argv: Arc<[OsString]>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    guard: Option<Guard>,
    /// Whom it protects, for the next one: one process for each server that runs.
    protected: Vec<(Identity, Grace)>,
}

// === impl GuardKeeper ===

impl GuardKeeper {
    /// Keeps a guard that is started as `argv`, when there is something to protect.
    #[must_use]
    pub fn new(argv: Vec<OsString>) -> Self {
        Self { argv: argv.into(), kept: Arc::default() }
    }

    /// Keeps none: when we are killed, the server stays until the next start settles it.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// From now on, has the group of `process` ended should we die.
    pub(super) fn protect(&self, process: &Identity, grace: Grace) {
        if self.argv.is_empty() {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.protected.push((process.clone(), grace));
        if kept.guard.as_ref().is_some_and(|guard| guard.protect(process, grace).is_ok()) {
            return;
        }
        kept.guard = None;
        self.start(&mut kept);
    }

    /// The process is gone: nobody needs to look after it any more.
    pub(super) fn release(&self, process: &Identity) {
        let mut kept = lock(&self.kept);
        kept.protected.retain(|(protected, _)| protected != process);
        if let Some(guard) = &kept.guard {
            let _ = guard.release(process);
        }
    }

    /// Starts a guard for what is protected.
    fn start(&self, kept: &mut Kept) {
        if kept.protected.is_empty() {
            return;
        }
        let started = Guard::start(self.argv.iter().cloned()).inspect(|fresh| {
            for (process, grace) in &kept.protected {
                let _ = fresh.protect(process, *grace);
            }
        });
        match started {
            Ok(fresh) => {
                tokio::spawn(replace(
                    fresh.identity().clone(),
                    fresh.died(),
                    Arc::clone(&self.argv),
                    Arc::downgrade(&self.kept),
                ));
                kept.guard = Some(fresh);
            }
            Err(error) => {
                tracing::warn!(target: "mlx_tree::server", %error, "no guard process: kill -9 of mlx-tree would orphan the server");
            }
        }
    }
}

/// Starts another guard when this one has ended, unless the keeper has let go of it. Holds no guard itself: the drop of the
/// last keeper ends the guard.
async fn replace(guard: Identity, died: impl Future + Send, argv: Arc<[OsString]>, kept: Weak<Mutex<Kept>>) {
    let started = Instant::now();
    died.await;
    if started.elapsed() < SUSPICIOUS {
        sleep(SUSPICIOUS).await;
    }
    let Some(kept) = kept.upgrade() else { return };
    let keeper = GuardKeeper { argv, kept };
    let mut kept = lock(&keeper.kept);
    if kept.guard.as_ref().is_some_and(|current| *current.identity() == guard) {
        kept.guard = None;
        tracing::warn!(target: "mlx_tree::server", pid = guard.pid, "the guard process was ended; another one is started");
        keeper.start(&mut kept);
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
