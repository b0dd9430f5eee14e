//! A policy behind rules by exit status.

use std::time::Duration;

use super::{ExitAction, ExitRules, Judgement, Source};
use crate::{Decide, Decision, Ending, Failure, Monotonic, Severity};

/// A policy that is asked only about the ends that its [`ExitRules`] let through. Made by
/// [`Decide::with_exit_rules`].
///
/// What a rule (not the mode) sends to a restart is handed on as transient: who wrote the rule knows that another try helps.
/// What the rules keep back, the inner policy never hears of: it counts for nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruled<P> {
    rules: ExitRules,
    inner: P,
}

// === impl Ruled ===

impl<P> Ruled<P> {
    pub(crate) const fn new(inner: P, rules: ExitRules) -> Self {
        Self { rules, inner }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &ExitRules {
        &self.rules
    }

    /// The policy behind the rules.
    #[must_use]
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// The policy behind the rules, to be changed.
    pub const fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }
}

impl<P: Decide> Decide for Ruled<P> {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        let Judgement { action, source } = self.rules.judgement(failure.ending);
        let passed_on = match source {
            Source::Force | Source::Rule => Failure { severity: Severity::Transient, ..failure },
            Source::Prevent | Source::Mode => failure,
        };
        match action {
            ExitAction::Restart => self.inner.on_failure(passed_on, now),
            ExitAction::RestartGroup => match self.inner.on_failure(passed_on, now) {
                Decision::Restart { after } => Decision::RestartGroup { after },
                other @ (Decision::RestartGroup { .. }
                | Decision::Suspend { .. }
                | Decision::Stop
                | Decision::Escalate) => other,
            },
            ExitAction::Stop => Decision::Stop,
            ExitAction::Suspend => Decision::Suspend { until: None, reason: reason(source, failure.ending) },
            ExitAction::Escalate => Decision::Escalate,
        }
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.inner.on_ready(epoch, now)
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.inner.on_stable(epoch, now)
    }

    fn on_end(&mut self, epoch: u64, now: Monotonic) {
        self.inner.on_end(epoch, now);
    }
}

/// One line for people who ask why it is not restarting.
fn reason(source: Source, ending: Ending) -> String {
    match source {
        Source::Prevent => format!("no restart after {ending}: prevented by its exit status"),
        Source::Force | Source::Rule => format!("no restart after {ending}: a rule says so"),
        Source::Mode => format!("no restart after {ending}: the restart mode does not include it"),
    }
}
