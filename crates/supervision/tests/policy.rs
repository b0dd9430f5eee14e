//! Delays, suspension, readiness and milestones: what a child's own policy decides, on a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{
    Backoff, ChildState, Decide, Decision, EventKind, ExitReason, FailureKind, Intensity, Monotonic,
    OnIntensityExceeded, Report, ReportContext, Restart, ResumeChildError, Severity, Shutdown, Supervisor,
    SupervisorEvent, SupervisorExit, WaitReadyError,
};

const S: fn(u64) -> Duration = Duration::from_secs;

/// A policy that answers what it is told to, and notes what it is asked.
struct Scripted {
    answers: std::vec::IntoIter<Decision>,
    notes: Arc<Mutex<Vec<String>>>,
    milestones: std::vec::IntoIter<Duration>,
}

fn scripted(answers: Vec<Decision>, milestones: Vec<Duration>) -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    (Scripted { answers: answers.into_iter(), notes: notes.clone(), milestones: milestones.into_iter() }, notes)
}

fn restart_after(seconds: u64) -> Decision {
    Decision::Restart { after: S(seconds) }
}

impl Decide for Scripted {
    fn on_failure(&mut self, failure: mlx_tree_policy::Failure<'_>, now: Monotonic) -> Decision {
        let severity = match failure.severity {
            Severity::Transient => "",
            Severity::Permanent => " for good",
        };
        let note = format!("{}s #{} failed{severity}: {}", now.since_origin().as_secs(), failure.epoch, failure.reason);
        self.notes.lock().unwrap().push(note);
        self.answers.next().unwrap_or(Decision::Restart { after: Duration::ZERO })
    }

    fn on_ready(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.notes.lock().unwrap().push(format!("{}s #{epoch} ready", now.since_origin().as_secs()));
        self.milestones.next()
    }

    fn on_stable(&mut self, epoch: u64, now: Monotonic) -> Option<Duration> {
        self.notes.lock().unwrap().push(format!("{}s #{epoch} stable", now.since_origin().as_secs()));
        self.milestones.next()
    }
}

