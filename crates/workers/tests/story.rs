//! The restart story of the tree with a mock server, on the paused clock: two hours take milliseconds.

use std::time::Duration;

use mlx_tree_api::{Event, Kind};
use mlx_tree_policy::{Backoff, BreakerConfig, BreakerState, Intensity, RestartPolicyConfig};
use mlx_tree_supervision::test_util::{Act, EventRecorder, MockChild};
use mlx_tree_supervision::{ChildSpec, ChildState, Supervisor, SupervisorHandle};
use mlx_tree_workers::breaker::{BreakerActor, BreakerArguments, RestartGate, Sleeper};
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::{BREAKER, SERVER};
use tokio::time::{Instant, sleep};

/// The numbers that people are promised.
fn promised() -> RestartPolicyConfig {
    let seconds = Duration::from_secs;
    RestartPolicyConfig {
        intensity: Intensity::new(5, seconds(300)),
        backoff: Backoff::default(),
        breaker: BreakerConfig {
            failure_threshold: 5,
            open_for: seconds(60),
            open_growth: 2.0,
            open_max: seconds(600),
            probation: seconds(60),
            half_open_deadline: seconds(660),
        },
        stable_after: seconds(300),
    }
}

struct Story {
    supervisor: SupervisorHandle,
    gate: RestartGate,
    bus: Bus,
    begin: Instant,
}

async fn story(script: impl IntoIterator<Item = Act>) -> Story {
    let (bus, clock, begin) = (Bus::new(), Clock::since_boot(), Instant::now());
    let gate = RestartGate::new(promised(), None, clock, bus.clone()).expect("the numbers make sense");
    let script: Vec<Act> = script.into_iter().collect();
    let server = MockChild::spec(SERVER, script).ready_within(Duration::from_secs(600)).policy(gate.clone());
    let breaker = ChildSpec::actor(BREAKER, {
        let gate = gate.clone();
        move |context| {
            (
                BreakerActor,
                BreakerArguments { context, gate: gate.clone(), history: None, clock, sleeper: Sleeper::Never },
            )
        }
    });
    let supervisor = Supervisor::one_for_one().child(server).child(breaker).start().await.expect("it starts");
    Story { supervisor, gate, bus, begin }
}

impl Story {
    /// What happened so far, as (second, event).
    fn told(&self) -> Vec<Kind> {
        self.bus.replay_after(0).0.iter().map(|event: &std::sync::Arc<Event>| event.kind.clone()).collect()
    }

    fn delays(&self) -> Vec<f64> {
        self.told()
            .into_iter()
            .filter_map(|kind| match kind {
                Kind::RestartDelayed { delay_s } => Some(delay_s),
                _ => None,
            })
            .collect()
    }

    fn open_spans(&self) -> Vec<f64> {
        self.told()
            .into_iter()
            .filter_map(|kind| match kind {
                Kind::BreakerOpened { open_for_s, .. } => open_for_s,
                _ => None,
            })
            .collect()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&ChildState) -> bool) {
        let mut status = self.supervisor.status();
        let reached = status.wait_for(|status| status.child(SERVER).is_some_and(|child| wanted(&child.state)));
        tokio::time::timeout(Duration::from_secs(7200), reached)
            .await
            .unwrap_or_else(|_| panic!("never {what}"))
            .expect("open");
    }

    async fn suspended(&self) {
        self.until("suspended", |state| matches!(state, ChildState::Suspended { .. })).await;
    }

    async fn ready(&self) {
        self.until("ready", |state| *state == ChildState::Ready).await;
    }

    fn second(&self) -> u64 {
        self.begin.elapsed().as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_at_once_is_restarted_after_2_4_8_16_and_32_s_then_left_alone_for_60_s_then_tried_once() {
    let story = story([Act::Crash; 6].into_iter().chain([Act::Ready])).await;
    story.suspended().await;
    assert_eq!(story.delays(), [2.0, 4.0, 8.0, 16.0, 32.0]);
    assert_eq!((story.second(), story.open_spans()), (62, vec![60.0]));
    story.ready().await;
    assert_eq!(story.second(), 122, "the one trial comes when the 60 s are over, and not before");
    assert!(matches!(story.gate.snapshot().breaker, BreakerState::HalfOpen { .. }));
    sleep(Duration::from_secs(61)).await;
    assert_eq!(story.gate.snapshot().breaker, BreakerState::Closed, "ready for the whole probation");
    assert_eq!(story.gate.snapshot().consecutive_failures, 6, "and nothing is forgotten yet");
    sleep(Duration::from_secs(240)).await;
    assert_eq!(story.gate.snapshot().consecutive_failures, 0, "ready and stable: a success");
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_opens_the_breaker_for_longer_each_time() {
    let story = story([Act::Crash; 40]).await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(story.open_spans()[..6], [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]);
    assert_eq!(story.delays().len(), 5, "no restart beside the trials once the breaker has opened");
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_no_retry_can_cure_burns_no_tries() {
    let story = story([Act::CrashForGood, Act::Ready]).await;
    story.suspended().await;
    assert_eq!((story.second(), story.delays(), story.open_spans()), (0, vec![], vec![60.0]));
    story.ready().await;
    assert_eq!(story.second(), 60);
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_breakers_time_is_kept_when_its_actor_crashes() {
    let story = story([Act::Crash; 6].into_iter().chain([Act::Ready])).await;
    story.suspended().await;
    sleep(Duration::from_secs(30)).await;
    let mut events = EventRecorder::of(&story.supervisor);
    let breaker = story.supervisor.which_children().await.expect("up").into_iter().find(|child| child.id == BREAKER);
    let epoch = breaker.expect("there is one").epoch;
    story.supervisor.terminate_child(BREAKER).await.expect("it ends");
    story.supervisor.restart_child(BREAKER).await.expect("it starts");
    assert!(events.wait_for("child.ready", BREAKER).await.epoch > epoch);
    story.ready().await;
    assert_eq!(story.second(), 122);
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_the_operator_ends_the_waiting_at_once() {
    let story = story([Act::Crash; 6].into_iter().chain([Act::Ready])).await;
    story.suspended().await;
    sleep(Duration::from_secs(10)).await;
    story.gate.reset();
    story.ready().await;
    assert_eq!((story.second(), story.gate.snapshot().consecutive_failures), (72, 0));
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_never_decided_is_given_up_at_its_deadline() {
    // The supervisor's start timeout (600 s) ends it first; the gate then hears of a failed trial.
    let story = story([Act::Crash; 6].into_iter().chain([Act::NeverReady])).await;
    story.suspended().await;
    story.until("under trial", |state| *state == ChildState::Up).await;
    assert_eq!(story.second(), 122);
    story.suspended().await;
    assert_eq!((story.second(), story.open_spans()), (122 + 600, vec![60.0, 120.0]));
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_a_minute_after_each_start_is_not_restarted_for_ever() {
    let script = [Act::CrashAfter(Duration::from_secs(60)); 100];
    let story = story(script).await;
    sleep(Duration::from_secs(3600)).await;
    let restarts = story.supervisor.snapshot().await.expect("up").child(SERVER).expect("there").epoch.get();
    assert!(restarts <= 14, "started {restarts} times in an hour");
    story.supervisor.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_nothing_is_ever_restarted() {
    let story = story([Act::Ready]).await;
    sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(story.told(), []);
    story.supervisor.stop().await;
}
