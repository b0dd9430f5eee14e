//! Planned ends of one server, carried out. What is decided, and when, is decided by [`mlx_tree_policy::drain`].
//!
//! ```text
//!  say(word) ──▶ Planned ──▶ the server's availability says Yielding or Finishing ──▶ whoever forwards heeds it ──┐
//!                  ▲  │                                                                                         │
//!     another word ┘  └──▶ a task waits until it is ripe ◀──────────────── nothing is with it any more ◀─────────┘
//!                                     │
//!                                     ▼ with the lock of the verbs
//!                          terminate, and start again or not ──▶ no Planned
//! ```
//!
//! The task is nobody's: dropping the future of a verb neither calls it off nor leaves it half done.

mod heeded;

pub use heeded::Forwarding;
pub(crate) use heeded::Heeded;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_policy::drain::{Aim, Asked, Course, Drain, Life, Scene, Stand, Word};
use mlx_tree_supervision::{ChildState, SupervisorHandle};
use ractor::ActorRef;
use tokio::time::sleep_until;

use super::{Server, ServerHandle, VerbError};
use crate::SERVER;
use crate::availability::{Reach, STOPPED, Wish};
use crate::health::Standing;
use crate::server::{ServerMessage, ServerPhase};

/// Why, when it is an operator who restarts.
const RESTARTED: &str = "an operator restarts it";

/// A planned end that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Which one it is, of all of this server.
    pub(crate) number: u64,
    pub(crate) drain: Drain,
    /// Who has asked for it and why, in one line.
    pub(crate) reason: Arc<str>,
    /// The incarnation that is to end.
    pub(crate) epoch: u64,
}

// === impl ServerHandle ===

impl ServerHandle {
    /// A planned restart that nobody notices: the server gets nothing new, which waits; it ends what it works on, for
    /// `shutdown.drain` at most; then it is stopped, and started afresh. No failure, and none is forgotten. `reason` says who
    /// wants it and why, in one line.
    ///
    /// Resolves when it is ready again. One that hangs or is being started is restarted at once; one that is down comes back
    /// afresh anyway, if it does, so nothing is to be done, and nothing is either for one that is stopped or put to sleep
    /// meanwhile. A restart that is under way already is joined. Dropping the future changes nothing.
    ///
    /// # Errors
    /// [`VerbError::NotReady`] as soon as the start has failed, or if the server goes down by itself meanwhile; the tree goes on
    /// trying.
    pub async fn recycle(&self, reason: impl Into<Arc<str>> + Send) -> Result<(), VerbError> {
        let Some(number) = self.server.say(Word::Recycle, reason.into()).await? else { return Ok(()) };
        self.server.over(number).await;
        self.back(Err(VerbError::Stopped)).await.or_else(|error| match error {
            VerbError::Stopped => Ok(()),
            error => Err(error),
        })
    }

    /// Lets the server finish what it works on, for `shutdown.drain` at most, and stops it as [`ServerHandle::stop`] does. From
    /// the beginning on, whoever comes or waits is told that it is stopped. Resolves when its whole process group is gone.
    /// A second drain joins the first; a stop cuts it short; a start calls it off; a restart makes a restart of it. Dropping
    /// the future changes nothing.
    ///
    /// # Errors
    /// [`VerbError::Overtaken`] if it was called off; [`VerbError::Stuck`] when KILL does not end it.
    pub async fn drain(&self) -> Result<(), VerbError> {
        self.server.operator("drain");
        self.end(Word::Drain).await
    }

    pub(super) async fn end(&self, word: Word) -> Result<(), VerbError> {
        let server = &self.server;
        if let Some(number) = server.say(word, STOPPED.into()).await? {
            server.over(number).await;
        }
        match server.child_state(&server.supervisor()?).await? {
            ChildState::Down => Ok(()),
            ChildState::Stuck => Err(VerbError::Stuck),
            ChildState::Starting
            | ChildState::Up
            | ChildState::Ready
            | ChildState::Stopping
            | ChildState::Waiting { .. }
            | ChildState::Suspended { .. } => Err(VerbError::Overtaken),
        }
    }

    pub(super) async fn restart_as_planned(&self) -> Result<(), VerbError> {
        if let Some(number) = self.server.say(Word::Restart, RESTARTED.into()).await? {
            self.server.over(number).await;
        }
        self.back(Err(VerbError::Stopped)).await
    }

    /// Resolves when it is ready again; with `if_stopped` if somebody has stopped it.
    async fn back(&self, if_stopped: Result<(), VerbError>) -> Result<(), VerbError> {
        let wish = *self.server.wish.borrow();
        match wish {
            Wish::Run | Wish::Restart => self.ready().await,
            // The next request has a fresh one.
            Wish::Sleep => Ok(()),
            Wish::Stop => if_stopped,
        }
    }

