//! A limit around a policy: so many restarts within a time, and what is done about one more.

use std::time::Duration;

use crate::{Admission, Decide, Decision, Failure, Intensity, Monotonic, RestartWindow};

/// A policy that may grant so many restarts within a time, and no more. Made by [`Decide::with_limit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Limited<P> {
    window: RestartWindow,
    on_limit: OnLimit,
    inner: P,
}

/// What is done about a restart that would exceed the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// The supervisor gives up: OTP, and Akka's `withLimit`.
    Escalate,
    /// The child stays down until somebody resumes it, and the limit begins anew: systemd's `StartLimitBurst=`, where
    /// `systemctl reset-failed` and `start` are that somebody.
    Suspend,
    /// The child rests for so long, and the limit begins anew: RabbitMQ's `{permanent, Delay}`.
    Rest(Duration),
}

// === impl Limited ===

impl<P> Limited<P> {
    pub(crate) const fn new(inner: P, limit: Intensity, on_limit: OnLimit) -> Self {
        Self { window: RestartWindow::new(limit), on_limit, inner }
    }

    /// The policy within the limit.
    #[must_use]
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// The policy within the limit, to be changed.
    pub const fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    /// The restarts that count.
    #[must_use]
    pub const fn window(&self) -> &RestartWindow {
        &self.window
    }

    /// Lets the limit begin anew, by an operator's order. systemd: `reset-failed`.
    pub fn reset(&mut self) {
        self.window.clear();
    }

    /// A restart that was granted: with this delay if it is within the limit.
    fn limit(&mut self, granted: Granted, now: Monotonic) -> Decision {
        match (self.window.admit(now), self.on_limit) {
            (Admission::Admitted, _) => granted.into(),
            (Admission::Exceeded, OnLimit::Escalate) => Decision::Escalate,
            (Admission::Exceeded, OnLimit::Suspend) => {
                self.window.clear();
                let Intensity { max_restarts, period } = self.window.intensity();
                let reason = format!("more than {max_restarts} restarts within {period:?}");
                Decision::Suspend { until: None, reason }
            }
            (Admission::Exceeded, OnLimit::Rest(rest)) => {
                self.window.clear();
                granted.delayed(rest).into()
            }
        }
    }
}

impl<P: Decide> Decide for Limited<P> {
    fn on_failure(&mut self, failure: Failure<'_>, now: Monotonic) -> Decision {
        match self.inner.on_failure(failure, now) {
            Decision::Restart { after } => self.limit(Granted::Child(after), now),
            Decision::RestartGroup { after } => self.limit(Granted::Group(after), now),
            other @ (Decision::Suspend { .. } | Decision::Stop | Decision::Escalate) => other,
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

/// A restart that the inner policy has granted.
#[derive(Clone, Copy)]
enum Granted {
    Child(Duration),
    Group(Duration),
}

// === impl Granted ===

impl Granted {
    fn delayed(self, least: Duration) -> Self {
        match self {
            Self::Child(after) => Self::Child(after.max(least)),
            Self::Group(after) => Self::Group(after.max(least)),
        }
    }
}

impl From<Granted> for Decision {
    fn from(granted: Granted) -> Self {
        match granted {
            Granted::Child(after) => Self::Restart { after },
            Granted::Group(after) => Self::RestartGroup { after },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BackoffPolicy, ExitAction, ExitRules, ExitStatus, JitterSeed, OnExit, Reset, Severity};
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at_once() -> BackoffPolicy {
        BackoffPolicy::new(Duration::ZERO, Reset::Manual, JitterSeed(1))
    }

    fn fails(policy: &mut impl Decide, second: u64) -> Decision {
        policy.on_failure(Failure::new(1, Severity::Transient, "crash"), Monotonic::new(S(second)))
    }

    const AT_ONCE: Decision = Decision::Restart { after: Duration::ZERO };

    #[test]
    fn otps_limit_gives_up_at_the_restart_that_is_one_too_many() {
        let mut policy = at_once().with_limit(Intensity::new(2, S(5)), OnLimit::Escalate);
        assert_eq!([0, 1, 5].map(|second| fails(&mut policy, second)), [AT_ONCE, AT_ONCE, Decision::Escalate]);
        let mut policy = at_once().with_limit(Intensity::new(2, S(5)), OnLimit::Escalate);
        assert_eq!([0, 1, 6].map(|second| fails(&mut policy, second)), [AT_ONCE, AT_ONCE, AT_ONCE]);
    }

    #[test]
    fn systemds_limit_leaves_the_child_down_and_says_why() {
        let mut policy = at_once().with_limit(Intensity::new(1, S(10)), OnLimit::Suspend);
        let reason = "more than 1 restarts within 10s".to_owned();
        assert_eq!(
            [0, 1].map(|second| fails(&mut policy, second)),
            [AT_ONCE, Decision::Suspend { until: None, reason }]
        );
        assert_eq!(fails(&mut policy, 2), AT_ONCE);
    }

    #[test]
    fn rabbitmqs_limit_lets_the_child_rest_and_counts_anew() {
        let mut policy = at_once().with_limit(Intensity::new(1, S(10)), OnLimit::Rest(S(60)));
        let rests = Decision::Restart { after: S(60) };
        assert_eq!([0, 1, 61, 62].map(|second| fails(&mut policy, second)), [AT_ONCE, rests.clone(), AT_ONCE, rests]);
    }

    #[test]
    fn what_is_no_restart_does_not_count() {
        let rules = ExitRules::default().prevent([3].into()).rule(OnExit::In([4].into()), ExitAction::RestartGroup);
        let mut policy = at_once().with_exit_rules(rules).with_limit(Intensity::new(1, S(10)), OnLimit::Escalate);
        let mut ends = |code| {
            let failure = Failure::new(1, Severity::Transient, "it ended").ended(ExitStatus::Code(code));
            policy.on_failure(failure, Monotonic::ORIGIN)
        };
        assert!(matches!(ends(3), Decision::Suspend { .. }));
        assert_eq!(ends(4), Decision::RestartGroup { after: Duration::ZERO });
        assert_eq!(ends(4), Decision::Escalate);
    }

    proptest! {
        #[test]
        fn no_period_ever_holds_more_restarts_than_the_limit(
            max in 0_u32..5, period in 1_u64..20, gaps in prop::collection::vec(0_u64..10, 0..50),
        ) {
            let mut policy = at_once().with_limit(Intensity::new(max, S(period)), OnLimit::Escalate);
            let (mut now, mut granted) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                if fails(&mut policy, now) != Decision::Escalate {
                    granted.push(now);
                }
                let within = granted.iter().filter(|&&then| now - then <= period).count();
                prop_assert!(within <= max as usize);
            }
        }
    }
}
