//! sup_start_*, child_adm*, child_specs.

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{
    AutoShutdown, ChildCounts, ChildKind, Intensity, Restart, RestartChildError, Shutdown, StartChildError, StartError,
    StartedChild, Supervisor, SupervisorExit,
};

use crate::util::*;

#[tokio::test(start_paused = true)]
async fn sup_start_normal() {
    let (supervisor, _) = start(Supervisor::one_for_one()).await;
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
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
async fn sup_start_ignore_permanent_child_start_child_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        let ignored = MockChild::spec("a", [Act::IgnoreStart]).restart(restart);
        assert!(matches!(supervisor.start_child(ignored).await, Ok(StartedChild::Ignored)));
        assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
    }
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error() {
    for supervisor in [Supervisor::one_for_one(), Supervisor::dynamic()] {
        let (supervisor, mut events) = start(supervisor).await;
        for act in [Act::FailStart, Act::PanicInStart] {
            let refused = supervisor.start_child(MockChild::spec("a", [act])).await;
            assert!(matches!(refused, Err(StartChildError::Failed(reason)) if reason.code() == "start_failed"));
        }
        assert_eq!(states(&supervisor).await, "");
        assert!(reports(events.events()).is_empty());
        supervisor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn sup_start_restart_child_returns_error() {
    let (supervisor, _) =
        start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::Ready, Act::FailStart]))).await;
    supervisor.terminate_child("a").await.unwrap();
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Failed(_))));
    assert_eq!(states(&supervisor).await, "a:down");
}

#[tokio::test(start_paused = true)]
async fn sup_start_fail() {
    let started = Supervisor::one_for_one().child(MockChild::spec("a", [Act::PanicInStart])).start().await;
    assert!(matches!(started, Err(StartError::Child { .. })));
}

#[tokio::test(start_paused = true)]
async fn child_adm_simple() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    let first = add(&supervisor, steady("a")).await;
    let second = add(&supervisor, steady("b")).await;
    assert_ne!(first.get_id(), second.get_id());
    assert_eq!(supervisor.count_children().await.unwrap().active, 2);
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Dynamic)));
    supervisor.terminate_child("a").await.unwrap();
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "b:ready");
    assert_eq!(first.get_status(), ractor::ActorStatus::Stopped);
}

/// Every valid combination is accepted, every invalid one is refused.
#[tokio::test(start_paused = true)]
async fn child_specs() {
    let restarts = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let shutdowns = [Shutdown::Kill, Shutdown::Infinity, Shutdown::Timeout(S(0)), Shutdown::Timeout(S(5))];
    let auto_shutdowns = [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
    for auto_shutdown in auto_shutdowns {
        for restart in restarts {
            for shutdown in shutdowns {
                for kind in [ChildKind::Worker, ChildKind::Supervisor] {
                    let spec = || steady("a").restart(restart).shutdown(shutdown).kind(kind);
                    let supervisor = || Supervisor::one_for_one().auto_shutdown(auto_shutdown);
                    let plain = supervisor().child(spec()).start().await.unwrap();
                    plain.kill_now().await;
                    let significant = supervisor().child(spec().significant()).start().await;
                    let is_valid = restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never;
                    assert_eq!(significant.is_ok(), is_valid, "{auto_shutdown:?} {restart:?}");
                    if let Ok(supervisor) = significant {
                        supervisor.kill_now().await;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sup_flags() {
    assert!(Supervisor::one_for_one().intensity(Intensity::new(0, S(0))).start().await.is_err());
    assert!(Supervisor::one_for_one().intensity(Intensity::new(0, S(1))).start().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn order_of_children() {
    let ids = ["zulu", "alpha", "mike", "bravo"];
    let (supervisor, mut events) = start(Supervisor::one_for_one().children(ids.map(steady))).await;
    supervisor.stop().await;
    let story = events.outline();
    let of = |verb: &str| -> Vec<String> {
        let lines = story.iter().filter_map(|line| line.strip_prefix(verb));
        lines.map(|line| line.trim_end_matches("#1").to_owned()).collect()
    };
    assert_eq!(of("started "), ids);
    assert_eq!(of("stopped "), ["bravo", "mike", "alpha", "zulu"]);
}
