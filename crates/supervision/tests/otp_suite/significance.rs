//! significant_*, nonsignificant_*.

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{AutoShutdown, ChildSpec, Restart, Supervisor, SupervisorExit};

use crate::util::*;

fn ends(id: &str, after: u64) -> ChildSpec {
    MockChild::spec(id, [Act::ExitNormalAfter(S(after))]).restart(Restart::Transient)
}

fn any() -> Supervisor {
    Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant)
}

fn all() -> Supervisor {
    Supervisor::one_for_one().auto_shutdown(AutoShutdown::AllSignificant)
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_temporary() {
    for supervisor in [any(), all()] {
        let temporary = |id, act| MockChild::spec(id, [act]).restart(Restart::Temporary);
        let (supervisor, _) = start(
            supervisor
                .child(temporary("normal", Act::ExitNormalAfter(S(1))))
                .child(temporary("crash", Act::CrashAfter(S(1))))
                .child(ends("s", 60).significant()),
        )
        .await;
        later(S(2)).await;
        assert_eq!(states(&supervisor).await, "s:ready");
        supervisor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_transient() {
    for supervisor in [any(), all()] {
        let (supervisor, _) = start(supervisor.child(ends("a", 1)).child(ends("s", 60).significant())).await;
        later(S(2)).await;
        assert_eq!(states(&supervisor).await, "a:down s:ready");
        supervisor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn significant_transient() {
    let two = |supervisor: Supervisor| {
        supervisor.child(ends("a", 1).significant()).child(ends("b", 3).significant()).child(steady("c"))
    };
    let (supervisor, _) = start(two(any())).await;
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "a"));
    let (supervisor, _) = start(two(all())).await;
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "b"));
}

#[tokio::test(start_paused = true)]
async fn significant_temporary() {
    let crash =
        |id: &str, after| MockChild::spec(id, [Act::CrashAfter(S(after))]).restart(Restart::Temporary).significant();
    let (supervisor, _) = start(all().child(crash("a", 1)).child(crash("b", 3))).await;
    later(S(2)).await;
    assert_eq!(states(&supervisor).await, "b:ready");
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "b"));
}

#[tokio::test(start_paused = true)]
async fn significant_simple() {
    let (supervisor, _) = start(Supervisor::dynamic().auto_shutdown(AutoShutdown::AllSignificant)).await;
    add(&supervisor, ends("a", 1).significant()).await;
    add(&supervisor, ends("b", 2).significant()).await;
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "b"));
}

/// Automatic shutdown climbs the tree for as long as the subtree that ends is significant itself, and stops where it is not.
#[tokio::test(start_paused = true)]
async fn significant_escalation() {
    let inner = || {
        ChildSpec::supervisor("inner", |_| any().child(ends("leaf", 1).significant()).child(steady("sibling")))
            .restart(Restart::Transient)
    };
    let (root, _) = start(any().child(steady("bystander")).child(inner().significant())).await;
    assert!(matches!(root.closed().await, SupervisorExit::AutoShutdown { child } if child == "inner"));

    let (root, mut events) = start(any().child(steady("bystander")).child(inner())).await;
    events.wait_for("child.exited", "inner").await;
    later(S(60)).await;
    assert_eq!(states(&root).await, "bystander:ready inner:down");
    assert!(reports(events.events()).is_empty());
    root.stop().await;
}

/// A child that is replaced by a significant one counts from then on (OTP: by an upgrade of its spec).
#[tokio::test(start_paused = true)]
async fn significant_upgrade_child() {
    let (supervisor, _) = start(any().child(ends("a", 60)).child(steady("b"))).await;
    supervisor.terminate_child("a").await.unwrap();
    supervisor.delete_child("a").await.unwrap();
    add(&supervisor, ends("a", 1).significant()).await;
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "a"));
}

/// A significant child that is terminated on request, or restarted, has not ended by itself.
#[tokio::test(start_paused = true)]
async fn significant_terminated() {
    let crashes = MockChild::spec("s", [Act::CrashAfter(S(1))]).restart(Restart::Transient).significant();
    let (supervisor, _) = start(any().child(crashes)).await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "s2");
    supervisor.terminate_child("s").await.unwrap();
    later(S(2)).await;
    assert_eq!(states(&supervisor).await, "s:down");
    supervisor.stop().await;
}

/// Being stopped for a sibling's restart is not ending by itself either.
#[tokio::test(start_paused = true)]
async fn significant_bystander() {
    let bystander = steady("s").restart(Restart::Temporary).significant();
    let (supervisor, _) = start(
        Supervisor::one_for_all().auto_shutdown(AutoShutdown::AnySignificant).child(fails_once("a")).child(bystander),
    )
    .await;
    later(S(2)).await;
    assert_eq!(states(&supervisor).await, "a:ready");
    supervisor.stop().await;
}
