//! Arbitrary stories: whatever happens, in whatever order, the policy keeps its promises.
//!
//! A small world plays supervisor, breaker's driver and operator at once and obeys every answer. It keeps its own books
//! (which restarts were granted, how many trials were allowed) and checks the policy against them after each event.

use std::time::Duration;

use mlx_tree_policy::{
    Backoff, BreakerConfig, BreakerState, Decide, Decision, Failure, Intensity, JitterSeed, Monotonic, RestartPolicy,
    RestartPolicyConfig, Severity,
};
use proptest::prelude::*;

/// What may happen next.
#[derive(Debug, Clone)]
enum Event {
    Pass(Duration),
    Fails(Severity),
    FailsAgain { epochs_ago: u64 },
    GetsReady,
    StableTimer,
    DriverWakes,
    DriverWakesInTime,
    TrialDeadline,
    Reset,
    ForceOpen(Option<Duration>),
    SupervisorIsKilled,
}

/// The policy and the world's own books.
struct World {
    config: RestartPolicyConfig,
    policy: RestartPolicy,
    now: Monotonic,
    epoch: u64,
    /// The newest incarnation that was reported ready.
    ready: Option<u64>,
    /// Restarts granted since the last reset, trials not among them.
    granted: Vec<Monotonic>,
    /// Trials allowed since the breaker opened last.
    trials: u32,
}

impl World {
    fn new(config: RestartPolicyConfig) -> Self {
        let policy = RestartPolicy::new(config, JitterSeed(1)).expect("the strategy makes valid numbers");
        Self { config, policy, now: Monotonic::ORIGIN, epoch: 1, ready: None, granted: Vec::new(), trials: 0 }
    }

    fn live_through(&mut self, event: &Event) {
        match event {
            Event::Pass(span) => self.now = self.now + *span,
            Event::Fails(severity) => self.fail(*severity),
            Event::FailsAgain { epochs_ago } => self.fail_again(*epochs_ago),
            Event::GetsReady => self.get_ready(),
            Event::StableTimer => {
                let _ = self.policy.on_stable(self.epoch, self.now);
            }
            Event::DriverWakes => self.half_open(),
            Event::DriverWakesInTime => {
                if let Some(wake) = self.policy.next_wake() {
                    self.now = self.now.max(wake);
                }
                self.half_open();
            }
            Event::TrialDeadline => {
                if let Some(decision) = self.policy.expire_trial(self.now) {
                    self.obey(&decision);
                    self.epoch += 1; // It was ended, not by itself.
                }
            }
            Event::Reset => {
                self.policy.reset(self.now);
                self.granted.clear();
                assert_eq!(*self.policy.breaker(), BreakerState::Closed);
                assert_eq!(self.books(), (0, 0));
            }
            Event::ForceOpen(span) => {
                let decision = self.policy.force_open(span.map(|span| self.now + span), "test", self.now);
                self.obey(&decision);
                self.epoch += 1; // It was ended, not by itself.
            }
            Event::SupervisorIsKilled => self.hand_over(),
        }
    }

    fn get_ready(&mut self) {
        let news = self.ready != Some(self.epoch);
        let before = self.books();
        let _ = self.policy.on_ready(self.epoch, self.now);
        self.ready = Some(self.epoch);
        // A run that was ready before may have become a success by now; one that begins now cannot have.
        if news && !self.config.stable_after.is_zero() {
            assert_eq!(self.books(), before, "becoming ready reset something");
        }
    }

    fn fail(&mut self, severity: Severity) {
        let was_closed = *self.policy.breaker() == BreakerState::Closed;
        let failure = Failure::new(self.epoch, severity, "test");
        let decision = self.policy.on_failure(failure, self.now);
        self.epoch += 1;
        match &decision {
            Decision::Restart { after } => {
                assert!(*after <= self.config.backoff.max());
                assert_eq!(severity, Severity::Transient, "no retry for what no retry can cure");
                self.granted.push(self.now);
                self.assert_intensity_kept();
            }
            Decision::Suspend { .. } => {}
            Decision::RestartGroup { .. } | Decision::Stop | Decision::Escalate => panic!("not this policy"),
        }
        if !was_closed && matches!(decision, Decision::Restart { .. }) {
            // The run turned out to be a success in the meantime, or an operator, not a failure, had opened it.
            assert_eq!(self.policy.record().openings, 0);
        }
        self.obey(&decision);
    }

    fn fail_again(&mut self, epochs_ago: u64) {
        let Some(epoch) = self.epoch.checked_sub(epochs_ago + 1) else { return };
        let before = self.policy.clone();
        let stale = Failure::new(epoch, Severity::Permanent, "late");
        // Epochs before the first failure of this process are unknown to it, and therefore news.
        if self.known(epoch) {
            let _ = self.policy.on_failure(stale, self.now);
            assert_eq!(self.policy, before, "late news changed something");
        }
    }

    /// Whether a failure of this or a later incarnation has been reported to this process.
    fn known(&self, epoch: u64) -> bool {
        self.policy.journal().iter().any(|entry| entry.epoch.is_some_and(|failed| failed > epoch))
    }

    fn half_open(&mut self) {
        if self.policy.half_open(self.now).is_ok() {
            self.trials += 1;
            assert_eq!(self.trials, 1, "a second trial was allowed");
            assert!(self.policy.half_open(self.now).is_err());
        }
    }

    fn obey(&mut self, decision: &Decision) {
        match decision {
            Decision::Suspend { until, reason } => {
                assert!(!reason.is_empty());
                match self.policy.breaker() {
                    BreakerState::Open { until: open_until, .. } => assert_eq!(open_until, until),
                    other => panic!("suspended, but the breaker is {other:?}"),
                }
                self.trials = 0;
            }
            Decision::Restart { .. } => assert_eq!(*self.policy.breaker(), BreakerState::Closed),
            Decision::RestartGroup { .. } | Decision::Stop | Decision::Escalate => panic!("not this policy"),
        }
    }

