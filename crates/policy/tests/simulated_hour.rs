//! One hour with a child that keeps failing, simulated: how often is it started?
//!
//! With the rules taken literally some of these children are restarted for ever without any guard noticing. Composed, every
//! one of them is started a handful of times and then once per ten minutes:
//!
//! | child | starts in the first hour | because |
//! |---|---|---|
//! | dies after 0.1 s | 14 | 6 until the breaker opens at 62.6 s, then trials after 60, 120, 240, 480, 600, 600 … s |
//! | dies after 1 s | 14 | the same, a little later |
//! | dies after 10 s | 14 | opens at 122 s |
//! | dies after 30 s | 13 | opens at 242 s, where "ready resets" would have gone on for ever |
//! | dies after 40 s | 13 | opens at 302 s: five restarts in a row have failed, though none of them quickly |
//! | dies after 60 s | 13 | each trial just passes its probation, and that forgives nothing |
//! | ready 60 s, hangs, 30 s to detect | 12 | as above, and each life costs 90 s |
//! | dies after 600 s | 6 | every run is a success: it is simply restarted after 2 s, and the breaker never opens |
//! | never ready (120 s to start) | 12 | the intensity never trips, the count of failures in a row does, at 782 s |
//!
//! The counts follow by hand from: life + delay (2, 4, 8, 16, 32 s) for the first six starts, then life + open time
//! (60, 120, 240, 480, 600, 600 … s) for each trial.

use std::time::Duration;

use mlx_tree_policy::{BreakerState, Ruling};
use mlx_tree_policy::{
    Decide, Decision, Failure, JitterSeed, Monotonic, RestartPolicy, RestartPolicyConfig, Severity, TripCause,
};

const HOUR: Duration = Duration::from_secs(3600);

/// What every incarnation of the child does.
#[derive(Clone, Copy)]
enum Life {
    /// It is ready at once and fails after this time.
    Lasts(Duration),
    /// It is never ready, and is given up after this time.
    NeverReady(Duration),
}

/// What happened in one hour.
struct Hour {
    /// When the child was started, in seconds.
    starts: Vec<f64>,
    /// What opened the breaker first, and when.
    first_trip: Option<(TripCause, f64)>,
    /// Whether it was open, or half open, at the end of the hour.
    ended_open: bool,
}

/// Drives the policy as a supervisor and a breaker's driver would, from event to event.
fn simulate(life: Life) -> Hour {
    let mut policy = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(0)).unwrap();
    let (mut now, mut epoch, mut starts) = (Monotonic::ORIGIN, 0, Vec::new());
    let end = Monotonic::new(HOUR);
    while now < end {
        epoch += 1;
        starts.push(now.since_origin().as_secs_f64());
        let fails_at = match life {
            Life::Lasts(span) => {
                live(&mut policy, epoch, now, now + span);
                now + span
            }
            Life::NeverReady(deadline) => now + deadline,
        };
        let failure = Failure::new(epoch, Severity::Transient, "it failed");
        now = match policy.on_failure(failure, fails_at) {
            Decision::Restart { after } => fails_at + after,
            Decision::Suspend { until, .. } => {
                let due = until.expect("it opens by itself");
                policy.half_open(due).expect("it is due");
                due
            }
            Decision::RestartGroup { .. } | Decision::Stop | Decision::Escalate => panic!("not this policy"),
        };
    }
    let first_trip = policy.journal().iter().find_map(|entry| match entry.decision {
        Ruling::Opened(cause) => Some((cause, entry.when.since_origin().as_secs_f64())),
        _ => None,
    });
    Hour { starts, first_trip, ended_open: *policy.breaker() != BreakerState::Closed }
}

/// Reports readiness, and each milestone that the incarnation reaches before it fails.
fn live(policy: &mut RestartPolicy, epoch: u64, ready: Monotonic, fails_at: Monotonic) {
    let (mut now, mut next) = (ready, policy.on_ready(epoch, ready));
    while let Some(span) = next {
        now = now + span;
        if now >= fails_at {
            return;
        }
        next = policy.on_stable(epoch, now);
    }
}

