//! The strategies: who is restarted, how often, and what happens when a restart fails.

use std::sync::{Arc, Mutex};

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{
    ChildContext, ChildSpec, ChildState, Intensity, Restart, StartedChild, Supervisor, SupervisorExit,
    SupervisorHandle, TerminateChildError,
};

use crate::util::*;

fn trio(supervisor: Supervisor) -> Supervisor {
    supervisor.child(steady("a")).child(fails_once("b")).child(steady("c"))
}

async fn is_over(supervisor: &SupervisorHandle, culprit: &str) {
    match tokio::time::timeout(S(60), supervisor.closed()).await.expect("it gives up") {
        SupervisorExit::IntensityExceeded { child, .. } => assert_eq!(child, *culprit),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn multiple_restarts() {
    let script = [Act::CrashAfter(S(3)); 20];
    let child = MockChild::spec("a", script);
    let (supervisor, _) = start(Supervisor::one_for_one().intensity(Intensity::new(1, S(2))).child(child)).await;
    later(S(61)).await;
    assert_eq!(epochs(&supervisor).await, "a21");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_one() {
    let (supervisor, _) = start(trio(Supervisor::one_for_one())).await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a1 b2 c1");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_one_escalation() {
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let limit = Intensity::new(4, S(4));
    let (supervisor, mut events) =
        start(Supervisor::one_for_one().intensity(limit).child(MockChild::spec("a", script)).child(steady("b"))).await;
    is_over(&supervisor, "a").await;
    // Once for the failure, and once for each attempt.
    let failed = reports(events.events()).iter().filter(|report| report.starts_with("start_error")).count();
    assert_eq!(failed, 4);
}

#[tokio::test(start_paused = true)]
async fn one_for_all() {
    let (supervisor, mut events) = start(trio(Supervisor::one_for_all())).await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a2 b2 c2");
    assert_eq!(exit_reasons(events.events()), ["b error", "c shutdown", "a shutdown"]);
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 1);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_escalation() {
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let (supervisor, _) = start(
        Supervisor::one_for_all()
            .intensity(Intensity::new(4, S(4)))
            .child(steady("a"))
            .child(MockChild::spec("b", script)),
    )
    .await;
    is_over(&supervisor, "b").await;
}

/// The second does not start in a group restart: the first is stopped again, and all are tried anew.
#[tokio::test(start_paused = true)]
async fn one_for_all_other_child_fails_restart() {
    let (supervisor, _) = start(
        Supervisor::one_for_all()
            .intensity(patient())
            .child(fails_once("a"))
            .child(MockChild::spec("b", [Act::Ready, Act::FailStart])),
    )
    .await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a3 b3");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one() {
    let (supervisor, mut events) = start(trio(Supervisor::rest_for_one())).await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a1 b2 c2");
    assert_eq!(exit_reasons(events.events()), ["b error", "c shutdown"]);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_escalation() {
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let (supervisor, _) = start(
        Supervisor::rest_for_one()
            .intensity(Intensity::new(4, S(4)))
            .child(MockChild::spec("a", script))
            .child(steady("b")),
    )
    .await;
    is_over(&supervisor, "a").await;
}

/// The second does not start in a group restart: the first stays up, and only the second is tried anew.
#[tokio::test(start_paused = true)]
async fn rest_for_one_other_child_fails_restart() {
    let (supervisor, _) = start(
        Supervisor::rest_for_one()
            .intensity(patient())
            .child(fails_once("a"))
            .child(MockChild::spec("b", [Act::Ready, Act::FailStart])),
    )
    .await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a2 b3");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    add(&supervisor, steady("a")).await;
    add(&supervisor, fails_once("b")).await;
    later(S(2)).await;
    assert_eq!(epochs(&supervisor).await, "a1 b2");
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_shutdown() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    for n in 0..100 {
        add(&supervisor, MockChild::spec(n.to_string(), [Act::StopAfter(S(2))])).await;
    }
    later(MS(1)).await;
    let asked = tokio::time::Instant::now();
    supervisor.stop().await;
    assert_eq!(asked.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_escalation() {
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let (supervisor, _) = start(Supervisor::dynamic().intensity(Intensity::new(4, S(4)))).await;
    add(&supervisor, MockChild::spec("a", script)).await;
    is_over(&supervisor, "a").await;
}

/// Whoever asked for the start is told the incarnation; the restart calls the same start again, for the same child only.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_extra() {
    let (supervisor, _) = start(Supervisor::dynamic()).await;
    let started = Arc::new(Mutex::new(Vec::new()));
    for given in ["x", "y"] {
        let started = started.clone();
        let argument = format!("argument of {given}");
        let spec = ChildSpec::actor(given, move |context: ChildContext| {
            started.lock().unwrap().push(format!("{}{} {argument}", context.id(), context.epoch()));
            (Idle, ())
        });
        match supervisor.start_child(spec).await.unwrap() {
            StartedChild::Running { epoch, actor } => {
                assert_eq!(epoch.get(), 1);
                if given == "y" {
                    actor.kill();
                }
            }
            StartedChild::Ignored => panic!("it was ignored"),
        }
    }
    later(MS(1)).await;
    assert_eq!(*started.lock().unwrap(), ["x1 argument of x", "y1 argument of y", "y2 argument of y"]);
    assert_eq!(epochs(&supervisor).await, "x1 y2");
    supervisor.stop().await;
}

/// What a temporary child leaves behind, be it a place in a table or a word said too late, does no harm to the next one.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_corruption() {
    let (supervisor, mut events) = start(Supervisor::dynamic()).await;
    let (sender, mut contexts) = tokio::sync::mpsc::unbounded_channel();
    let spec = |id: &str| {
        let sender = sender.clone();
        let make = move |context: ChildContext| {
            let _ = sender.send(context);
            (Idle, ())
        };
        ChildSpec::actor(id, make).restart(Restart::Temporary).ready_within(S(3600))
    };
    let bystander = add(&supervisor, steady("bystander")).await;
    let first = add(&supervisor, spec("first")).await;
    let stale = contexts.recv().await.unwrap();
    first.kill();
    later(MS(1)).await;
    assert_eq!(states(&supervisor).await, "bystander:ready");
    assert_eq!(supervisor.terminate_child("first").await, Err(TerminateChildError::NotFound));
    // The next one takes the place of the first, with the same epoch, and under the same name.
    add(&supervisor, spec("first")).await;
    stale.ready();
    assert_eq!(states(&supervisor).await, "bystander:ready first:up");
    contexts.recv().await.unwrap().ready();
    assert_eq!(states(&supervisor).await, "bystander:ready first:ready");
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!((counts.specs, counts.active), (2, 2));
    assert_eq!(reports(events.events()), ["child_terminated first: killed"]);
    assert_eq!(bystander.get_status(), ractor::ActorStatus::Running);
    supervisor.stop().await;
}

/// Requests and stop work while a child fails to restart for ever.
async fn is_no_captive_of_a_restart_loop(supervisor: Supervisor) {
    let endless = Intensity::new(u32::MAX, S(3600));
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let (supervisor, mut events) = start(supervisor.intensity(endless)).await;
    add(&supervisor, steady("before")).await;
    add(&supervisor, MockChild::spec("loop", script)).await;
    // Its restart fails again and again, and the clock stands still.
    for _ in 0..100 {
        events.wait_for("child.exited", "loop").await;
    }
    let child = supervisor.which_children().await.unwrap().remove(1);
    assert!(matches!(child.state, ChildState::Waiting { .. } | ChildState::Starting), "{:?}", child.state);
    assert!(supervisor.start_child(steady("loop")).await.is_err());
    assert_eq!(supervisor.count_children().await.unwrap().specs, 2);
    add(&supervisor, steady("new")).await;
    supervisor.terminate_child("before").await.unwrap();
    assert!(matches!(supervisor.stop().await, SupervisorExit::Stopped));
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop() {
    is_no_captive_of_a_restart_loop(Supervisor::one_for_one()).await;
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_rest_for_one() {
    is_no_captive_of_a_restart_loop(Supervisor::rest_for_one()).await;
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_simple() {
    is_no_captive_of_a_restart_loop(Supervisor::dynamic()).await;
}

#[tokio::test(start_paused = true)]
async fn terminating_a_child_ends_its_restart_loop() {
    let script = std::iter::once(Act::CrashAfter(S(1))).chain(std::iter::repeat(Act::FailStart));
    let (supervisor, mut events) = start(
        Supervisor::one_for_one()
            .intensity(Intensity::new(u32::MAX, S(3600)))
            .child(MockChild::spec("loop", script).restart(Restart::Transient)),
    )
    .await;
    for _ in 0..100 {
        events.wait_for("child.exited", "loop").await;
    }
    supervisor.terminate_child("loop").await.unwrap();
    let stands_at = epochs(&supervisor).await;
    later(S(10)).await;
    assert_eq!(epochs(&supervisor).await, stands_at);
    assert_eq!(states(&supervisor).await, "loop:down");
    supervisor.stop().await;
}
