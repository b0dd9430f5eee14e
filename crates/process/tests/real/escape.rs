//! F19: what leaves the group for a session of its own.

#![cfg(target_os = "linux")]

use mlx_tree_process::port::{self, ListenerOwner};
use mlx_tree_process::signal::{Signal, Target, send};
use mlx_tree_process::state::{InstanceLock, ServerLock, ServerLockError, StateDir};
use mlx_tree_process::{CgroupUse, Grace, Identity, ProcessGroup};
use std::time::Duration;
use tokio::time::timeout;

use crate::support::{LONG, assert_gone, is_over, launch, spawn, until, worker};

/// Recognised by its mark or by the lock, without the help of a control group.
#[tokio::test]
async fn a_worker_that_left_the_group_ends_with_it_if_it_bears_a_mark() {
    for keep in ["mark", "lock", "both"] {
        for mode in ["stay", "leave"] {
            let temporary = tempfile::tempdir().expect("a directory");
            let dir = StateDir::open(temporary.path().join("state")).expect("a state directory");
            let instance = InstanceLock::acquire(&dir).expect("the only one");
            let lock = ServerLock::acquire(&instance).await.expect("nobody has it");
            let escaping = launch(&["escape", keep, mode]).cgroup(CgroupUse::Never).lock(lock);
            let group = ProcessGroup::spawn(escaping).expect("it starts");
            let worker = worker(&group.output()).await;
            if mode == "stay" {
                group.kill();
            }
            let exit = timeout(LONG, group.exited()).await.expect("it ends");
            assert!(exit.survivors.is_empty(), "{keep} {mode}: {exit}");
            assert!(is_over(&worker), "{keep} {mode}: the worker outlived the news");
            assert_gone(group.identity()).await;
            ServerLock::acquire(&instance).await.expect("free for the next server");
        }
    }
}

/// Where we may have a control group, nothing can leave it.
#[tokio::test]
async fn a_worker_without_any_mark_ends_with_its_control_group() {
    let group = spawn(&["escape", "nothing", "stay"]);
    let worker = worker(&group.output()).await;
    // It may not be allowed, and the entry takes the kernel a moment, which a test can lose.
    let inside = std::fs::read_to_string(format!("/proc/{}/cgroup", worker.pid))
        .is_ok_and(|groups| groups.contains("/mlx-tree-"));
    group.kill();
    let exit = timeout(LONG, group.exited()).await.expect("it ends");
    assert!(exit.survivors.is_empty(), "{exit}");
    if inside {
        assert!(is_over(&worker), "it left its control group");
    } else {
        // Nobody can know it; the test does.
        send(Target::Process(&worker), Signal::Kill).expect("alive");
        until("it is gone", || is_over(&worker)).await;
    }
}

/// A survivor holds the lock: the next start is refused and names it.
#[tokio::test]
async fn while_something_of_an_earlier_server_lives_the_next_start_is_refused_by_name() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = StateDir::open(temporary.path().join("state")).expect("a state directory");
    let instance = InstanceLock::acquire(&dir).expect("the only one");
    let lock = ServerLock::acquire(&instance).await.expect("nobody has it");
    let group = ProcessGroup::spawn(launch(&["sleep"]).lock(lock)).expect("it starts");
    match ServerLock::acquire(&instance).await {
        Err(ServerLockError::Held { holders }) => {
            assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [group.identity().pid]);
            assert!(holders[0].command.contains("sleep"), "{holders:?}");
        }
        other => panic!("{other:?}"),
    }
    group.stop(Grace::new(Duration::from_secs(5))).await.expect("it ends");
    ServerLock::acquire(&instance).await.expect("free");
}

/// The same who would be ended with the group count as ours when they listen.
#[tokio::test]
async fn the_port_of_a_worker_that_left_the_group_is_still_ours() {
    let group = spawn(&["escape-to-port"]);
    let said = crate::support::word(&group.output(), "port").await;
    let (port, pid) = said.split_once(' ').expect("two numbers");
    let addr = format!("127.0.0.1:{port}").parse().expect("an address");
    let owner = port::listener_owner(addr, group.identity()).await.expect("asked");
    assert_eq!(owner, ListenerOwner::Ours { pid: pid.parse().expect("a pid") });
    let worker = Identity::of(pid.parse().expect("a pid")).expect("alive");
    group.stop(Grace::new(Duration::from_secs(5))).await.expect("it ends");
    assert!(is_over(&worker));
    assert_eq!(port::check(addr).await.expect("checked"), port::PortState::Free);
}
