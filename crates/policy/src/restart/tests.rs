//! Stories of one child. Each test tells what happened, second by second, and what was decided.

mod retuned;

use super::*;
use crate::{Backoff, BreakerConfig, Intensity};

/// One child's policy, told its story in seconds.
struct Story {
    policy: RestartPolicy,
    epoch: u64,
}

impl Story {
    fn new() -> Self {
        Self::with(RestartPolicyConfig::default())
    }

    fn with(config: RestartPolicyConfig) -> Self {
        Self { policy: RestartPolicy::new(config, JitterSeed(7)).unwrap(), epoch: 1 }
    }

    /// The present incarnation fails; the next one gets the next epoch.
    fn fails(&mut self, second: u64) -> Decision {
        let failure = Failure::new(self.epoch, Severity::Transient, "exit code 1");
        self.epoch += 1;
        self.policy.on_failure(failure, at(second))
    }

    fn fails_for_good(&mut self, second: u64) -> Decision {
        let failure = Failure::new(self.epoch, Severity::Permanent, "no such executable");
        self.epoch += 1;
        self.policy.on_failure(failure, at(second))
    }

    fn is_ready(&mut self, second: u64) -> Option<u64> {
        self.policy.on_ready(self.epoch, at(second)).map(|span| span.as_secs())
    }

    fn is_stable(&mut self, second: u64) -> Option<u64> {
        self.policy.on_stable(self.epoch, at(second)).map(|span| span.as_secs())
    }

    /// Six failures at once, which open the breaker at second 0 until second 60.
    fn opens_at_once(mut self) -> Self {
        for _ in 0..5 {
            let _ = self.fails(0);
        }
        assert_eq!(self.fails(0), suspended_until(60));
        self
    }

    fn cause(&self) -> TripCause {
        match self.policy.breaker() {
            BreakerState::Open { reason, .. } => reason.cause,
            other => panic!("not open: {other:?}"),
        }
    }

    fn is_closed(&self) -> bool {
        *self.policy.breaker() == BreakerState::Closed
    }
}

fn at(second: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(second))
}

fn restart_after(seconds: u64) -> Decision {
    Decision::Restart { after: Duration::from_secs(seconds) }
}

/// Stands for any reason: the stories that care ask for the cause.
fn suspended_until(second: u64) -> Decision {
    Decision::Suspend { until: Some(at(second)), reason: "too many failed restarts in a row: exit code 1".to_owned() }
}

fn end_of_suspension(decision: &Decision) -> u64 {
    match decision {
        Decision::Suspend { until: Some(until), .. } => until.since_origin().as_secs(),
        other => panic!("no suspension with an end: {other:?}"),
    }
}

#[test]
fn five_failed_restarts_open_the_breaker() {
    let mut story = Story::new();
    assert_eq!(story.fails(0), restart_after(2));
    assert_eq!(story.fails(2), restart_after(4));
    assert_eq!(story.fails(6), restart_after(8));
    assert_eq!(story.fails(14), restart_after(16));
    assert_eq!(story.fails(30), restart_after(32));
    assert_eq!(story.fails(62), suspended_until(122));
    assert_eq!(story.cause(), TripCause::ConsecutiveFailures);
}

#[test]
fn a_trial_that_holds_closes_the_breaker_and_then_counts_as_a_success() {
    let mut story = Story::new().opens_at_once();
    assert_eq!(story.policy.half_open(at(60)), Ok(at(720)));
    assert_eq!(story.is_ready(70), Some(60), "first its probation …");
    assert_eq!(story.is_stable(130), Some(240), "… then the rest of stable_after");
    assert!(story.is_closed());
    assert_eq!(story.is_stable(370), None);
    assert_eq!(story.fails(371), restart_after(2), "everything is forgotten");
}

#[test]
fn a_failed_trial_opens_it_again_for_twice_as_long() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    assert_eq!(end_of_suspension(&story.fails(61)), 61 + 120);
    assert_eq!(story.cause(), TripCause::TrialFailed);
}

#[test]
fn a_trial_is_exempt_from_the_intensity() {
    // By second 60 five restarts lie within the last 300 s, and a sixth would be refused.
    let mut story = Story::new().opens_at_once();
    assert_eq!(story.policy.snapshot(at(60)).restarts_in_window, 5);
    assert!(story.policy.half_open(at(60)).is_ok());
    assert_eq!(story.policy.snapshot(at(60)).restarts_in_window, 5);
}

