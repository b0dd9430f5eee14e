//! How things are stopped: in order, in time, and whatever else is going on.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    ChildSpec, ChildState, EventKind, ExitReason, Intensity, RestartChildError, Shutdown, StartChildError, Supervisor,
    SupervisorExit, SupervisorHandle, TerminateChildError,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

const S: fn(u64) -> Duration = Duration::from_secs;

fn elapsed(since: tokio::time::Instant) -> u64 {
    since.elapsed().as_secs()
}

async fn start(supervisor: Supervisor, events: &EventRecorder) -> SupervisorHandle {
    supervisor.events_into(events.sender()).start().await.unwrap()
}

fn stops(events: &mut EventRecorder) -> Vec<String> {
    events.outline().into_iter().filter(|line| line.starts_with("stop") || line.starts_with("killed")).collect()
}

#[tokio::test(start_paused = true)]
async fn children_are_stopped_one_by_one_in_reverse_order_each_in_its_own_time() {
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::StopAfter(S(3))]))
        .child(MockChild::spec("b", [Act::HangInStop]).shutdown(Shutdown::Timeout(S(10))))
        .child(MockChild::spec("c", [Act::HangInStop]).shutdown(Shutdown::Kill))
        .child(MockChild::spec("d", [Act::StopAfter(S(600))]).shutdown(Shutdown::Infinity));
    let supervisor = start(supervisor, &events).await;
    supervisor.wait_ready("d").await.unwrap();
    let asked = tokio::time::Instant::now();
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
    assert_eq!(elapsed(asked), 600 + 10 + 3);
    assert_eq!(
        stops(&mut events),
        [
            "stopping d#1",
            "stopped d#1",
            "stopping c#1",
            "stopped c#1",
            "stopping b#1",
            "killed b#1",
            "stopped b#1",
            "stopping a#1",
            "stopped a#1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_by_itself_while_its_supervisor_stops_is_not_restarted() {
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::CrashAfter(S(1))]))
        .child(MockChild::spec("b", [Act::ExitNormalAfter(S(2))]))
        .child(MockChild::spec("c", [Act::StopAfter(S(4))]));
    let supervisor = start(supervisor, &events).await;
    supervisor.wait_ready("c").await.unwrap();
    supervisor.stop().await;
    assert!(!events.outline().iter().any(|line| line.ends_with("#2")), "{}", events.story());
    assert_eq!(events.outline().last().unwrap(), "supervisor.stopped");
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_are_stopped_all_at_once() {
    let mut events = EventRecorder::new();
    let supervisor = start(Supervisor::dynamic(), &events).await;
    for id in ["a", "b", "c"] {
        supervisor.start_child(MockChild::spec(id, [Act::StopAfter(S(4))])).await.unwrap();
        supervisor.wait_ready(id).await.unwrap();
    }
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert_eq!(elapsed(asked), 4);
    assert_eq!(stops(&mut events)[..3], ["stopping a#1", "stopping b#1", "stopping c#1"]);
}

#[tokio::test(start_paused = true)]
async fn killing_now_waits_for_nothing() {
    let events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::HangInStop]).shutdown(Shutdown::Infinity))
        .child(MockChild::spec("b", [Act::HangInStop]).shutdown(Shutdown::Infinity));
    let supervisor = start(supervisor, &events).await;
    supervisor.wait_ready("b").await.unwrap();
    let asked = tokio::time::Instant::now();
    let first = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.stop().await }
    });
    tokio::time::sleep(S(5)).await;
    assert!(!first.is_finished());
    assert!(matches!(supervisor.kill_now().await, SupervisorExit::Killed));
    assert!(matches!(first.await.unwrap(), SupervisorExit::Killed));
    assert_eq!(elapsed(asked), 5);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_longer_for_a_start_than_the_childs_shutdown_allows() {
    let events = EventRecorder::new();
    let supervisor = start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::Ready])), &events).await;
    let hanging = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.start_child(MockChild::spec("b", [Act::HangInStart])).await }
    });
    tokio::time::sleep(S(1)).await;
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert_eq!(elapsed(asked), 5);
    assert!(matches!(hanging.await.unwrap(), Err(StartChildError::Failed(_))));
}

