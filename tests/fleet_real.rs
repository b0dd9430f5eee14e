//! A server that is several processes: a real job of `mlx.launch` with two ranks of the real `mlx_lm.server` on loopback,
//! owned as one child.

#[allow(dead_code, reason = "a module of several test programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::time::{Duration, Instant};

use mlx::{complete, real, text_of};
use mlx_tree_api::{Phase, Status};
use nix::sys::signal::Signal;
use support::processes::{self, Process};
use support::{Instance, PATIENCE, Setup, exists, gone, send};
use tokio::sync::Mutex;

/// `mlx-tree` over a job with two ranks. The launcher needs a shell and its tools.
async fn job() -> Setup {
    let setup = real().await.set("server.launch.ranks", "2");
    setup.with(|command, _| {
        command.env("PATH", "/usr/bin:/bin");
    })
}

/// Launchers and ranks wait by spinning: three jobs at once are too much for a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The ranks of the job whose launcher is `launcher`.
fn ranks(launcher: u32) -> Vec<Process> {
    let mut ranks: Vec<Process> = processes::all().into_iter().filter(|process| process.parent == launcher).collect();
    ranks.sort_by_key(|rank| rank.pid);
    ranks
}

fn launcher(status: &Status) -> u32 {
    status.process_pid.expect("a ready server has a process")
}

/// A real job takes longer to start than one process, the more so beside other tests.
async fn ready(tree: &Instance, epoch: u64) -> Status {
    let start = Instant::now();
    loop {
        if let Some(status) = tree.try_status().await
            && status.phase == Phase::Ready
            && status.server.epoch >= epoch
        {
            return status;
        }
        assert!(start.elapsed() < 3 * PATIENCE, "never ready in epoch {epoch}; log:\n{}", tree.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn two_ranks_serve_as_one_and_a_killed_one_takes_the_whole_job_down_and_it_comes_back() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let tree = job().await.start();
    let first = ready(&tree, 1).await;
    let url = first.server.url.clone().expect("an address");
    let before = text_of(&complete(&url, "Say something", 12).await);
    let members = ranks(launcher(&first));
    assert_eq!(members.len(), 2, "{members:?}");
    assert!(members.iter().all(|rank| rank.words.iter().any(|word| word == "mlx_lm")), "{members:?}");

    send(members[1].pid, Signal::SIGKILL);
    let second = ready(&tree, 2).await;
    for pid in [launcher(&first), members[0].pid, members[1].pid] {
        assert!(!exists(pid), "{pid} of the first job is still there");
    }
    assert_eq!(second.restart_count, 1, "one job, one child, one restart");
    let url = second.server.url.clone().expect("an address");
    assert_eq!(text_of(&complete(&url, "Say something", 12).await), before);

    let members = ranks(launcher(&second));
    assert_eq!(members.len(), 2);
    tree.stop().await;
    for rank in members {
        gone(rank.pid, PATIENCE).await;
    }
}

#[tokio::test]
async fn a_job_whose_supervisor_is_killed_is_ended_with_all_its_ranks() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut tree = job().await.start();
    let status = ready(&tree, 1).await;
    let mut members: Vec<u32> = ranks(launcher(&status)).iter().map(|rank| rank.pid).collect();
    assert_eq!(members.len(), 2);
    members.push(launcher(&status));
    tree.signal(Signal::SIGKILL);
    tree.ended().await;
    for pid in members {
        gone(pid, PATIENCE).await;
    }
}

#[tokio::test]
async fn frozen_ranks_are_found_although_their_launcher_never_rests() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let setup = job().await.set("health.interval", "1s").set("health.timeout", "1s");
    let tree = setup.set("health.canary_timeout", "5s").start();
    let first = ready(&tree, 1).await;
    // The launcher goes on spinning, which looks like work.
    for rank in ranks(launcher(&first)) {
        send(rank.pid, Signal::SIGSTOP);
    }
    let second = ready(&tree, 2).await;
    let exit = second.last_exit.as_ref().expect("there was one");
    assert_eq!(exit.reason, "unhealthy", "{exit:?}");
    assert!(!exists(launcher(&first)));
    tree.stop().await;
}
