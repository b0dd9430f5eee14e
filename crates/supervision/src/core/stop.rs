//! Stopping one child, and the end of all.

use std::collections::HashMap;

use crate::{
    EventKind, ExitReason, Report, ReportContext, ReportReason, Restart, Shutdown, Strategy, SupervisorExit,
    SupervisorPhase,
};

use super::child::{AfterStuck, State, StopCause, StopStage};
use super::mail::Mail;
use super::operation::{Operation, Outcome, Parallel};
use super::{Effect, Supervisor};

/// What came of the beginning of a stop.
pub(super) enum Stop {
    /// There was nothing to stop.
    NotRunning,
    /// It had ended already, and the news had not been read.
    AlreadyEnded(ExitReason),
    /// Its end will be heard.
    Pending,
    /// It is past waiting for.
    Stuck,
}

impl<P> Supervisor<P> {
    /// Stops a child by its own rule.
    pub(super) fn begin_stop(&mut self, index: u32, why: StopCause) -> Stop {
        if let Some(reason) = self.table.change(index, |node| node.unread_exit.take()) {
            return Stop::AlreadyEnded(*reason);
        }
        match self.table[index].state {
            State::Down | State::Waiting { .. } | State::Suspended { .. } => return Stop::NotRunning,
            State::Stuck { .. } => return Stop::Stuck,
            State::Stopping { stage, .. } => {
                // It was already asked, because it was not ready in time. Now its end is wanted, and no failure.
                self.table.change(index, |node| node.state = State::Stopping { why, stage });
                return Stop::Pending;
            }
            State::Starting(_) | State::Up | State::Ready => {}
        }
        self.event(index, EventKind::ChildStopping);
        if why == StopCause::Asked {
            self.no_failure(index);
        }
        self.table.set_state(index, State::Stopping { why, stage: StopStage::Asked }, self.now);
        let (key, epoch) = (self.table.key(index), self.table[index].epoch);
        match self.table[index].rules.shutdown {
            Shutdown::Kill => {
                self.table.change(index, |node| node.state = State::Stopping { why, stage: StopStage::Killed });
                self.send_kill(index);
            }
            Shutdown::Timeout(limit) => {
                self.out.push(Effect::Stop { key, epoch });
                self.table.set_deadline(index, Some(self.now + limit));
            }
            Shutdown::Infinity => self.out.push(Effect::Stop { key, epoch }),
        }
        Stop::Pending
    }

    /// The child has not ended in time.
    pub(super) fn kill(&mut self, index: u32) {
        if let State::Stopping { why, .. } = self.table[index].state {
            self.table.change(index, |node| node.state = State::Stopping { why, stage: StopStage::Killed });
        }
        self.event(index, EventKind::ChildKilled);
        self.send_kill(index);
    }

    pub(super) fn send_kill(&mut self, index: u32) {
        let (key, epoch) = (self.table.key(index), self.table[index].epoch);
        self.out.push(Effect::Kill { key, epoch });
        self.table.set_deadline(index, Some(self.now + self.config.kill_grace));
    }

    /// The kill had no effect. Nobody waits any longer; the child is not started again before it has ended.
    pub(super) fn stuck(&mut self, index: u32, then: AfterStuck) {
        self.table.set_state(index, State::Stuck { then }, self.now);
        self.event(index, EventKind::ChildStuck);
        self.report(index, ReportContext::KillIneffective, ReportReason::Other("kill had no effect".into()));
        if self.awaited == Some(index) {
            self.settled(index, Outcome::Stuck);
        } else if matches!(self.operation, Operation::Parallel(_)) {
            self.parallel_one_less();
        }
    }

    /// A stuck child has ended after all.
    pub(super) fn stuck_ended(&mut self, index: u32, then: AfterStuck, reason: ExitReason) {
        self.ended(index, &reason);
        self.event(index, EventKind::ChildStopped { reason });
        match then {
            AfterStuck::Rest | AfterStuck::Fail => self.rest(index),
            AfterStuck::Forget => self.forget(index),
            AfterStuck::Start => {
                self.wait(index, self.now);
                let key = self.table.key(index);
                self.mail.push_back(Mail::Retry { key });
            }
            AfterStuck::Suspend { until, reason } => self.suspend(index, until, reason),
        }
    }

    /// OTP's `del_child`: the child stays down, or is forgotten if that is its way.
    pub(super) fn rest(&mut self, index: u32) {
        if self.table[index].is_temporary() || self.config.strategy == Strategy::Dynamic {
            self.table.set_state(index, State::Down, self.now);
            self.forget(index);
        } else if !matches!(self.table[index].state, State::Down) {
            self.table.set_state(index, State::Down, self.now);
        }
    }

    /// A child has ended as asked (or on its own, just before).
    pub(super) fn stopped(&mut self, index: u32, reason: ExitReason) {
        self.ended(index, &reason);
        self.no_failure(index);
        if let Some(error) = self.stop_error(index, &reason) {
            self.report(index, ReportContext::ShutdownError, ReportReason::Exit(error));
        }
        self.event(index, EventKind::ChildStopped { reason });
    }