    fn hand_over(&mut self) {
        let record = self.policy.record();
        let next = RestartPolicy::from_record(self.config, JitterSeed(2), &record, self.now).expect("valid numbers");
        if matches!(self.policy.breaker(), BreakerState::HalfOpen { .. }) {
            assert!(matches!(next.breaker(), BreakerState::Open { .. }), "the lost trial is not repeated at once");
            self.trials = 0;
        } else {
            assert_eq!(next.record(), record);
        }
        self.policy = next;
    }

    fn assert_intensity_kept(&self) {
        let Intensity { max_restarts, period } = self.config.intensity;
        let within = self.granted.iter().filter(|&&at| self.now.saturating_since(at) <= period).count();
        assert!(within <= max_restarts as usize, "{within} restarts within the period");
    }

    /// The counts that becoming ready must not touch.
    fn books(&self) -> (u32, u32) {
        let record = self.policy.record();
        (record.consecutive_failures, record.openings)
    }

    /// What holds after every event.
    fn assert_invariants(&self) {
        let record = self.policy.record();
        assert!(record.restarts.len() <= self.config.intensity.max_restarts as usize);
        assert!(record.restarts.is_sorted());
        assert!(self.policy.journal().iter().len() <= mlx_tree_policy::Journal::DEFAULT_CAPACITY);
        match self.policy.breaker() {
            BreakerState::Closed => {}
            BreakerState::Open { until: Some(until), .. } => {
                // A forced opening may last longer, but only as long as it was told to.
                let longest = self.config.breaker.open_max.max(Duration::from_secs(5000));
                assert!(*until <= self.now + longest);
            }
            BreakerState::Open { until: None, .. } => assert_eq!(self.policy.next_wake(), None),
            BreakerState::HalfOpen { since, deadline } => {
                assert_eq!(self.trials, 1);
                assert_eq!(*deadline, *since + self.config.breaker.half_open_deadline);
            }
        }
    }
}

fn millis(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

prop_compose! {
    fn config()(
        max_restarts in 0_u32..7, period in millis(1..=400_000),
        initial in millis(1..=5_000), more in millis(0..=60_000), jitter in 0.0..=1.0_f64,
        failure_threshold in 1_u32..7, open_for in millis(1..=60_000), open_more in millis(0..=600_000),
        open_growth in 1.0..4.0_f64, probation in millis(0..=60_000), start in millis(1..=600_000),
        stable_more in millis(0..=300_000),
    ) -> RestartPolicyConfig {
        RestartPolicyConfig {
            intensity: Intensity::new(max_restarts, period),
            backoff: Backoff::new(initial, initial + more, jitter).expect("valid numbers"),
            breaker: BreakerConfig {
                failure_threshold, open_for, open_growth, open_max: open_for + open_more, probation,
                half_open_deadline: probation + start,
            },
            stable_after: probation + stable_more,
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => millis(0..=700_000).prop_map(Event::Pass),
        2 => millis(0..=2_000).prop_map(Event::Pass),
        8 => Just(Event::Fails(Severity::Transient)),
        1 => Just(Event::Fails(Severity::Permanent)),
        1 => (0_u64..4).prop_map(|epochs_ago| Event::FailsAgain { epochs_ago }),
        4 => Just(Event::GetsReady),
        4 => Just(Event::StableTimer),
        2 => Just(Event::DriverWakes),
        4 => Just(Event::DriverWakesInTime),
        2 => Just(Event::TrialDeadline),
        1 => Just(Event::Reset),
        1 => proptest::option::of(millis(0..=1_000_000)).prop_map(Event::ForceOpen),
        1 => Just(Event::SupervisorIsKilled),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_are_kept(config in config(), events in prop::collection::vec(event(), 0..120)) {
        let mut world = World::new(config);
        for event in &events {
            world.live_through(event);
            world.assert_invariants();
        }
    }

    #[test]
    fn becoming_ready_alone_resets_nothing(failures in 1_u64..30, gap in 0_u64..299) {
        let mut policy = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(0)).unwrap();
        let mut now = Monotonic::ORIGIN;
        for epoch in 1..=failures {
            let _ = policy.on_ready(epoch, now);
            now = now + Duration::from_secs(gap);
            let _ = policy.on_failure(Failure::new(epoch, Severity::Transient, "test"), now);
            prop_assert_eq!(u64::from(policy.record().consecutive_failures), epoch);
            if let Some(due) = policy.next_wake() {
                now = due;
                policy.half_open(now).unwrap();
            }
        }
    }

    #[test]
    fn without_a_success_each_opening_is_as_long_as_the_rule_says(lives in prop::collection::vec(0_u64..299, 12)) {
        let mut policy = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(0)).unwrap();
        let (mut now, mut spans) = (Monotonic::ORIGIN, Vec::new());
        for (epoch, life) in (1..).zip(lives) {
            let _ = policy.on_ready(epoch, now);
            now = now + Duration::from_secs(life);
            now = match policy.on_failure(Failure::new(epoch, Severity::Transient, "test"), now) {
                Decision::Restart { after } => now + after,
                Decision::Suspend { until: Some(until), .. } => {
                    spans.push(until.saturating_since(now).as_secs());
                    policy.half_open(until).unwrap();
                    until
                }
                other => panic!("{other:?}"),
            };
        }
        prop_assert_eq!(spans, [60, 120, 240, 480, 600, 600, 600]);
    }
}