#[test]
fn there_is_one_trial_and_no_second_one() {
    let mut story = Story::new().opens_at_once();
    assert_eq!(story.policy.half_open(at(59)), Err(Refused::NotDue { until: Some(at(60)) }));
    assert!(story.policy.half_open(at(60)).is_ok());
    assert_eq!(story.policy.half_open(at(60)), Err(Refused::TrialUnderWay { deadline: at(720) }));
}

#[test]
fn a_trial_that_never_gets_ready_is_given_up_at_its_deadline() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    assert_eq!(story.policy.next_wake(), Some(at(720)));
    assert_eq!(story.policy.expire_trial(at(719)), None);
    let decision = story.policy.expire_trial(at(720)).unwrap();
    assert_eq!(end_of_suspension(&decision), 720 + 120);
    assert_eq!(story.cause(), TripCause::TrialTimedOut);
}

#[test]
fn a_trial_that_passes_its_probation_just_at_the_deadline_is_not_given_up() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    let _ = story.is_ready(660);
    assert_eq!(story.policy.expire_trial(at(720)), None, "the deadline's timer came before the probation's");
    assert!(story.is_closed());
}

#[test]
fn a_server_that_dies_between_probation_and_stability_opens_it_again_at_once_for_longer() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    let _ = story.is_ready(60);
    let _ = story.is_stable(120);
    assert!(story.is_closed());
    assert_eq!(end_of_suspension(&story.fails(359)), 359 + 120);
    assert_eq!(story.cause(), TripCause::ConsecutiveFailures);
}

#[test]
fn a_closure_on_trust_ends_with_the_next_failure_even_if_there_were_few() {
    let mut story = Story::new();
    let _ = story.fails_for_good(0);
    story.policy.half_open(at(60)).unwrap();
    let _ = story.is_ready(60);
    let _ = story.is_stable(120);
    assert_eq!(end_of_suspension(&story.fails(200)), 200 + 120);
    assert_eq!(story.cause(), TripCause::TrialFailed);
}

#[test]
fn becoming_ready_resets_nothing() {
    let mut story = Story::new();
    for (second, delay) in [(0, 2), (100, 4), (200, 8), (300, 16), (400, 32)] {
        assert_eq!(story.fails(second), restart_after(delay));
        assert_eq!(story.is_ready(second + delay), Some(300));
    }
    assert_eq!(end_of_suspension(&story.fails(500)), 560);
}

#[test]
fn only_a_run_of_the_whole_span_is_a_success() {
    let mut story = Story::new();
    let _ = story.fails(0);
    let _ = story.is_ready(2);
    assert_eq!(story.is_stable(301), Some(1), "a second early");
    assert_eq!(story.policy.snapshot(at(301)).consecutive_failures, 1);
    assert_eq!(story.is_stable(302), None);
    assert_eq!(story.policy.snapshot(at(302)).consecutive_failures, 0);
}

#[test]
fn a_failure_that_overtakes_the_stability_timer_is_judged_as_if_it_had_been_punctual() {
    let mut story = Story::new();
    let _ = story.fails(0);
    let _ = story.is_ready(2);
    assert_eq!(story.fails(302), restart_after(2), "not 4: the run had lasted 300 s");
}

#[test]
fn the_intensity_opens_the_breaker_when_successes_lie_between_the_failures() {
    // Stable after 10 s, so nothing is ever consecutive; but it goes down every 20 s.
    let config = RestartPolicyConfig {
        stable_after: Duration::from_secs(10),
        breaker: BreakerConfig { probation: Duration::from_secs(5), ..BreakerConfig::default() },
        ..RestartPolicyConfig::default()
    };
    let mut story = Story::with(config);
    for restart in 1..=5 {
        let _ = story.is_ready(restart * 20 - 18);
        assert_eq!(story.fails(restart * 20), restart_after(2));
    }
    let _ = story.is_ready(102);
    assert_eq!(end_of_suspension(&story.fails(120)), 180);
    assert_eq!(story.cause(), TripCause::IntensityExceeded);
}

