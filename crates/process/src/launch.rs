//! What to run, in full: nothing is taken from our own environment, and no shell is in between.

mod error;
pub(crate) mod exec;
mod resolve;

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::{ResourceShortage, SpawnError};
use crate::signal::{Killer, System};
use crate::state::ServerLock;

/// The environment variable that marks every descendant of one life (see [`crate::ProcessGroup::nonce`]).
pub const NONCE_VARIABLE: &str = "MLX_TREE_NONCE";

/// How long a process may take to end after TERM before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grace(Duration);

/// Whether a control group is made for the child (Linux, cgroup v2), so that even a descendant
/// which left the process group can be found and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CgroupUse {
    /// Where we may; quietly without one elsewhere.
    #[default]
    WhereAllowed,
    /// Never.
    Never,
}

/// The recipe of one life. Used up by [`crate::ProcessGroup::spawn`].
pub struct Launch {
    pub(crate) argv: Vec<OsString>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) lock: Option<ServerLock>,
    pub(crate) held: Vec<Box<dyn Any + Send>>,
    pub(crate) drop_grace: Grace,
    pub(crate) cgroup: CgroupUse,
    pub(crate) killer: Arc<dyn Killer>,
}

// === impl Grace ===

impl Grace {
    /// Ten seconds.
    pub const DEFAULT: Self = Self(Duration::from_secs(10));

    /// A grace of this length; zero means KILL at once after TERM.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// How long.
    #[must_use]
    pub const fn length(self) -> Duration {
        self.0
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<Duration> for Grace {
    fn from(length: Duration) -> Self {
        Self(length)
    }
}

// === impl Launch ===

impl Launch {
    /// Runs `argv[0]` with these arguments, verbatim. A first word without `/` is looked up in the
    /// `PATH` *given with [`Launch::env`]*, never in our own.
    pub fn new<I>(argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: None,
            env: BTreeMap::new(),
            lock: None,
            held: Vec::new(),
            drop_grace: Grace::DEFAULT,
            cgroup: CgroupUse::default(),
            killer: Arc::new(System),
        }
    }

    /// The directory to run in; ours when never called. A relative program path is resolved
    /// against it.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// Adds one variable to the child's environment, which is empty to begin with: the child sees
    /// what is named here and [`NONCE_VARIABLE`], nothing of ours.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// [`Launch::env`] for many.
    #[must_use]
    pub fn envs<I, K, V>(mut self, variables: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.env.extend(variables.into_iter().map(|(k, v)| (k.into(), v.into())));
        self
    }

    /// Lets the child inherit this lock, which then stays locked for as long as the child *or any
    /// descendant that did not close it* lives — longer than we do, if need be.
    #[must_use]
    pub fn lock(mut self, lock: ServerLock) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Keeps `value` until the whole group is gone and reaped; dropped at once if the spawn fails.
    /// A semaphore permit held here makes "never two servers" a matter of types.
    #[must_use]
    pub fn hold(mut self, value: impl Any + Send) -> Self {
        self.held.push(Box::new(value));
        self
    }

    /// The grace for the stop that happens when the last [`crate::ProcessGroup`] handle is dropped.
    /// [`Grace::DEFAULT`] unless told.
    #[must_use]
    pub fn drop_grace(mut self, grace: Grace) -> Self {
        self.drop_grace = grace;
        self
    }

    /// Whether to make a control group for the child.
    #[must_use]
    pub fn cgroup(mut self, wish: CgroupUse) -> Self {
        self.cgroup = wish;
        self
    }

    /// Sends signals to the group through `killer` instead of the system's; for tests of what
    /// cannot be killed. There is no control group then, which would end it all the same.
    #[must_use]
    pub fn killer(mut self, killer: Arc<dyn Killer>) -> Self {
        self.killer = killer;
        self.cgroup = CgroupUse::Never;
        self
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of the environment may be secrets: only the names are shown.
        f.debug_struct("Launch")
            .field("argv", &self.argv)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("lock", &self.lock)
            .field("drop_grace", &self.drop_grace)
            .field("cgroup", &self.cgroup)
            .finish_non_exhaustive()
    }
}
