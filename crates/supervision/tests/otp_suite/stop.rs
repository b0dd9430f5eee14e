//! sup_stop_*, child_unlink.

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{Restart, Shutdown, Supervisor};

use crate::util::*;

#[tokio::test(start_paused = true)]
async fn sup_stop_infinity() {
    let slow = || MockChild::spec("a", [Act::StopAfter(S(3600))]).shutdown(Shutdown::Infinity);
    let (supervisor, mut events) = start(Supervisor::one_for_one().child(slow())).await;
    later(MS(1)).await;
    supervisor.stop().await;
    assert_eq!(exit_reasons(events.events()), ["a shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout() {
    for supervisor in [Supervisor::one_for_one(), Supervisor::dynamic()] {
        let (supervisor, mut events) = start(supervisor).await;
        add(&supervisor, MockChild::spec("a", [Act::HangInStop]).shutdown(Shutdown::Timeout(S(1)))).await;
        add(&supervisor, steady("b").shutdown(Shutdown::Timeout(S(1)))).await;
        later(MS(1)).await;
        supervisor.stop().await;
        assert_eq!(exit_reasons(events.events()), ["b shutdown", "a killed"]);
        assert_eq!(reports(events.events()), ["shutdown_error a: killed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill() {
    for supervisor in [Supervisor::one_for_one(), Supervisor::dynamic()] {
        let (supervisor, mut events) = start(supervisor).await;
        add(&supervisor, steady("a")).await;
        add(&supervisor, steady("b").shutdown(Shutdown::Kill)).await;
        later(MS(1)).await;
        supervisor.stop().await;
        let mut reasons = exit_reasons(events.events());
        reasons.sort();
        assert_eq!(reasons, ["a shutdown", "b killed"]);
        assert!(reports(events.events()).is_empty());
    }
}

/// Children that end by themselves in any way while their supervisor stops.
#[tokio::test(start_paused = true)]
async fn sup_stop_race() {
    let ends = [Act::CrashAfter(S(1)), Act::ExitNormalAfter(S(1)), Act::CrashInStop, Act::HangInStop, Act::Ready];
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for act in ends {
            let racer = MockChild::spec("racer", [act]).restart(restart).shutdown(Shutdown::Timeout(S(1)));
            let slow = MockChild::spec("slow", [Act::StopAfter(S(1))]).shutdown(Shutdown::Timeout(S(5)));
            let (supervisor, mut events) = start(Supervisor::one_for_one().child(racer).child(slow)).await;
            later(MS(1)).await;
            supervisor.stop().await;
            assert!(!events.outline().iter().any(|line| line.ends_with("#2")), "{act:?}: {}", events.story());
            assert_eq!(events.outline().last().unwrap(), "supervisor.stopped");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sup_stop_non_shutdown_exit_dynamic() {
    let (supervisor, mut events) = start(Supervisor::dynamic()).await;
    for id in ["a", "b", "c"] {
        add(&supervisor, MockChild::spec(id, [Act::CrashInStop])).await;
    }
    later(MS(1)).await;
    supervisor.stop().await;
    assert_eq!(exit_reasons(events.events()), ["a error", "b error", "c error"]);
    // One report for each reason, not for each child.
    assert_eq!(reports(events.events()), ["shutdown_error a: mock crash"]);
}

/// A child that drops its link cannot hang its supervisor.
#[tokio::test(start_paused = true)]
async fn child_unlink() {
    let (supervisor, _) = start(Supervisor::one_for_one().kill_grace(S(1))).await;
    let child = add(&supervisor, steady("a").shutdown(Shutdown::Timeout(S(1)))).await;
    child.unlink(supervisor.actor());
    let stopping = tokio::time::timeout(S(10), supervisor.stop()).await;
    assert!(stopping.is_ok());
    assert_eq!(child.get_status(), ractor::ActorStatus::Stopped);
}
