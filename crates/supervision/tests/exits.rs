//! How children end, and what their supervisor makes of it.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild, MockMessage};
use mlx_tree_supervision::{
    ChildContext, ChildSpec, ChildState, EventKind, ExitReason, FailureKind, Intensity, Restart, Severity, Slot,
    StartError, SupervisedExit, Supervisor, SupervisorEvent, SupervisorExit, SupervisorHandle, WaitReadyError,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

const S: fn(u64) -> Duration = Duration::from_secs;

fn reason(event: &SupervisorEvent) -> ExitReason {
    match &event.kind {
        EventKind::ChildExited { reason } | EventKind::ChildStopped { reason } => reason.clone(),
        other => panic!("{} is no exit", other.name()),
    }
}

/// A supervisor with room for failures, and its recorder.
async fn run(spec: ChildSpec) -> (SupervisorHandle, EventRecorder) {
    let events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .intensity(Intensity::new(10, S(60)))
        .events_into(events.sender())
        .child(spec)
        .start()
        .await
        .unwrap();
    (supervisor, events)
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_panic_are_told_apart() {
    let (supervisor, mut events) = run(MockChild::spec("a", [Act::Crash, Act::Panic, Act::Ready])).await;
    let crash = reason(&events.wait_for("child.exited", "a").await);
    assert_eq!((crash.code(), crash.to_string().as_str()), ("error", "mock crash"));
    let panic = reason(&events.wait_for("child.exited", "a").await);
    assert_eq!((panic.code(), panic.to_string().as_str()), ("panic", "panic: mock panic"));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_or_panics_during_a_restart_is_tried_again() {
    let script = [Act::Crash, Act::FailStart, Act::PanicInStart, Act::Ready];
    let (supervisor, mut events) = run(MockChild::spec("a", script)).await;
    events.wait_for("child.exited", "a").await;
    for message in ["mock crash", "panic: mock panic in pre_start"] {
        let failed = reason(&events.wait_for("child.exited", "a").await);
        let failure = failed.failure().unwrap();
        assert_eq!((failure.kind, &*failure.message), (FailureKind::StartFailed, message));
    }
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 4);
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 3);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_closure_that_panics_is_a_failed_start() {
    let mut calls = 0;
    let spec = ChildSpec::actor("a", move |_: ChildContext| {
        calls += 1;
        assert!(calls != 2, "no second actor");
        (Waits, ())
    });
    let (supervisor, mut events) = run(spec).await;
    supervisor.wait_ready("a").await.unwrap();
    let children = supervisor.actor().get_children();
    children[0].kill();
    events
        .wait_until("the kill", |event| matches!(&event.kind, EventKind::ChildExited { reason: ExitReason::Killed }))
        .await;
    let failed = reason(&events.wait_for("child.exited", "a").await);
    assert_eq!(failed.to_string(), "start failed: panic: no second actor");
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 3);
    supervisor.stop().await;
}

/// Does nothing.
struct Waits;

impl Actor for Waits {
    type Msg = ();
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("exit code {0}")]
struct ExitCode(i32);

/// Fails with a typed error as soon as it has started.
struct Typed(fn() -> ActorProcessingErr);

impl Actor for Typed {
    type Msg = ();
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        myself.send_message(())?;
        Ok(())
    }
    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err(self.0())
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_says_with_a_typed_error_whether_trying_again_can_help() {
    let endings: [(fn() -> ActorProcessingErr, Severity); 3] = [
        (|| SupervisedExit::permanent(ExitCode(127)).into(), Severity::Permanent),
        (|| SupervisedExit::transient(ExitCode(1)).into(), Severity::Transient),
        (|| ExitCode(2).into(), Severity::Transient),
    ];
    for (ending, severity) in endings {
        let (supervisor, mut events) =
            run(ChildSpec::actor("a", move |_| (Typed(ending), ())).restart(Restart::Temporary)).await;
        let exit = reason(&events.wait_for("child.exited", "a").await);
        assert_eq!(exit.severity(), severity);
        assert!(exit.downcast_ref::<ExitCode>().is_some(), "{exit:?}");
        assert!(exit.to_string().starts_with("exit code "));
        supervisor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_is_restarted_after_a_failure_and_rests_after_a_normal_end() {
    let script = [Act::Crash, Act::ExitNormalAfter(S(1))];
    let (supervisor, mut events) = run(MockChild::spec("a", script).restart(Restart::Transient)).await;
    events.wait_until("second end", |event| event.kind.name() == "child.exited" && event.epoch.get() == 2).await;
    assert_eq!(supervisor.wait_ready("a").await, Err(WaitReadyError::Down));
    assert_eq!(supervisor.which_children().await.unwrap()[0].state, ChildState::Down);
    supervisor.restart_child("a").await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 3);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_forgotten_once_it_has_ended() {
    let (supervisor, mut events) = run(MockChild::spec("a", [Act::Crash]).restart(Restart::Temporary)).await;
    events.wait_for("child.removed", "a").await;
    assert_eq!(supervisor.count_children().await.unwrap().specs, 0);
    assert_eq!(supervisor.wait_ready("a").await, Err(WaitReadyError::NotFound));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_with_nothing_to_start_is_no_failure() {
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::IgnoreStart, Act::Ready]))
        .child(MockChild::spec("b", [Act::IgnoreStart]).restart(Restart::Temporary))
        .child(MockChild::spec("c", [Act::Ready]))
        .start()
        .await
        .unwrap();
    let children = supervisor.which_children().await.unwrap();
    let children: Vec<_> = children.iter().map(|child| (child.id.as_str(), &child.state)).collect();
    assert!(matches!(children[..], [("a", ChildState::Down), ("c", _)]), "{children:?}");
    supervisor.restart_child("a").await.unwrap();
    supervisor.wait_ready("a").await.unwrap();
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_second_failure_within_five_seconds_ends_a_plain_supervisor() {
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Ready]))
        .child(MockChild::spec("b", [Act::CrashAfter(S(1)), Act::CrashAfter(S(5))]))
        .child(MockChild::spec("c", [Act::Ready]))
        .start()
        .await
        .unwrap();
    match supervisor.closed().await {
        SupervisorExit::IntensityExceeded { child, reason } => {
            assert_eq!((child.as_str(), reason.to_string().as_str()), ("b", "mock crash"));
        }
        other => panic!("{other}"),
    }
    let story = events.outline();
    let end = story.iter().position(|line| line == "supervisor.stopping").unwrap();
    assert_eq!(
        story[end..],
        ["supervisor.stopping", "stopping c#1", "stopped c#1", "stopping a#1", "stopped a#1", "supervisor.stopped"]
    );
    assert!(supervisor.status().borrow().children.iter().all(|child| child.state == ChildState::Down));
}