fn lasts(millis: u64) -> Life {
    Life::Lasts(Duration::from_millis(millis))
}

/// Compares the start times, in seconds.
fn assert_starts(life: Life, expected: &[f64]) {
    let starts = simulate(life).starts;
    assert_eq!(starts.len(), expected.len(), "{starts:?}");
    for (start, expected) in starts.iter().zip(expected) {
        assert!((start - expected).abs() < 1e-6, "{starts:?}");
    }
}

#[test]
fn a_child_that_dies_at_once_is_started_14_times() {
    assert_starts(
        lasts(100),
        &[0.0, 2.1, 6.2, 14.3, 30.4, 62.5, 122.6, 242.7, 482.8, 962.9, 1563.0, 2163.1, 2763.2, 3363.3],
    );
}

#[test]
fn a_child_that_lives_a_second_is_started_14_times() {
    assert_starts(
        lasts(1000),
        &[0.0, 3.0, 8.0, 17.0, 34.0, 67.0, 128.0, 249.0, 490.0, 971.0, 1572.0, 2173.0, 2774.0, 3375.0],
    );
}

#[test]
fn a_child_that_lives_10_s_is_started_14_times() {
    assert_starts(
        lasts(10_000),
        &[0.0, 12.0, 26.0, 44.0, 70.0, 112.0, 182.0, 312.0, 562.0, 1052.0, 1662.0, 2272.0, 2882.0, 3492.0],
    );
}

#[test]
fn a_child_that_lives_30_s_does_not_slip_through_because_it_was_ready() {
    assert_starts(
        lasts(30_000),
        &[0.0, 32.0, 66.0, 104.0, 150.0, 212.0, 302.0, 452.0, 722.0, 1232.0, 1862.0, 2492.0, 3122.0],
    );
}

#[test]
fn a_child_that_lives_40_s_is_started_13_times() {
    assert_starts(
        lasts(40_000),
        &[0.0, 42.0, 86.0, 134.0, 190.0, 262.0, 362.0, 522.0, 802.0, 1322.0, 1962.0, 2602.0, 3242.0],
    );
}

#[test]
fn a_child_that_lives_just_as_long_as_its_probation_gains_nothing_by_it() {
    assert_starts(
        lasts(60_000),
        &[0.0, 62.0, 126.0, 194.0, 270.0, 362.0, 482.0, 662.0, 962.0, 1502.0, 2162.0, 2822.0, 3482.0],
    );
}

#[test]
fn a_child_that_hangs_after_a_minute_and_is_found_out_after_another_half_is_started_12_times() {
    let hour = simulate(lasts(90_000));
    assert_eq!(hour.starts.len(), 12, "{:?}", hour.starts);
    assert_eq!(hour.first_trip, Some((TripCause::ConsecutiveFailures, 602.0)));
}

#[test]
fn a_child_that_works_for_ten_minutes_each_time_is_simply_restarted() {
    let hour = simulate(lasts(600_000));
    assert_eq!(hour.starts, [0.0, 602.0, 1204.0, 1806.0, 2408.0, 3010.0]);
    assert_eq!(hour.first_trip, None);
    assert!(!hour.ended_open);
}

#[test]
fn a_child_that_never_gets_ready_is_started_12_times() {
    let life = Life::NeverReady(Duration::from_secs(120));
    assert_starts(life, &[0.0, 122.0, 246.0, 374.0, 510.0, 662.0, 842.0, 1082.0, 1442.0, 2042.0, 2762.0, 3482.0]);
    assert_eq!(simulate(life).first_trip, Some((TripCause::ConsecutiveFailures, 782.0)));
}

#[test]
fn no_length_of_life_gets_more_than_14_starts_in_an_hour() {
    for tenths in (0..2990).step_by(7) {
        let starts = simulate(lasts(tenths * 100)).starts.len();
        assert!(starts <= 14, "{starts} starts with a life of {} s", tenths as f64 / 10.0);
    }
}
