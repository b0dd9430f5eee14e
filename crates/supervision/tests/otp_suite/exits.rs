//! {permanent, transient, temporary} x {normal, shutdown, abnormal}, and what becomes of bystanders.

use mlx_tree_supervision::test_util::{Act, MockChild, MockMessage};
use mlx_tree_supervision::{Restart, Supervisor};
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
    ($($name:ident: $restart:ident $ending:ident => $states:literal $reports:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let (states, reports) = after(Restart::$restart, MockMessage::$ending).await;
            let expected: &[&str] = &$reports;
            assert_eq!((states.as_str(), reports), ($states, expected.iter().map(|&r| r.to_owned()).collect()));
        }
    )*};
}

endings! {
    permanent_normal: Permanent ExitNormal => "a:ready" ["child_terminated a: normal"];
    permanent_shutdown: Permanent ExitShutdown => "a:ready" ["child_terminated a: shutdown"];
    permanent_abnormal: Permanent Crash => "a:ready" ["child_terminated a: mock crash"];
    transient_normal: Transient ExitNormal => "a:down" [];
    transient_shutdown: Transient ExitShutdown => "a:down" [];
    transient_abnormal: Transient Crash => "a:ready" ["child_terminated a: mock crash"];
    temporary_normal: Temporary ExitNormal => "" [];
    temporary_shutdown: Temporary ExitShutdown => "" [];
    temporary_abnormal: Temporary Crash => "" ["child_terminated a: mock crash"];
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

/// What was given for a temporary child is dropped with it.
#[tokio::test(start_paused = true)]
async fn do_not_save_child_specs_for_temporary_children() {
    let strategies = [Supervisor::one_for_one, Supervisor::one_for_all, Supervisor::rest_for_one, Supervisor::dynamic];
    for strategy in strategies {
        for act in [Act::ExitNormalAfter(S(1)), Act::CrashAfter(S(1)), Act::Ready] {
            let (supervisor, _) = start(strategy()).await;
            let given = std::sync::Arc::new(());
            let kept = given.clone();
            let script = std::iter::once(act).inspect(move |_| _ = &kept);
            add(&supervisor, MockChild::spec("a", script).restart(Restart::Temporary)).await;
            assert_eq!(std::sync::Arc::strong_count(&given), 2);
            later(S(2)).await;
            if act == Act::Ready {
                supervisor.terminate_child("a").await.unwrap();
            }
            assert_eq!(states(&supervisor).await, "");
            assert_eq!(std::sync::Arc::strong_count(&given), 1, "{act:?}");
            supervisor.stop().await;
        }
    }
}