#[tokio::test(start_paused = true)]
async fn failures_further_apart_than_the_period_never_end_a_supervisor() {
    let (supervisor, mut events) = run(MockChild::spec("a", [Act::CrashAfter(S(7)); 40])).await;
    // Ten in sixty seconds are allowed; these are eight or nine.
    let ready =
        events.wait_until("the last start", |event| event.kind.name() == "child.ready" && event.epoch.get() == 41);
    assert_eq!(ready.await.at.since_origin(), S(7 * 40));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_whose_child_does_not_start_ends_those_before_it_and_says_which() {
    let mut events = EventRecorder::new();
    let started = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Ready]))
        .child(MockChild::spec("b", [Act::Ready]))
        .child(MockChild::spec("c", [Act::FailStart]))
        .child(MockChild::spec("d", [Act::Ready]))
        .start()
        .await;
    match started {
        Err(StartError::Child { child, reason }) => {
            assert_eq!((child.as_str(), reason.to_string().as_str()), ("c", "start failed: mock crash"));
        }
        other => panic!("{other:?}"),
    }
    let story = events.outline();
    let end = story.iter().position(|line| line == "supervisor.stopping").unwrap();
    assert_eq!(
        story[end..],
        ["supervisor.stopping", "stopping b#1", "stopped b#1", "stopping a#1", "stopped a#1", "supervisor.stopped"]
    );
    assert!(!story.iter().any(|line| line.ends_with("d#1")));
}

#[tokio::test(start_paused = true)]
async fn a_slot_holds_the_incarnation_that_runs_and_is_empty_between_two() {
    let slot: Slot<MockMessage> = Slot::new();
    let mut seen = slot.watch();
    let spec = ChildSpec::actor_in(&slot, "waits", |_| (Waits2, ()));
    let (supervisor, _events) = run(spec).await;
    let (epoch, actor) = seen.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!(epoch.get(), 1);
    actor.send_message(MockMessage::Crash).unwrap();
    seen.wait_for(|current| current.as_ref().is_some_and(|(epoch, _)| epoch.get() == 2)).await.unwrap();
    supervisor.terminate_child("waits").await.unwrap();
    assert!(slot.actor().is_none());
    supervisor.stop().await;
}

/// Ends with the first message.
struct Waits2;

impl Actor for Waits2 {
    type Msg = MockMessage;
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<MockMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
    async fn handle(&self, _: ActorRef<MockMessage>, _: MockMessage, (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("told to".into())
    }
}