#[test]
fn a_failure_without_a_cure_opens_the_breaker_at_the_first_try() {
    let mut story = Story::new();
    assert_eq!(
        story.fails_for_good(5),
        Decision::Suspend { until: Some(at(65)), reason: "a retry cannot help: no such executable".to_owned() }
    );
    assert_eq!(story.policy.snapshot(at(5)).restarts_in_window, 0, "five tries are not burnt");
    story.policy.half_open(at(65)).unwrap();
    assert_eq!(end_of_suspension(&story.fails_for_good(65)), 65 + 120);
    assert_eq!(story.cause(), TripCause::PermanentFailure);
}

#[test]
fn when_several_guards_could_fire_the_incurable_failure_is_named_first() {
    let mut story = Story::new();
    for _ in 0..5 {
        let _ = story.fails(0);
    }
    let _ = story.fails_for_good(0);
    assert_eq!(story.cause(), TripCause::PermanentFailure);
}

#[test]
fn an_operator_who_resets_gets_a_start_with_a_clean_history() {
    let mut story = Story::new().opens_at_once();
    story.policy.reset(at(10));
    assert!(story.is_closed());
    assert_eq!(story.policy.standing(at(10)), Standing::Free);
    for delay in [2, 4, 8, 16, 32] {
        assert_eq!(story.fails(20), restart_after(delay));
    }
    assert_eq!(end_of_suspension(&story.fails(20)), 80, "and the first opening is short again");
}

#[test]
fn an_operator_can_hold_the_child_down_until_further_notice() {
    let mut story = Story::new();
    let _ = story.is_ready(0);
    let decision = story.policy.force_open(None, "maintenance", at(10));
    assert_eq!(decision, Decision::Suspend { until: None, reason: "opened by an operator: maintenance".to_owned() });
    assert_eq!(story.policy.half_open(at(1_000_000)), Err(Refused::NotDue { until: None }));
    story.policy.reset(at(1_000_000));
    assert_eq!(story.fails(1_000_000), restart_after(0), "the exit that we caused is no failure");
    assert_eq!(story.fails(1_000_000), restart_after(2));
}

#[test]
fn news_of_an_old_incarnation_changes_nothing() {
    let mut story = Story::new();
    let _ = story.fails(0);
    let _ = story.fails(2);
    let before = story.policy.clone();
    let old = Failure::new(1, Severity::Permanent, "late");
    assert_eq!(story.policy.on_failure(old, at(3)), restart_after(3), "what was granted still stands");
    assert_eq!(story.policy.on_ready(2, at(3)), None);
    assert_eq!(story.policy.on_stable(1, at(900)), None);
    assert_eq!(story.policy, before);
}

#[test]
fn a_failure_of_an_incarnation_that_has_been_replaced_is_old_news() {
    let mut story = Story::new();
    let _ = story.policy.on_ready(7, at(0));
    let old = Failure::new(6, Severity::Transient, "late");
    assert_eq!(story.policy.on_failure(old, at(1)), restart_after(0));
    assert_eq!(story.policy.snapshot(at(1)).consecutive_failures, 0);
}

#[test]
fn a_failure_while_it_is_open_leaves_the_end_of_the_suspension_as_it_is() {
    let mut story = Story::new().opens_at_once();
    assert_eq!(end_of_suspension(&story.fails(30)), 60);
    assert_eq!(story.policy.journal().last().unwrap().decision, Ruling::StaysOpen);
}

#[test]
fn the_journal_says_why_it_is_not_restarting_and_when_it_will() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    let _ = story.is_ready(61);
    let _ = story.is_stable(121);
    let _ = story.is_stable(361);
    story.policy.reset(at(400));
    let told: Vec<(u64, Option<u64>, Ruling, Option<Monotonic>)> = story
        .policy
        .journal()
        .iter()
        .skip(4)
        .map(|entry| (entry.when.since_origin().as_secs(), entry.epoch, entry.decision, entry.until))
        .collect();
    assert_eq!(
        told,
        [
            (0, Some(5), Ruling::Restart { after: Duration::from_secs(32) }, Some(at(32))),
            (0, Some(6), Ruling::Opened(TripCause::ConsecutiveFailures), Some(at(60))),
            (60, None, Ruling::HalfOpened, Some(at(720))),
            (121, Some(7), Ruling::ProbationPassed, None),
            (361, Some(7), Ruling::Succeeded, None),
            (400, None, Ruling::Reset, None),
        ]
    );
}

