//! Starting one child, and what may come of it.

use mlx_tree_policy::Severity;

use crate::{ChildKind, EventKind, ExitReason, Failure, FailureKind, LastExit, Readiness, Shutdown};

use super::child::{AfterStuck, Scope, Starting, State, StopCause};
use super::operation::Outcome;
use super::{Effect, StopWaits, Supervisor};

/// Who wants a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartCause {
    /// The first start, or somebody's request.
    Asked,
    /// The supervisor's own doing, after a failure.
    Restart,
}

impl<P> Supervisor<P> {
    /// Begins a start and waits for its outcome.
    pub(super) fn begin_start(&mut self, index: u32, cause: StartCause) {
        let now = self.now;
        self.table.set_state(index, State::Starting(Starting::Plain), now);
        let node = &mut self.table[index];
        debug_assert!(node.unread_exit.is_none(), "never two incarnations");
        if cause == StartCause::Restart && node.epoch.get() > 0 {
            node.restarts += 1;
        }
        node.epoch = node.epoch.next();
        node.scope = Scope::Strategy;
        let epoch = node.epoch;
        if let Readiness::Explicit { start_timeout } = node.rules.readiness {
            self.table.set_deadline(index, Some(now + start_timeout));
        }
        self.awaited = Some(index);
        self.event(index, EventKind::ChildStarting);
        let key = self.table.key(index);
        self.out.push(Effect::Spawn { key, epoch });
        if self.stop_waits == StopWaits::Yes {
            self.hurry();
        }
    }

    /// A stop waits for the start in progress: it may take no longer than the child's own shutdown rule allows.
    pub(super) fn hurry(&mut self) {
        let Some(index) = self.awaited else { return };
        let node = &self.table[index];
        if !matches!(node.state, State::Starting(Starting::Plain | Starting::ReadyEarly)) {
            return;
        }
        let limit = match node.rules.shutdown {
            Shutdown::Timeout(limit) => self.now + limit,
            Shutdown::Kill => self.now,
            Shutdown::Infinity => {
                if node.rules.kind == ChildKind::Supervisor {
                    // It can stop while it starts, and its own children have limits.
                    let (key, epoch) = (self.table.key(index), node.epoch);
                    self.out.push(Effect::Stop { key, epoch });
                }
                return;
            }
        };
        let deadline = node.deadline.map_or(limit, |deadline| deadline.min(limit));
        self.table.set_deadline(index, Some(deadline));
    }

    pub(super) fn started(&mut self, index: u32) {
        let node = &self.table[index];
        let State::Starting(progress) = node.state else { return };
        let is_ready = match (progress, node.rules.readiness) {
            // It was killed; its end is on its way.
            (Starting::TimedOut | Starting::Cancelled, _) => return,
            (Starting::Plain, Readiness::Started) | (Starting::ReadyEarly, _) => true,
            (Starting::Plain, Readiness::Explicit { .. }) => false,
        };
        self.table.change(index, |node| node.ran = node.epoch);
        self.event(index, EventKind::ChildStarted);
        if is_ready {
            self.become_ready(index);
        } else {
            let deadline = self.start_deadline(index);
            self.table.set_state(index, State::Up, self.now);
            self.table.set_deadline(index, deadline);
        }
        if self.awaited == Some(index) {
            self.settled(index, Outcome::Started);
        }
    }

    /// When the start timeout passes. Not the deadline of the moment: a waiting stop may have shortened that one.
    fn start_deadline(&self, index: u32) -> Option<mlx_tree_policy::Monotonic> {
        let node = &self.table[index];
        match node.rules.readiness {
            Readiness::Started => None,
            Readiness::Explicit { start_timeout } => Some(node.since + start_timeout),
        }
    }

    pub(super) fn ignored(&mut self, index: u32) {
        if self.awaited != Some(index) || !matches!(self.table[index].state, State::Starting(_)) {
            // It was killed meanwhile; either way it is no more.
            return self.heard_exit(index, ExitReason::Normal);
        }
        self.table.set_state(index, State::Down, self.now);
        self.event(index, EventKind::ChildIgnored);
        self.settled(index, Outcome::Ignored);
    }

