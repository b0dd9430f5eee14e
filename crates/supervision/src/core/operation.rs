//! The operation in progress: what it waits for, and how it goes on.

use std::collections::HashMap;

use mlx_tree_policy::Monotonic;

use crate::{EventKind, ExitReason, ReportContext, ReportReason, Strategy, SupervisorExit, SupervisorPhase};

use super::child::{AfterStuck, Scope, State, StopCause};
use super::start::StartCause;
use super::stop::Stop;
use super::{Answer, Effect, Refusal, Supervisor, Ticket};

#[derive(Debug)]
pub(super) enum Operation {
    Idle,
    /// Starts the children in order; `cursor` is the one whose turn it is.
    Boot {
        cursor: Option<u32>,
    },
    Start {
        then: AfterStart,
    },
    Group(Group),
    Terminate {
        then: AfterStop,
    },
    /// Stops the children in reverse order.
    Shutdown {
        cursor: Option<u32>,
        exit: Box<SupervisorExit>,
    },
    Parallel(Parallel),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum AfterStart {
    /// It was a restart.
    Restart,
    /// A new child: forgotten again if it does not start.
    Added(Ticket),
    /// A child that was down: down again if it does not start.
    Restarted(Ticket),
}

#[derive(Debug)]
pub(super) enum AfterStop {
    Rest(Ticket),
    Suspend { ticket: Ticket, until: Option<Monotonic>, reason: std::sync::Arc<str> },
}

/// A failure takes the group of `head` with it: the members stop in reverse order, and start again in order.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) head: u32,
    pub(super) scope: Scope,
    pub(super) phase: GroupPhase,
    pub(super) then: AfterGroupStop,
    pub(super) blocked: Blocked,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum GroupPhase {
    Stop { cursor: Option<u32> },
    Start { cursor: Option<u32> },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum AfterGroupStop {
    Start,
    /// The delay of a group is the longest that any of its members has left.
    Wait {
        until: Monotonic,
    },
    /// The head is suspended, and its group stays down with it.
    Rest,
}

/// Whether a member of the group cannot be started now, because it is suspended or stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    No,
    Yes,
}

#[derive(Debug)]
pub(super) struct Parallel {
    pub(super) left: usize,
    pub(super) errors: HashMap<String, (u32, ExitReason)>,
    pub(super) exit: Box<SupervisorExit>,
}

/// What came of the child that was waited for.
pub(super) enum Outcome {
    Started,
    Ignored,
    Failed(ExitReason),
    Stopped,
    Stuck,
}

impl<P> Supervisor<P> {
    pub(super) fn boot(&mut self) {
        if self.phase == SupervisorPhase::Starting && matches!(self.operation, Operation::Idle) {
            self.operation = Operation::Boot { cursor: self.table.first() };
            self.advance();
        }
    }

    /// The child that is waited for has ended.
    pub(super) fn awaited_ended(&mut self, index: u32, reason: ExitReason) {
        match self.table[index].state {
            State::Starting(progress) => self.start_failed(index, progress, reason),
            State::Up | State::Ready | State::Stopping { .. } => {
                self.stopped(index, reason);
                self.settled(index, Outcome::Stopped);
            }
            State::Down | State::Stuck { .. } | State::Waiting { .. } | State::Suspended { .. } => {}
        }
    }

    /// The child that was waited for is settled: the operation goes on.
    pub(super) fn settled(&mut self, index: u32, outcome: Outcome) {
        self.awaited = None;
        match std::mem::replace(&mut self.operation, Operation::Idle) {
            Operation::Idle => {}
            Operation::Boot { .. } => self.boot_settled(index, outcome),
            Operation::Start { then } => self.start_settled(index, then, outcome),
            Operation::Group(group) => self.group_settled(index, group, outcome),
            Operation::Terminate { then } => self.terminate_settled(index, then, &outcome),
            Operation::Shutdown { exit, .. } => {
                let cursor = self.table[index].previous;
                self.operation = Operation::Shutdown { cursor, exit };
                self.advance();
            }
            parallel @ Operation::Parallel(_) => self.operation = parallel,
        }
    }