    /// Cuts a planned restart short that an operator waits for.
    pub async fn hurry(&self) {
        let server = &self.server;
        let _one_at_a_time = server.verbs.lock().await;
        let restarts = server.planned.borrow().as_ref().is_some_and(|planned| planned.drain.aim() == Aim::Restart);
        if restarts {
            server.operator("restart");
            let _ = server.take_in(Word::Restart, RESTARTED.into());
        }
    }
}

// === impl Server ===

impl Server {
    /// [Recycles](ServerHandle::recycle) it without waiting for that.
    pub(crate) fn recycle_unasked(self: &Arc<Self>, reason: Arc<str>) {
        let handle = ServerHandle { server: Arc::clone(self) };
        tokio::spawn(async move {
            if let Err(error) = handle.recycle(reason).await {
                tracing::info!(target: "mlx_tree::tree", server = handle.name(), %error, "a planned restart has failed");
            }
        });
    }

    /// The worker that has its process now.
    pub(crate) fn owner(&self) -> Option<ActorRef<ServerMessage>> {
        self.siblings.borrow().server.actor()
    }

    /// Begins a planned end for `word`, or has the one that is under way take it in: its number, if there is one to be waited
    /// for.
    async fn say(self: &Arc<Self>, word: Word, reason: Arc<str>) -> Result<Option<u64>, VerbError> {
        let supervisor = self.supervisor()?;
        let _one_at_a_time = self.verbs.lock().await;
        // What is published may be a moment old.
        supervisor.snapshot().await.map_err(|_| VerbError::Gone)?;
        Ok(self.take_in(word, reason))
    }

    /// The same for one who has the lock of the verbs.
    pub(super) fn take_in(self: &Arc<Self>, word: Word, reason: Arc<str>) -> Option<u64> {
        let under_way = self.planned.borrow().clone();
        let Some(mut planned) = under_way else { return self.begin(word, reason) };
        let (number, before) = (planned.number, (planned.drain.aim(), planned.drain.asked()));
        let planned = match planned.drain.on_word(word) {
            Course::CalledOff => None,
            Course::Goes => {
                if before != (planned.drain.aim(), planned.drain.asked()) {
                    planned.reason = reason;
                }
                Some(planned)
            }
        };
        let goes_on = planned.is_some();
        self.planned.send_replace(planned);
        goes_on.then_some(number)
    }

    fn begin(self: &Arc<Self>, word: Word, reason: Arc<str>) -> Option<u64> {
        let drain =
            Drain::begin(word, self.stand(), self.blueprint.recipes.newest().drain, self.blueprint.clock.now())?;
        let number = self.plans.fetch_add(1, Ordering::Relaxed);
        let epoch = self.blueprint.view.borrow().epoch;
        if drain.until().is_some() {
            let in_flight = self.activity.usage().in_flight.into();
            self.tell(Kind::ServerDraining { reason: reason.to_string(), in_flight });
        }
        self.planned.send_replace(Some(Planned { number, drain, reason, epoch }));
        tokio::spawn(carry(Arc::clone(self), number));
        Some(number)
    }

    /// How it stands, by the facts of this very moment.
    fn stand(&self) -> Stand {
        match self.reach_now() {
            Reach::Ready { .. } | Reach::Yielding { .. } | Reach::Finishing { .. } => {
                match self.health.borrow().standing {
                    Standing::Unwatched | Standing::Trusted | Standing::Busy => Stand::Serving,
                    Standing::Suspect => Stand::Suspect,
                }
            }
            Reach::Starting { .. } | Reach::Recycling { .. } => Stand::Starting,
            Reach::Waiting { .. }
            | Reach::BreakerOpen { .. }
            | Reach::Asleep
            | Reach::Stopped { .. }
            | Reach::Draining => Stand::Down,
        }
    }

    fn planned_as(&self, number: u64) -> Option<Planned> {
        self.planned.borrow().clone().filter(|planned| planned.number == number)
    }

    /// Resolves when this planned end is over, however it ended.
    async fn over(&self, number: u64) {
        let mut planned = self.planned.subscribe();
        let other = |planned: &Option<Planned>| planned.as_ref().is_none_or(|planned| planned.number != number);
        let _ = planned.wait_for(other).await;
    }

