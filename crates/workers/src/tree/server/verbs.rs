//! The operator's verbs on one server.
//!
//! A server that is always there is started and stopped on the spot. For one that sleeps, a start is a want like that of a
//! request, so that the memory budget holds; whoever has it carried out is the residency child.

use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::Kind;
use mlx_tree_policy::BreakerState;
use mlx_tree_policy::drain::Word;
use mlx_tree_supervision::{
    ChildState, Restart, RestartChildError, SupervisorHandle, SupervisorPhase, SupervisorStatus, TerminateChildError,
};

use super::{Server, ServerHandle, VerbError};
use crate::SERVER;
use crate::availability::{Reach, Turn, Wish};
use crate::server::{ServerPhase, ServerView};
use crate::tree::Start;

/// How often an operator who waits for a start says so again. Shorter than a want lasts.
const STILL_WANTED: Duration = Duration::from_secs(60);

// === impl ServerHandle ===

impl ServerHandle {
    /// Resolves when the server is ready.
    ///
    /// # Errors
    /// [`VerbError::NotReady`] as soon as an attempt has failed or the server is held back; the tree goes on trying.
    /// [`VerbError::Stopped`] for one that sleeps or was stopped.
    pub async fn ready(&self) -> Result<(), VerbError> {
        let supervisor = self.server.supervisor()?;
        let mut status = supervisor.status();
        let mut view = self.server.blueprint.view.subscribe();
        loop {
            let outcome = verdict(&status.borrow_and_update(), &view.borrow_and_update());
            match outcome {
                Some(Ok(())) => return Ok(()),
                Some(Err(VerbError::NotReady { .. })) => {
                    let reason = self.status().await.reason.unwrap_or_else(|| "unknown".to_owned());
                    return Err(VerbError::NotReady { reason });
                }
                Some(Err(error)) => return Err(error),
                None => tokio::select! {
                    changed = status.changed() => changed.map_err(|_| VerbError::Gone)?,
                    changed = view.changed() => changed.map_err(|_| VerbError::Gone)?,
                },
            }
        }
    }

    /// Starts a server that was stopped or sleeps, and waits until it is ready. One that is being started is waited for; one
    /// that is ready is left as it is, and a drain of it is called off.
    ///
    /// # Errors
    /// [`VerbError::Held`] when the tree waits before it starts the server again by itself (as in systemd, only a restart or
    /// a reset cuts that short); [`VerbError::NotReady`] when the first attempt failed.
    pub async fn start(&self) -> Result<(), VerbError> {
        self.server.operator("start");
        let server = &self.server;
        let supervisor = server.supervisor()?;
        {
            let _one_at_a_time = server.verbs.lock().await;
            server.call_off_for_a_start();
            match server.child_state(&supervisor).await? {
                ChildState::Down if server.sleeps() => return self.start_by_want(_one_at_a_time).await,
                ChildState::Down => server.start_now(&supervisor).await?,
                // Whatever ended it, nobody else would start it.
                ChildState::Suspended { .. } if server.blueprint.recipes.newest().restart == Restart::Temporary => {
                    server.terminate(&supervisor).await?;
                    server.start_now(&supervisor).await?;
                }
                ChildState::Waiting { .. } | ChildState::Suspended { .. } => {
                    let now = server.blueprint.clock.now();
                    let wait = server.gate.snapshot().next.map(|at| at.saturating_since(now));
                    return Err(VerbError::Held { wait });
                }
                ChildState::Starting | ChildState::Up | ChildState::Ready | ChildState::Stopping => {}
                ChildState::Stuck => return Err(VerbError::Stuck),
            }
        }
        self.ready().await
    }

    /// Stops the server and keeps it stopped, in whatever state it is, until an operator starts it: no request does.
    /// Resolves when its whole process group is gone.
    ///
    /// # Errors
    /// [`VerbError::Stuck`] when KILL does not end it.
    pub async fn stop(&self) -> Result<(), VerbError> {
        self.server.operator("stop");
        self.end(Word::Stop).await
    }

    /// Forgets the server's failures, and starts it afresh. One that serves is [drained](ServerHandle::recycle) first: it gets
    /// nothing new, which waits, and ends what it works on, for `shutdown.drain` at most; a second restart meanwhile cuts that
    /// short. One that hangs, is suspect, being started or down is restarted at once. Resolves when it is ready.
    ///
    /// # Errors
    /// As for [`ServerHandle::start`]; [`VerbError::Stopped`] if somebody stops it meanwhile.
    pub async fn restart(&self) -> Result<(), VerbError> {
        self.server.operator("restart");
        let server = &self.server;
        let supervisor = server.supervisor()?;
        {
            let one_at_a_time = server.verbs.lock().await;
            let down = server.child_state(&supervisor).await? == ChildState::Down;
            if down && server.sleeps() {
                return self.start_by_want(one_at_a_time).await;
            }
        }
        self.restart_as_planned().await
    }

