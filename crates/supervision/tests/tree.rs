//! Supervisors under supervisors.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    AutoShutdown, ChildSpec, ChildState, EventKind, ExitReason, FailureKind, Intensity, Restart, Slot, StartChildError,
    StartError, Supervisor, SupervisorExit, SupervisorHandle,
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus};
use tokio::sync::broadcast::Sender;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const S: fn(u64) -> Duration = Duration::from_secs;

type Events = Sender<mlx_tree_supervision::SupervisorEvent>;

/// A subtree with one child that plays a script (the same for each incarnation of the subtree).
fn subtree(events: &Events, id: &'static str, script: &'static [Act]) -> ChildSpec {
    let events = events.clone();
    ChildSpec::supervisor(id, move |_| {
        Supervisor::one_for_one()
            .name(id)
            .events_into(events.clone())
            .child(MockChild::spec(format!("{id}.leaf"), script.iter().copied()))
    })
}

async fn start(supervisor: Supervisor, events: &EventRecorder) -> SupervisorHandle {
    supervisor.events_into(events.sender()).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_subtree_has_started_when_its_children_have_and_stops_them_before_it_ends() {
    let mut events = EventRecorder::new();
    let root = Supervisor::one_for_one()
        .name("root")
        .child(subtree(&events.sender(), "left", const { &[Act::StopAfter(Duration::from_secs(3))] }))
        .child(MockChild::spec("right", [Act::Ready]));
    let root = start(root, &events).await;
    root.wait_ready("right").await.unwrap();
    root.stop().await;
    let story: Vec<_> = events
        .outline()
        .into_iter()
        .filter(|line| !line.starts_with("ready") && !line.starts_with("supervisor.stopping"))
        .collect();
    assert_eq!(
        story,
        [
            "starting left#1",
            "starting left.leaf#1",
            "started left.leaf#1",
            "supervisor.started",
            "started left#1",
            "starting right#1",
            "started right#1",
            "supervisor.started",
            "stopping right#1",
            "stopped right#1",
            "stopping left#1",
            "stopping left.leaf#1",
            "stopped left.leaf#1",
            "supervisor.stopped",
            "stopped left#1",
            "supervisor.stopped",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_subtree_that_gives_up_ends_with_reason_shutdown_and_is_started_anew() {
    let mut events = EventRecorder::new();
    // Twice within five seconds is once too often for the subtree, once for the root.
    let root = start(
        Supervisor::one_for_one().name("root").child(subtree(&events.sender(), "left", &[Act::Crash, Act::Crash])),
        &events,
    )
    .await;
    let exited = events.wait_for("child.exited", "left").await;
    assert!(matches!(exited.kind, EventKind::ChildExited { reason: ExitReason::Shutdown }));
    // The second incarnation plays the same script; that is once too often for the root as well.
    assert!(matches!(root.closed().await, SupervisorExit::IntensityExceeded { child, .. } if child == "left"));
}

#[tokio::test(start_paused = true)]
async fn a_transient_subtree_that_gives_up_is_not_started_again() {
    let mut events = EventRecorder::new();
    let left = subtree(&events.sender(), "left", &[Act::Crash, Act::Crash]).restart(Restart::Transient);
    let root = start(Supervisor::one_for_one().name("root").child(left), &events).await;
    events.wait_for("child.exited", "left").await;
    assert_eq!(root.which_children().await.unwrap()[0].state, ChildState::Down);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_subtree_whose_child_does_not_start_has_not_started_either() {
    let events = EventRecorder::new();
    let root = Supervisor::one_for_one().child(subtree(&events.sender(), "left", &[Act::FailStart])).start().await;
    match root {
        Err(StartError::Child { child, reason: ExitReason::Failed(failure) }) => {
            assert_eq!((child.as_str(), failure.kind), ("left", FailureKind::StartFailed));
            assert_eq!(&*failure.message, "left.leaf did not start: start failed: mock crash");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_subtree_that_contradicts_itself_does_not_start() {
    let root = Supervisor::dynamic().start().await.unwrap();
    let twins = ChildSpec::supervisor("twins", |_| {
        Supervisor::one_for_one()
            .child(MockChild::spec("twin", [Act::Ready]))
            .child(MockChild::spec("twin", [Act::Ready]))
    });
    match root.start_child(twins).await {
        Err(StartChildError::Failed(reason)) => {
            assert_eq!(reason.to_string(), "start failed: there are two children named twin");
        }
        other => panic!("{other:?}"),
    }
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_dynamic_children_of_a_restarted_supervisor_are_gone() {
    let (handles, mut made) = tokio::sync::mpsc::unbounded_channel();
    let root = Supervisor::one_for_one()
        .intensity(Intensity::new(5, S(5)))
        .child(ChildSpec::supervisor("pool", move |context| {
            let _ = handles.send(context);
            Supervisor::dynamic().name("pool")
        }))
        .start()
        .await
        .unwrap();
    assert_eq!(made.recv().await.unwrap().epoch().get(), 1);
    let pool = root.actor().get_children().remove(0);
    pool.kill();
    assert_eq!(made.recv().await.unwrap().epoch().get(), 2);
    root.wait_ready("pool").await.unwrap();
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn killing_a_subtree_takes_its_children_with_it() {
    let mut events = EventRecorder::new();
    let root = Supervisor::one_for_one().name("root").child(subtree(&events.sender(), "left", &[Act::HangInStop]));
    let root = start(root, &events).await;
    events.wait_for("child.ready", "left.leaf").await;
    let left = root.actor().get_children().remove(0);
    let leaf = left.get_children().remove(0);
    root.kill_now().await;
    leaf.wait(Some(S(1))).await.unwrap();
}

/// Does nothing, and is somebody's.
struct Kept;

impl Actor for Kept {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Has an actor of its own, linked to it, and fails when it is spoken to.
struct Keeper(UnboundedSender<ActorCell>);

impl Actor for Keeper {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        let (kept, _) = Actor::spawn_linked(None, Kept, (), myself.get_cell()).await?;
        let _ = self.0.send(kept.get_cell());
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("spoken to".into())
    }
}

/// Akka's `stopChildren`.
#[tokio::test(start_paused = true)]
async fn what_an_actor_has_linked_ends_with_it() {
    let (sender, mut kept) = unbounded_channel();
    let slot = Slot::new();
    let spec = ChildSpec::actor_in(&slot, "keeper", move |_| (Keeper(sender.clone()), ()));
    let root = Supervisor::one_for_one().child(spec).start().await.unwrap();
    let first = kept.recv().await.unwrap();
    tokio::time::sleep(S(1)).await;
    slot.actor().unwrap().send_message(()).unwrap();
    let second = kept.recv().await.unwrap();
    first.wait(Some(S(1))).await.unwrap();
    assert_eq!((first.get_status(), second.get_status()), (ActorStatus::Stopped, ActorStatus::Running));
    root.stop().await;
    second.wait(Some(S(1))).await.unwrap();
}

/// And of a subtree, nobody is left when it is started anew, however long its children take to end.
#[tokio::test(start_paused = true)]
async fn a_subtree_has_stopped_before_it_is_started_anew() {
    let mut events = EventRecorder::new();
    let sender = events.sender();
    let sub = ChildSpec::supervisor("sub", move |_| {
        Supervisor::one_for_one()
            .events_into(sender.clone())
            .intensity(Intensity::new(0, S(5)))
            .child(MockChild::spec("slow", [Act::StopAfter(S(4))]))
            .child(MockChild::spec("weak", [Act::CrashAfter(S(1))]))
    });
    let root = start(Supervisor::one_for_one().child(sub), &events).await;
    let stopped = events.wait_for("child.stopped", "slow").await;
    let anew = events.wait_for("child.starting", "sub").await;
    assert_eq!((anew.epoch.get(), anew.at.since_origin(), stopped.at.since_origin()), (2, S(5), S(5)));
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_significant_child_ends_its_supervisor_and_no_further() {
    let mut events = EventRecorder::new();
    let sender = events.sender();
    let inner = ChildSpec::supervisor("inner", move |_| {
        Supervisor::one_for_one()
            .auto_shutdown(AutoShutdown::AnySignificant)
            .events_into(sender.clone())
            .child(MockChild::spec("work", [Act::ExitNormalAfter(S(1))]).restart(Restart::Transient).significant())
            .child(MockChild::spec("helper", [Act::Ready]))
    })
    .restart(Restart::Transient);
    let root = start(Supervisor::one_for_one().child(inner), &events).await;
    events.wait_for("child.stopped", "helper").await;
    events.wait_for("child.exited", "inner").await;
    assert_eq!(root.which_children().await.unwrap()[0].state, ChildState::Down);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_the_leaf_that_hangs_in_its_start_deep_in_the_tree() {
    let mut events = EventRecorder::new();
    let leaf = const { &[Act::HangInStart] };
    let sender = events.sender();
    let middle = ChildSpec::supervisor("middle", move |_| {
        Supervisor::one_for_one().events_into(sender.clone()).child(subtree(&sender, "inner", leaf))
    });
    let starting = Supervisor::one_for_one().name("root").events_into(events.sender()).child(middle).start();
    assert!(tokio::time::timeout(S(1), starting).await.is_err());
    let root_stopped = events.wait_until("the end of the root", |event| {
        &*event.supervisor == "root" && matches!(event.kind, EventKind::SupervisorStopped { .. })
    });
    assert_eq!(root_stopped.await.at.since_origin(), S(6));
}

#[tokio::test(start_paused = true)]
async fn a_child_may_be_numbered_on_from_an_earlier_life() {
    let spec = MockChild::spec("heir", [Act::CrashAfter(S(1))]).numbered_after(mlx_tree_supervision::Epoch::new(7));
    let root = Supervisor::one_for_one().child(spec).start().await.unwrap();
    assert_eq!(root.wait_ready("heir").await.unwrap().get(), 8);
    tokio::time::sleep(S(2)).await;
    let status = root.snapshot().await.unwrap();
    let heir = status.child("heir").unwrap();
    assert_eq!((heir.epoch.get(), heir.restarts), (9, 1));
    root.stop().await;
}
