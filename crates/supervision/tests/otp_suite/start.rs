//! sup_start_*: supervisors and children that start, do not start, or have nothing to start.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    AutoShutdown, ChildCounts, ChildKind, ChildRules, ChildSpec, InvalidSpec, OnIntensityExceeded, Readiness, Restart,
    RestartChildError, Shutdown, Significance, StartChildError, StartError, StartedChild, Supervisor, SupervisorExit,
};

use crate::util::*;

#[tokio::test(start_paused = true)]
async fn sup_start_normal() {
    let (supervisor, _) = start(Supervisor::one_for_one()).await;
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
}

/// A subtree that has nothing to start (OTP: its `init` says ignore) is no failure: it is known, and down.
#[tokio::test(start_paused = true)]
async fn sup_start_ignore_init() {
    let nothing = |id: &str| MockChild::spec(id, [Act::IgnoreStart]).kind(ChildKind::Supervisor);
    let children = [nothing("kept"), nothing("forgotten").restart(Restart::Temporary), steady("next")];
    let (supervisor, mut events) = start(Supervisor::one_for_one().children(children)).await;
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "kept:down next:ready");
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 2, active: 1, supervisors: 1, workers: 1 });
    assert!(reports(events.events()).is_empty());
    // It may have something to start the next time.
    assert!(matches!(supervisor.restart_child("kept").await, Ok(StartedChild::Running { .. })));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_child() {
    let (supervisor, _) =
        start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::IgnoreStart])).child(steady("b"))).await;
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "a:down b:ready");
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 2, active: 1, supervisors: 0, workers: 2 });
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child() {
    let temporary = MockChild::spec("a", [Act::IgnoreStart]).restart(Restart::Temporary);
    let (supervisor, _) = start(Supervisor::one_for_one().child(temporary).child(steady("b"))).await;
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "b:ready");
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child() {
    let (supervisor, _) = start(Supervisor::one_for_one()).await;
    let temporary = MockChild::spec("a", [Act::IgnoreStart]).restart(Restart::Temporary);
    assert!(matches!(supervisor.start_child(temporary).await, Ok(StartedChild::Ignored)));
    assert_eq!(states(&supervisor).await, "");
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    let temporary = MockChild::spec("a", [Act::IgnoreStart]).restart(Restart::Temporary);
    assert!(matches!(supervisor.start_child(temporary).await, Ok(StartedChild::Ignored)));
    // Its name is free again.
    add(&supervisor, steady("a").restart(Restart::Temporary)).await;
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "a:ready");
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 1, active: 1, supervisors: 0, workers: 1 });
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_permanent_child_start_child_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        let ignored = MockChild::spec("a", [Act::IgnoreStart]).restart(restart);
        assert!(matches!(supervisor.start_child(ignored).await, Ok(StartedChild::Ignored)));
        assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
    }
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
}

