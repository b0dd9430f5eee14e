//! What each rule decides, which of them wins, and what the policy behind them hears.

use proptest::prelude::*;

use super::*;
use crate::{
    Backoff, BackoffPolicy, Decide, Decision, Failure, JitterSeed, Monotonic, Reset, RestartPolicy,
    RestartPolicyConfig, Severity,
};
use std::time::Duration;

const S: fn(u64) -> Duration = Duration::from_secs;

fn set(text: &str) -> ExitSet {
    text.parse().unwrap()
}

fn code(code: i32) -> Ending {
    ExitStatus::Code(code).into()
}

fn signal(signal: i32) -> Ending {
    ExitStatus::Signal(signal).into()
}

fn failed(epoch: u64, ending: Ending) -> Failure<'static> {
    Failure::new(epoch, Severity::Transient, "it ended").ended(ending)
}

fn backoff() -> BackoffPolicy {
    BackoffPolicy::new(Backoff::default(), Reset::Manual, JitterSeed(1))
}

#[test]
fn prevention_wins_over_force_and_force_over_the_mode() {
    let rules = ExitRules::new(RestartMode::No).prevent(set("3 SIGSEGV")).force(set("3 4 SIGSEGV"));
    assert_eq!(rules.judge(code(3)), ExitAction::Suspend);
    assert_eq!(rules.judge(code(4)), ExitAction::Restart);
    assert_eq!(rules.judge(signal(11)), ExitAction::Suspend);
    assert_eq!(rules.judge(code(5)), ExitAction::Suspend);
}

#[test]
fn what_counts_as_a_success_is_clean_for_every_mode() {
    let rules = ExitRules::new(RestartMode::OnFailure).success(set("1 SIGKILL"));
    for ending in [code(0), code(1), signal(9), code(137), signal(15)] {
        assert_eq!(rules.judge(ending), ExitAction::Stop, "{ending}");
    }
    let rules = ExitRules::new(RestartMode::OnSuccess).success(set("1"));
    assert_eq!(rules.judge(code(1)), ExitAction::Restart);
    assert_eq!(rules.judge(code(2)), ExitAction::Suspend);
}

#[test]
fn an_end_that_was_prevented_and_clean_is_done_rather_than_failed() {
    let rules = ExitRules::default().prevent(set("0 1"));
    assert_eq!(rules.judge(code(0)), ExitAction::Stop);
    assert_eq!(rules.judge(code(1)), ExitAction::Suspend);
}

/// The example of Kubernetes' documentation: restart in place on 42, else as the pod's `Never`.
#[test]
fn the_first_of_kubernetes_rules_that_matches_decides() {
    let rules = ExitRules::new(RestartMode::No)
        .rule(OnExit::In([42].into()), ExitAction::Restart)
        .rule(OnExit::In([88, 137].into()), ExitAction::RestartGroup)
        .rule(OnExit::NotIn([0, 1].into()), ExitAction::Escalate);
    assert_eq!(rules.judge(code(42)), ExitAction::Restart);
    assert_eq!(rules.judge(code(88)), ExitAction::RestartGroup);
    assert_eq!(rules.judge(signal(9)), ExitAction::RestartGroup);
    assert_eq!(rules.judge(code(7)), ExitAction::Escalate);
    assert_eq!(rules.judge(code(1)), ExitAction::Suspend);
    assert_eq!(rules.judge(code(0)), ExitAction::Stop);
    // There is no exit code to be in or out of a list.
    assert_eq!(rules.judge(Ending::TimedOut), ExitAction::Suspend);
}

#[test]
fn the_policy_behind_the_rules_says_when_and_hears_only_of_restarts() {
    let rules = ExitRules::new(RestartMode::OnFailure)
        .prevent(set("2"))
        .rule(OnExit::In([88].into()), ExitAction::RestartGroup);
    let mut policy = backoff().with_exit_rules(rules);
    let now = Monotonic::ORIGIN;
    assert_eq!(policy.on_failure(failed(1, code(1)), now), Decision::Restart { after: S(2) });
    assert_eq!(policy.on_failure(failed(2, code(0)), now), Decision::Stop);
    let reason = "no restart after exit code 2: prevented by its exit status".to_owned();
    assert_eq!(policy.on_failure(failed(3, code(2)), now), Decision::Suspend { until: None, reason });
    assert_eq!(policy.on_failure(failed(4, code(88)), now), Decision::RestartGroup { after: S(4) });
    assert_eq!(policy.inner().retries(), 2);
}

