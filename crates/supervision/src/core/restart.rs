//! After a failure: whether to start again, when, and who else goes down with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mlx_tree_policy::{Admission, Decide, Decision, Monotonic};

use crate::{
    AutoShutdown, EventKind, ExitReason, OnIntensityExceeded, ReportContext, ReportReason, Restart, Significance,
    Strategy, SupervisorExit,
};

use super::child::{AfterStuck, State, StopCause};
use super::mail::Mail;
use super::operation::{AfterGroupStop, AfterStart, Blocked, Group, GroupPhase, Operation, Outcome};
use super::start::StartCause;
use super::stop::Stop;
use super::{Key, Supervisor};

/// What is to be done about a failed child.
enum Verdict {
    Restart,
    Delay(Monotonic),
    Suspend { until: Option<Monotonic>, reason: Arc<str> },
    Escalate { exceeded: Exceeded },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exceeded {
    Intensity,
    Policy,
}

impl<P> Supervisor<P> {
    /// A child has ended by itself (or was not ready in time), and nothing else is in progress. OTP's `do_restart`.
    pub(super) fn exited(&mut self, index: u32, reason: ExitReason) {
        let reason = match self.table[index].state {
            State::Stopping { why: StopCause::StartTimeout, .. } | State::Stuck { .. } => self.start_timeout(index),
            State::Starting(_)
            | State::Up
            | State::Ready
            | State::Stopping { why: StopCause::Asked, .. }
            | State::Down
            | State::Waiting { .. }
            | State::Suspended { .. } => reason,
        };
        self.ended(index, &reason);
        self.event(index, EventKind::ChildExited { reason: reason.clone() });
        match (self.table[index].rules.restart, reason.is_abnormal()) {
            (Restart::Permanent, _) | (Restart::Transient, true) => {
                self.report(index, ReportContext::ChildTerminated, ReportReason::Exit(reason.clone()));
                self.failed(index, reason);
            }
            (Restart::Temporary, true) => {
                self.report(index, ReportContext::ChildTerminated, ReportReason::Exit(reason));
                self.gone(index);
            }
            (Restart::Transient | Restart::Temporary, false) => self.gone(index),
        }
    }

    /// A child has ended for good: it rests, and if it was significant the supervisor may follow.
    fn gone(&mut self, index: u32) {
        let (id, significance) = (self.table[index].id.clone(), self.table[index].rules.significance);
        self.rest(index);
        let ends = match (significance, self.config.auto_shutdown) {
            (Significance::Ordinary, _) | (_, AutoShutdown::Never) => false,
            (Significance::Significant, AutoShutdown::AnySignificant) => true,
            (Significance::Significant, AutoShutdown::AllSignificant) => self.table.significant_left() == 0,
        };
        if ends {
            self.begin_shutdown(SupervisorExit::AutoShutdown { child: id });
        }
    }

    fn failed(&mut self, index: u32, reason: ExitReason) {
        match self.verdict(index, &reason) {
            Verdict::Restart => self.restart_now(index),
            Verdict::Delay(until) => self.delay(index, until),
            Verdict::Suspend { until, reason } => self.suspend_group(index, until, reason),
            Verdict::Escalate { exceeded } => self.escalate(index, reason, exceeded),
        }
    }

    /// A start that the supervisor made by itself has failed.
    pub(super) fn restart_failed(&mut self, index: u32, reason: ExitReason) {
        self.report(index, ReportContext::StartError, ReportReason::Exit(reason.clone()));
        if self.table[index].policy.is_none() {
            // OTP: back to the mailbox first; the attempt is counted when it is made.
            return self.try_again(index);
        }
        match self.verdict(index, &reason) {
            Verdict::Restart => self.try_again(index),
            Verdict::Delay(until) => self.delay(index, until),
            Verdict::Suspend { until, reason } => self.suspend_group(index, until, reason),
            Verdict::Escalate { exceeded } => self.escalate(index, reason, exceeded),
        }
    }

    fn try_again(&mut self, index: u32) {
        self.wait(index, self.now);
        let key = self.table.key(index);
        self.mail.push_back(Mail::Retry { key });
    }

    /// A waiting child is due.
    pub(super) fn retry(&mut self, key: Key) {
        let Some(index) = self.table.index(key) else { return };
        match self.table[index].state {
            State::Waiting { until } if until <= self.now => {}
            _ => return,
        }
        if self.table[index].policy.is_some() {
            return self.restart_now(index);
        }
        let reason = match &self.table[index].last_exit {
            Some(exit) => exit.reason.clone(),
            None => ExitReason::Normal,
        };
        match self.admit(index) {
            Verdict::Restart => self.restart_now(index),
            Verdict::Delay(until) => self.delay(index, until),
            Verdict::Suspend { until, reason } => self.suspend_group(index, until, reason),
            Verdict::Escalate { exceeded } => self.escalate(index, reason, exceeded),
        }
    }

    fn verdict(&mut self, index: u32, reason: &ExitReason) -> Verdict {
        if self.table[index].policy.is_none() {
            return self.admit(index);
        }
        let (epoch, now, severity, text) =
            (self.table[index].epoch.get(), self.now, reason.severity(), reason.to_string());
        let failure = mlx_tree_policy::Failure { epoch, severity, reason: &text };
        match self.ask_policy(index, |policy| policy.on_failure(failure, now)) {
            // The policy panicked and is gone; the child falls back to OTP's rule.
            None => self.admit(index),
            Some(Decision::Restart { after }) if after.is_zero() => Verdict::Restart,
            Some(Decision::Restart { after }) => Verdict::Delay(now + after),
            Some(Decision::Suspend { until, reason }) => Verdict::Suspend { until, reason: reason.into() },
            Some(Decision::Escalate) => Verdict::Escalate { exceeded: Exceeded::Policy },
        }
    }

