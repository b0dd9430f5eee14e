//! The supervisor before it runs: its flags, its children, and the start.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::{Intensity, Monotonic};
use ractor::Actor;
use tokio::sync::{broadcast, oneshot};

use crate::core;
use crate::shell::{Announce, Arguments, Payload, Shared, SupervisorActor};
use crate::{AutoShutdown, ChildSpec, InvalidSpec, StartError, Strategy, SupervisorEvent, SupervisorHandle};

/// How long after a kill a child counts as stuck, unless told otherwise.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// A supervisor that is yet to be started.
///
/// The defaults are OTP's: one restart in 5 s, no automatic shutdown.
#[derive(Debug)]
#[must_use = "a supervisor does nothing until it is started"]
pub struct Supervisor {
    name: Arc<str>,
    config: core::Config,
    clock: Monotonic,
    children: Vec<ChildSpec>,
    events: Option<broadcast::Sender<SupervisorEvent>>,
}

/// A supervisor whose specs make sense.
pub(crate) struct Prepared {
    core: core::Supervisor<Payload>,
    shared: Arc<Shared>,
    clock: Monotonic,
}

/// Stops a supervisor whose start nobody waits for any more.
struct Cancel<'a>(Option<&'a SupervisorHandle>);

// === impl Supervisor ===

impl Supervisor {
    /// Restarts only the child that failed.
    pub fn one_for_one() -> Self {
        Self::new(Strategy::OneForOne)
    }

    /// Restarts all children when one fails.
    pub fn one_for_all() -> Self {
        Self::new(Strategy::OneForAll)
    }

    /// Restarts the child that failed and those started after it.
    pub fn rest_for_one() -> Self {
        Self::new(Strategy::RestForOne)
    }

    /// For children that come and go by [`SupervisorHandle::start_child`]: a child that is down is forgotten, and all are
    /// stopped at once.
    pub fn dynamic() -> Self {
        Self::new(Strategy::Dynamic)
    }

    /// A supervisor with a strategy that was chosen elsewhere.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            name: "supervisor".into(),
            config: core::Config {
                strategy,
                intensity: Intensity::default(),
                auto_shutdown: AutoShutdown::default(),
                max_children: usize::MAX,
                kill_grace: KILL_GRACE,
                queries: core::QueryOrder::AtOnce,
            },
            clock: Monotonic::ORIGIN,
            children: Vec::new(),
            events: None,
        }
    }

    /// The name in events, logs and the status. Not registered anywhere, so it need not be unique.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How many restarts in which time are too many. A period of whole seconds is counted as in OTP: in whole seconds of
    /// the clock, edge included.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.config.intensity = intensity;
        self
    }

    /// When the end of [significant](ChildSpec::significant) children ends the supervisor.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.config.auto_shutdown = auto_shutdown;
        self
    }

    /// How many children a [dynamic](Supervisor::dynamic) supervisor may have, those waiting for a restart included.
    pub fn max_children(mut self, max_children: usize) -> Self {
        self.config.max_children = max_children;
        self
    }

    /// How long after a kill a child that is still there counts as stuck: it is reported, not waited for any longer, and
    /// not started again before it has ended. Default: 5 s.
    pub fn kill_grace(mut self, kill_grace: Duration) -> Self {
        self.config.kill_grace = kill_grace;
        self
    }

    /// What the supervisor's clock reads when it starts. Give the time since boot if policies keep a history that outlives
    /// this process. Default: zero.
    pub fn clock_starts_at(mut self, now: Monotonic) -> Self {
        self.clock = now;
        self
    }

    /// Sends the events into a channel of the caller's, so that none is missed from the start on, and several supervisors
    /// can share one. Default: a channel of its own, see [`SupervisorHandle::subscribe`].
    pub fn events_into(mut self, events: broadcast::Sender<SupervisorEvent>) -> Self {
        self.events = Some(events);
        self
    }

    /// Adds a child. Children are started in this order and stopped in the reverse.
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
        self
    }

    /// Adds children, in their order.
    pub fn children(mut self, specs: impl IntoIterator<Item = ChildSpec>) -> Self {
        self.children.extend(specs);
        self
    }

    /// Starts the supervisor, then its children one after the other; resolves when all have *started* (see
    /// [`SupervisorHandle::wait_ready`] for readiness).
    ///
    /// Must be called within a tokio runtime. Dropping the future before it resolves stops the supervisor in order. Dropping
    /// the handle, and all its clones, does not: the supervisor runs until it is stopped or gives up.
    ///
    /// # Errors
    /// [`StartError::Invalid`] if the flags or specs contradict themselves; [`StartError::Child`] if a child did not start
    /// (there is no retry at boot, and those started before it have been stopped in reverse order when this resolves).
    pub async fn start(self) -> Result<SupervisorHandle, StartError> {
        let (announce, started) = oneshot::channel();
        let prepared = self.prepare()?;
        let shared = prepared.shared();
        let arguments = prepared.arguments(Announce::Starter(announce));
        let (actor, _task) = SupervisorActor::spawn(None, SupervisorActor, arguments)
            .await
            .map_err(|error| StartError::Spawn(error.to_string().into()))?;
        let handle = SupervisorHandle::new(actor, shared);
        let mut cancel = Cancel(Some(&handle));
        let outcome = started.await.unwrap_or(Err(StartError::Stopped));
        cancel.0 = None;
        drop(cancel);
        match outcome {
            Ok(()) => Ok(handle),
            Err(error) => {
                handle.closed().await;
                Err(error)
            }
        }
    }

    pub(crate) fn prepare(self) -> Result<Prepared, InvalidSpec> {
        let specs = self.children.into_iter().map(ChildSpec::into_core).collect();
        let core = core::Supervisor::new(self.config, specs)?;
        let shared = Arc::new(Shared::new(self.name, self.clock, &core, self.events));
        Ok(Prepared { core, shared, clock: self.clock })
    }
}

// === impl Prepared ===

impl Prepared {
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub(crate) fn arguments(self, announce: Announce) -> Arguments {
        Arguments { core: self.core, shared: self.shared, clock: self.clock, announce }
    }
}

// === impl Cancel ===

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.0 {
            handle.request_stop();
        }
    }
}
