//! The gate of one server: the machine of [`admission`](super) under a lock, with a channel for each that waits.
//!
//! There is no task behind it. Whoever touches the gate first brings it up to date with the server's state; those who wait
//! watch that state themselves; and only while somebody waits for a time to pass (a slot that is kept, a limit that rises) a
//! timer runs.

mod permit;
mod ticket;

pub use permit::Permit;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mlx_tree_api::Sample;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::denied::Denied;
use super::entry::{Entry, Grant, Place};
use super::limits::Limits;
use super::machine::{Admission, Arrival, Effect, Snapshot};
use crate::backend::{Backend, Observer};
use ticket::Ticket;

/// Who may go to one server now. A clone is another handle of the same gate.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

/// What the handles, the permits and those who wait share.
struct Shared {
    server: Arc<str>,
    observer: Arc<dyn Observer>,
    /// To be cloned; its own place in the channel means nothing.
    backend: watch::Receiver<Backend>,
    core: Mutex<Core>,
}

struct Core {
    machine: Admission,
    /// How far the machine has been told of the server.
    backend: watch::Receiver<Backend>,
    waiters: HashMap<Place, oneshot::Sender<Answer>>,
    timer: Option<(Instant, AbortHandle)>,
}

/// How a stay in the queue ends.
type Answer = Result<Permit, Denied>;

/// What is left to do once the lock is free: a permit that nobody takes comes back through it.
#[derive(Default)]
struct Deeds {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    wanted: bool,
}

// === impl Gate ===

impl Gate {
    /// A gate before `server`, whose state is `backend`. The observer hears of it when somebody waits for a sleeping server.
    #[must_use]
    pub fn new(
        server: Arc<str>,
        limits: Limits,
        mut backend: watch::Receiver<Backend>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let known = backend.borrow_and_update().clone();
        let core = Core {
            machine: Admission::new(limits, known, Instant::now()),
            backend: backend.clone(),
            waiters: HashMap::new(),
            timer: None,
        };
        Self { shared: Arc::new(Shared { server, observer, backend, core: Mutex::new(core) }) }
    }

    /// Waits for the entry's turn. Resolves at once if there is room, and at the entry's deadline at the latest.
    ///
    /// Cancel-safe: if the future is dropped, the entry has left the queue, and if it had been let in at that very moment its
    /// slot is free again.
    ///
    /// # Errors
    /// [`Denied`], which turns into the client's answer.
    pub async fn enter(&self, entry: Entry) -> Result<Permit, Denied> {
        match self.shared.arrive(&entry) {
            Entrance::Open(permit) => Ok(permit.delivered()),
            Entrance::Shut(denied) => Err(denied),
            Entrance::Queue(ticket) => {
                let _waits = Waits::begin(&self.shared);
                ticket.wait().await.map(Permit::delivered)
            }
        }
    }

    /// The gate now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.act(|core, now, effects| {
            // A slot whose time is over is given back by whoever looks next, and that may be us.
            core.machine.on_time(now, effects);
            core.machine.snapshot(now)
        })
    }

    /// Changes the limits. What is in flight and what waits stays.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.act(|core, now, effects| core.machine.on_limits(now, limits, effects));
    }

    /// The server's name.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.shared.server
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

/// What one finds who comes to a gate.
enum Entrance {
    Open(Permit),
    Shut(Denied),
    Queue(Ticket),
}

/// Somebody waits, until this is dropped.
struct Waits<'a>(&'a Shared);

// === impl Waits ===

impl<'a> Waits<'a> {
    fn begin(gate: &'a Shared) -> Self {
        gate.observer.sample(&Sample::WaitBegan { server: &gate.server });
        Self(gate)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.observer.sample(&Sample::WaitEnded { server: &self.0.server });
    }
}

// === impl Shared ===

impl Shared {
    /// The server's state, to be watched.
    fn backend(&self) -> watch::Receiver<Backend> {
        self.backend.clone()
    }

    /// An attempt is over, or so the machine is told.
    fn settle(self: &Arc<Self>, end: impl FnOnce(&mut Admission, Instant, &mut Vec<Effect>)) {
        self.act(|core, now, effects| end(&mut core.machine, now, effects));
    }

    fn arrive(self: &Arc<Self>, entry: &Entry) -> Entrance {
        self.act(|core, now, effects| match core.machine.on_arrive(now, entry, effects) {
            Arrival::Admitted(grant) => Entrance::Open(self.permit(grant)),
            Arrival::Denied(denied) => Entrance::Shut(denied),
            Arrival::Waiting(place) => {
                let (answer, answered) = oneshot::channel();
                core.waiters.insert(place, answer);
                let backend = core.backend.clone();
                Entrance::Queue(Ticket::new(self.clone(), place, entry.deadline, answered, backend))
            }
        })
    }

    /// Lets `step` have the machine, which knows the newest of the server by then, and carries out what follows.
    fn act<R>(self: &Arc<Self>, step: impl FnOnce(&mut Core, Instant, &mut Vec<Effect>) -> R) -> R {
        let mut effects = Vec::new();
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        core.catch_up(now, &mut effects);
        let result = step(&mut core, now, &mut effects);
        let deeds = self.prepare(&mut core, effects);
        self.arm(&mut core, now);
        drop(core);
        for (waiter, answer) in deeds.answers {
            // If it has gone meanwhile, the permit comes back with the error and is dropped, which frees its slot.
            drop(waiter.send(answer));
        }
        if deeds.wanted {
            self.observer.wanted(&self.server);
        }
        result
    }

    fn prepare(self: &Arc<Self>, core: &mut Core, effects: Vec<Effect>) -> Deeds {
        let mut deeds = Deeds::default();
        for effect in effects {
            let (place, answer) = match effect {
                Effect::Admit(place, grant) => (place, Ok(self.permit(grant))),
                Effect::Deny(place, denied) => (place, Err(denied)),
                Effect::Wanted => {
                    deeds.wanted = true;
                    continue;
                }
            };
            if let Some(waiter) = core.waiters.remove(&place) {
                deeds.answers.push((waiter, answer));
            }
        }
        deeds
    }

    /// Sees to it that the machine is told when a time has passed that somebody waits for.
    fn arm(self: &Arc<Self>, core: &mut Core, now: Instant) {
        let Some(wake) = core.machine.next_wake(now) else { return };
        if core.timer.as_ref().is_some_and(|(armed, _)| *armed <= wake) {
            return;
        }
        // Without a runtime nobody can be waiting either: whoever comes next brings the gate up to date.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let gate = Arc::downgrade(self);
        let timer = runtime.spawn(async move {
            tokio::time::sleep_until(wake).await;
            if let Some(gate) = gate.upgrade() {
                gate.act(|core, now, effects| {
                    core.timer = None;
                    core.machine.on_time(now, effects);
                });
            }
        });
        if let Some((_, later)) = core.timer.replace((wake, timer.abort_handle())) {
            later.abort();
        }
    }

    fn permit(self: &Arc<Self>, grant: Grant) -> Permit {
        Permit::new(self.clone(), grant)
    }
}

// === impl Core ===

impl Core {
    /// Tells the machine what is new of the server. Everything that is told to it afterwards happened after that.
    fn catch_up(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if matches!(self.backend.has_changed(), Ok(false)) {
            return;
        }
        let news = self.backend.borrow_and_update();
        if news.has_changed() {
            self.machine.on_backend(now, news.clone(), effects);
        }
    }
}

#[cfg(test)]
mod tests;
