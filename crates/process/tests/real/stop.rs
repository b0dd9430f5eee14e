//! Stop, kill and drop, in every state that a group can be in (F20, F21, F37, F38).

use std::time::Duration;

use mlx_tree_process::signal::{Signal, Target, send};
use mlx_tree_process::{Asked, Condition, Grace, How, ProcessGroup};
use tokio::time::{Instant, timeout};

use crate::support::{ENOUGH, LONG, assert_gone, launch, line, spawn, spawn_ready, until};

const SHORT: Grace = Grace::new(Duration::from_millis(150));

#[tokio::test]
async fn a_server_that_ends_on_term_ends_as_asked() {
    let group = spawn_ready(&["end-on-term", "0"]).await;
    let exit = group.stop(ENOUGH).await.expect("it ends");
    assert_eq!((exit.how, exit.asked), (How::Code(0), Asked::Stop));
    assert_gone(group.identity()).await;
}

#[tokio::test]
async fn dying_of_a_planned_term_is_not_a_failure() {
    let group = spawn_ready(&["end-on-term", "9"]).await;
    let exit = group.stop(ENOUGH).await.expect("it ends");
    assert_eq!((exit.how, exit.was_asked()), (How::Code(9), true));
}

#[tokio::test]
async fn term_that_is_ignored_is_followed_by_kill_when_the_grace_is_over() {
    let group = spawn_ready(&["ignore-term"]).await;
    let asked = Instant::now();
    let exit = group.stop(SHORT).await.expect("it ends");
    assert!(asked.elapsed() >= SHORT.length());
    assert_eq!((exit.how, exit.asked), (How::Signal(9), Asked::Kill));
    assert_gone(group.identity()).await;
}

#[tokio::test]
async fn a_frozen_server_is_woken_so_that_it_can_end_within_its_grace() {
    let group = spawn_ready(&["end-on-term", "0"]).await;
    send(Target::Process(group.identity()), Signal::Stop).expect("frozen");
    let exit = group.stop(ENOUGH).await.expect("it ends");
    assert_eq!((exit.how, exit.asked), (How::Code(0), Asked::Stop));
}

#[tokio::test]
async fn a_second_stop_joins_the_first_and_may_shorten_it() {
    let group = spawn_ready(&["ignore-term"]).await;
    let first = group.stop(ENOUGH);
    let second = group.stop(SHORT);
    let (first, second) = tokio::join!(first, second);
    let first = first.expect("it ends");
    assert_eq!(first.asked, Asked::Kill);
    assert_eq!(Ok(first), second);
    assert_gone(group.identity()).await;
}

#[tokio::test]
async fn a_stop_is_not_taken_back_by_dropping_its_future() {
    let group = spawn_ready(&["sleep"]).await;
    drop(group.stop(ENOUGH));
    assert_eq!(timeout(LONG, group.exited()).await.expect("it ends").asked, Asked::Stop);
}

#[tokio::test]
async fn stopping_what_is_gone_tells_how_it_went() {
    let group = spawn(&["exit", "5"]);
    let exit = group.exited().await;
    assert_eq!(group.stop(ENOUGH).await, Ok(exit.clone()));
    group.kill();
    assert_eq!(group.try_exited(), Some(exit.clone()));
    assert_eq!(*group.condition().borrow(), Condition::Gone(exit));
}

#[tokio::test]
async fn the_last_handle_takes_the_group_with_it_and_not_the_first() {
    let group = spawn_ready(&["sleep"]).await;
    let (identity, exited, other) = (group.identity().clone(), group.exited(), group.clone());
    drop(group);
    assert_eq!(*other.condition().borrow(), Condition::Running);
    drop(other);
    assert_eq!(timeout(LONG, exited).await.expect("it ends").asked, Asked::Stop);
    assert_gone(&identity).await;
}

