//! What can be asked of a supervisor, and what it answers.

use crate::{AutoShutdown, ChildId, EventKind, InvalidSpec, Restart, Significance, Strategy};

use super::child::{AfterStuck, Node, State, StopCause};
use super::operation::{AfterStart, AfterStop, Operation};
use super::start::StartCause;
use super::stop::Stop;
use super::{Answer, Call, ChildRules, Refusal, RuleChange, Spec, Supervisor, Ticket};

/// OTP's `bad_combination`.
pub(super) fn check(id: &ChildId, rules: &ChildRules, auto_shutdown: AutoShutdown) -> Result<(), InvalidSpec> {
    match (rules.significance, rules.restart, auto_shutdown) {
        (Significance::Ordinary, _, _) => Ok(()),
        (Significance::Significant, Restart::Permanent, _) => Err(InvalidSpec::SignificantPermanent(id.clone())),
        (Significance::Significant, _, AutoShutdown::Never) => {
            Err(InvalidSpec::SignificantWithoutAutoShutdown(id.clone()))
        }
        (
            Significance::Significant,
            Restart::Transient | Restart::Temporary,
            AutoShutdown::AnySignificant | AutoShutdown::AllSignificant,
        ) => Ok(()),
    }
}

impl<P> Supervisor<P> {
    pub(super) fn call(&mut self, ticket: Ticket, call: Call<P>) {
        let answer = match call {
            Call::Start(spec) => self.add_child(ticket, *spec),
            Call::Terminate { id, only } => self.terminate_child(ticket, &id, only),
            Call::Restart(id) => self.restart_child(ticket, &id),
            Call::Delete(id) => Some(self.delete_child(&id)),
            Call::Resume(id) => Some(self.resume_child(&id)),
            Call::Suspend { id, reason, until } => self.suspend_child(ticket, &id, until, reason),
            Call::Change { id, change } => Some(self.change_rules(&id, change)),
            Call::Intensity(intensity) => {
                self.config.intensity = intensity;
                self.window.set_intensity(intensity);
                Some(Answer::Done)
            }
            Call::Which => Some(self.children_answer()),
            Call::Count => Some(Answer::Counts(self.counts())),
            Call::Rules(id) => Some(match self.table.find(id.as_str()) {
                Some(index) => Answer::Rules(self.table[index].rules),
                None => Answer::Refused(Refusal::NotFound),
            }),
        };
        // A resumed child may be the first of an operation, so the answer goes out after what has begun.
        if let Some(answer) = answer {
            self.reply(ticket, answer);
        }
    }

    fn add_child(&mut self, ticket: Ticket, spec: Spec<P>) -> Option<Answer> {
        if let Err(invalid) = check(&spec.id, &spec.rules, self.config.auto_shutdown) {
            return Some(Answer::Refused(Refusal::Invalid(invalid)));
        }
        if let Some(index) = self.table.find(spec.id.as_str()) {
            let runs = self.table[index].state.has_incarnation();
            return Some(Answer::Refused(if runs { Refusal::AlreadyStarted } else { Refusal::AlreadyPresent }));
        }
        if self.config.strategy == Strategy::Dynamic && self.table.counts().specs >= self.config.max_children {
            return Some(Answer::Refused(Refusal::MaxChildren));
        }
        let index = self.table.push(Node::new(spec));
        self.operation = Operation::Start { then: AfterStart::Added(ticket) };
        self.begin_start(index, StartCause::Asked);
        None
    }

    fn terminate_child(&mut self, ticket: Ticket, id: &ChildId, only: Option<crate::Epoch>) -> Option<Answer> {
        let Some(index) = self.table.find(id.as_str()) else { return Some(Answer::Refused(Refusal::NotFound)) };
        if only.is_some_and(|epoch| epoch != self.table[index].ran) {
            return Some(Answer::Done);
        }
        match self.begin_stop(index, StopCause::Asked) {
            Stop::NotRunning => {
                self.rest(index);
                Some(Answer::Done)
            }
            Stop::AlreadyEnded(reason) => {
                self.stopped(index, reason);
                self.rest(index);
                Some(Answer::Done)
            }
            Stop::Stuck => Some(Answer::Refused(Refusal::Stuck)),
            Stop::Pending => {
                self.awaited = Some(index);
                self.operation = Operation::Terminate { then: AfterStop::Rest(ticket) };
                None
            }
        }
    }

