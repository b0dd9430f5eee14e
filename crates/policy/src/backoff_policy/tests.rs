//! Stories of Akka's backoff, and the properties behind them.

use proptest::prelude::*;

use super::*;
use crate::{Backoff, Severity};

const S: fn(u64) -> Duration = Duration::from_secs;

fn at(second: u64) -> Monotonic {
    Monotonic::new(S(second))
}

fn policy(reset: Reset) -> BackoffPolicy {
    BackoffPolicy::new(Backoff::default(), reset, JitterSeed(3))
}

fn fails(policy: &mut BackoffPolicy, epoch: u64, second: u64) -> Decision {
    policy.on_failure(Failure::new(epoch, Severity::Transient, "crash"), at(second))
}

fn after(seconds: u64) -> Decision {
    Decision::Restart { after: S(seconds) }
}

#[test]
fn each_failure_doubles_the_delay_until_a_run_is_stable() {
    let mut policy = policy(Reset::AfterStable(S(10)));
    assert_eq!([1, 2, 3].map(|epoch| fails(&mut policy, epoch, 0)), [after(2), after(4), after(8)]);
    assert_eq!(policy.on_ready(4, at(20)), Some(S(10)));
    assert_eq!(policy.on_stable(4, at(30)), None);
    assert_eq!(policy.retries(), 0);
    assert_eq!(fails(&mut policy, 4, 31), after(2));
}

#[test]
fn a_slow_start_is_not_mistaken_for_a_stable_run() {
    let mut policy = policy(Reset::AfterStable(S(10)));
    let _ = fails(&mut policy, 1, 0);
    // Up at 2 s, ready at 100 s, gone at 105 s.
    let _ = policy.on_ready(2, at(100));
    assert_eq!(fails(&mut policy, 2, 105), after(4));
}

#[test]
fn a_timer_from_before_the_last_failure_resets_nothing() {
    let mut policy = policy(Reset::AfterStable(S(10)));
    let _ = fails(&mut policy, 1, 0);
    let _ = policy.on_ready(2, at(2));
    let _ = fails(&mut policy, 2, 5);
    let _ = policy.on_ready(3, at(9));
    assert_eq!(policy.on_stable(2, at(12)), None);
    assert_eq!(policy.retries(), 2);
    assert_eq!(policy.on_ready(2, at(13)), None);
    assert_eq!(policy.on_stable(3, at(14)), Some(S(5)));
}

#[test]
fn only_an_order_resets_a_manual_policy() {
    let mut policy = policy(Reset::Manual);
    let _ = fails(&mut policy, 1, 0);
    assert_eq!(policy.on_ready(2, at(2)), None);
    assert_eq!(fails(&mut policy, 2, 100_000), after(4));
    policy.reset();
    assert_eq!(fails(&mut policy, 3, 100_001), after(2));
}

#[test]
fn after_the_last_try_it_gives_up_and_a_reset_counts_anew() {
    let mut policy = policy(Reset::AfterStable(S(10))).max_retries(2);
    assert_eq!([1, 2, 3].map(|epoch| fails(&mut policy, epoch, 0)), [after(2), after(4), Decision::Escalate]);
    policy.reset();
    assert_eq!(fails(&mut policy, 4, 0), after(2));
    assert_eq!(
        policy.clone().max_retries(0).on_failure(Failure::new(5, Severity::Transient, ""), at(0)),
        Decision::Escalate
    );
}

/// What one incarnation does.
#[derive(Debug, Clone, Copy)]
struct Life {
    starts_for: u64,
    ready_for: Option<u64>,
    timer: Timer,
}

#[derive(Debug, Clone, Copy)]
enum Timer {
    Punctual,
    Lost,
    Late,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let timer = prop::sample::select(vec![Timer::Punctual, Timer::Lost, Timer::Late]);
    let life = (0_u64..30, prop::option::of(0_u64..30), timer).prop_map(|(starts_for, ready_for, timer)| Life {
        starts_for,
        ready_for,
        timer,
    });
    prop::collection::vec(life, 0..40)
}

proptest! {
    /// The whole policy in one line: the count is that of the failures since the last run that was ready for long enough.
    #[test]
    fn the_delay_depends_on_what_happened_and_not_on_the_timers(lives in lives(), stable in 1_u64..20) {
        let mut policy = policy(Reset::AfterStable(S(stable)));
        let (mut now, mut count, mut late) = (0, 0, None);
        for (epoch, life) in (1..).zip(lives) {
            now += life.starts_for;
            if let Some(ready_for) = life.ready_for {
                let asked = policy.on_ready(epoch, at(now));
                prop_assert_eq!(asked, (count > 0).then_some(S(stable)));
                if let Some(epoch) = late.take() {
                    let _ = policy.on_stable(epoch, at(now));
                }
                match life.timer {
                    Timer::Punctual if ready_for >= stable => {
                        prop_assert_eq!(policy.on_stable(epoch, at(now + stable)), None);
                        prop_assert_eq!(policy.retries(), 0);
                    }
                    Timer::Late => late = Some(epoch),
                    Timer::Punctual | Timer::Lost => {}
                }
                now += ready_for;
                if ready_for >= stable {
                    count = 0;
                }
            }
            count += 1;
            prop_assert_eq!(fails(&mut policy, epoch, now), Decision::Restart { after: Backoff::default().delay(count, 0.0) });
            prop_assert_eq!(policy.retries(), count);
        }
    }

    #[test]
    fn no_more_restarts_are_granted_than_there_are_tries(max in 0_u32..20, failures in 0_u32..40) {
        let mut policy = policy(Reset::Manual).max_retries(max);
        let granted = (0..failures).filter(|&n| fails(&mut policy, n.into(), 0) != Decision::Escalate).count();
        prop_assert_eq!(granted, failures.min(max) as usize);
    }
}