fn exit_of(event: &SupervisorEvent) -> &ExitReason {
    match &event.kind {
        EventKind::ChildExited { reason } | EventKind::ChildStopped { reason } => reason,
        other => panic!("{} is no exit", other.name()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_hears_of_every_failure_when_it_happens_and_of_nothing_that_was_asked_for() {
    let (policy, notes) = scripted(vec![restart_after(2), restart_after(4)], vec![]);
    let script = [Act::Crash, Act::CrashForGood, Act::Ready];
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", script).policy(policy)).start().await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 3);
    supervisor.terminate_child("a").await.unwrap();
    supervisor.restart_child("a").await.unwrap();
    supervisor.wait_ready("a").await.unwrap();
    supervisor.stop().await;
    assert_eq!(
        *notes.lock().unwrap(),
        ["0s #1 failed: mock crash", "2s #2 failed for good: mock crash", "6s #3 ready", "6s #4 ready"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_with_a_policy_does_not_use_up_the_supervisors_intensity() {
    let (policy, _) = scripted(vec![], vec![]);
    let script = [Act::Crash; 50].into_iter().chain([Act::Ready]);
    let supervisor = Supervisor::one_for_one()
        .intensity(Intensity::new(0, S(5)))
        .child(MockChild::spec("a", script).policy(policy))
        .start()
        .await
        .unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 51);
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 0);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_child_does_not_keep_the_supervisor_from_its_work() {
    let (policy, _) = scripted(vec![restart_after(60)], vec![]);
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::Crash]).policy(policy))
        .child(MockChild::spec("b", [Act::Ready]))
        .start()
        .await
        .unwrap();
    let mut status = supervisor.status();
    status.wait_for(|status| matches!(status.child("a").unwrap().state, ChildState::Waiting { .. })).await.unwrap();
    supervisor.terminate_child("b").await.unwrap();
    supervisor.restart_child("b").await.unwrap();
    let a = supervisor.which_children().await.unwrap().remove(0);
    assert_eq!(a.state, ChildState::Waiting { until: Monotonic::new(S(60)) });
    assert_eq!(a.next_start, Some(Monotonic::new(S(60))));
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 2);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_child_stays_down_until_it_is_resumed() {
    let suspend = Decision::Suspend { until: Some(Monotonic::new(S(60))), reason: "breaker open".to_owned() };
    let (policy, _) = scripted(vec![suspend], vec![]);
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", [Act::Crash]).policy(policy)).start().await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await, Err(WaitReadyError::Suspended { reason: "breaker open".into() }));
    tokio::time::sleep(S(3600)).await;
    let a = supervisor.which_children().await.unwrap().remove(0);
    assert_eq!(a.state, ChildState::Suspended { until: Some(Monotonic::new(S(60))), reason: "breaker open".into() });
    supervisor.resume_child("a").await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 2);
    let refused = supervisor.resume_child("a").await;
    assert_eq!(refused, Err(ResumeChildError::NotSuspended(ChildState::Ready)));
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn resuming_a_waiting_child_starts_it_ahead_of_its_time_and_only_once() {
    let mut events = EventRecorder::new();
    let (policy, _) = scripted(vec![restart_after(600)], vec![]);
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Crash]).policy(policy))
        .start()
        .await
        .unwrap();
    events.wait_for("child.restart_scheduled", "a").await;
    supervisor.resume_child("a").await.unwrap();
    let ready = events.wait_for("child.ready", "a").await;
    assert_eq!((ready.epoch.get(), ready.at.since_origin()), (2, Duration::ZERO));
    tokio::time::sleep(S(1200)).await;
    assert_eq!(supervisor.snapshot().await.unwrap().child("a").unwrap().epoch.get(), 2);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_suspend_a_running_child_and_resume_it() {
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", [Act::StopAfter(S(2))])).start().await.unwrap();
    supervisor.wait_ready("a").await.unwrap();
    supervisor.suspend_child("a", "maintenance").await.unwrap();
    let a = supervisor.which_children().await.unwrap().remove(0);
    assert_eq!(a.state, ChildState::Suspended { until: None, reason: "maintenance".into() });
    assert!(matches!(a.last_exit.unwrap().reason, ExitReason::Shutdown));
    supervisor.resume_child("a").await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 2);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_not_ready_in_time_is_stopped_by_its_own_rule_and_has_failed() {
    let mut events = EventRecorder::new();
    let (policy, notes) = scripted(vec![restart_after(1)], vec![]);
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::NeverReady, Act::Ready]).ready_within(S(30)).policy(policy))
        .start()
        .await
        .unwrap();
    let exited = events.wait_for("child.exited", "a").await;
    assert_eq!(exited.at.since_origin(), S(30));
    assert_eq!(exit_of(&exited).failure().unwrap().kind, FailureKind::StartTimeout);
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 2);
    assert_eq!(*notes.lock().unwrap(), ["30s #1 failed: start timeout: not ready within 30s", "31s #2 ready"]);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_siblings_of_a_child_that_is_not_ready_in_time_are_served_while_it_stops() {
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Wedged]).ready_within(S(10)).shutdown(Shutdown::Timeout(S(20))))
        .child(MockChild::spec("b", [Act::CrashAfter(S(11)), Act::Ready]))
        .start()
        .await
        .unwrap();
    events.wait_for("child.stopping", "a").await;
    let restarted = events.wait_for("child.ready", "b").await;
    assert_eq!((restarted.epoch.get(), restarted.at.since_origin()), (2, S(11)));
    let killed = events.wait_for("child.killed", "a").await;
    assert_eq!(killed.at.since_origin(), S(30));
    let exited = events.wait_for("child.exited", "a").await;
    assert_eq!(exit_of(&exited).failure().unwrap().kind, FailureKind::StartTimeout);
    supervisor.kill_now().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_hangs_in_its_start_is_killed_at_the_start_timeout() {
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Crash, Act::HangInStart, Act::Ready]).ready_within(S(10)))
        .intensity(Intensity::new(5, S(60)))
        .start()
        .await
        .unwrap();
    events.wait_for("child.exited", "a").await;
    let exited = events.wait_for("child.exited", "a").await;
    assert_eq!((exited.epoch.get(), exited.at.since_origin()), (2, S(10)));
    assert_eq!(exit_of(&exited).failure().unwrap().kind, FailureKind::StartTimeout);
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 3);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn milestones_are_reached_one_after_the_other_and_only_by_the_incarnation_that_stays_ready() {
    let (policy, notes) = scripted(vec![], vec![S(10), S(60), S(240)]);
    let script = [Act::CrashAfter(S(5)), Act::Ready];
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", script).policy(policy)).start().await.unwrap();
    tokio::time::sleep(S(1000)).await;
    supervisor.stop().await;
    assert_eq!(
        *notes.lock().unwrap(),
        ["0s #1 ready", "5s #1 failed: mock crash", "5s #2 ready", "65s #2 stable", "305s #2 stable"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_is_reported_and_the_child_falls_back_to_otps_rule() {
    struct Panics;
    impl Decide for Panics {
        fn on_failure(&mut self, _: mlx_tree_policy::Failure<'_>, _: Monotonic) -> Decision {
            panic!("policy is broken")
        }
        fn on_ready(&mut self, _: u64, _: Monotonic) -> Option<Duration> {
            None
        }
        fn on_stable(&mut self, _: u64, _: Monotonic) -> Option<Duration> {
            None
        }
    }
    let mut events = EventRecorder::new();
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Crash, Act::Ready]).policy(Panics))
        .start()
        .await
        .unwrap();
    let report = events.wait_until("report", |event| {
        matches!(&event.kind, EventKind::Report(Report { context: ReportContext::PolicyFailed, reason, .. })
            if reason.to_string() == "policy is broken")
    });
    report.await;
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 2);
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 1);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_gives_up_ends_the_supervisor_as_the_intensity_would() {
    let (policy, _) = scripted(vec![Decision::Escalate], vec![]);
    let supervisor =
        Supervisor::one_for_one().child(MockChild::spec("a", [Act::Crash]).policy(policy)).start().await.unwrap();
    assert!(matches!(supervisor.closed().await, SupervisorExit::Escalated { child, .. } if child == "a"));
}

