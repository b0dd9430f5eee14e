//! Rules by exit status, done children and group restarts, as a supervisor carries them out. On a paused clock.

use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    AutoShutdown, Backoff, BackoffPolicy, ChildContext, ChildSpec, ChildState, Decide, Ending, ExitAction, ExitReason,
    ExitRules, ExitStatus, FailureKind, JitterSeed, OnExit, Reset, Restart, RestartMode, Schedule, SupervisedExit,
    Supervisor, SupervisorExit, SupervisorHandle,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};

const S: fn(u64) -> Duration = Duration::from_secs;

/// A child in front of a process that ends with one status after the other, a second after each start. Then it stays up.
struct Process(Option<ExitStatus>);

fn process<const N: usize>(id: &str, endings: [ExitStatus; N]) -> ChildSpec {
    let mut endings = endings.into_iter();
    ChildSpec::actor(id, move |_: ChildContext| (Process(endings.next()), ()))
}

impl Actor for Process {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        if self.0.is_some() {
            let _timer = myself.send_after(S(1), || ());
        }
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.0 {
            Some(ExitStatus::Code(0)) => myself.stop(None),
            Some(status) => return Err(SupervisedExit::transient(format!("ended with {status}")).ended(status).into()),
            None => {}
        }
        Ok(())
    }
}

const fn code(code: i32) -> ExitStatus {
    ExitStatus::Code(code)
}

fn fixed(delay: Duration) -> BackoffPolicy {
    BackoffPolicy::new(delay, Reset::Manual, JitterSeed(1))
}

async fn states(supervisor: &SupervisorHandle) -> Vec<(String, u64, &'static str)> {
    let children = supervisor.which_children().await.unwrap();
    children.iter().map(|child| (child.id.to_string(), child.epoch.get(), child.state.as_str())).collect()
}