    pub(super) fn ready(&mut self, index: u32) {
        match self.table[index].state {
            State::Starting(Starting::Plain) => {
                self.table.change(index, |node| node.state = State::Starting(Starting::ReadyEarly));
            }
            State::Up => self.become_ready(index),
            State::Starting(_)
            | State::Down
            | State::Ready
            | State::Stopping { .. }
            | State::Stuck { .. }
            | State::Waiting { .. }
            | State::Suspended { .. } => {}
        }
    }

    fn become_ready(&mut self, index: u32) {
        self.table.set_state(index, State::Ready, self.now);
        self.event(index, EventKind::ChildReady);
        let (epoch, now) = (self.table[index].epoch.get(), self.now);
        let milestone = self.ask_policy(index, |policy| policy.on_ready(epoch, now)).flatten();
        self.table.set_deadline(index, milestone.map(|span| now + span));
    }

    /// A ready child has stayed so for as long as its policy asked.
    pub(super) fn stable(&mut self, index: u32) {
        self.event(index, EventKind::ChildStable);
        let (epoch, now) = (self.table[index].epoch.get(), self.now);
        let milestone = self.ask_policy(index, |policy| policy.on_stable(epoch, now)).flatten();
        self.table.set_deadline(index, milestone.map(|span| now + span));
    }

    /// A start has failed, or what was started has ended before it was known to have started.
    pub(super) fn start_failed(&mut self, index: u32, progress: Starting, reason: ExitReason) {
        let reason = match progress {
            Starting::TimedOut => self.start_timeout(index),
            Starting::Plain | Starting::ReadyEarly | Starting::Cancelled => reason,
        };
        self.ended(index, &reason);
        self.event(index, EventKind::ChildExited { reason: reason.clone() });
        self.settled(index, Outcome::Failed(reason));
    }

    /// The start has not come to an end in its time, or a stop will wait no longer for it. A child that has not started
    /// cannot hear a stop, so it is killed.
    pub(super) fn start_overdue(&mut self, index: u32) {
        let node = &self.table[index];
        let timed_out = self.start_deadline(index).is_some_and(|deadline| deadline <= self.now);
        match node.state {
            State::Starting(Starting::Plain | Starting::ReadyEarly) => {
                let progress = if timed_out { Starting::TimedOut } else { Starting::Cancelled };
                self.table.change(index, |node| node.state = State::Starting(progress));
                self.send_kill(index);
            }
            State::Starting(Starting::TimedOut | Starting::Cancelled) => self.stuck(index, AfterStuck::Fail),
            State::Down
            | State::Up
            | State::Ready
            | State::Stopping { .. }
            | State::Stuck { .. }
            | State::Waiting { .. }
            | State::Suspended { .. } => {}
        }
    }

    /// The child has started and does not become ready: it is stopped by its own rule, and its end is a failure.
    pub(super) fn not_ready_in_time(&mut self, index: u32) {
        let _ = self.begin_stop(index, StopCause::StartTimeout);
    }

    pub(super) fn start_timeout(&self, index: u32) -> ExitReason {
        let limit = match self.table[index].rules.readiness {
            Readiness::Explicit { start_timeout } => start_timeout,
            Readiness::Started => std::time::Duration::ZERO,
        };
        ExitReason::Failed(Failure::new(
            FailureKind::StartTimeout,
            Severity::Transient,
            format!("not ready within {limit:?}"),
        ))
    }

    /// The incarnation is no more.
    pub(super) fn ended(&mut self, index: u32, reason: &ExitReason) {
        let at = self.now;
        self.table.set_state(index, State::Down, at);
        let epoch = self.table[index].epoch;
        self.table[index].last_exit = Some(Box::new(LastExit { epoch, reason: reason.clone(), at }));
    }
}