    /// Lets a server that was stopped run again in its own way: one that is always there is started, and waited for until it
    /// is ready; one that sleeps goes on sleeping until it is wanted.
    ///
    /// # Errors
    /// As for [`ServerHandle::start`].
    pub async fn allow(&self) -> Result<(), VerbError> {
        if !self.server.sleeps() {
            return self.start().await;
        }
        self.server.operator("start");
        let _one_at_a_time = self.server.verbs.lock().await;
        self.server.call_off_for_a_start();
        self.server.lift_stop();
        if self.server.start == Start::Preload {
            self.wanted();
        }
        Ok(())
    }

    /// Restarts a server that is not asleep; one that was stopped is [allowed](ServerHandle::allow) to run.
    ///
    /// # Errors
    /// As for [`ServerHandle::restart`].
    pub async fn restart_if_up(&self) -> Result<(), VerbError> {
        let supervisor = self.server.supervisor()?;
        let down = self.server.child_state(&supervisor).await? == ChildState::Down;
        if down && self.server.sleeps() { self.allow().await } else { self.restart().await }
    }

    /// Forgets all failures and closes the breaker. A server that was held back is started; one that was stopped or sleeps
    /// stays so.
    pub async fn reset(&self) {
        self.server.operator("reset");
        let _one_at_a_time = self.server.verbs.lock().await;
        self.server.gate.reset();
        let Ok(supervisor) = self.server.supervisor() else { return };
        // Asked without a look at the state first: what fails at this moment may be held back just after that look.
        if let Err(error) = supervisor.resume_child(SERVER).await {
            tracing::debug!(target: "mlx_tree::tree", %error, "the server was not held back");
        }
    }

    /// Puts a server that may sleep to sleep: it gets no new requests, is stopped when those that it has are over, and is
    /// started again by the next one. Resolves when its process is gone; dropping the future calls it off until then.
    ///
    /// # Errors
    /// [`VerbError::Kept`] for a server that is always there; [`VerbError::Stuck`] when KILL does not end it.
    pub async fn unload(&self) -> Result<(), VerbError> {
        let server = &self.server;
        if !server.sleeps() {
            return Err(VerbError::Kept);
        }
        server.operator("unload");
        let turn = Yielding::of(server);
        server.is_heeded().await;
        let mut usage = server.activity.watch();
        let idle = usage.wait_for(|usage| usage.in_flight == 0).await.map(drop);
        idle.map_err(|_| VerbError::Gone)?;
        let outcome = server.sleep().await;
        drop(turn);
        outcome
    }

    /// For a server that sleeps: asks for it, as often as it takes, until it is ready or has failed.
    async fn start_by_want(&self, one_at_a_time: tokio::sync::MutexGuard<'_, ()>) -> Result<(), VerbError> {
        let server = &self.server;
        server.gate.reset();
        server.lift_stop();
        drop(one_at_a_time);
        let mut availability = server.availability.subscribe();
        self.wanted();
        let mut begun = false;
        loop {
            match &availability.borrow_and_update().state {
                Reach::Ready { .. } | Reach::Yielding { .. } | Reach::Finishing { .. } => return Ok(()),
                Reach::Starting { .. } => begun = true,
                Reach::Waiting { reason, .. } | Reach::BreakerOpen { reason, .. } if begun => {
                    return Err(VerbError::NotReady { reason: reason.to_string() });
                }
                Reach::Stopped { .. } if begun => return Err(VerbError::Stopped),
                Reach::Draining => return Err(VerbError::Gone),
                Reach::Waiting { .. }
                | Reach::Recycling { .. }
                | Reach::BreakerOpen { .. }
                | Reach::Asleep
                | Reach::Stopped { .. } => {}
            }
            tokio::select! {
                changed = availability.changed() => changed.map_err(|_| VerbError::Gone)?,
                () = tokio::time::sleep(STILL_WANTED) => self.wanted(),
            }
        }
    }
}

/// A server that gets nothing new, until this is dropped.
struct Yielding<'a>(&'a Server);

// === impl Yielding ===

impl<'a> Yielding<'a> {
    fn of(server: &'a Server) -> Self {
        server.turn.send_replace(Turn::Yields);
        Self(server)
    }
}

impl Drop for Yielding<'_> {
    fn drop(&mut self) {
        self.0.turn.send_replace(Turn::Keeps);
    }
}

// === impl Server ===

impl Server {
    pub(super) fn supervisor(&self) -> Result<SupervisorHandle, VerbError> {
        self.home.borrow().clone().ok_or(VerbError::Gone)
    }

