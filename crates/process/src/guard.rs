//! The small process that ends our groups when we cannot, because we were killed ourselves.
//!
//! The guard reads a pipe. Its only write end is ours and is closed by the kernel when we end, in
//! whatever way; that end is the guard's one signal. Until then it learns from the lines in the pipe
//! which groups to end. It runs in a session of its own, ignores what a terminal or an init system
//! sends to everybody, and keeps no state but those lines.
//!
//! If the guard is killed, [`Guard::died`] says so: start another and protect the groups again. If it is killed
//! together with us, the next start settles the orphan ([`crate::state::settle_orphan`]).

mod command;

use std::ffi::OsString;
use std::future::Future;
use std::io::{PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use self::command::guard_main;
use crate::exit::How;
use crate::identity::Identity;
use crate::launch::exec::{self, Program, Standing, StdioPlan};
use crate::launch::{Grace, SpawnError};
use crate::os;

/// A running guard process.
///
/// **Drop** closes the pipe, which to the guard is the same as our death: whatever is still
/// protected is ended, then the guard ends. [`Guard::release`] first.
#[derive(Debug)]
pub struct Guard {
    identity: Identity,
    pipe: PipeWriter,
    ended: watch::Receiver<Option<How>>,
}

/// The guard process is gone (or so stuck that its pipe is full); start another and protect the
/// groups again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guard process is gone")]
pub struct GuardGone;

// === impl Guard ===

impl Guard {
    /// Starts `argv` (our own program with its hidden `guard` command, which must call
    /// [`guard_main`]) in a session of its own, with an empty environment.
    ///
    /// # Errors
    /// [`SpawnError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<I>(argv: I) -> Result<Self, SpawnError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let runtime = Handle::current();
        let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        let path: PathBuf = argv.first().map(PathBuf::from).unwrap_or_default();
        let failed = |source| SpawnError::from_exec(&path, source);
        let (read, pipe) = std::io::pipe().map_err(failed)?;
        // A guard that was frozen must not freeze us.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failed(errno.into()))?;
        let child = exec::start(Program {
            argv: &argv,
            cwd: None,
            env: &std::collections::BTreeMap::new(),
            standing: Standing::OwnSession,
            inherit: None,
            stdio: StdioPlan::Reads(OwnedFd::from(read)),
            cgroup: None,
        })?;
        let pid = child.pid;
        let identity = Identity::of(pid).unwrap_or_else(|| Identity {
            pid,
            start_time: 0,
            boot_id: crate::clock::boot_id().to_owned(),
        });
        let (say, ended) = watch::channel(None);
        runtime.spawn(async move {
            os::child_ended(pid).await;
            let (how, _core) = os::wait::reap(pid);
            say.send_replace(Some(how));
        });
        Ok(Self { identity, pipe, ended })
    }

    /// The guard process itself.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// From now on, ends the group of `leader` should we die: TERM, CONT, `grace`, KILL. Several
    /// groups may be protected; protecting one again changes its grace.
    ///
    /// # Errors
    /// [`GuardGone`].
    pub fn protect(&self, leader: &Identity, grace: Grace) -> Result<(), GuardGone> {
        self.say(&command::protect_line(leader, grace))
    }

    /// The group has ended: forget it. Releasing what is not protected changes nothing.
    ///
    /// # Errors
    /// [`GuardGone`].
    pub fn release(&self, leader: &Identity) -> Result<(), GuardGone> {
        self.say(&command::release_line(leader))
    }

    /// Resolves when the guard process has ended, however it ended. Any number may wait.
    pub fn died(&self) -> impl Future<Output = How> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            loop {
                if let Some(how) = *ended.borrow_and_update() {
                    return how;
                }
                if ended.changed().await.is_err() {
                    return How::Unknown;
                }
            }
        }
    }

    /// A line is shorter than `PIPE_BUF`, so it arrives whole or not at all.
    fn say(&self, line: &str) -> Result<(), GuardGone> {
        // The pipe alone would not tell: a child of ours between fork and exec holds both its ends.
        if self.ended.borrow().is_some() {
            return Err(GuardGone);
        }
        (&self.pipe).write_all(line.as_bytes()).map_err(|_| GuardGone)
    }
}
