//! What can be asked of a supervisor, and all its answers.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{
    AutoShutdown, ChangeRulesError, ChildCounts, ChildKind, ChildSpec, ChildState, DeleteChildError, Intensity,
    InvalidSpec, Restart, RestartChildError, ResumeChildError, RuleChange, Shutdown, Significance, StartChildError,
    StartError, StartedChild, Supervisor, SuspendChildError, TerminateChildError, WaitReadyError,
};

const S: fn(u64) -> Duration = Duration::from_secs;

fn ready(id: &str) -> ChildSpec {
    MockChild::spec(id, [])
}

#[tokio::test(start_paused = true)]
async fn the_whole_life_of_a_child_by_request() {
    let supervisor = Supervisor::one_for_one().start().await.unwrap();
    let started = supervisor.start_child(ready("a")).await.unwrap();
    assert!(matches!(started, StartedChild::Running { epoch, .. } if epoch.get() == 1));
    assert!(matches!(supervisor.start_child(ready("a")).await, Err(StartChildError::AlreadyStarted)));
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Running)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::Running));
    assert_eq!(supervisor.terminate_child("a").await, Ok(()));
    assert_eq!(supervisor.terminate_child("a").await, Ok(()));
    assert!(matches!(supervisor.start_child(ready("a")).await, Err(StartChildError::AlreadyPresent)));
    let restarted = supervisor.restart_child("a").await.unwrap();
    assert!(matches!(restarted, StartedChild::Running { epoch, .. } if epoch.get() == 2));
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(supervisor.delete_child("a").await, Ok(()));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::NotFound));
    assert_eq!(supervisor.terminate_child("a").await, Err(TerminateChildError::NotFound));
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::NotFound)));
    assert_eq!(supervisor.resume_child("a").await, Err(ResumeChildError::NotFound));
    assert_eq!(supervisor.suspend_child("a", "x").await, Err(SuspendChildError::NotFound));
    assert_eq!(supervisor.wait_ready("a").await, Err(WaitReadyError::NotFound));
    supervisor.stop().await;
    assert_eq!(supervisor.terminate_child("a").await, Err(TerminateChildError::SupervisorGone));
    assert!(matches!(supervisor.start_child(ready("a")).await, Err(StartChildError::SupervisorGone)));
    assert_eq!(supervisor.wait_ready("a").await, Err(WaitReadyError::SupervisorGone));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_waits_can_be_terminated_but_neither_restarted_nor_deleted() {
    let backoff = mlx_tree_supervision::Backoff::default();
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", [Act::Crash]).backoff(backoff)).start().await.unwrap();
    let mut status = supervisor.status();
    status.wait_for(|status| matches!(status.children[0].state, ChildState::Waiting { .. })).await.unwrap();
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Restarting)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::Restarting));
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(
        status.borrow().children[0].state,
        ChildState::Down,
        "the status knows it as soon as the answer is there"
    );
    tokio::time::sleep(S(60)).await;
    let a = supervisor.which_children().await.unwrap().remove(0);
    assert_eq!((a.state, a.epoch.get()), (ChildState::Down, 1));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_to_start_a_child_counts_no_restart_and_remembers_nothing() {
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("b", [Act::Ready, Act::FailStart])).start().await.unwrap();
    let refused = supervisor.start_child(MockChild::spec("a", [Act::FailStart])).await;
    assert!(matches!(refused, Err(StartChildError::Failed(reason)) if reason.code() == "start_failed"));
    supervisor.terminate_child("b").await.unwrap();
    let refused = supervisor.restart_child("b").await;
    assert!(matches!(refused, Err(RestartChildError::Failed(_))));
    let status = supervisor.snapshot().await.unwrap();
    assert_eq!((status.children.len(), status.restarts_in_window), (1, 0));
    assert_eq!(status.children[0].state, ChildState::Down);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_are_counted_in_otps_classes() {
    let supervisor = Supervisor::one_for_one()
        .child(ready("a"))
        .child(MockChild::spec("b", [Act::IgnoreStart]))
        .child(ChildSpec::supervisor("c", |_| Supervisor::dynamic()))
        .start()
        .await
        .unwrap();
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 3, active: 2, supervisors: 1, workers: 2 });
    supervisor.stop().await;
    assert_eq!(supervisor.status().borrow().children.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_child_have_otps_defaults() {
    let supervisor = Supervisor::one_for_one()
        .child(ready("worker"))
        .child(ChildSpec::supervisor("subtree", |_| Supervisor::one_for_one()))
        .start()
        .await
        .unwrap();
    let worker = supervisor.child_rules("worker").await.unwrap().unwrap();
    assert_eq!((worker.restart, worker.shutdown), (Restart::Permanent, Shutdown::Timeout(S(5))));
    assert_eq!((worker.kind, worker.significance), (ChildKind::Worker, Significance::Ordinary));
    let subtree = supervisor.child_rules("subtree").await.unwrap().unwrap();
    assert_eq!((subtree.kind, subtree.shutdown), (ChildKind::Supervisor, Shutdown::Infinity));
    assert_eq!(supervisor.child_rules("nobody").await.unwrap(), None);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn specs_that_contradict_themselves_are_refused() {
    let twins = Supervisor::one_for_one().child(ready("a")).child(ready("a")).start().await;
    assert!(matches!(twins, Err(StartError::Invalid(InvalidSpec::DuplicateId(id))) if id == "a"));
    let permanent =
        Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant).child(ready("a").significant());
    let permanent = permanent.start().await;
    assert!(matches!(permanent, Err(StartError::Invalid(InvalidSpec::SignificantPermanent(_)))));
    let never = Supervisor::one_for_one().start().await.unwrap();
    let refused = never.start_child(ready("a").restart(Restart::Transient).significant()).await;
    assert!(matches!(refused, Err(StartChildError::Invalid(InvalidSpec::SignificantWithoutAutoShutdown(_)))));
    never.stop().await;
    let period = Supervisor::one_for_one().intensity(Intensity::new(1, Duration::ZERO)).start().await;
    assert!(matches!(period, Err(StartError::Invalid(InvalidSpec::ZeroPeriod))));
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_come_and_go_within_their_limit() {
    let supervisor = Supervisor::dynamic().max_children(2).start().await.unwrap();
    supervisor.start_child(ready("a")).await.unwrap();
    let waits = MockChild::spec("b", [Act::Crash]).backoff(mlx_tree_supervision::Backoff::default());
    supervisor.start_child(waits).await.unwrap();
    tokio::time::sleep(S(1)).await;
    // One runs and one waits for its restart: both count.
    assert!(matches!(supervisor.start_child(ready("c")).await, Err(StartChildError::MaxChildren)));
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Dynamic)));
    assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::Dynamic));
    supervisor.terminate_child("b").await.unwrap();
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
    let ignored = supervisor.start_child(MockChild::spec("d", [Act::IgnoreStart])).await.unwrap();
    assert!(matches!(ignored, StartedChild::Ignored));
    assert_eq!(supervisor.count_children().await.unwrap().specs, 0);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_of_many_children_is_published_at_intervals_and_read_exactly_on_request() {
    let children = (0..1_000).map(|n| ready(&n.to_string()));
    let supervisor = Supervisor::one_for_one().children(children).start().await.unwrap();
    let mut status = supervisor.status();
    supervisor.wait_ready("999").await.unwrap();
    assert_eq!(supervisor.snapshot().await.unwrap().child("999").unwrap().state, ChildState::Ready);
    status.mark_unchanged();
    supervisor.terminate_child("500").await.unwrap();
    let asked = tokio::time::Instant::now();
    status.wait_for(|status| status.child("500").unwrap().state == ChildState::Down).await.unwrap();
    assert!(asked.elapsed() <= Duration::from_millis(101));
    supervisor.stop().await;
    assert!(status.borrow().children.iter().all(|child| child.state == ChildState::Down));
}

