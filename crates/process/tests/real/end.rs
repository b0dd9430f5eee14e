//! The end of a group is the end of all of it (F18, F22, F24), and of what left it (F19 is in `escape`).

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mlx_tree_process::port::{self, ListenerOwner, PortState};
use mlx_tree_process::signal::{Killer, Refused, Signal, Target, send};
use mlx_tree_process::{Asked, Condition, Exit, Grace, How, Identity, ProcessGroup, usage};
use tokio::time::timeout;

use crate::support::{ENOUGH, LONG, assert_gone, is_over, launch, spawn, spawn_ready, until, word, worker};

/// F18: the leader is killed, a worker that ignores TERM keeps the pipes.
#[tokio::test]
async fn when_the_leader_dies_its_workers_die_before_anybody_hears_of_it() {
    for end in ["crash", "leave"] {
        let group = spawn(&["worker", if end == "leave" { "leave" } else { "stay" }]);
        let worker = worker(&group.output()).await;
        if end == "crash" {
            send(Target::Process(group.identity()), Signal::Kill).expect("alive");
        }
        let exit = timeout(LONG, group.exited()).await.expect("the pipe that the worker holds delays nothing");
        assert_eq!(exit.how, if end == "crash" { How::Signal(9) } else { How::Code(0) });
        assert_eq!(exit.asked, Asked::No);
        assert!(is_over(&worker), "{end}: the worker outlived the news");
        assert_gone(group.identity()).await;
    }
}

/// The accept of "Grandchildren": the port is free for the next start, at once.
#[tokio::test]
async fn a_port_that_a_worker_held_is_free_when_the_exit_is_known() {
    for _ in 0..10 {
        let group = spawn(&["port-worker"]);
        let said = word(&group.output(), "port").await;
        let (port, pid) = said.split_once(' ').expect("two numbers");
        let addr = format!("127.0.0.1:{port}").parse().expect("an address");
        let owner = port::listener_owner(addr, group.identity()).await.expect("asked");
        assert_eq!(owner, ListenerOwner::Ours { pid: pid.parse().expect("a pid") });
        send(Target::Process(group.identity()), Signal::Kill).expect("alive");
        group.exited().await;
        assert_eq!(port::check(addr).await.expect("checked"), PortState::Free);
        TcpListener::bind(addr).expect("the next server can have it");
    }
}

#[tokio::test]
async fn the_listener_of_a_stranger_is_foreign_and_left_alone() {
    let ours = spawn_ready(&["sleep"]).await;
    let theirs = spawn(&["hold-port", "127.0.0.1:0"]);
    let said = word(&theirs.output(), "port").await;
    let (port, pid) = said.split_once(' ').expect("two numbers");
    let addr = format!("127.0.0.1:{port}").parse().expect("an address");
    let pid: i32 = pid.parse().expect("a pid");
    match port::listener_owner(addr, ours.identity()).await.expect("asked") {
        ListenerOwner::Foreign(holder) => {
            assert_eq!(holder.pid, pid);
            assert!(holder.command.contains("hold-port"), "{holder:?}");
        }
        other => panic!("{other:?}"),
    }
    match port::check(addr).await.expect("checked") {
        PortState::Held { holders } => assert_eq!(holders[0].pid, pid),
        PortState::Free => panic!("it is held"),
    }
    assert_eq!(*theirs.condition().borrow(), Condition::Running);
    for group in [ours, theirs] {
        group.stop(ENOUGH).await.expect("it ends");
        assert_gone(group.identity()).await;
    }
}

/// F24.
#[tokio::test]
async fn closing_its_output_is_not_the_end_of_a_process() {
    let group = spawn_ready(&["close-stdio"]).await;
    assert_eq!(timeout(LONG, group.output().next()).await.expect("both pipes have ended"), None);
    assert_eq!(*group.condition().borrow(), Condition::Running);
    assert_eq!(usage::of_group(group.identity()).await.expect("asked").processes, 1);
    group.stop(ENOUGH).await.expect("it ends");
}