#[tokio::test(start_paused = true)]
async fn a_child_can_be_suspended_rather_than_take_its_supervisor_down() {
    let supervisor = Supervisor::one_for_one()
        .child(MockChild::spec("a", [Act::Crash; 2]).on_intensity_exceeded(OnIntensityExceeded::Suspend))
        .child(MockChild::spec("b", [Act::Ready]))
        .start()
        .await
        .unwrap();
    let refused = supervisor.wait_ready("a").await;
    assert_eq!(refused, Err(WaitReadyError::Suspended { reason: "restart intensity exceeded".into() }));
    assert_eq!(supervisor.wait_ready("b").await.unwrap().get(), 1);
    assert_eq!(supervisor.snapshot().await.unwrap().restarts_in_window, 0);
    supervisor.resume_child("a").await.unwrap();
    assert_eq!(supervisor.wait_ready("a").await.unwrap().get(), 3);
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_delay_of_one_child_takes_its_group_down_and_the_longest_delay_counts() {
    let mut events = EventRecorder::new();
    let (first, _) = scripted(vec![restart_after(3)], vec![]);
    let (second, _) = scripted(vec![restart_after(100)], vec![]);
    let supervisor = Supervisor::rest_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::CrashAfter(S(10))]).policy(first))
        .child(MockChild::spec("b", [Act::CrashAfter(S(1))]).policy(second))
        .child(MockChild::spec("c", [Act::Ready; 2]))
        .start()
        .await
        .unwrap();
    // `b` fails at 1 s and takes `c` down until 101 s; `a` fails at 10 s, is due at 13 s, and joins them.
    let stopped = events.wait_for("child.stopped", "c").await;
    assert_eq!(stopped.at.since_origin(), S(1));
    let again = events.wait_until("a again", |event| event.kind.name() == "child.starting" && event.epoch.get() == 2);
    let again = again.await;
    assert_eq!((again.child.unwrap().as_str(), again.at.since_origin()), ("a", S(101)), "{}", events.story());
    supervisor.wait_ready("c").await.unwrap();
    let starts: Vec<_> = events.outline().into_iter().filter(|line| line.starts_with("starting")).collect();
    assert_eq!(
        starts,
        ["starting a#1", "starting b#1", "starting c#1", "starting a#2", "starting b#2", "starting c#2"]
    );
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_member_holds_its_whole_group_down_and_brings_it_up_again() {
    let mut events = EventRecorder::new();
    let suspend = Decision::Suspend { until: None, reason: "breaker open".to_owned() };
    let (policy, _) = scripted(vec![suspend], vec![]);
    let supervisor = Supervisor::one_for_all()
        .events_into(events.sender())
        .child(MockChild::spec("a", [Act::Ready; 3]))
        .child(MockChild::spec("b", [Act::CrashAfter(S(1))]).policy(policy))
        .start()
        .await
        .unwrap();
    events.wait_for("child.suspended", "b").await;
    events.wait_for("child.stopped", "a").await;
    tokio::time::sleep(S(100)).await;
    let states: Vec<_> = supervisor.which_children().await.unwrap().iter().map(|child| child.state.as_str()).collect();
    assert_eq!(states, ["down", "suspended"]);
    supervisor.resume_child("b").await.unwrap();
    supervisor.wait_ready("b").await.unwrap();
    supervisor.wait_ready("a").await.unwrap();
    supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backoff_starts_anew_once_the_child_has_stayed_ready() {
    let mut events = EventRecorder::new();
    let script = [Act::Crash, Act::Crash, Act::CrashAfter(S(61)), Act::CrashAfter(S(10)), Act::Ready];
    let supervisor = Supervisor::one_for_one()
        .events_into(events.sender())
        .child(MockChild::spec("a", script).backoff(Backoff::default()).restart(Restart::Transient))
        .start()
        .await
        .unwrap();
    let mut delays = Vec::new();
    for _ in 0..4 {
        let scheduled = events.wait_for("child.restart_scheduled", "a").await;
        if let EventKind::ChildRestartScheduled { until } = scheduled.kind {
            delays.push(until.saturating_since(scheduled.at).as_secs());
        }
    }
    assert_eq!(delays, [2, 4, 2, 4]);
    supervisor.stop().await;
}