/// OTP: `init` answers rubbish. Here: what it answers contradicts itself.
#[tokio::test(start_paused = true)]
async fn sup_start_error_return() {
    let twins = || Supervisor::one_for_one().child(steady("twin")).child(steady("twin"));
    let refused = twins().start().await;
    assert!(matches!(refused, Err(StartError::Invalid(InvalidSpec::DuplicateId(id))) if id == *"twin"));
    // In a subtree, it is that one's start that fails, and nothing of it runs.
    let (supervisor, _) = start(Supervisor::one_for_one()).await;
    match supervisor.start_child(ChildSpec::supervisor("sub", move |_| twins())).await {
        Err(StartChildError::Failed(reason)) => {
            assert_eq!(reason.code(), "start_failed");
            assert!(reason.to_string().contains("two children named twin"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(states(&supervisor).await, "");
    supervisor.stop().await;
}

/// OTP: `init` crashes.
#[tokio::test(start_paused = true)]
async fn sup_start_fail() {
    let crashes = || ChildSpec::supervisor("sub", |_| panic!("init is broken"));
    match Supervisor::one_for_one().child(steady("first")).child(crashes()).start().await {
        Err(StartError::Child { child, reason }) => {
            assert_eq!((child.as_str(), reason.code()), ("sub", "start_failed"));
            assert!(reason.to_string().contains("init is broken"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let (supervisor, _) = start(Supervisor::one_for_one()).await;
    assert!(matches!(supervisor.start_child(crashes()).await, Err(StartChildError::Failed(_))));
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
}

async fn refuses_what_does_not_start(supervisor: Supervisor) {
    let (supervisor, mut events) = start(supervisor).await;
    for act in [Act::FailStart, Act::PanicInStart] {
        let refused = supervisor.start_child(MockChild::spec("a", [act])).await;
        assert!(matches!(refused, Err(StartChildError::Failed(reason)) if reason.code() == "start_failed"));
        assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
    }
    assert_eq!(states(&supervisor).await, "");
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 0);
    assert!(reports(events.events()).is_empty());
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error() {
    refuses_what_does_not_start(Supervisor::one_for_one()).await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error_simple() {
    refuses_what_does_not_start(Supervisor::dynamic()).await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_restart_child_returns_error() {
    let (supervisor, _) =
        start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::Ready, Act::FailStart]))).await;
    supervisor.terminate_child("a").await.unwrap();
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Failed(_))));
    assert_eq!(states(&supervisor).await, "a:down");
}

const DEFAULTS: ChildRules = ChildRules {
    restart: Restart::Permanent,
    shutdown: Shutdown::Timeout(Duration::from_secs(5)),
    kind: ChildKind::Worker,
    significance: Significance::Ordinary,
    readiness: Readiness::Started,
    on_intensity_exceeded: OnIntensityExceeded::Escalate,
};

/// A spec that says nothing, so that everything in it is a default.
fn plain(id: &str) -> ChildSpec {
    ChildSpec::actor(id, |_| (Idle, ()))
}

/// The defaults of a spec can be read, and what was given instead of them.
#[tokio::test(start_paused = true)]
async fn sup_start_map() {
    let (supervisor, _) = start(
        Supervisor::one_for_one()
            .child(plain("child1"))
            .child(plain("child2").shutdown(Shutdown::Kill))
            .child(plain("child3").kind(ChildKind::Supervisor)),
    )
    .await;
    let rules = async |id: &str| supervisor.child_rules(id).await.unwrap();
    assert_eq!(rules("child1").await, Some(DEFAULTS));
    assert_eq!(rules("child2").await, Some(ChildRules { shutdown: Shutdown::Kill, ..DEFAULTS }));
    let subtree = ChildRules { shutdown: Shutdown::Infinity, kind: ChildKind::Supervisor, ..DEFAULTS };
    assert_eq!(rules("child3").await, Some(subtree));
    assert_eq!(rules("child4").await, None);
    supervisor.stop().await;
}

/// The same of dynamic children. OTP reads them by pid; here each has a name and a spec of its own.
#[tokio::test(start_paused = true)]
async fn sup_start_map_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    add(&supervisor, plain("child1")).await;
    add(&supervisor, plain("child2").restart(Restart::Temporary).shutdown(Shutdown::Kill)).await;
    let rules = async |id: &str| supervisor.child_rules(id).await.unwrap();
    assert_eq!(rules("child1").await, Some(DEFAULTS));
    let other = ChildRules { restart: Restart::Temporary, shutdown: Shutdown::Kill, ..DEFAULTS };
    assert_eq!(rules("child2").await, Some(other));
    supervisor.terminate_child("child1").await.unwrap();
    assert_eq!(rules("child1").await, None);
    supervisor.stop().await;
}

/// What is wrong with a spec is said in words that name the child. (Most of OTP's faults cannot be written down here.)
#[tokio::test(start_paused = true)]
async fn sup_start_map_faulty_specs() {
    let says = async |supervisor: Supervisor| supervisor.start().await.unwrap_err().to_string();
    let twins = Supervisor::one_for_one().child(steady("twin")).child(steady("twin"));
    assert_eq!(says(twins).await, "there are two children named twin");
    let any = || Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
    let permanent = any().child(steady("vip").significant());
    assert_eq!(says(permanent).await, "vip is permanent and therefore cannot be significant");
    let pointless = Supervisor::one_for_one().child(steady("vip").restart(Restart::Transient).significant());
    assert_eq!(says(pointless).await, "vip is significant, but its supervisor has no automatic shutdown");
    // Nothing has been started for it, not even what stands before it.
    let events = EventRecorder::new();
    let faulty = any().events_into(events.sender()).child(steady("fine")).child(steady("vip").significant());
    assert!(faulty.start().await.is_err());
    let mut events = events;
    assert!(events.outline().is_empty());
}