    /// Goes on until something has to be waited for.
    pub(super) fn advance(&mut self) {
        while self.awaited.is_none() {
            match std::mem::replace(&mut self.operation, Operation::Idle) {
                Operation::Boot { cursor: Some(index) } => {
                    self.operation = Operation::Boot { cursor: Some(index) };
                    self.begin_start(index, StartCause::Asked);
                }
                Operation::Boot { cursor: None } => {
                    self.phase = SupervisorPhase::Running;
                    self.supervisor_event(EventKind::SupervisorStarted);
                    self.out.push(Effect::Booted);
                    return;
                }
                Operation::Shutdown { cursor: Some(index), exit } => {
                    let previous = self.table[index].previous;
                    let cursor = match self.begin_stop(index, StopCause::Asked) {
                        Stop::Pending => {
                            self.awaited = Some(index);
                            Some(index)
                        }
                        Stop::AlreadyEnded(reason) => {
                            self.stopped(index, reason);
                            previous
                        }
                        Stop::NotRunning => {
                            if !matches!(self.table[index].state, State::Down) {
                                self.table.set_state(index, State::Down, self.now);
                            }
                            previous
                        }
                        Stop::Stuck => previous,
                    };
                    self.operation = Operation::Shutdown { cursor, exit };
                }
                Operation::Shutdown { cursor: None, exit } => return self.exit(*exit),
                Operation::Group(group) => {
                    if let Some(group) = self.group_advance(group) {
                        self.operation = Operation::Group(group);
                    } else {
                        return;
                    }
                }
                other @ (Operation::Idle
                | Operation::Start { .. }
                | Operation::Terminate { .. }
                | Operation::Parallel(_)) => {
                    self.operation = other;
                    return;
                }
            }
        }
    }

    fn boot_settled(&mut self, index: u32, outcome: Outcome) {
        let next = self.table[index].next;
        match outcome {
            Outcome::Started | Outcome::Stopped => {}
            Outcome::Ignored => self.rest_if_temporary(index),
            Outcome::Failed(reason) => {
                self.report(index, ReportContext::StartError, ReportReason::Exit(reason.clone()));
                let child = self.table[index].id.clone();
                return self.begin_shutdown(SupervisorExit::StartFailed { child, reason });
            }
            Outcome::Stuck => {
                let (child, reason) = (self.table[index].id.clone(), self.start_timeout(index));
                return self.begin_shutdown(SupervisorExit::StartFailed { child, reason });
            }
        }
        self.operation = Operation::Boot { cursor: next };
        self.advance();
    }

    fn start_settled(&mut self, index: u32, then: AfterStart, outcome: Outcome) {
        match (then, outcome) {
            (AfterStart::Restart, Outcome::Started | Outcome::Stopped | Outcome::Stuck) => {}
            // OTP keeps a dynamic child that has nothing to start; it then counts for ever. We forget it.
            (AfterStart::Restart, Outcome::Ignored) => self.rest(index),
            (AfterStart::Restart, Outcome::Failed(reason)) => {
                let _ = self.restart_failed(index, reason);
            }
            (AfterStart::Added(ticket) | AfterStart::Restarted(ticket), Outcome::Started | Outcome::Stopped) => {
                let (key, epoch) = (self.table.key(index), self.table[index].epoch);
                self.reply(ticket, Answer::Started { key, epoch });
            }
            (AfterStart::Added(ticket) | AfterStart::Restarted(ticket), Outcome::Ignored) => {
                self.rest_if_temporary(index);
                self.reply(ticket, Answer::Ignored);
            }
            (AfterStart::Added(ticket), Outcome::Failed(reason)) => {
                self.forget(index);
                self.reply(ticket, Answer::Refused(Refusal::Failed(reason)));
            }
            (AfterStart::Restarted(ticket), Outcome::Failed(reason)) => {
                self.reply(ticket, Answer::Refused(Refusal::Failed(reason)));
            }
            (AfterStart::Added(ticket) | AfterStart::Restarted(ticket), Outcome::Stuck) => {
                let after = match then {
                    AfterStart::Added(_) => AfterStuck::Forget,
                    AfterStart::Restarted(_) | AfterStart::Restart => AfterStuck::Rest,
                };
                self.table.change(index, |node| node.state = State::Stuck { then: after });
                self.reply(ticket, Answer::Refused(Refusal::Stuck));
            }
        }
    }

    fn terminate_settled(&mut self, index: u32, then: AfterStop, outcome: &Outcome) {
        let stuck = matches!(outcome, Outcome::Stuck);
        match then {
            AfterStop::Rest(ticket) if stuck => self.reply(ticket, Answer::Refused(Refusal::Stuck)),
            AfterStop::Suspend { ticket, until, reason } if stuck => {
                let answer = self.suspend_stuck(index, until, reason);
                self.reply(ticket, answer);
            }
            AfterStop::Rest(ticket) => {
                self.rest(index);
                self.reply(ticket, Answer::Done);
            }
            AfterStop::Suspend { ticket, until, reason } => {
                self.suspend(index, until, reason);
                self.reply(ticket, Answer::Done);
            }
        }
    }

    fn rest_if_temporary(&mut self, index: u32) {
        if self.table[index].is_temporary() || self.config.strategy == Strategy::Dynamic {
            self.forget(index);
        }
    }
}
