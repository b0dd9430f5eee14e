//! A group: stopped in reverse, started in order, or left to wait as one.

use crate::{Strategy, SupervisorPhase};

use super::Supervisor;
use super::child::{AfterStuck, Scope, State, StopCause};
use super::operation::{AfterGroupStop, Blocked, Group, GroupPhase, Operation, Outcome};
use super::restart::AfterFailure;
use super::start::StartCause;
use super::stop::Stop;

impl<P> Supervisor<P> {
    /// A failure of `head` takes its group with it.
    pub(super) fn begin_group(&mut self, head: u32, scope: Scope, then: AfterGroupStop) {
        // If another member does not start, that one will bring the group up, and the head waits for nothing of its own.
        if matches!(self.table[head].state, State::Waiting { .. }) {
            self.table.set_state(head, State::Down, self.now);
        }
        self.operation = Operation::Group(Group {
            head,
            scope,
            phase: GroupPhase::Stop { cursor: self.table.last() },
            then,
            blocked: Blocked::No,
        });
        self.advance();
    }

    /// Takes the group one member further. `None` once it is done.
    pub(super) fn group_advance(&mut self, mut group: Group) -> Option<Group> {
        match group.phase {
            GroupPhase::Stop { cursor: Some(index) } if index == group.head => {
                let cursor = if self.is_whole(group.scope) { self.table[index].previous } else { None };
                group.phase = GroupPhase::Stop { cursor };
                Some(group)
            }
            GroupPhase::Stop { cursor: Some(index) } => Some(self.group_stop(group, index)),
            GroupPhase::Stop { cursor: None } => self.group_stopped(group),
            GroupPhase::Start { cursor: Some(index) } => match self.table[index].state {
                // Each of them has its own time to come back.
                State::Waiting { .. } | State::Suspended { .. } | State::Stuck { .. } if self.are_independent() => {
                    group.phase = GroupPhase::Start { cursor: self.table[index].next };
                    Some(group)
                }
                State::Down | State::Waiting { .. } => {
                    self.begin_start(index, StartCause::Restart);
                    Some(group)
                }
                // A temporary child is not started again, so nobody waits for it.
                State::Stuck { .. } if self.table[index].is_temporary() => {
                    group.phase = GroupPhase::Start { cursor: self.table[index].next };
                    Some(group)
                }
                // What comes after it may need it, so it stays down too, until this one starts.
                State::Suspended { .. } | State::Stuck { .. } => None,
                State::Starting(_) | State::Up | State::Ready | State::Stopping { .. } => {
                    group.phase = GroupPhase::Start { cursor: self.table[index].next };
                    Some(group)
                }
            },
            GroupPhase::Start { cursor: None } => None,
        }
    }

    fn group_stop(&mut self, mut group: Group, index: u32) -> Group {
        let previous = self.table[index].previous;
        match self.begin_stop(index, StopCause::Asked) {
            Stop::Pending => {
                self.awaited = Some(index);
                return group;
            }
            Stop::AlreadyEnded(reason) => {
                self.stopped(index, reason);
                self.rest_in_group(index);
            }
            Stop::Stuck => self.block(&mut group, index),
            Stop::NotRunning => match self.table[index].state {
                State::Waiting { .. } if self.are_independent() => {}
                State::Waiting { until } => {
                    // Its delay joins that of the group.
                    if let AfterGroupStop::Wait { until: due } = &mut group.then {
                        *due = (*due).max(until);
                    } else if until > self.now && matches!(group.then, AfterGroupStop::Start) {
                        group.then = AfterGroupStop::Wait { until };
                    }
                    self.table.set_state(index, State::Down, self.now);
                }
                State::Suspended { .. } => group.blocked = Blocked::Yes,
                State::Down
                | State::Starting(_)
                | State::Up
                | State::Ready
                | State::Stopping { .. }
                | State::Stuck { .. } => {}
            },
        }
        group.phase = GroupPhase::Stop { cursor: previous };
        group
    }

    /// OTP does not restart temporary children, even those that it stopped itself.
    fn rest_in_group(&mut self, index: u32) {
        if self.table[index].is_temporary() {
            self.forget(index);
        }
    }

    fn block(&mut self, group: &mut Group, index: u32) {
        if self.table[index].is_temporary() {
            return;
        }
        group.blocked = Blocked::Yes;
        // One that is to be suspended holds its group down as if it were already.
        if !matches!(self.table[index].state, State::Stuck { then: AfterStuck::Suspend { .. } }) {
            self.table.change(index, |node| node.state = State::Stuck { then: AfterStuck::Start });
        }
    }

    fn group_stopped(&mut self, mut group: Group) -> Option<Group> {
        let whole = self.is_whole(group.scope);
        if whole
            && !self.are_independent()
            && group.blocked == Blocked::Yes
            && !matches!(group.then, AfterGroupStop::Rest)
        {
            // All start together or not at all: the one that cannot start now will bring the others up.
            self.table.set_state(group.head, State::Down, self.now);
            return None;
        }
        match group.then {
            AfterGroupStop::Rest => None,
            AfterGroupStop::Wait { until } => {
                self.table[group.head].scope = group.scope;
                self.schedule(group.head, until);
                None
            }
            AfterGroupStop::Start => {
                let cursor = if whole { self.table.first() } else { Some(group.head) };
                group.phase = GroupPhase::Start { cursor };
                Some(group)
            }
        }
    }

    pub(super) fn group_settled(&mut self, index: u32, mut group: Group, outcome: Outcome) {
        match (group.phase, outcome) {
            (GroupPhase::Stop { .. }, outcome) => {
                let previous = self.table[index].previous;
                if matches!(outcome, Outcome::Stuck) {
                    self.block(&mut group, index);
                } else {
                    self.rest_in_group(index);
                }
                group.phase = GroupPhase::Stop { cursor: previous };
            }
            (GroupPhase::Start { .. }, Outcome::Started | Outcome::Ignored | Outcome::Stopped) => {
                group.phase = GroupPhase::Start { cursor: self.table[index].next };
            }
            (GroupPhase::Start { .. }, Outcome::Failed(reason)) => {
                let next = self.table[index].next;
                let after = self.restart_failed(index, reason);
                let idle = matches!(self.operation, Operation::Idle) && self.phase == SupervisorPhase::Running;
                if !idle || (after == AfterFailure::Waits && !self.are_independent()) {
                    return;
                }
                group.phase = GroupPhase::Start { cursor: next };
            }
            (GroupPhase::Start { .. }, Outcome::Stuck) => return,
        }
        self.operation = Operation::Group(group);
        self.advance();
    }

    /// Whether the children do not need each other, so that one that cannot start holds nobody back, even in a group.
    fn are_independent(&self) -> bool {
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => true,
            Strategy::OneForAll | Strategy::RestForOne => false,
        }
    }

    /// Whether a group is all children, rather than the head and those after it.
    fn is_whole(&self, scope: Scope) -> bool {
        scope == Scope::All || self.config.strategy == Strategy::OneForAll
    }
}