fn row(id: &str, epoch: u64, state: &'static str) -> (String, u64, &'static str) {
    (id.to_owned(), epoch, state)
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_with_systemds_rules_is_restarted_by_its_exit_status() {
    let rules = ExitRules::new(RestartMode::OnFailure).prevent("3".parse().unwrap());
    let supervisor = Supervisor::one_for_one()
        .child(process("done", [code(1), code(0)]).policy(fixed(S(2)).with_exit_rules(rules.clone())))
        .child(process("broken", [code(1), code(3)]).policy(fixed(S(2)).with_exit_rules(rules)))
        .start()
        .await
        .unwrap();
    tokio::time::sleep(S(60)).await;
    assert_eq!(states(&supervisor).await, [row("done", 2, "down"), row("broken", 2, "suspended")]);
    let broken = supervisor.which_children().await.unwrap().remove(1);
    let reason = "no restart after exit code 3: prevented by its exit status".into();
    assert_eq!(broken.state, ChildState::Suspended { until: None, reason });
    // systemctl start, and systemctl start of a failed unit.
    supervisor.restart_child("done").await.unwrap();
    supervisor.resume_child("broken").await.unwrap();
    tokio::time::sleep(S(60)).await;
    assert_eq!(states(&supervisor).await, [row("done", 3, "ready"), row("broken", 3, "ready")]);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_its_policy_calls_done_ends_a_supervisor_to_which_it_matters() {
    let rules = ExitRules::default().rule(OnExit::In([4].into()), ExitAction::Stop);
    let supervisor = Supervisor::one_for_one()
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(
            process("job", [code(4)])
                .restart(Restart::Transient)
                .significant()
                .policy(fixed(S(1)).with_exit_rules(rules)),
        )
        .start()
        .await
        .unwrap();
    assert!(matches!(supervisor.closed().await, SupervisorExit::AutoShutdown { child } if child == "job"));
}

#[tokio::test(start_paused = true)]
async fn kubernetes_restart_all_stops_in_reverse_and_starts_in_order_whatever_the_strategy() {
    for supervisor in [Supervisor::one_for_one(), Supervisor::rest_for_one(), Supervisor::one_for_all()] {
        let rules = ExitRules::new(RestartMode::No).rule(OnExit::In([88].into()), ExitAction::RestartGroup);
        let mut events = EventRecorder::new();
        let supervisor = supervisor
            .events_into(events.sender())
            .child(MockChild::spec("a", []))
            .child(process("main", [code(88)]).policy(fixed(Duration::ZERO).with_exit_rules(rules)))
            .child(MockChild::spec("z", []))
            .start()
            .await
            .unwrap();
        events.wait_for("child.exited", "main").await;
        tokio::time::sleep(S(5)).await;
        let outline = events.outline();
        let at = outline.iter().position(|line| line == "exited main#1").unwrap();
        let story: Vec<&str> =
            outline[at + 1..].iter().map(String::as_str).filter(|line| line.starts_with("st")).collect();
        let expected = [
            "stopping z#1",
            "stopped z#1",
            "stopping a#1",
            "stopped a#1",
            "starting a#2",
            "started a#2",
            "starting main#2",
            "started main#2",
            "starting z#2",
            "started z#2",
        ];
        assert_eq!(story, expected);
        supervisor.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_group_restart_keeps_all_down_until_it_is_due_and_can_be_resumed_ahead() {
    let rules = || ExitRules::new(RestartMode::No).rule(OnExit::In([88].into()), ExitAction::RestartGroup);
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", []))
        .child(process("main", [code(88), code(88)]).policy(fixed(S(100)).with_exit_rules(rules())))
        .start()
        .await
        .unwrap();
    tokio::time::sleep(S(50)).await;
    assert_eq!(states(&supervisor).await, [row("a", 1, "down"), row("main", 1, "waiting")]);
    // Due at 1 s + 100 s; a second later main ends again.
    tokio::time::sleep(Duration::from_millis(51_500)).await;
    assert_eq!(states(&supervisor).await, [row("a", 2, "ready"), row("main", 2, "ready")]);
    tokio::time::sleep(S(10)).await;
    assert_eq!(states(&supervisor).await, [row("a", 2, "down"), row("main", 2, "waiting")]);
    supervisor.resume_child("main").await.unwrap();
    supervisor.wait_ready("a").await.unwrap();
    supervisor.wait_ready("main").await.unwrap();
    assert_eq!(states(&supervisor).await, [row("a", 3, "ready"), row("main", 3, "ready")]);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_one_siblings_that_wait_or_are_suspended_keep_their_own_time_in_a_group_restart() {
    let rules = ExitRules::new(RestartMode::No).rule(OnExit::In([88].into()), ExitAction::RestartGroup);
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("slow", [Act::Crash]).policy(fixed(S(300))))
        .child(MockChild::spec("held", []))
        .child(process("main", [code(88)]).policy(fixed(Duration::ZERO).with_exit_rules(rules)))
        .child(MockChild::spec("z", [Act::Ready, Act::FailStart]).policy(fixed(S(7))))
        .child(MockChild::spec("zz", []))
        .start()
        .await
        .unwrap();
    supervisor.suspend_child("held", "maintenance").await.unwrap();
    tokio::time::sleep(S(5)).await;
    // The failed start of z is its own affair: zz is up.
    let expected = [
        row("slow", 1, "waiting"),
        row("held", 1, "suspended"),
        row("main", 2, "ready"),
        row("z", 2, "waiting"),
        row("zz", 2, "ready"),
    ];
    assert_eq!(states(&supervisor).await, expected);
    tokio::time::sleep(S(400)).await;
    let expected = [
        row("slow", 2, "ready"),
        row("held", 1, "suspended"),
        row("main", 2, "ready"),
        row("z", 3, "ready"),
        row("zz", 2, "ready"),
    ];
    assert_eq!(states(&supervisor).await, expected);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_that_is_called_off_is_not_remembered() {
    let rules = ExitRules::default().rule(OnExit::In([88].into()), ExitAction::RestartGroup);
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", []))
        .child(process("main", [code(88), code(1)]).policy(fixed(S(100)).with_exit_rules(rules)))
        .start()
        .await
        .unwrap();
    tokio::time::sleep(S(10)).await;
    supervisor.terminate_child("main").await.unwrap();
    supervisor.restart_child("a").await.unwrap();
    supervisor.restart_child("main").await.unwrap();
    tokio::time::sleep(S(200)).await;
    // The second end of main concerned main alone.
    assert_eq!(states(&supervisor).await, [row("a", 2, "ready"), row("main", 3, "ready")]);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_of_kubernetes_fails_as_a_whole() {
    let rules = ExitRules::default().rule(OnExit::In([42].into()), ExitAction::Escalate);
    let supervisor = Supervisor::one_for_one()
        .child(process("job", [code(1), code(42)]).policy(fixed(S(1)).with_exit_rules(rules)))
        .start()
        .await
        .unwrap();
    match supervisor.closed().await {
        SupervisorExit::Escalated { child, reason } => {
            assert_eq!((child.as_str(), reason.ending()), ("job", code(42).into()));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_started_at_the_times_of_a_kubelet() {
    let mut events = EventRecorder::new();
    let policy = BackoffPolicy::new(Schedule::crash_loop(), Reset::AfterStable(S(600)), JitterSeed(1));
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Crash; 8]).policy(policy))
        .start()
        .await
        .unwrap();
    supervisor.wait_ready("a").await.unwrap();
    let starts: Vec<u64> = events
        .events()
        .iter()
        .filter(|event| event.kind.name() == "child.starting")
        .map(|event| event.at.since_origin().as_secs())
        .collect();
    assert_eq!(starts, [0, 0, 10, 30, 70, 150, 310, 610, 910]);
    supervisor.stop().await;
}

/// Akka's default resets on a timer that runs from the start; a child that is slow to come up never stops hurrying there.
#[tokio::test(start_paused = true)]
async fn a_backoff_policy_gives_up_on_a_child_that_is_slow_to_start_and_quick_to_fail() {
    let policy = BackoffPolicy::new(Backoff::default(), Reset::AfterStable(S(30)), JitterSeed(1)).max_retries(3);
    let slow =
        ChildSpec::actor("slow", |context: ChildContext| (Slow(context), ())).ready_within(S(600)).policy(policy);
    let supervisor = Supervisor::one_for_one().child(slow).start().await.unwrap();
    assert!(matches!(supervisor.closed().await, SupervisorExit::Escalated { .. }));
}

/// Ready after a minute, gone a second later.
struct Slow(ChildContext);

impl Actor for Slow {
    type Msg = ();
    type State = u32;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<u32, ActorProcessingErr> {
        let _ready = myself.send_after(S(60), || ());
        let _gone = myself.send_after(S(61), || ());
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<()>, (): (), messages: &mut u32) -> Result<(), ActorProcessingErr> {
        *messages += 1;
        if *messages > 1 {
            return Err("gone".into());
        }
        self.0.ready();
        Ok(())
    }
}

#[test]
fn every_way_for_a_child_to_end_has_its_place_in_systemds_table() {
    use mlx_tree_supervision::{Failure, Severity};
    let failed = |kind| ExitReason::Failed(Failure::new(kind, Severity::Transient, "")).ending();
    assert_eq!(ExitReason::Normal.ending(), code(0).into());
    assert_eq!(ExitReason::ShutdownWith("x".into()).ending(), code(0).into());
    assert_eq!(ExitReason::Killed.ending(), ExitStatus::Signal(9).into());
    assert_eq!(failed(FailureKind::Error), Ending::Unknown);
    assert_eq!(failed(FailureKind::Panic), ExitStatus::Signal(6).into());
    assert_eq!(failed(FailureKind::StartTimeout), Ending::TimedOut);
    let exit = SupervisedExit::permanent("watchdog").ended(Ending::WatchdogExpired);
    assert_eq!(Failure::from_error(FailureKind::Error, exit.into()).ending, Ending::WatchdogExpired);
}