#[test]
fn a_process_that_takes_over_goes_on_where_the_last_one_was_killed() {
    let mut story = Story::new();
    for second in [0, 2, 6, 14] {
        let _ = story.fails(second);
    }
    let record = story.policy.record();
    let mut next = Story::with(RestartPolicyConfig::default());
    next.policy = RestartPolicy::from_record(RestartPolicyConfig::default(), JitterSeed(0), &record, at(20)).unwrap();
    assert_eq!(next.policy.record(), record);
    assert_eq!(next.policy.standing(at(20)), Standing::Waiting { until: at(30) });
    assert_eq!(next.fails(30), restart_after(32), "the fifth failure, though its epochs begin at 1 again");
    assert_eq!(end_of_suspension(&next.fails(62)), 122);
}

#[test]
fn an_open_breaker_stays_open_across_processes() {
    let record = Story::new().opens_at_once().policy.record();
    let policy = RestartPolicy::from_record(RestartPolicyConfig::default(), JitterSeed(0), &record, at(5)).unwrap();
    assert_eq!(policy.next_wake(), Some(at(60)));
    assert_eq!(policy.record(), record);
}

#[test]
fn killing_the_supervisor_during_a_trial_does_not_buy_another_one() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    let record = story.policy.record();
    let policy = RestartPolicy::from_record(RestartPolicyConfig::default(), JitterSeed(0), &record, at(70)).unwrap();
    assert_eq!(policy.next_wake(), Some(at(120)), "one open span after the lost trial began");
}

#[test]
fn a_record_that_lies_cannot_suspend_for_ever() {
    let record = RestartRecord {
        consecutive_failures: u32::MAX,
        openings: u32::MAX,
        restarts: vec![Duration::MAX, Duration::from_secs(3), Duration::from_secs(1)],
        pending: Some(Duration::MAX),
        state: RecordedState::Open {
            until: Some(Duration::MAX),
            cycle: u32::MAX,
            cause: TripCause::TrialFailed,
            detail: String::new(),
        },
    };
    let policy = RestartPolicy::from_record(RestartPolicyConfig::default(), JitterSeed(0), &record, at(10)).unwrap();
    assert_eq!(policy.next_wake(), Some(at(610)));
    assert_eq!(policy.snapshot(at(10)).restarts_in_window, 2);
}

#[test]
fn the_same_seed_gives_the_same_jitter() {
    let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60), 0.5).unwrap();
    let config = RestartPolicyConfig { backoff, ..RestartPolicyConfig::default() };
    let delays = |seed| {
        let mut policy = RestartPolicy::new(config, JitterSeed(seed)).unwrap();
        let fail = |epoch| Failure::new(epoch, Severity::Transient, "exit");
        [policy.on_failure(fail(1), at(0)), policy.on_failure(fail(2), at(0))]
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
}

#[test]
fn numbers_that_make_no_sense_together_are_refused() {
    let config = RestartPolicyConfig { stable_after: Duration::from_secs(59), ..RestartPolicyConfig::default() };
    assert!(matches!(config.check(), Err(InvalidPolicy::StableWithinProbation { .. })));
    let breaker = BreakerConfig { failure_threshold: 0, ..BreakerConfig::default() };
    let config = RestartPolicyConfig { breaker, ..RestartPolicyConfig::default() };
    assert!(matches!(RestartPolicy::new(config, JitterSeed(0)), Err(InvalidPolicy::Breaker(_))));
}

#[test]
fn an_intensity_of_zero_sends_the_first_failure_to_the_breaker() {
    let config =
        RestartPolicyConfig { intensity: Intensity::new(0, Duration::from_secs(1)), ..RestartPolicyConfig::default() };
    let mut story = Story::with(config);
    assert_eq!(end_of_suspension(&story.fails(0)), 60);
    assert_eq!(story.cause(), TripCause::IntensityExceeded);
}

#[test]
fn a_run_that_was_ended_on_purpose_does_not_become_stable_afterwards() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    assert_eq!(story.is_ready(70), Some(60));
    story.policy.on_end(story.epoch, at(80));
    assert!(story.policy.expire_trial(at(60 + 660)).is_some(), "nobody has been ready since");
}

#[test]
fn what_a_run_has_earned_counts_although_it_was_ended_on_purpose() {
    let mut story = Story::new().opens_at_once();
    story.policy.half_open(at(60)).unwrap();
    assert_eq!(story.is_ready(70), Some(60));
    // The timer that would report the end of the probation is late.
    story.policy.on_end(story.epoch, at(131));
    assert!(story.is_closed());
}
