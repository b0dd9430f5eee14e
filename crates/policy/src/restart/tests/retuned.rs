//! Stories of a policy whose numbers are changed while it counts.

use super::{Story, at, suspended_until};
use crate::{Decision, Intensity, RestartPolicyConfig, Standing};
use std::time::Duration;

impl Story {
    /// The numbers are changed to the defaults with this difference.
    fn is_told(&mut self, second: u64, change: impl FnOnce(&mut RestartPolicyConfig)) {
        let mut config = RestartPolicyConfig::default();
        change(&mut config);
        self.policy.set_config(config, at(second)).expect("they make sense");
    }
}

#[test]
fn a_lower_threshold_applies_at_the_next_failure_and_forgets_none() {
    let mut story = Story::new();
    for second in 1..=3 {
        assert!(matches!(story.fails(second), Decision::Restart { .. }));
    }
    story.is_told(4, |config| config.breaker.failure_threshold = 2);
    assert!(story.is_closed(), "nothing happens by itself");
    assert_eq!(story.fails(5), suspended_until(65));
    assert_eq!(story.policy.snapshot(at(5)).consecutive_failures, 4);
}

#[test]
fn an_open_breaker_keeps_its_time_and_its_trial_goes_by_the_new_numbers() {
    let mut story = Story::new().opens_at_once();
    let before = story.policy.breaker().clone();
    story.is_told(7, |config| {
        config.breaker.open_for = Duration::from_secs(500);
        config.breaker.half_open_deadline = Duration::from_secs(77);
    });
    assert_eq!(*story.policy.breaker(), before);
    assert_eq!(story.policy.half_open(at(60)), Ok(at(137)));
}

#[test]
fn a_trial_that_is_under_way_keeps_its_deadline() {
    let mut story = Story::new().opens_at_once();
    let deadline = story.policy.half_open(at(60)).expect("it is due");
    story.is_told(61, |config| config.breaker.half_open_deadline = Duration::from_secs(77));
    assert_eq!(story.policy.next_wake(), Some(deadline));
}

#[test]
fn a_restart_that_was_granted_keeps_its_delay_and_its_place_in_the_window() {
    let mut story = Story::new();
    assert_eq!(story.fails(1), Decision::Restart { after: Duration::from_secs(2) });
    story.is_told(2, |config| config.intensity = Intensity::new(1, Duration::from_secs(300)));
    assert_eq!(story.policy.standing(at(2)), Standing::Waiting { until: at(3) });
    assert_eq!(story.policy.snapshot(at(2)).restarts_in_window, 1);
    assert!(matches!(story.fails(4), Decision::Suspend { .. }), "one more would be two");
}

#[test]
fn what_a_run_has_earned_by_the_old_numbers_it_keeps() {
    let mut story = Story::new();
    let _ = story.fails(1);
    let _ = story.is_ready(10);
    story.is_told(400, |config| config.stable_after = Duration::from_secs(900));
    assert_eq!(story.policy.snapshot(at(400)).consecutive_failures, 0);
}

#[test]
fn what_it_has_not_earned_yet_it_earns_by_the_new_ones() {
    let mut story = Story::new();
    let _ = story.fails(1);
    assert_eq!(story.is_ready(10), Some(300));
    story.is_told(20, |config| config.stable_after = Duration::from_secs(900));
    assert_eq!(story.is_stable(310), Some(600), "the old timer comes too early");
}

#[test]
fn numbers_that_contradict_each_other_change_nothing() {
    let mut story = Story::new();
    let _ = story.fails(1);
    let before = story.policy.clone();
    let mut config = RestartPolicyConfig::default();
    config.stable_after = config.breaker.probation / 2;
    assert!(story.policy.set_config(config, at(2)).is_err());
    assert_eq!(story.policy, before);
}