#[test]
fn a_runtime_that_goes_down_takes_the_group_with_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let group = runtime.block_on(spawn_ready(&["ignore-term"]));
    let exited = group.exited();
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().expect("another");
    runtime.block_on(async {
        assert_gone(group.identity()).await;
        assert_eq!(timeout(LONG, exited).await.expect("told").how, How::Unknown);
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Spawning,
    Running,
    Stopping,
    Frozen,
    IgnoringTerm,
    WithWorker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Stop,
    StopTwice,
    Kill,
    Drop,
    Crash,
    StopThenKill,
}

async fn bring_into(state: State) -> ProcessGroup {
    // The grace of a dropped group is its launch's.
    let spawn = |args: &[&str], grace| ProcessGroup::spawn(launch(args).drop_grace(grace)).expect("the helper starts");
    let ready = async |args: &[&str], grace| {
        let group = spawn(args, grace);
        assert_eq!(line(&group.output()).await, "ready");
        group
    };
    match state {
        State::Spawning => spawn(&["sleep"], ENOUGH),
        State::Running => ready(&["sleep"], ENOUGH).await,
        State::Stopping => {
            let group = ready(&["ignore-term"], SHORT).await;
            drop(group.stop(ENOUGH));
            let mut condition = group.condition();
            condition.wait_for(|now| *now == Condition::Stopping).await.expect("stopping");
            group
        }
        State::Frozen => ready(&["stop-self"], ENOUGH).await,
        State::IgnoringTerm => ready(&["ignore-term"], SHORT).await,
        State::WithWorker => {
            let group = spawn(&["worker", "stay"], ENOUGH);
            let _ = crate::support::worker(&group.output()).await;
            group
        }
    }
}

/// Every state × every deed: the group is gone, the handles agree, the value that was held is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_state_any_end_leaves_nothing_behind() {
    use Deed::{Crash, Drop, Kill, Stop, StopThenKill, StopTwice};
    use State::{Frozen, IgnoringTerm, Running, Spawning, Stopping, WithWorker};
    for state in [Spawning, Running, Stopping, Frozen, IgnoringTerm, WithWorker] {
        for deed in [Stop, StopTwice, Kill, Drop, Crash, StopThenKill] {
            let group = bring_into(state).await;
            let identity = group.identity().clone();
            let (permit, mut released) = tokio::sync::oneshot::channel::<()>();
            group.hold(Box::new(permit));
            assert!(released.try_recv().is_err_and(|e| e == tokio::sync::oneshot::error::TryRecvError::Empty));
            let exited = group.exited();
            // Those who ignore TERM get little time for it; the others as much as they need.
            let grace = if matches!(state, Stopping | IgnoringTerm) { SHORT } else { ENOUGH };
            match deed {
                Stop => drop(group.stop(grace)),
                StopTwice => {
                    drop(group.stop(ENOUGH));
                    drop(group.stop(grace));
                }
                Kill => group.kill(),
                Drop => drop(group),
                Crash => send(Target::Process(&identity), Signal::Kill).expect("alive"),
                StopThenKill => {
                    drop(group.stop(ENOUGH));
                    group.kill();
                }
            }
            let exit = timeout(LONG, exited).await.unwrap_or_else(|_| panic!("{state:?} {deed:?}: does not end"));
            let possible: &[Asked] = match (state, deed) {
                (Stopping, Crash) => &[Asked::Stop],
                (_, Crash) => &[Asked::No],
                (Stopping | IgnoringTerm, _) | (_, Kill) => &[Asked::Kill],
                (_, Stop | StopTwice | Drop) => &[Asked::Stop],
                // It may have ended of TERM before the KILL that follows at once.
                (_, StopThenKill) => &[Asked::Stop, Asked::Kill],
            };
            assert!(possible.contains(&exit.asked), "{state:?} {deed:?}: {exit}");
            assert!(exit.survivors.is_empty(), "{state:?} {deed:?}: {exit}");
            assert_gone(&identity).await;
            timeout(LONG, released).await.expect("released").expect_err("released without a word");
        }
    }
}

/// F38: a hundred lives in a row, ended at odd moments; never two at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_hasty_lives_never_overlap() {
    let one = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let mut last = None;
    for number in 0..100_u32 {
        let permit = std::sync::Arc::clone(&one).acquire_owned().await.expect("open");
        if let Some(last) = &last {
            assert_gone(last).await;
        }
        let launch = launch(&["sleep"]).hold(permit).drop_grace(SHORT);
        let group = ProcessGroup::spawn(launch).expect("it starts");
        last = Some(group.identity().clone());
        match number % 4 {
            0 => drop(group),
            1 => group.kill(),
            2 => drop(group.stop(ENOUGH)),
            _ => send(Target::Process(group.identity()), Signal::Kill).expect("alive"),
        }
    }
    let _ = one.acquire().await.expect("open");
    let last = last.expect("the last life");
    until("the last life ends", || crate::support::is_over(&last)).await;
}
