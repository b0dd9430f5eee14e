//! Servers that were well and are no more, and servers that only look so.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Instance, Setup, processes, wire};
use mlx_tree_api::{BreakerState, Phase, Status};
use nix::sys::signal::Signal;

/// Long enough for a server that does not answer to be found down, several times over.
const SEVERAL_CHECKS: Duration = Duration::from_millis(2500);

fn reason(status: &Status) -> &str {
    &status.last_exit.as_ref().expect("it has ended once").reason
}

/// Looks at the status again and again for `span`: a span in which nothing shall happen.
async fn watch(tree: &Instance, span: Duration) {
    let start = Instant::now();
    while start.elapsed() < span {
        tree.status().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The very server of the beginning serves, and nothing was restarted.
async fn never_restarted(tree: &Instance, server: u32) {
    let status = tree.ready(1).await;
    assert_eq!((status.restart_count, status.process_pid), (0, Some(server)), "{}", tree.log());
    assert_eq!((status.circuit_breaker_state, status.breaker.consecutive_failures), (BreakerState::Closed, 0));
}

#[tokio::test]
async fn f2_a_server_that_exits_while_idle_is_seen_at_once_and_restarted() {
    // No health check could see it within the time of this test.
    let tree = Setup::scripted(&["--control", "ok"]).set("health.interval", "60s").start();
    let first = tree.ready(1).await;
    wire::steer(&first.server.url.expect("it serves"), "exit?code=7").await;
    let status = tree.ready(2).await;
    let exit = status.last_exit.clone().expect("there was one");
    assert_eq!((exit.reason.as_str(), exit.code, exit.epoch), ("exit_code", Some(7), 1));
    assert_eq!(status.journal[0].decision, "restart after 0.1 s");
    tree.told(&["Server went down", "code: 7"]).await;
    tree.told(&["Waiting 0.1s before the restart"]).await;
    tree.stop().await;
}

#[tokio::test]
async fn f5_f6_a_killed_server_was_killed_by_somebody_else_and_comes_back() {
    let tree = Setup::demo(&[]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    crate::support::send(server, Signal::SIGKILL);
    let status = tree.ready(2).await;
    let exit = status.last_exit.clone().expect("there was one");
    assert_eq!((exit.reason.as_str(), exit.signal), ("killed", Some(9)));
    assert!(exit.message.contains("not sent by mlx-tree") && exit.message.contains("memory"), "{exit:?}");
    tree.stop().await;
}

#[tokio::test]
async fn f7_an_abort_and_a_segmentation_fault_are_told_with_their_last_words() {
    let tree = Setup::scripted(&["--control", "--control --last-words \"RuntimeError: the end\"", "ok"]).start();
    wire::steer(&tree.ready(1).await.server.url.expect("it serves"), "abort").await;
    let status = tree.ready(2).await;
    let exit = status.last_exit.clone().expect("there was one");
    assert_eq!((exit.reason.as_str(), exit.signal), ("crashed", Some(6)));
    wire::steer(&status.server.url.expect("it serves"), "segv").await;
    let exit = tree.ready(3).await.last_exit.expect("there was one");
    assert_eq!((exit.signal, exit.cause.as_deref()), (Some(11), Some("RuntimeError: the end")));
    let (_, lines, _) = tree.command(&["logs", "-n", "200"]);
    assert!(lines.contains("failed assertion"), "what the dead server wrote is kept: {lines}");
    tree.stop().await;
}

#[tokio::test]
async fn f8_a_hung_server_is_down_after_three_missed_checks_and_comes_back() {
    let tree = Setup::scripted(&["--control", "ok"]).start();
    let first = tree.ready(1).await;
    wire::steer(&first.server.url.expect("it serves"), "hang").await;
    for streak in 1..=3 {
        tree.told(&["Health check failed", &format!("({streak}/3)")]).await;
    }
    let status = tree.ready(2).await;
    assert_eq!((reason(&status), status.restart_count), ("unhealthy", 1));
    assert_eq!(status.health_check_failures, 0, "another server, another count");
    assert!(!crate::support::exists(first.process_pid.expect("it served")), "the hung one is left behind");
    tree.stop().await;
}

#[tokio::test]
async fn f9_a_server_that_answers_its_health_check_and_generates_no_more_is_found_by_a_canary() {
    let tree = Setup::scripted(&["--control", "ok"])
        .set("health.canary_idle", "500ms")
        .set("health.canary_timeout", "1s")
        .start();
    wire::steer(&tree.ready(1).await.server.url.expect("it serves"), "kill-generation").await;
    let status = tree.ready(2).await;
    assert_eq!(reason(&status), "unhealthy");
    assert!(!tree.log().contains("Health check failed"), "its health check was fine all the time: {}", tree.log());
    tree.stop().await;
}

#[tokio::test]
async fn f10_headers_without_a_body_are_no_sign_of_life() {
    // The first completion is the canary of the start.
    for silence in ["--headers-then-silence", "--comments"] {
        let tree = Setup::scripted(&[&format!("{silence} --from-request 2"), "ok"])
            .set("health.canary_idle", "500ms")
            .set("health.canary_timeout", "1s")
            .start();
        tree.ready(1).await;
        assert_eq!(reason(&tree.ready(2).await), "unhealthy", "{silence}");
        tree.stop().await;
    }
}

#[tokio::test]
async fn f11_a_server_whose_health_check_is_slow_while_it_works_is_busy_and_not_down() {
    let tree = Setup::demo(&["--health-delay-when-busy", "5s", "--tps", "20", "--burn", "--answer-tokens", "inf"])
        .set("health.interval", "1s")
        .set("health.timeout", "1s")
        .start();
    let first = tree.ready(1).await;
    let answer = wire::stream(&first.server.url.clone().expect("it serves"), 100_000).await;
    tree.until("seen to be busy", |it| matches!(it.phase, Phase::Busy | Phase::Suspect)).await;
    watch(&tree, 2 * SEVERAL_CHECKS).await;
    drop(answer);
    never_restarted(&tree, first.process_pid.expect("it serves")).await;
    tree.stop().await;
}

#[tokio::test]
async fn f12_a_server_of_one_thread_that_answers_nobody_while_it_works_is_not_down() {
    let tree = Setup::demo(&["--single-thread", "--tps", "20", "--burn", "--answer-tokens", "inf"])
        .set("health.interval", "1s")
        .set("health.timeout", "1s")
        .start();
    let first = tree.ready(1).await;
    let answer = wire::stream(&first.server.url.clone().expect("it serves"), 100_000).await;
    tree.until("seen to be busy", |it| matches!(it.phase, Phase::Busy | Phase::Suspect)).await;
    watch(&tree, 2 * SEVERAL_CHECKS).await;
    drop(answer);
    never_restarted(&tree, first.process_pid.expect("it serves")).await;
    tree.stop().await;
}

#[tokio::test]
async fn f18_a_worker_that_its_dead_parent_leaves_behind_is_ended_before_the_next_start() {
    survivors_are_ended(&["--fork-grandchild"]).await;
}

#[tokio::test]
async fn f19_a_worker_in_a_session_of_its_own_is_ended_all_the_same() {
    survivors_are_ended(&["--fork-grandchild", "--setsid"]).await;
}

/// The grandchild has port and pipes; the leader is killed. On a fixed port the next server could not listen beside it.
async fn survivors_are_ended(flags: &[&str]) {
    let port = crate::support::free_port().to_string();
    let tree = Setup::demo(flags).set("server.port", &port).start();
    let leader = tree.ready(1).await.process_pid.expect("it serves");
    let worker = processes::stand_ins_of(tree.home()).into_iter().find(|process| process.parent == leader);
    let worker = worker.expect("it has forked").pid;
    crate::support::send(leader, Signal::SIGKILL);
    let status = tree.ready(2).await;
    assert!(!crate::support::exists(worker), "the worker is left behind");
    assert_eq!((status.restart_count, reason(&status)), (1, "killed"));
    let (_, lines, _) = tree.command(&["logs", "-n", "500"]);
    assert!(!lines.contains("Address already in use"), "a bind failed: {lines}");
    let left: BTreeSet<u32> = processes::stand_ins_of(tree.home()).into_iter().map(|process| process.pid).collect();
    tree.stop().await;
    for pid in left {
        assert!(!crate::support::exists(pid), "process {pid} is left behind");
    }
}

#[tokio::test]
async fn f21_a_frozen_server_is_ended_by_term_and_cont_and_need_not_sit_out_its_grace() {
    let grace = Duration::from_secs(60);
    let tree = Setup::demo(&[]).set("shutdown.hung_grace", "60s").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let start = Instant::now();
    crate::support::send(server, Signal::SIGSTOP);
    let status = tree.ready(2).await;
    assert!(start.elapsed() < grace, "TERM alone stays pending in a frozen process");
    assert_eq!((reason(&status), crate::support::exists(server)), ("unhealthy", false));
    tree.stop().await;
}

#[tokio::test]
async fn f23_a_flood_of_output_neither_blocks_the_server_nor_fills_the_memory() {
    // 80 MiB, of which 16 without a newline, and bytes that are no text.
    let flood = "--one-line 16777216 --binary-output --spew-at-most 67108864 --quiet";
    let tree = Setup::scripted(&["ok", flood]).start();
    let first = tree.ready(1).await.process_pid.expect("it serves");
    let before = processes::resident(tree.pid());
    crate::support::send(first, Signal::SIGKILL);
    let server = tree.ready(2).await.process_pid.expect("it serves");
    let start = Instant::now();
    // Asked of the system: the line that says so stands among thousands, of which most are lost, as they may.
    while processes::written(server) < 80 << 20 {
        assert!(start.elapsed() < crate::support::PATIENCE, "the server waits for somebody to read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let grown = processes::resident(tree.pid()).saturating_sub(before);
    assert!(grown < 8 << 20, "mlx-tree grew by {grown} bytes");
    never_restarted_since(&tree, 2, server).await;
    tree.stop().await;
}

async fn never_restarted_since(tree: &Instance, epoch: u64, server: u32) {
    let status = tree.ready(epoch).await;
    assert_eq!((status.server.epoch, status.process_pid), (epoch, Some(server)), "{}", tree.log());
}

#[tokio::test]
async fn f24_a_server_that_closes_its_output_is_no_failure() {
    let tree = Setup::demo(&["--close-stdio"]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    watch(&tree, SEVERAL_CHECKS).await;
    never_restarted(&tree, server).await;
    crate::support::send(server, Signal::SIGKILL);
    tree.ready(2).await;
    tree.stop().await;
}

#[tokio::test]
async fn f28_a_full_disk_under_the_log_is_no_reason_to_stop() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device that is always full");
    let setup = Setup::demo(&[]);
    let nothing = setup.home().join("nothing");
    std::fs::write(&nothing, "").expect("written");
    let tree = setup.start_writing_to(full, nothing);
    let server = tree.ready(1).await.process_pid.expect("it serves");
    crate::support::send(server, Signal::SIGKILL);
    tree.ready(2).await;
    tree.stop().await;
}

#[tokio::test]
async fn f29_a_state_directory_that_is_emptied_while_it_runs_costs_no_server() {
    let tree = Setup::demo(&[]).start();
    let (server, client) = (tree.ready(1).await.process_pid.expect("it serves"), tree.client());
    for entry in std::fs::read_dir(tree.state_dir()).expect("the state directory").flatten() {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("removed");
    }
    crate::support::send(server, Signal::SIGKILL);
    let start = Instant::now();
    loop {
        let status = client.status().await.expect("the control plane answers");
        if status.phase == Phase::Ready && status.server.epoch == 2 {
            break;
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "{status:#?}\n{}", tree.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tree.stop().await;
}

#[tokio::test]
async fn f33_a_tree_that_was_frozen_as_a_whole_restarts_nothing() {
    let tree = Setup::demo(&[]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    for order in [[tree.pid(), server], [server, tree.pid()]] {
        for pid in order {
            crate::support::send(pid, Signal::SIGSTOP);
        }
        // Nothing can be waited for while everybody is frozen: this is the sleep of the laptop.
        tokio::time::sleep(SEVERAL_CHECKS).await;
        for pid in order {
            crate::support::send(pid, Signal::SIGCONT);
        }
        watch(&tree, Duration::from_secs(1)).await;
    }
    never_restarted(&tree, server).await;
    tree.stop().await;
}

#[tokio::test]
async fn f34_a_machine_that_is_busy_with_other_things_restarts_nothing() {
    let tree = Setup::demo(&[]).set("health.interval", "500ms").set("health.timeout", "500ms").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let load: Vec<Load> = (0..8).map(|_| Load::begin()).collect();
    watch(&tree, Duration::from_secs(4)).await;
    drop(load);
    never_restarted(&tree, server).await;
    tree.stop().await;
}

/// A process that computes for ever, politely; until dropped.
struct Load(Child);

impl Load {
    fn begin() -> Self {
        let mut command = if Path::new("/usr/bin/nice").exists() { Command::new("nice") } else { Command::new("env") };
        let child = command.args(["sh", "-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Self(child.expect("a shell"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn f36_a_flapping_health_check_is_told_and_never_acted_on() {
    // Some good answers first, for a start that has to ask more than once.
    let tree = Setup::demo(&["--health-pattern", "1111110101010101"]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    tree.told(&["Health check failed", "(1/3)"]).await;
    tree.told(&["Health checks pass again"]).await;
    watch(&tree, SEVERAL_CHECKS).await;
    never_restarted(&tree, server).await;
    assert!(!tree.log().contains("(2/3)"), "{}", tree.log());
    tree.stop().await;
}
