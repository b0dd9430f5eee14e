//! sup_stop_*, child_unlink.

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{ChildKind, Restart, Shutdown, Supervisor};

use crate::util::*;

#[tokio::test(start_paused = true)]
async fn sup_stop_infinity() {
    let slow = |id| MockChild::spec(id, [Act::StopAfter(S(3600))]).shutdown(Shutdown::Infinity);
    let children = [slow("subtree").kind(ChildKind::Supervisor), slow("worker")];
    let (supervisor, mut events) = start(Supervisor::one_for_one().children(children)).await;
    later(MS(1)).await;
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert_eq!(asked.elapsed().as_secs(), 7200);
    assert_eq!(exit_reasons(events.events()), ["worker shutdown", "subtree shutdown"]);
    assert!(reports(events.events()).is_empty());
}

async fn stops_by_timeout(supervisor: Supervisor) {
    let (supervisor, mut events) = start(supervisor).await;
    add(&supervisor, MockChild::spec("a", [Act::HangInStop]).shutdown(Shutdown::Timeout(S(1)))).await;
    add(&supervisor, steady("b").shutdown(Shutdown::Timeout(S(1)))).await;
    later(MS(1)).await;
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert_eq!(asked.elapsed().as_secs(), 1);
    assert_eq!(exit_reasons(events.events()), ["b shutdown", "a killed"]);
    assert_eq!(reports(events.events()), ["shutdown_error a: killed"]);
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout() {
    stops_by_timeout(Supervisor::one_for_one()).await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout_dynamic() {
    stops_by_timeout(Supervisor::dynamic()).await;
}

async fn stops_brutally(supervisor: Supervisor) {
    let (supervisor, mut events) = start(supervisor).await;
    add(&supervisor, steady("a")).await;
    // One that would hang if it were asked.
    add(&supervisor, MockChild::spec("b", [Act::HangInStop]).shutdown(Shutdown::Kill)).await;
    later(MS(1)).await;
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert!(asked.elapsed().is_zero());
    let mut reasons = exit_reasons(events.events());
    reasons.sort();
    assert_eq!(reasons, ["a shutdown", "b killed"]);
    assert!(reports(events.events()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill() {
    stops_brutally(Supervisor::one_for_one()).await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill_dynamic() {
    stops_brutally(Supervisor::dynamic()).await;
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