    fn restart_child(&mut self, ticket: Ticket, id: &ChildId) -> Option<Answer> {
        if self.config.strategy == Strategy::Dynamic {
            return Some(Answer::Refused(Refusal::Dynamic));
        }
        let Some(index) = self.table.find(id.as_str()) else { return Some(Answer::Refused(Refusal::NotFound)) };
        match self.table[index].state {
            State::Down => {
                self.operation = Operation::Start { then: AfterStart::Restarted(ticket) };
                self.begin_start(index, StartCause::Asked);
                None
            }
            State::Waiting { .. } | State::Suspended { .. } => Some(Answer::Refused(Refusal::Restarting)),
            State::Starting(_) | State::Up | State::Ready | State::Stopping { .. } | State::Stuck { .. } => {
                Some(Answer::Refused(Refusal::Running))
            }
        }
    }

    fn delete_child(&mut self, id: &ChildId) -> Answer {
        if self.config.strategy == Strategy::Dynamic {
            return Answer::Refused(Refusal::Dynamic);
        }
        let Some(index) = self.table.find(id.as_str()) else { return Answer::Refused(Refusal::NotFound) };
        match self.table[index].state {
            State::Down => {
                self.forget(index);
                Answer::Done
            }
            State::Waiting { .. } | State::Suspended { .. } => Answer::Refused(Refusal::Restarting),
            State::Starting(_) | State::Up | State::Ready | State::Stopping { .. } | State::Stuck { .. } => {
                Answer::Refused(Refusal::Running)
            }
        }
    }

    /// Timers that run already go on: a start in progress keeps its deadline, a stop its limit.
    fn change_rules(&mut self, id: &ChildId, change: RuleChange) -> Answer {
        let Some(index) = self.table.find(id.as_str()) else { return Answer::Refused(Refusal::NotFound) };
        let before = self.table[index].rules;
        let rules = ChildRules {
            restart: change.restart.unwrap_or(before.restart),
            shutdown: change.shutdown.unwrap_or(before.shutdown),
            readiness: change.readiness.unwrap_or(before.readiness),
            ..before
        };
        // A temporary child is forgotten with its end, so much is different about it.
        if (before.restart == Restart::Temporary) != (rules.restart == Restart::Temporary) {
            return Answer::Refused(Refusal::Temporary);
        }
        if let Err(invalid) = check(id, &rules, self.config.auto_shutdown) {
            return Answer::Refused(Refusal::Invalid(invalid));
        }
        self.table.change(index, |node| node.rules = rules);
        Answer::Done
    }

    fn resume_child(&mut self, id: &ChildId) -> Answer {
        let Some(index) = self.table.find(id.as_str()) else { return Answer::Refused(Refusal::NotFound) };
        match self.table[index].state {
            State::Waiting { .. } | State::Suspended { .. } => {
                self.event(index, EventKind::ChildResumed);
                // It leads its group now, so it no longer holds it back.
                self.wait(index, self.now);
                self.restart_now(index);
                Answer::Done
            }
            State::Down
            | State::Starting(_)
            | State::Up
            | State::Ready
            | State::Stopping { .. }
            | State::Stuck { .. } => Answer::Refused(Refusal::NotSuspended(self.state_of(index))),
        }
    }

    fn suspend_child(
        &mut self,
        ticket: Ticket,
        id: &ChildId,
        until: Option<mlx_tree_policy::Monotonic>,
        reason: std::sync::Arc<str>,
    ) -> Option<Answer> {
        let Some(index) = self.table.find(id.as_str()) else { return Some(Answer::Refused(Refusal::NotFound)) };
        if self.table[index].is_temporary() {
            return Some(Answer::Refused(Refusal::Temporary));
        }
        match self.begin_stop(index, StopCause::Asked) {
            Stop::Stuck => return Some(self.suspend_stuck(index, until, reason)),
            Stop::Pending => {
                self.awaited = Some(index);
                self.operation = Operation::Terminate { then: AfterStop::Suspend { ticket, until, reason } };
                return None;
            }
            Stop::AlreadyEnded(exit) => self.stopped(index, exit),
            Stop::NotRunning => {}
        }
        self.suspend(index, until, reason);
        Some(Answer::Done)
    }

    /// It cannot be suspended now, but it is once it has ended: whoever wanted that may be the one who would resume it.
    pub(super) fn suspend_stuck(
        &mut self,
        index: u32,
        until: Option<mlx_tree_policy::Monotonic>,
        reason: std::sync::Arc<str>,
    ) -> Answer {
        let then = AfterStuck::Suspend { until, reason };
        self.table.change(index, |node| node.state = State::Stuck { then });
        Answer::Refused(Refusal::Stuck)
    }
}