    /// OTP's `add_restart`.
    fn admit(&mut self, index: u32) -> Verdict {
        match (self.window.admit(self.now), self.table[index].rules.on_intensity_exceeded) {
            (Admission::Admitted, _) => Verdict::Restart,
            (Admission::Exceeded, OnIntensityExceeded::Escalate) => Verdict::Escalate { exceeded: Exceeded::Intensity },
            (Admission::Exceeded, OnIntensityExceeded::Suspend) => {
                // What has been answered for does not count against the siblings.
                self.window.clear();
                Verdict::Suspend { until: None, reason: "restart intensity exceeded".into() }
            }
        }
    }

    /// Asks the policy of a child, if it has one. A policy that panics is taken away from the child.
    pub(super) fn ask_policy<T>(&mut self, index: u32, ask: impl FnOnce(&mut dyn Decide) -> T) -> Option<T> {
        let mut policy = self.table[index].policy.take()?;
        match catch_unwind(AssertUnwindSafe(|| ask(&mut *policy))) {
            Ok(answer) => {
                self.table[index].policy = Some(policy);
                Some(answer)
            }
            Err(panic) => {
                // Dropping it may panic as well.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(policy)));
                let text = crate::panic::text(&*panic);
                self.report(index, ReportContext::PolicyFailed, ReportReason::Other(text));
                None
            }
        }
    }

    pub(super) fn restart_now(&mut self, index: u32) {
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => {
                self.operation = Operation::Start { then: AfterStart::Restart };
                self.begin_start(index, StartCause::Restart);
            }
            Strategy::OneForAll | Strategy::RestForOne => self.begin_group(index, AfterGroupStop::Start),
        }
    }

    fn delay(&mut self, index: u32, until: Monotonic) {
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => self.schedule(index, until),
            Strategy::OneForAll | Strategy::RestForOne => self.begin_group(index, AfterGroupStop::Wait { until }),
        }
    }

    pub(super) fn wait(&mut self, index: u32, until: Monotonic) {
        self.table.set_state(index, State::Waiting { until }, self.now);
    }

    fn schedule(&mut self, index: u32, until: Monotonic) {
        self.wait(index, until);
        self.table.set_deadline(index, Some(until));
        self.event(index, EventKind::ChildRestartScheduled { until });
    }

    fn suspend_group(&mut self, index: u32, until: Option<Monotonic>, reason: Arc<str>) {
        self.suspend(index, until, reason);
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => {}
            Strategy::OneForAll | Strategy::RestForOne => self.begin_group(index, AfterGroupStop::Rest),
        }
    }

    pub(super) fn suspend(&mut self, index: u32, until: Option<Monotonic>, reason: Arc<str>) {
        self.table.set_state(index, State::Suspended { until, reason: reason.clone() }, self.now);
        self.event(index, EventKind::ChildSuspended { until, reason });
    }

    fn escalate(&mut self, index: u32, reason: ExitReason, exceeded: Exceeded) {
        let child = self.table[index].id.clone();
        let (report, exit) = match exceeded {
            Exceeded::Intensity => {
                (ReportReason::ReachedMaxRestartIntensity, SupervisorExit::IntensityExceeded { child, reason })
            }
            Exceeded::Policy => (ReportReason::PolicyGaveUp, SupervisorExit::Escalated { child, reason }),
        };
        self.report(index, ReportContext::Shutdown, report);
        self.rest(index);
        self.begin_shutdown(exit);
    }

    fn begin_group(&mut self, head: u32, then: AfterGroupStop) {
        // If another member does not start, that one will bring the group up, and the head waits for nothing of its own.
        if matches!(self.table[head].state, State::Waiting { .. }) {
            self.table.set_state(head, State::Down, self.now);
        }
        self.operation = Operation::Group(Group {
            head,
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
                let cursor = match self.config.strategy {
                    Strategy::OneForAll => self.table[index].previous,
                    Strategy::RestForOne | Strategy::OneForOne | Strategy::Dynamic => None,
                };
                group.phase = GroupPhase::Stop { cursor };
                Some(group)
            }
            GroupPhase::Stop { cursor: Some(index) } => Some(self.group_stop(group, index)),
            GroupPhase::Stop { cursor: None } => self.group_stopped(group),
            GroupPhase::Start { cursor: Some(index) } => match self.table[index].state {
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
        self.table.change(index, |node| node.state = State::Stuck { then: AfterStuck::Start });
    }

    fn group_stopped(&mut self, mut group: Group) -> Option<Group> {
        let whole = self.config.strategy == Strategy::OneForAll;
        if whole && group.blocked == Blocked::Yes && !matches!(group.then, AfterGroupStop::Rest) {
            // All start together or not at all: the one that cannot start now will bring the others up.
            self.table.set_state(group.head, State::Down, self.now);
            return None;
        }
        match group.then {
            AfterGroupStop::Rest => None,
            AfterGroupStop::Wait { until } => {
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
            (GroupPhase::Start { .. }, Outcome::Failed(reason)) => return self.restart_failed(index, reason),
            (GroupPhase::Start { .. }, Outcome::Stuck) => return,
        }
        self.operation = Operation::Group(group);
        self.advance();
    }
}