#[tokio::test(start_paused = true)]
async fn questions_are_answered_and_changes_wait_while_a_child_starts() {
    let events = EventRecorder::new();
    let supervisor = start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::Ready])), &events).await;
    let hanging = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.start_child(MockChild::spec("b", [Act::HangInStart]).ready_within(S(60))).await }
    });
    tokio::time::sleep(S(1)).await;
    let asked = tokio::time::Instant::now();
    let children = supervisor.which_children().await.unwrap();
    assert_eq!(children[1].state, ChildState::Starting);
    assert_eq!(supervisor.count_children().await.unwrap().specs, 2);
    assert_eq!(elapsed(asked), 0);
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(elapsed(asked), 59);
    assert!(matches!(hanging.await.unwrap(), Err(StartChildError::Failed(reason)) if reason.code() == "start_timeout"));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_waits_for_any_more_is_stopped() {
    let mut events = EventRecorder::new();
    let starting = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Ready]))
        .child(MockChild::spec("b", [Act::HangInStart]))
        .start();
    assert!(tokio::time::timeout(S(1), starting).await.is_err());
    events.wait_until("the end", |event| matches!(event.kind, EventKind::SupervisorStopped { .. })).await;
    assert!(events.outline().contains(&"stopped a#1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_somebody_else_stops_still_stops_its_children_in_order() {
    let slow = |id: &'static str| MockChild::spec(id, [Act::StopAfter(S(3))]);
    let events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .child(slow("a"))
        .child(MockChild::spec("b", [Act::HangInStop]).shutdown(Shutdown::Timeout(S(10))));
    let supervisor = start(supervisor, &events).await;
    supervisor.wait_ready("b").await.unwrap();
    let children = supervisor.actor().get_children();
    let asked = tokio::time::Instant::now();
    supervisor.actor().stop(None);
    assert!(matches!(supervisor.closed().await, SupervisorExit::Stopped));
    assert_eq!(elapsed(asked), 10 + 3);
    assert!(children.iter().all(|child| child.get_status() == ractor::ActorStatus::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_killed_takes_its_children_with_it_and_its_end_is_known() {
    let events = EventRecorder::new();
    let supervisor = start(Supervisor::one_for_one().child(MockChild::spec("a", [Act::HangInStop])), &events).await;
    supervisor.wait_ready("a").await.unwrap();
    let child = supervisor.actor().get_children().remove(0);
    supervisor.actor().kill();
    assert!(matches!(supervisor.closed().await, SupervisorExit::Killed));
    child.wait(Some(S(1))).await.unwrap();
    assert!(supervisor.which_children().await.is_err());
}

/// Blocks its thread when it is to stop, so that no kill reaches it.
struct Blocks(Arc<Gate>);

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
    }
}

impl Actor for Blocks {
    type Msg = ();
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
    async fn post_stop(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.0.wait();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_child_that_no_kill_reaches_is_stuck_and_is_not_started_again_before_it_has_ended() {
    let gate = Arc::new(Gate::default());
    let mut events = EventRecorder::new();
    let millis = Duration::from_millis;
    let blocks = gate.clone();
    let supervisor = Supervisor::one_for_one()
        .kill_grace(millis(50))
        .child(ChildSpec::actor("a", move |_| (Blocks(blocks.clone()), ())).shutdown(Shutdown::Timeout(millis(50))));
    let supervisor = start(supervisor, &events).await;
    assert_eq!(supervisor.terminate_child("a").await, Err(TerminateChildError::Stuck));
    assert_eq!(supervisor.which_children().await.unwrap()[0].state, ChildState::Stuck);
    assert!(matches!(supervisor.restart_child("a").await, Err(RestartChildError::Running)));
    gate.open();
    events.wait_for("child.stopped", "a").await;
    assert_eq!(supervisor.which_children().await.unwrap()[0].state, ChildState::Down);
    supervisor.restart_child("a").await.unwrap();
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stuck_member_holds_its_group_down_until_it_has_ended() {
    let gate = Arc::new(Gate::default());
    let mut events = EventRecorder::new();
    let millis = Duration::from_millis;
    let blocks = gate.clone();
    let supervisor = Supervisor::one_for_all()
        .kill_grace(millis(50))
        .intensity(Intensity::new(5, S(60)))
        .child(ChildSpec::actor("a", move |_| (Blocks(blocks.clone()), ())).shutdown(Shutdown::Timeout(millis(50))))
        .child(MockChild::spec("b", [Act::CrashAfter(millis(50))]));
    let supervisor = start(supervisor, &events).await;
    events.wait_for("child.stuck", "a").await;
    gate.open();
    assert_eq!(supervisor.wait_ready("b").await.unwrap().get(), 2);
    let a = supervisor.which_children().await.unwrap().remove(0);
    assert_eq!((a.epoch.get(), a.state), (2, ChildState::Ready));
    assert!(matches!(a.last_exit.unwrap().reason, ExitReason::Killed | ExitReason::Shutdown));
    supervisor.stop().await;
}