#[tokio::test]
async fn many_may_wait_and_all_hear_the_same_after_what_was_held_is_free() {
    let permit = Arc::new(());
    let group = ProcessGroup::spawn(launch(&["sleep"]).hold(Arc::clone(&permit))).expect("it starts");
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let (exited, permit) = (group.exited(), Arc::clone(&permit));
            tokio::spawn(async move {
                let exit = exited.await;
                drop(permit);
                exit
            })
        })
        .collect();
    group.kill();
    let mut exits: Vec<Exit> = Vec::new();
    for waiter in waiters {
        exits.push(waiter.await.expect("no panic"));
    }
    assert!(exits.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(Arc::strong_count(&permit), 1);
    group.hold(Box::new(Arc::clone(&permit)));
    assert_eq!(Arc::strong_count(&permit), 1, "nothing is held for what is gone");
}

#[tokio::test]
async fn memory_and_processor_time_of_all_members_are_counted() {
    let group = spawn(&["worker", "stay"]);
    let _ = worker(&group.output()).await;
    let used = usage::of_group(group.identity()).await.expect("asked");
    assert_eq!(used.processes, 2);
    assert!(used.memory_bytes > 100 * 1024, "{used:?}");
    group.kill();
    group.exited().await;
    assert_eq!(usage::of_group(group.identity()).await.expect("asked"), usage::Usage::default());
}

/// Sends everything but KILL in vain: a process that hangs in the kernel.
#[derive(Debug, Default)]
struct InVain {
    kills: AtomicU32,
}

impl Killer for InVain {
    fn signal_group(&self, _leader: &Identity, signal: Signal) -> Result<(), Refused> {
        if signal == Signal::Kill {
            self.kills.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// F22.
#[tokio::test]
async fn what_cannot_be_killed_is_reported_stuck_and_holds_what_it_holds() {
    let killer = Arc::new(InVain::default());
    let (permit, mut released) = tokio::sync::oneshot::channel::<()>();
    let stuck_launch = launch(&["sleep"]).killer(killer.clone()).hold(permit);
    let group = ProcessGroup::spawn(stuck_launch).expect("it starts");
    let stuck = timeout(LONG, group.stop(Grace::new(Duration::ZERO))).await.expect("told").expect_err("stuck");
    assert_eq!(stuck.pid, group.identity().pid);
    assert!(stuck.since_kill >= Duration::from_secs(5), "{stuck:?}");
    assert!(matches!(*group.condition().borrow(), Condition::Stuck(_)));
    assert!(released.try_recv().is_err_and(|e| e == tokio::sync::oneshot::error::TryRecvError::Empty));
    assert!(group.try_exited().is_none());
    assert!(killer.kills.load(Ordering::Relaxed) > 10);
    // The kernel lets go at last.
    send(Target::Process(group.identity()), Signal::Kill).expect("alive");
    let exit = timeout(LONG, group.exited()).await.expect("noticed");
    assert_eq!((exit.how, exit.asked), (How::Signal(9), Asked::Kill));
    released.await.expect_err("released without a word");
    let identity = group.identity().clone();
    until("it is gone", || is_over(&identity)).await;
}

/// The leader dies by itself, a worker cannot be killed: the exit is known after a while, and names it.
#[tokio::test]
async fn who_outlives_a_group_is_named() {
    let unkillable = launch(&["worker", "leave"]).killer(Arc::new(InVain::default()));
    let group = ProcessGroup::spawn(unkillable).expect("it starts");
    let worker = worker(&group.output()).await;
    let exit = timeout(LONG, group.exited()).await.expect("nobody waits for ever");
    assert_eq!((exit.how, exit.asked), (How::Code(0), Asked::No));
    assert_eq!(exit.survivors.iter().map(|one| one.pid).collect::<Vec<_>>(), [worker.pid]);
    assert!(exit.survivors[0].command.ends_with("ignore-term"), "{exit}");
    assert!(exit.to_string().contains(&format!("left behind: pid {} (", worker.pid)), "{exit}");
    send(Target::Process(&worker), Signal::Kill).expect("alive");
    until("it is gone", || is_over(&worker)).await;
}