    /// What OTP reports as `shutdown_error`: an end that the way of stopping does not explain.
    fn stop_error(&self, index: u32, reason: &ExitReason) -> Option<ExitReason> {
        let rules = &self.table[index].rules;
        let expected = match (reason, rules.shutdown) {
            (ExitReason::Killed, Shutdown::Kill) => true,
            (ExitReason::Shutdown, Shutdown::Timeout(_) | Shutdown::Infinity) => true,
            (ExitReason::Normal | ExitReason::Shutdown | ExitReason::ShutdownWith(_), _) => {
                rules.restart != Restart::Permanent
            }
            (ExitReason::Killed | ExitReason::Failed(_), _) => false,
        };
        (!expected).then(|| reason.clone())
    }

    /// The beginning of the end.
    pub(super) fn begin_shutdown(&mut self, exit: SupervisorExit) {
        self.phase = SupervisorPhase::Stopping;
        self.supervisor_event(EventKind::SupervisorStopping);
        match self.config.strategy {
            Strategy::Dynamic => self.stop_in_parallel(exit),
            Strategy::OneForOne | Strategy::OneForAll | Strategy::RestForOne => {
                self.operation = Operation::Shutdown { cursor: self.table.last(), exit: Box::new(exit) };
                self.advance();
            }
        }
    }

    /// Asks all at once and waits for all; OTP does so for dynamic children.
    fn stop_in_parallel(&mut self, exit: SupervisorExit) {
        let mut parallel = Parallel { left: 0, errors: HashMap::new(), exit: Box::new(exit) };
        for index in self.table.in_order().collect::<Vec<_>>() {
            match self.begin_stop(index, StopCause::Asked) {
                Stop::Pending => parallel.left += 1,
                Stop::AlreadyEnded(reason) => self.ended_in(&mut parallel, index, reason),
                Stop::NotRunning => self.table.set_state(index, State::Down, self.now),
                Stop::Stuck => {}
            }
        }
        self.operation = Operation::Parallel(parallel);
        self.parallel_finish();
    }

    /// Kills everything, whatever is in progress.
    pub(super) fn kill_now(&mut self) {
        if self.phase != SupervisorPhase::Stopping {
            self.phase = SupervisorPhase::Stopping;
            self.supervisor_event(EventKind::SupervisorStopping);
        }
        self.mail.clear();
        self.awaited = None;
        let mut parallel = Parallel { left: 0, errors: HashMap::new(), exit: Box::new(SupervisorExit::Killed) };
        for index in self.table.in_reverse().collect::<Vec<_>>() {
            if let Some(reason) = self.table.change(index, |node| node.unread_exit.take()) {
                self.ended_in(&mut parallel, index, *reason);
                continue;
            }
            match self.table[index].state {
                State::Down => {}
                State::Waiting { .. } | State::Suspended { .. } => self.table.set_state(index, State::Down, self.now),
                State::Stuck { .. } => {}
                State::Starting(_) | State::Up | State::Ready | State::Stopping { .. } => {
                    parallel.left += 1;
                    let state = State::Stopping { why: StopCause::Asked, stage: StopStage::Killed };
                    self.table.set_state(index, state, self.now);
                    self.event(index, EventKind::ChildKilled);
                    self.send_kill(index);
                }
            }
        }
        self.operation = Operation::Parallel(parallel);
        self.parallel_finish();
    }

    pub(super) fn parallel_ended(&mut self, index: u32, reason: ExitReason) {
        let was_stuck = matches!(self.table[index].state, State::Stuck { .. });
        if let Operation::Parallel(mut parallel) = std::mem::replace(&mut self.operation, Operation::Idle) {
            self.ended_in(&mut parallel, index, reason);
            self.operation = Operation::Parallel(parallel);
        }
        if !was_stuck {
            self.parallel_one_less();
        }
    }

    fn parallel_one_less(&mut self) {
        if let Operation::Parallel(parallel) = &mut self.operation {
            parallel.left -= 1;
        }
        self.parallel_finish();
    }

    fn ended_in(&mut self, parallel: &mut Parallel, index: u32, reason: ExitReason) {
        self.ended(index, &reason);
        if !matches!(*parallel.exit, SupervisorExit::Killed)
            && let Some(error) = self.stop_error(index, &reason)
        {
            parallel.errors.entry(error.to_string()).or_insert((index, error));
        }
        self.event(index, EventKind::ChildStopped { reason });
    }

    fn parallel_finish(&mut self) {
        let Operation::Parallel(parallel) = &mut self.operation else { return };
        if parallel.left > 0 {
            return;
        }
        let exit = parallel.exit.clone();
        // OTP gives one report for each reason, however many children ended so.
        let mut errors: Vec<_> = std::mem::take(&mut parallel.errors).into_values().collect();
        errors.sort_by_key(|(index, _)| *index);
        for (index, error) in errors {
            self.report(index, ReportContext::ShutdownError, ReportReason::Exit(error));
        }
        self.exit(*exit);
    }

    pub(super) fn exit(&mut self, exit: SupervisorExit) {
        self.phase = SupervisorPhase::Stopped;
        self.mail.clear();
        self.supervisor_event(EventKind::SupervisorStopped { exit: exit.clone() });
        self.out.push(Effect::Exit(exit));
    }

    pub(super) fn report(&mut self, index: u32, context: ReportContext, reason: ReportReason) {
        let rules = &self.table[index].rules;
        let report = Report { context, reason, restart: rules.restart, shutdown: rules.shutdown };
        self.event(index, EventKind::Report(report));
    }
}
