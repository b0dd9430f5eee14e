//! {permanent, transient, temporary} x {normal, shutdown, abnormal}, and what becomes of bystanders.

use std::sync::Arc;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild, MockMessage};
use mlx_tree_supervision::{ChildSpec, Restart, Supervisor};
use ractor::ActorRef;

use crate::util::*;

/// How one child ends, and then stands.
async fn after(restart: Restart, ending: MockMessage) -> (String, Vec<String>) {
    let (supervisor, mut events) = start(Supervisor::one_for_one().intensity(patient())).await;
    let child: ActorRef<MockMessage> = add(&supervisor, steady("a").restart(restart)).await.into();
    later(MS(1)).await;
    child.send_message(ending).unwrap();
    later(MS(1)).await;
    let states = states(&supervisor).await;
    let reports = reports(events.events());
    supervisor.stop().await;
    (states, reports)
}

macro_rules! endings {
    ($(fn $name:ident: $restart:ident $ending:ident => $states:literal $reports:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let (states, reports) = after(Restart::$restart, MockMessage::$ending).await;
            let expected: &[&str] = &$reports;
            assert_eq!((states.as_str(), reports), ($states, expected.iter().map(|&r| r.to_owned()).collect()));
        }
    )*};
}

endings! {
    fn permanent_normal: Permanent ExitNormal => "a:ready" ["child_terminated a: normal"];
    fn permanent_shutdown: Permanent ExitShutdown => "a:ready" ["child_terminated a: shutdown"];
    fn permanent_abnormal: Permanent Crash => "a:ready" ["child_terminated a: mock crash"];
    fn transient_normal: Transient ExitNormal => "a:down" [];
    fn transient_shutdown: Transient ExitShutdown => "a:down" [];
    fn transient_abnormal: Transient Crash => "a:ready" ["child_terminated a: mock crash"];
    fn temporary_normal: Temporary ExitNormal => "" [];
    fn temporary_shutdown: Temporary ExitShutdown => "" [];
    fn temporary_abnormal: Temporary Crash => "" ["child_terminated a: mock crash"];
}

/// A temporary child that a group restart stops is not started again, and does not use up the limit.
#[tokio::test(start_paused = true)]
async fn temporary_bystander() {
    for supervisor in [Supervisor::one_for_all(), Supervisor::rest_for_one()] {
        let bystander = steady("b").restart(Restart::Temporary);
        let (supervisor, _) = start(supervisor.child(fails_once("a")).child(bystander)).await;
        later(S(2)).await;
        assert_eq!(states(&supervisor).await, "a:ready");
        assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 1);
        supervisor.stop().await;
    }
}

/// Why a leaf deep in the tree did not start is known to whoever started the tree, and all that had started is stopped.
#[tokio::test(start_paused = true)]
async fn faulty_application_shutdown() {
    let leaf = || MockChild::spec("leaf", [Act::FailStart]);
    let middle = move || ChildSpec::supervisor("middle", move |_| Supervisor::one_for_one().child(leaf()));
    let mut events = EventRecorder::new();
    let application = Supervisor::one_for_all()
        .events_into(events.sender())
        .child(steady("first"))
        .child(ChildSpec::supervisor("top", move |_| Supervisor::one_for_one().child(middle())));
    let error = application.start().await.unwrap_err();
    let expected = "top did not start: start failed: middle did not start: start failed: leaf did not start: \
                    start failed: mock crash";
    assert_eq!(error.to_string(), expected);
    assert_eq!(exit_reasons(events.events()), ["top start_failed", "first shutdown"]);
    assert_eq!(events.outline().last().unwrap(), "supervisor.stopped");
}

/// How a temporary child is started is forgotten as soon as the child has ended, in each way that it can end.
#[tokio::test(start_paused = true)]
async fn do_not_save_start_parameters_for_temporary_children() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    let parameters = Arc::new([0_u8; 10_000]);
    for number in 0..100 {
        let kept = parameters.clone();
        let spec = ChildSpec::actor(number.to_string(), move |_| {
            assert_eq!(kept.len(), 10_000);
            (Idle, ())
        });
        let child = add(&supervisor, spec.restart(Restart::Temporary)).await;
        match number % 3 {
            0 => child.kill(),
            1 => child.stop(None),
            _ => supervisor.terminate_child(number.to_string()).await.unwrap(),
        }
    }
    later(MS(1)).await;
    assert_eq!(Arc::strong_count(&parameters), 1);
    // Those of a permanent child are needed again.
    let kept = parameters.clone();
    let permanent = add(&supervisor, ChildSpec::actor("p", move |_| (Idle, assert_eq!(kept.len(), 10_000)))).await;
    permanent.kill();
    later(MS(1)).await;
    assert_eq!((epochs(&supervisor).await.as_str(), Arc::strong_count(&parameters)), ("p2", 2));
    supervisor.stop().await;
}

/// What was given for a temporary child is dropped with it.
#[tokio::test(start_paused = true)]
async fn do_not_save_child_specs_for_temporary_children() {
    let strategies = [Supervisor::one_for_one, Supervisor::one_for_all, Supervisor::rest_for_one, Supervisor::dynamic];
    for strategy in strategies {
        for act in [Act::ExitNormalAfter(S(1)), Act::CrashAfter(S(1)), Act::Ready] {
            let (supervisor, _) = start(strategy()).await;
            let given = Arc::new(());
            let kept = given.clone();
            let script = std::iter::once(act).inspect(move |_| _ = &kept);
            add(&supervisor, MockChild::spec("a", script).restart(Restart::Temporary)).await;
            assert_eq!(Arc::strong_count(&given), 2);
            later(S(2)).await;
            if act == Act::Ready {
                supervisor.terminate_child("a").await.unwrap();
            }
            assert_eq!(states(&supervisor).await, "");
            assert_eq!(Arc::strong_count(&given), 1, "{act:?}");
            supervisor.stop().await;
        }
    }
}
