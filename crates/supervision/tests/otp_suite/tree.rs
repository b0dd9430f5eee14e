//! tree, simple_global_supervisor: supervisors under supervisors, and what only one may hold at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{
    ChildContext, ChildSpec, Intensity, Slot, Strategy, Supervisor, SupervisorExit, SupervisorHandle,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::util::*;

/// A child that shows its supervisor to the test, so that it can be asked for things.
fn doorman(handles: &UnboundedSender<SupervisorHandle>) -> ChildSpec {
    let handles = handles.clone();
    ChildSpec::actor("doorman", move |context: ChildContext| {
        let _ = handles.send(context.supervisor().clone());
        (Idle, ())
    })
}

async fn next(handles: &mut UnboundedReceiver<SupervisorHandle>) -> SupervisorHandle {
    handles.recv().await.expect("a supervisor")
}

/// A leaf's failures climb the tree as far as they must. The static children of whoever is restarted are there again, in new
/// incarnations; the dynamic ones are gone.
#[tokio::test(start_paused = true)]
async fn tree() {
    let (pools, mut pool) = unbounded_channel();
    let (inners, mut inner) = unbounded_channel();
    let root = Supervisor::one_for_all()
        .intensity(Intensity::new(4, S(3600)))
        .child(steady("leaf"))
        .child(ChildSpec::supervisor("pool", move |_| Supervisor::dynamic().child(doorman(&pools))))
        .child(ChildSpec::supervisor("inner", move |_| {
            let limit = Intensity::new(1, S(3600));
            Supervisor::one_for_one().intensity(limit).child(doorman(&inners)).child(steady("deep"))
        }));
    let (root, _) = start(root).await;
    let (old_pool, old_inner) = (next(&mut pool).await, next(&mut inner).await);
    let dynamic = add(&old_pool, steady("dynamic")).await;
    later(MS(1)).await;
    assert_eq!(states(&old_pool).await, "doorman:ready dynamic:ready");

    // Within its limit the inner supervisor sees to it alone.
    add(&old_inner, MockChild::spec("weak", [Act::CrashAfter(S(1)), Act::CrashAfter(S(9))])).await;
    later(S(2)).await;
    assert_eq!(epochs(&old_inner).await, "doorman1 deep1 weak2");
    assert_eq!(epochs(&root).await, "leaf1 pool1 inner1");

    // Beyond it, it gives up, and the root starts all anew.
    assert!(matches!(old_inner.closed().await, SupervisorExit::IntensityExceeded { child, .. } if child == "weak"));
    let (new_pool, new_inner) = (next(&mut pool).await, next(&mut inner).await);
    later(MS(1)).await;
    assert_eq!(epochs(&root).await, "leaf2 pool2 inner2");
    assert_eq!(states(&new_pool).await, "doorman:ready");
    assert_eq!(states(&new_inner).await, "doorman:ready deep:ready");
    assert_eq!(dynamic.get_status(), ActorStatus::Stopped);
    assert!(matches!(old_pool.closed().await, SupervisorExit::Stopped));
    root.stop().await;
    assert!(matches!(new_inner.closed().await, SupervisorExit::Stopped));
}

/// Holds what only one may hold, from its start until its state is dropped.
struct Holder {
    taken: Arc<AtomicBool>,
}

struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy)]
enum End {
    Error,
    Panic,
}

impl Actor for Holder {
    type Msg = End;
    type State = Held;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<End>, (): ()) -> Result<Held, ActorProcessingErr> {
        match self.taken.swap(true, Ordering::SeqCst) {
            true => Err("it is taken".into()),
            false => Ok(Held(self.taken.clone())),
        }
    }

    async fn handle(&self, _: ActorRef<End>, how: End, _: &mut Held) -> Result<(), ActorProcessingErr> {
        match how {
            End::Error => Err("told to".into()),
            End::Panic => panic!("told to"),
        }
    }
}

/// OTP: a globally registered name is free before its child is restarted. Here: a slot is empty, and whatever the old
/// incarnation held is free, before the new one starts, in whatever way the old one has ended.
#[tokio::test(start_paused = true)]
async fn simple_global_supervisor() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne, Strategy::Dynamic] {
        let (supervisor, mut events) = start(Supervisor::new(strategy).intensity(Intensity::new(9, S(3600)))).await;
        let slot = Slot::new();
        let (taken, seen) = (Arc::new(AtomicBool::new(false)), slot.clone());
        let spec = ChildSpec::actor_in(&slot, "holder", move |_| {
            assert!(seen.current().is_none(), "the name is taken");
            (Holder { taken: taken.clone() }, ())
        });
        add(&supervisor, spec).await;
        later(MS(1)).await;
        for round in 1..=9 {
            let (epoch, actor) = slot.current().expect("it runs");
            assert_eq!(epoch.get(), round);
            match round % 4 {
                0 => actor.send_message(End::Error).unwrap(),
                1 => actor.send_message(End::Panic).unwrap(),
                2 => actor.kill(),
                _ => actor.stop(None),
            }
            later(MS(1)).await;
        }
        // No start has failed on the way.
        assert_eq!(epochs(&supervisor).await, "holder10", "{}", events.story());
        assert!(reports(events.events()).iter().all(|report| report.starts_with("child_terminated")));
        supervisor.stop().await;
        assert!(slot.current().is_none());
    }
}