    /// Resolves when the planned end is ripe, or is there no more.
    async fn ripe(&self, number: u64) {
        let (mut planned, mut heeded) = (self.planned.subscribe(), self.heeded.subscribe());
        let (mut usage, mut availability) = (self.activity.watch(), self.availability.subscribe());
        loop {
            let Some(now) = self.planned_as(number) else { return };
            let in_flight = usage.borrow_and_update().in_flight;
            let door = now.door(&heeded.borrow_and_update());
            let scene = Scene { life: self.life(now.epoch), door, in_flight };
            let clock = self.blueprint.clock;
            // A moment later than it is due: tokio's timers have a granularity of a millisecond, and early is too early.
            let Some(until) = now.drain.until().filter(|_| !now.drain.is_ripe(scene, clock.now())) else { return };
            tokio::select! {
                () = sleep_until(clock.at(until) + Duration::from_millis(1)) => {}
                _ = planned.changed() => {}
                _ = heeded.changed() => {}
                _ = usage.changed() => {}
                _ = availability.changed() => {}
            }
        }
    }

    fn life(&self, epoch: u64) -> Life {
        let serves = matches!(self.reach_now(), Reach::Ready { .. } | Reach::Yielding { .. } | Reach::Finishing { .. });
        if serves && self.blueprint.view.borrow().epoch == epoch { Life::Serves } else { Life::Over }
    }

    /// Whether its worker ends this incarnation, or has seen the end of it.
    fn is_given_up(&self, epoch: u64) -> bool {
        let view = self.blueprint.view.borrow();
        match view.phase {
            ServerPhase::Absent | ServerPhase::Stopping => view.epoch == epoch,
            ServerPhase::Starting | ServerPhase::Loading | ServerPhase::Ready { .. } => false,
        }
    }

    async fn end_for_good(&self, supervisor: &SupervisorHandle) -> Result<(), VerbError> {
        self.wish.send_replace(Wish::Stop);
        self.terminate(supervisor).await?;
        // A trial or a pending restart is off, and there is nothing left to be held back.
        self.gate.reset();
        Ok(())
    }

    async fn begin_anew(&self, supervisor: &SupervisorHandle, planned: &Planned) -> Result<(), VerbError> {
        let status = supervisor.snapshot().await.map_err(|_| VerbError::Gone)?;
        let child = status.child(SERVER).ok_or(VerbError::Gone)?;
        let (up, ours) = match child.state {
            ChildState::Starting | ChildState::Up | ChildState::Ready | ChildState::Stopping | ChildState::Stuck => {
                (true, child.epoch.get() == planned.epoch)
            }
            ChildState::Waiting { .. } | ChildState::Suspended { .. } => (false, true),
            // Nobody brings it back but those who have ended it; and one that was put to sleep goes on sleeping.
            ChildState::Down => (false, *self.wish.borrow() != Wish::Sleep),
        };
        match planned.drain.asked() {
            // It went down by itself meanwhile: that is a failure like any other, and the policy says what follows.
            Asked::ByItself if !(up && ours) || self.is_given_up(planned.epoch) => return Ok(()),
            Asked::ByItself | Asked::ByOperator => {}
        }
        if ours {
            if up {
                self.tell(Kind::ServerRecycling { reason: planned.reason.to_string() });
            }
            self.wish.send_replace(Wish::Restart);
            self.terminate(supervisor).await?;
        }
        match planned.drain.asked() {
            Asked::ByOperator => self.gate.reset(),
            Asked::ByItself => {}
        }
        if ours { self.start_child(supervisor).await } else { Ok(()) }
    }

    fn tell(&self, kind: Kind) {
        let epoch = self.blueprint.view.borrow().epoch;
        self.blueprint.bus.emit(&self.blueprint.label, epoch, kind);
    }
}

/// Carries a planned end out, when it is ripe.
async fn carry(server: Arc<Server>, number: u64) {
    // Also should this panic: a server for which nothing is planned any more gets requests again.
    let _over = Over { server: &server, number };
    server.ripe(number).await;
    let _one_at_a_time = server.verbs.lock().await;
    let Some(planned) = server.planned_as(number) else { return };
    let outcome = match (server.supervisor(), planned.drain.aim()) {
        (Err(gone), _) => Err(gone),
        (Ok(supervisor), Aim::Stop) => server.end_for_good(&supervisor).await,
        (Ok(supervisor), Aim::Restart) => server.begin_anew(&supervisor, &planned).await,
    };
    if let Err(error) = outcome {
        // Whoever has asked finds out by the state that it is in.
        tracing::debug!(target: "mlx_tree::tree", server = %server.name, %error, "a planned end did not go as planned");
    }
}

/// When this is dropped, the planned end is over.
struct Over<'a> {
    server: &'a Server,
    number: u64,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.server.planned.send_if_modified(|planned| {
            let ours = planned.as_ref().is_some_and(|planned| planned.number == self.number);
            if ours {
                *planned = None;
            }
            ours
        });
    }
}