    /// Puts it to sleep. No failure, and nothing is forgotten, but one thing: a trial that was ended by a sleep can no longer
    /// fail, so it has not failed.
    pub(crate) async fn sleep(&self) -> Result<(), VerbError> {
        let supervisor = self.supervisor()?;
        let _one_at_a_time = self.verbs.lock().await;
        if *self.wish.borrow() == Wish::Stop {
            return Ok(());
        }
        self.wish.send_replace(Wish::Sleep);
        self.terminate(&supervisor).await?;
        match self.gate.snapshot().breaker {
            BreakerState::HalfOpen { .. } => self.gate.reset(),
            BreakerState::Open { .. } | BreakerState::Closed => {}
        }
        Ok(())
    }

    /// Starts it out of its sleep. Nothing is forgotten: an open breaker is asked for its trial, and refuses before its time.
    pub(crate) async fn wake(&self) -> Result<(), VerbError> {
        let supervisor = self.supervisor()?;
        let _one_at_a_time = self.verbs.lock().await;
        let open = matches!(self.gate.snapshot().breaker, BreakerState::Open { .. });
        if open && let Err(refused) = self.gate.half_open() {
            return Err(VerbError::NotReady { reason: refused.to_string() });
        }
        if *self.wish.borrow() == Wish::Stop {
            return Err(VerbError::Stopped);
        }
        self.wish.send_replace(Wish::Restart);
        self.start_child(&supervisor).await
    }

    /// A drain is off when it is to run; a restart goes on.
    fn call_off_for_a_start(self: &Arc<Self>) {
        let _ = self.take_in(Word::Start, "".into());
    }

    /// One that was stopped, and sleeps, is asleep from now on.
    fn lift_stop(&self) {
        self.wish.send_if_modified(|wish| {
            let stopped = *wish == Wish::Stop;
            if stopped {
                *wish = Wish::Sleep;
            }
            stopped
        });
    }

    pub(super) async fn terminate(&self, supervisor: &SupervisorHandle) -> Result<(), VerbError> {
        match supervisor.terminate_child(SERVER).await {
            Ok(()) | Err(TerminateChildError::NotFound) => Ok(()),
            Err(TerminateChildError::Stuck) => Err(VerbError::Stuck),
            Err(TerminateChildError::SupervisorGone) => Err(VerbError::Gone),
        }
    }

    /// Starts a server that is down. The operator's word outweighs the breaker and whatever failed before.
    async fn start_now(&self, supervisor: &SupervisorHandle) -> Result<(), VerbError> {
        self.gate.reset();
        self.start_child(supervisor).await
    }

    pub(super) async fn start_child(&self, supervisor: &SupervisorHandle) -> Result<(), VerbError> {
        let outcome = match supervisor.restart_child(SERVER).await {
            // The tree was quicker.
            Ok(_) | Err(RestartChildError::Running | RestartChildError::Restarting) => Ok(()),
            Err(RestartChildError::Failed(reason)) => Err(VerbError::NotReady { reason: reason.to_string() }),
            Err(RestartChildError::NotFound | RestartChildError::Dynamic | RestartChildError::SupervisorGone) => {
                Err(VerbError::Gone)
            }
        };
        // Whoever sees that it is to run sees it running: the status is published before this is answered.
        let _ = supervisor.snapshot().await;
        self.wish.send_replace(Wish::Run);
        outcome
    }

    pub(super) async fn child_state(&self, supervisor: &SupervisorHandle) -> Result<ChildState, VerbError> {
        let status = supervisor.snapshot().await.map_err(|_| VerbError::Gone)?;
        status.child(SERVER).map(|child| child.state.clone()).ok_or(VerbError::Gone)
    }

    pub(super) fn operator(&self, verb: &str) {
        self.blueprint.bus.emit(&self.blueprint.label, 0, Kind::OperatorRequested { verb: verb.to_owned() });
    }
}

/// What there is to say about being ready; `None` while that is open. A server that the supervisor still calls ready may
/// have been given up by its worker already.
fn verdict(status: &SupervisorStatus, view: &ServerView) -> Option<Result<(), VerbError>> {
    if status.phase == SupervisorPhase::Stopped {
        return Some(Err(VerbError::Gone));
    }
    let child = status.child(SERVER)?;
    match &child.state {
        ChildState::Ready => {
            let serves = view.epoch == child.epoch.get() && matches!(view.phase, ServerPhase::Ready { .. });
            serves.then_some(Ok(()))
        }
        ChildState::Starting | ChildState::Up | ChildState::Stopping => None,
        ChildState::Waiting { .. } | ChildState::Suspended { .. } => {
            Some(Err(VerbError::NotReady { reason: String::new() }))
        }
        ChildState::Stuck => Some(Err(VerbError::Stuck)),
        ChildState::Down => Some(Err(VerbError::Stopped)),
    }
}
