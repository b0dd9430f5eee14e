//! What is said of a server in each of its situations.

use super::*;
use std::sync::Arc;

use mlx_tree_policy::drain::{Drain, Stand, Word};
use mlx_tree_policy::{Trip, TripCause};
use mlx_tree_supervision::{ChildKind, Epoch};

fn child(state: ChildState, epoch: u64) -> ChildStatus {
    ChildStatus {
        id: "server".into(),
        kind: ChildKind::Worker,
        restart: Restart::Permanent,
        state,
        epoch: Epoch::new(epoch),
        restarts: 0,
        last_exit: None,
        since: Monotonic::ORIGIN,
        next_start: None,
    }
}

fn gate(breaker: BreakerState) -> RestartSnapshot {
    RestartSnapshot { breaker, consecutive_failures: 0, restarts_in_window: 0, next: None }
}

fn view(phase: ServerPhase, epoch: u64) -> ServerView {
    ServerView { phase, url: Some("http://127.0.0.1:9".to_owned()), ..ServerView::absent(epoch) }
}

/// A server in its second incarnation.
struct Case {
    child: ChildState,
    phase: ServerPhase,
    seen: u64,
    wish: Wish,
    turn: Turn,
    planned: Option<Planned>,
    breaker: BreakerState,
}

const READY: ServerPhase = ServerPhase::Ready { since: Monotonic::ORIGIN };

impl Case {
    fn of(child: ChildState, phase: ServerPhase) -> Self {
        Self { child, phase, seen: 2, wish: Wish::Run, turn: Turn::Keeps, planned: None, breaker: BreakerState::Closed }
    }

    fn down(wish: Wish) -> Self {
        Self { wish, ..Self::of(ChildState::Down, ServerPhase::Absent) }
    }

    fn judge(self) -> Reach {
        let gate = gate(self.breaker.clone());
        self.judge_by(&gate)
    }

    fn judge_by(self, gate: &RestartSnapshot) -> Reach {
        let (child, view) = (child(self.child, 2), view(self.phase, self.seen));
        Facts {
            child: Some(&child),
            view: &view,
            gate,
            wish: self.wish,
            turn: self.turn,
            planned: self.planned.as_ref(),
            restart: Restart::Permanent,
            since: Instant::now(),
            clock: Clock::since_boot(),
        }
        .judge()
    }
}

#[tokio::test]
async fn a_server_is_ready_only_when_its_own_incarnation_says_so() {
    let address = "127.0.0.1:9".parse().expect("an address");
    assert_eq!(Case::of(ChildState::Ready, READY).judge(), Reach::Ready { address });
    let yields = Case { turn: Turn::Yields, ..Case::of(ChildState::Ready, READY) };
    assert_eq!(yields.judge(), Reach::Yielding { address, reason: GIVES_WAY.into() });
    let reach = Case { seen: 1, ..Case::of(ChildState::Starting, READY) }.judge();
    assert!(matches!(reach, Reach::Starting { .. }), "{reach:?}: what the one before it said does not count");
}

#[tokio::test]
async fn one_that_is_to_end_gets_nothing_new_and_newcomers_wait_only_if_it_comes_back() {
    let planned = |word| {
        let drain = Drain::begin(word, Stand::Serving, Duration::from_secs(30), Monotonic::ORIGIN);
        Some(Planned { number: 0, drain: drain.expect("it serves"), reason: "so".into(), epoch: 2 })
    };
    let (address, reason) = ("127.0.0.1:9".parse().expect("an address"), Arc::<str>::from("so"));
    let case = |word| Case { planned: planned(word), ..Case::of(ChildState::Ready, READY) };
    assert_eq!(case(Word::Restart).judge(), Reach::Yielding { address, reason: Arc::clone(&reason) });
    assert_eq!(case(Word::Drain).judge(), Reach::Finishing { address, reason: Arc::clone(&reason) });
    let between = Case { planned: planned(Word::Restart), ..Case::down(Wish::Restart) };
    assert_eq!(between.judge(), Reach::Recycling { reason }, "and it is said why until it is there again");
}

#[tokio::test]
async fn one_that_was_given_up_is_not_ready_before_the_supervisor_knows() {
    for phase in [ServerPhase::Stopping, ServerPhase::Absent] {
        let reach = Case::of(ChildState::Ready, phase).judge();
        assert!(matches!(reach, Reach::Waiting { until: None, .. }), "{reach:?}");
    }
}

#[tokio::test]
async fn what_is_down_is_judged_by_what_was_wished() {
    assert!(matches!(Case::down(Wish::Stop).judge(), Reach::Stopped { .. }));
    assert!(matches!(Case::down(Wish::Run).judge(), Reach::Stopped { .. }), "it has ended by itself");
    assert!(matches!(Case::down(Wish::Restart).judge(), Reach::Recycling { .. }), "between two lives");
    assert_eq!(Case::down(Wish::Sleep).judge(), Reach::Asleep);
}

#[tokio::test]
async fn a_sleeper_whose_breaker_is_open_is_not_merely_asleep() {
    let open = |until| {
        let reason = Trip { cause: TripCause::PermanentFailure, detail: "no module".to_owned() };
        BreakerState::Open { until: Some(until), cycle: 0, reason }
    };
    let later = Clock::since_boot().now() + Duration::from_secs(60);
    let reach = Case { breaker: open(later), ..Case::down(Wish::Sleep) }.judge();
    assert!(matches!(reach, Reach::BreakerOpen { until: Some(_), .. }), "{reach:?}");
    let reach = Case { breaker: open(Monotonic::ORIGIN), ..Case::down(Wish::Sleep) }.judge();
    assert_eq!(reach, Reach::Asleep, "the next request is its trial");
}

#[tokio::test]
async fn a_trial_that_is_due_is_not_waited_for_until_it_is_over() {
    let end = Clock::since_boot().now() + Duration::from_secs(60);
    let case = Case::of(ChildState::Suspended { until: None, reason: "it failed".into() }, ServerPhase::Absent);
    let gate =
        RestartSnapshot { next: Some(end), ..gate(BreakerState::HalfOpen { since: Monotonic::ORIGIN, deadline: end }) };
    assert!(matches!(case.judge_by(&gate), Reach::Waiting { until: None, .. }));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_being_ready_is_that_of_the_start_and_what_starts_take() {
    let now = Instant::now();
    let reason: Arc<str> = "it was killed".into();
    let takes = Some(Duration::from_secs(5));
    let of = |state, start_takes| Availability { epoch: 1, state, start_takes, ended: None }.ready_at();
    let later = Some(now + Duration::from_secs(8));
    let waiting = Reach::Waiting { until: Some(now + Duration::from_secs(3)), reason: Arc::clone(&reason) };
    assert_eq!(of(waiting.clone(), takes), later);
    assert_eq!(of(waiting, None), None, "nobody knows yet");
    assert_eq!(of(Reach::Starting { since: now + Duration::from_secs(3), reason }, takes), later);
    assert_eq!(of(Reach::Asleep, takes), None);
}
