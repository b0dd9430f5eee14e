//! After a failure: whether to start again, when, and who else goes down with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mlx_tree_policy::{Admission, Decide, Decision, Monotonic};

use crate::{
    AutoShutdown, EventKind, ExitReason, OnIntensityExceeded, ReportContext, ReportReason, Restart, Significance,
    Strategy, SupervisorExit,
};

use super::child::{Scope, State, StopCause};
use super::mail::Mail;
use super::operation::{AfterGroupStop, AfterStart, Operation};
use super::start::StartCause;
use super::{Key, Supervisor};

/// What is to be done about a failed child.
enum Verdict {
    Restart(Scope),
    Delay(Scope, Monotonic),
    Stop,
    Suspend { until: Option<Monotonic>, reason: Arc<str> },
    Escalate { exceeded: Exceeded },
}

/// Whether a child whose start has failed will be heard of again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    Waits,
    Rests,
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
            Verdict::Restart(scope) => self.restart(index, scope),
            Verdict::Delay(scope, until) => self.delay(index, scope, until),
            Verdict::Stop => self.gone(index),
            Verdict::Suspend { until, reason } => self.suspend_group(index, until, reason),
            Verdict::Escalate { exceeded } => self.escalate(index, reason, exceeded),
        }
    }

    /// A start that the supervisor made by itself has failed.
    pub(super) fn restart_failed(&mut self, index: u32, reason: ExitReason) -> AfterFailure {
        self.report(index, ReportContext::StartError, ReportReason::Exit(reason.clone()));
        if self.table[index].policy.is_none() {
            // OTP: back to the mailbox first; the attempt is counted when it is made.
            self.try_again(index, Scope::Strategy);
            return AfterFailure::Waits;
        }
        match self.verdict(index, &reason) {
            Verdict::Restart(scope) => self.try_again(index, scope),
            Verdict::Delay(scope, until) => self.delay(index, scope, until),
            Verdict::Stop => {
                self.gone(index);
                return AfterFailure::Rests;
            }
            Verdict::Suspend { until, reason } => self.suspend_group(index, until, reason),
            Verdict::Escalate { exceeded } => self.escalate(index, reason, exceeded),
        }
        AfterFailure::Waits
    }

    fn try_again(&mut self, index: u32, scope: Scope) {
        self.table[index].scope = scope;
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
            Verdict::Restart(_) => self.restart_now(index),
            Verdict::Delay(scope, until) => self.delay(index, scope, until),
            Verdict::Stop => self.gone(index),
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
        let failure = mlx_tree_policy::Failure::new(epoch, severity, &text).ended(reason.ending());
        match self.ask_policy(index, |policy| policy.on_failure(failure, now)) {
            // The policy panicked and is gone; the child falls back to OTP's rule.
            None => self.admit(index),
            Some(Decision::Restart { after }) if after.is_zero() => Verdict::Restart(Scope::Strategy),
            Some(Decision::Restart { after }) => Verdict::Delay(Scope::Strategy, now + after),
            Some(Decision::RestartGroup { after }) if after.is_zero() => Verdict::Restart(Scope::All),
            Some(Decision::RestartGroup { after }) => Verdict::Delay(Scope::All, now + after),
            Some(Decision::Stop) => Verdict::Stop,
            Some(Decision::Suspend { until, reason }) => Verdict::Suspend { until, reason: reason.into() },
            Some(Decision::Escalate) => Verdict::Escalate { exceeded: Exceeded::Policy },
        }
    }

    /// OTP's `add_restart`.
    fn admit(&mut self, index: u32) -> Verdict {
        match (self.window.admit(self.now), self.table[index].rules.on_intensity_exceeded) {
            (Admission::Admitted, _) => Verdict::Restart(Scope::Strategy),
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

    /// Restarts what its failure concerned.
    /// An incarnation ends without a failure. Its policy must not take it for ready any longer.
    pub(super) fn no_failure(&mut self, index: u32) {
        let (epoch, now) = (self.table[index].epoch.get(), self.now);
        let _ = self.ask_policy(index, |policy| policy.on_end(epoch, now));
    }

    pub(super) fn restart_now(&mut self, index: u32) {
        self.restart(index, self.table[index].scope);
    }

    fn restart(&mut self, index: u32, scope: Scope) {
        match (scope, self.config.strategy) {
            (Scope::Strategy, Strategy::OneForOne | Strategy::Dynamic) => {
                self.operation = Operation::Start { then: AfterStart::Restart };
                self.begin_start(index, StartCause::Restart);
            }
            (Scope::All, _) | (Scope::Strategy, Strategy::OneForAll | Strategy::RestForOne) => {
                self.begin_group(index, scope, AfterGroupStop::Start);
            }
        }
    }

    fn delay(&mut self, index: u32, scope: Scope, until: Monotonic) {
        match (scope, self.config.strategy) {
            (Scope::Strategy, Strategy::OneForOne | Strategy::Dynamic) => self.schedule(index, until),
            (Scope::All, _) | (Scope::Strategy, Strategy::OneForAll | Strategy::RestForOne) => {
                self.begin_group(index, scope, AfterGroupStop::Wait { until });
            }
        }
    }

    pub(super) fn wait(&mut self, index: u32, until: Monotonic) {
        self.table.set_state(index, State::Waiting { until }, self.now);
    }

    pub(super) fn schedule(&mut self, index: u32, until: Monotonic) {
        self.wait(index, until);
        self.table.set_deadline(index, Some(until));
        self.event(index, EventKind::ChildRestartScheduled { until });
    }

    fn suspend_group(&mut self, index: u32, until: Option<Monotonic>, reason: Arc<str>) {
        self.suspend(index, until, reason);
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => {}
            Strategy::OneForAll | Strategy::RestForOne => {
                self.begin_group(index, Scope::Strategy, AfterGroupStop::Rest);
            }
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
}
