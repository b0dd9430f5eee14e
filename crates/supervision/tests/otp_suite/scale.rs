//! Many children.

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{ChildCounts, ChildSpec, Restart, Supervisor};

use crate::util::*;

#[tokio::test(start_paused = true)]
async fn count_children() {
    let children = (0..1000).map(|n| steady(&n.to_string()));
    let (supervisor, _) = start(Supervisor::one_for_one().children(children)).await;
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 1000, active: 1000, supervisors: 0, workers: 1000 });
    supervisor.terminate_child("500").await.unwrap();
    assert_eq!(supervisor.count_children().await.unwrap().active, 999);
    supervisor.delete_child("500").await.unwrap();
    assert_eq!(supervisor.count_children().await.unwrap().specs, 999);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn count_children_supervisor() {
    let children = (0..100).map(|n| ChildSpec::supervisor(n.to_string(), |_| Supervisor::one_for_one()));
    let (supervisor, _) = start(Supervisor::one_for_one().children(children)).await;
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 100, active: 100, supervisors: 100, workers: 0 });
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn count_restarting_children() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    for n in 0..10 {
        let waits = MockChild::spec(n.to_string(), [Act::CrashAfter(S(1))]);
        add(&supervisor, waits.backoff(mlx_tree_supervision::Backoff::default())).await;
    }
    assert_eq!(supervisor.count_children().await.unwrap().active, 10);
    later(S(2)).await;
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!((counts.specs, counts.active), (10, 0));
    later(S(2)).await;
    assert_eq!(supervisor.count_children().await.unwrap().active, 10);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_scale_many_temporary_children() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    for n in 0..2000 {
        let passes = MockChild::spec(n.to_string(), [Act::ExitNormal]).restart(Restart::Temporary);
        add(&supervisor, passes).await;
    }
    later(MS(1)).await;
    assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn scale_start_stop_many_children() {
    let children = (0..5000).map(|n| steady(&n.to_string()));
    let supervisor = Supervisor::one_for_one().children(children).start().await.unwrap();
    assert_eq!(supervisor.count_children().await.unwrap().active, 5000);
    supervisor.stop().await;
    assert!(supervisor.status().borrow().children.iter().all(|child| child.state.as_str() == "down"));
}