/// The tree's own policy: an incurable failure opens the breaker at once, unless a rule knows better.
#[test]
fn the_trees_policy_composes_with_rules() {
    let policy = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(1)).unwrap();
    let mut policy = policy.with_exit_rules(ExitRules::default().force(set("75")).prevent(set("78")));
    let incurable = |epoch, ending| Failure { severity: Severity::Permanent, ..failed(epoch, ending) };
    let now = Monotonic::ORIGIN;
    assert_eq!(policy.on_failure(incurable(1, code(75)), now), Decision::Restart { after: S(2) });
    assert!(matches!(policy.on_failure(incurable(2, code(78)), now), Decision::Suspend { until: None, .. }));
    assert_eq!(policy.inner().snapshot(now).consecutive_failures, 1);
    let until = Some(Monotonic::new(S(60)));
    assert!(
        matches!(policy.on_failure(incurable(3, code(1)), now), Decision::Suspend { until: opened, .. } if opened == until)
    );
}

fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![
        (0..=255_i32).prop_map(code),
        (1..=64_i32).prop_map(signal),
        Just(Ending::TimedOut),
        Just(Ending::WatchdogExpired),
        Just(Ending::OutOfMemory),
        Just(Ending::Unknown),
    ]
}

fn sets() -> impl Strategy<Value = ExitSet> {
    let statuses = prop_oneof![(0..=255_i32).prop_map(ExitStatus::Code), (1..=64_i32).prop_map(ExitStatus::Signal)];
    prop::collection::vec(statuses, 0..120).prop_map(|statuses| statuses.into_iter().collect())
}

proptest! {
    /// systemd's `service_shall_restart`, as a sentence.
    #[test]
    fn without_a_list_of_rules_it_is_systemds_decision(
        mode in prop::sample::select(RestartMode::ALL.to_vec()), success in sets(), prevent in sets(), force in sets(),
        ending in endings(),
    ) {
        let rules = ExitRules::new(mode).success(success.clone()).prevent(prevent.clone()).force(force.clone());
        let within = |set: &ExitSet| ending.status().is_some_and(|status| set.contains(status));
        let class = if within(&success) { ExitClass::Clean } else { ending.class() };
        let restarts = !within(&prevent) && (within(&force) || mode.restarts_after(class));
        let expected = match (restarts, class) {
            (true, _) => ExitAction::Restart,
            (false, ExitClass::Clean) => ExitAction::Stop,
            (false, _) => ExitAction::Suspend,
        };
        prop_assert_eq!(rules.judge(ending), expected);
    }

    #[test]
    fn the_default_changes_nothing(endings in prop::collection::vec(endings(), 0..20)) {
        let (mut plain, mut ruled) = (backoff(), backoff().with_exit_rules(ExitRules::default()));
        for (epoch, ending) in (1..).zip(endings) {
            let failure = failed(epoch, ending);
            prop_assert_eq!(plain.on_failure(failure, Monotonic::ORIGIN), ruled.on_failure(failure, Monotonic::ORIGIN));
        }
    }

    /// The tree's policy behind rules decides as it would alone, had the ends that the rules keep back never been.
    #[test]
    fn what_the_rules_keep_back_the_policy_never_hears_of(
        mode in prop::sample::select(RestartMode::ALL.to_vec()), prevent in sets(), group in sets(),
        lives in prop::collection::vec((endings(), prop::option::of(0_u64..400)), 0..40),
    ) {
        let rules =
            ExitRules::new(mode).prevent(prevent).rule(OnExit::In(group), ExitAction::RestartGroup);
        let mut alone = RestartPolicy::new(RestartPolicyConfig::default(), JitterSeed(1)).unwrap();
        let mut ruled = alone.clone().with_exit_rules(rules.clone());
        let mut now = Monotonic::ORIGIN;
        for (epoch, (ending, ready_for)) in (1..).zip(lives) {
            if let Some(seconds) = ready_for {
                prop_assert_eq!(alone.on_ready(epoch, now), ruled.on_ready(epoch, now));
                now = now + S(seconds);
            }
            let failure = failed(epoch, ending);
            let decision = ruled.on_failure(failure, now);
            match rules.judge(ending) {
                ExitAction::Restart => prop_assert_eq!(decision, alone.on_failure(failure, now)),
                ExitAction::RestartGroup => match (decision, alone.on_failure(failure, now)) {
                    (Decision::RestartGroup { after }, Decision::Restart { after: expected }) => {
                        prop_assert_eq!(after, expected);
                    }
                    (decision, expected) => prop_assert_eq!(decision, expected),
                },
                ExitAction::Stop => prop_assert_eq!(decision, Decision::Stop),
                ExitAction::Suspend => {
                    let suspended = matches!(decision, Decision::Suspend { until: None, .. });
                    prop_assert!(suspended, "{decision:?}");
                }
                ExitAction::Escalate => prop_assert_eq!(decision, Decision::Escalate),
            }
            prop_assert_eq!(ruled.inner(), &alone);
        }
    }
}
