//! Stories of one breaker.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(seconds))
}

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig::default()).unwrap()
}

/// A breaker that has just opened for the first time, at second 0.
fn opened() -> Breaker {
    let mut breaker = breaker();
    breaker.trip(TripCause::IntensityExceeded, "test", at(0));
    breaker
}

fn open_until(breaker: &Breaker) -> u64 {
    match breaker.state() {
        BreakerState::Open { until: Some(until), .. } => until.since_origin().as_secs(),
        other => panic!("not open until a known time: {other:?}"),
    }
}

fn cause(breaker: &Breaker) -> TripCause {
    match breaker.state() {
        BreakerState::Open { reason, .. } => reason.cause,
        other => panic!("not open: {other:?}"),
    }
}

#[test]
fn the_fifth_failure_in_a_row_opens_it_for_a_minute() {
    let mut breaker = breaker();
    let permit = breaker.acquire(at(0)).unwrap();
    for consecutive in 1..=4 {
        assert_eq!(breaker.on_failure(&permit, "boom", at(1)), Outcome::Counted { consecutive });
    }
    assert_eq!(breaker.on_failure(&permit, "boom", at(1)), Outcome::Opened);
    assert_eq!(open_until(&breaker), 61);
    assert_eq!(cause(&breaker), TripCause::ConsecutiveFailures);
    assert_eq!(breaker.acquire(at(60)), Err(Refused::NotDue { until: Some(at(61)) }));
}

#[test]
fn one_success_in_between_starts_the_count_anew() {
    let mut breaker = breaker();
    let permit = breaker.acquire(at(0)).unwrap();
    for _ in 0..4 {
        let _ = breaker.on_failure(&permit, "boom", at(1));
    }
    assert_eq!(breaker.on_success(&permit), Outcome::Closed);
    assert_eq!(breaker.on_failure(&permit, "boom", at(2)), Outcome::Counted { consecutive: 1 });
}

#[test]
fn one_trial_is_given_out_and_no_second_one() {
    let mut breaker = opened();
    let trial = breaker.half_open(at(60)).unwrap();
    assert_eq!(breaker.half_open(at(61)), Err(Refused::TrialUnderWay { deadline: at(720) }));
    assert_eq!(breaker.acquire(at(61)), Err(Refused::TrialUnderWay { deadline: at(720) }));
    assert_eq!(breaker.on_success(&trial), Outcome::Closed);
    assert!(breaker.acquire(at(62)).is_ok());
}

#[test]
fn each_opening_without_a_success_lasts_longer_up_to_ten_minutes() {
    let mut breaker = opened();
    let mut spans = vec![open_until(&breaker)];
    for _ in 0..6 {
        let due = breaker.next_wake().unwrap();
        let trial = breaker.half_open(due).unwrap();
        assert_eq!(breaker.on_failure(&trial, "again", due), Outcome::Opened);
        assert_eq!(cause(&breaker), TripCause::TrialFailed);
        spans.push(open_until(&breaker) - due.since_origin().as_secs());
    }
    assert_eq!(spans, [60, 120, 240, 480, 600, 600, 600]);
}

#[test]
fn a_success_makes_the_next_opening_short_again() {
    let mut breaker = opened();
    let trial = breaker.half_open(at(60)).unwrap();
    let _ = breaker.on_failure(&trial, "again", at(60));
    let trial = breaker.half_open(at(180)).unwrap();
    assert_eq!(breaker.on_success(&trial), Outcome::Closed);
    breaker.trip(TripCause::IntensityExceeded, "test", at(1000));
    assert_eq!(open_until(&breaker), 1060);
}

#[test]
fn a_trial_that_is_never_decided_opens_it_again_at_its_deadline() {
    let mut breaker = opened();
    let trial = breaker.half_open(at(60)).unwrap();
    assert_eq!(breaker.expire(at(719)), None);
    assert_eq!(breaker.expire(at(720)), Some(Outcome::Opened));
    assert_eq!(cause(&breaker), TripCause::TrialTimedOut);
    assert_eq!(breaker.on_success(&trial), Outcome::Stale);
    assert_eq!(open_until(&breaker), 840);
}

#[test]
fn a_result_from_before_a_transition_changes_nothing() {
    let mut breaker = breaker();
    let old = breaker.acquire(at(0)).unwrap();
    breaker.trip(TripCause::IntensityExceeded, "test", at(1));
    assert_eq!(breaker.on_success(&old), Outcome::Stale);
    let trial = breaker.half_open(at(61)).unwrap();
    assert_eq!(breaker.on_failure(&old, "late", at(62)), Outcome::Stale);
    assert_eq!(breaker.on_success(&trial), Outcome::Closed);
    assert_eq!(breaker.on_failure(&trial, "late", at(63)), Outcome::Stale);
    assert_eq!(breaker.consecutive_failures(), 0);
}

#[test]
fn an_operator_can_hold_it_open_for_good_and_close_it_again() {
    let mut breaker = breaker();
    breaker.force_open(None, "maintenance");
    assert_eq!(breaker.acquire(at(1_000_000)), Err(Refused::NotDue { until: None }));
    assert_eq!(cause(&breaker), TripCause::Forced);
    breaker.reset();
    assert!(breaker.acquire(at(1_000_000)).is_ok());
    breaker.trip(TripCause::IntensityExceeded, "test", at(1_000_000));
    assert_eq!(open_until(&breaker), 1_000_060);
}

#[test]
fn a_closed_breaker_has_nothing_to_put_on_trial() {
    assert_eq!(breaker().half_open(at(0)), Err(Refused::NotOpen));
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_their_reason() {
    let refuse = |change: fn(&mut BreakerConfig)| {
        let mut config = BreakerConfig::default();
        change(&mut config);
        Breaker::new(config).unwrap_err()
    };
    assert_eq!(refuse(|c| c.failure_threshold = 0), InvalidBreaker::ZeroThreshold);
    assert_eq!(refuse(|c| c.open_for = Duration::ZERO), InvalidBreaker::ZeroOpen);
    assert_eq!(refuse(|c| c.open_growth = 0.5), InvalidBreaker::Growth(0.5));
    assert!(matches!(refuse(|c| c.open_growth = f64::NAN), InvalidBreaker::Growth(_)));
    assert!(matches!(refuse(|c| c.open_max = Duration::from_secs(1)), InvalidBreaker::OpenAboveMax { .. }));
    assert!(matches!(
        refuse(|c| c.half_open_deadline = Duration::from_secs(60)),
        InvalidBreaker::DeadlineWithinProbation { .. }
    ));
}

#[test]
fn every_cause_reads_back_from_its_name() {
    for cause in TripCause::ALL {
        assert_eq!(cause.as_str().parse(), Ok(cause));
    }
    assert!("open_sesame".parse::<TripCause>().is_err());
}

proptest! {
    #[test]
    fn an_opening_is_never_shorter_than_the_first_nor_longer_than_the_cap(growth in any::<u32>(), factor in 1.0..100.0_f64) {
        let config = BreakerConfig { open_growth: factor, ..BreakerConfig::default() };
        let span = config.open_span(growth);
        prop_assert!(span >= config.open_for && span <= config.open_max);
        prop_assert!(config.open_span(growth.saturating_add(1)) >= span);
    }
}