/// What OTP's upgrade of a child spec does, as far as a running child is concerned.
#[tokio::test(start_paused = true)]
async fn rules_are_changed_while_the_child_runs_and_hold_from_its_next_start_or_end() {
    let child = MockChild::spec("a", [Act::ExitNormal]).restart(Restart::Transient);
    let supervisor = Supervisor::one_for_one().intensity(Intensity::new(3, S(60))).child(child).start().await.unwrap();
    let change = RuleChange { shutdown: Some(Shutdown::Timeout(S(77))), ..RuleChange::default() };
    assert_eq!(supervisor.change_rules("a", change).await, Ok(()));
    let rules = supervisor.child_rules("a").await.unwrap().unwrap();
    assert_eq!((rules.shutdown, rules.restart), (Shutdown::Timeout(S(77)), Restart::Transient));
    let kinds = RuleChange { restart: Some(Restart::Temporary), ..RuleChange::default() };
    assert_eq!(supervisor.change_rules("a", kinds).await, Err(ChangeRulesError::Temporary));
    assert_eq!(supervisor.change_rules("b", change).await, Err(ChangeRulesError::NotFound));
    supervisor.stop().await;
    assert_eq!(supervisor.change_rules("a", change).await, Err(ChangeRulesError::SupervisorGone));
}

#[tokio::test(start_paused = true)]
async fn a_lower_intensity_counts_the_restarts_that_there_have_been() {
    let dying = MockChild::spec("a", [Act::Crash, Act::Crash]);
    let supervisor = Supervisor::one_for_one().intensity(Intensity::new(5, S(60))).child(dying).start().await.unwrap();
    let mut status = supervisor.status();
    let restarted = status.wait_for(|it| it.child("a").is_some_and(|child| child.restarts == 2)).await;
    drop(restarted.expect("it runs"));
    supervisor.change_intensity(Intensity::new(2, S(60))).await.unwrap();
    supervisor.start_child(MockChild::spec("b", [Act::Crash])).await.unwrap();
    let exit = supervisor.closed().await;
    assert!(matches!(exit, mlx_tree_supervision::SupervisorExit::IntensityExceeded { .. }), "{exit:?}");
}
