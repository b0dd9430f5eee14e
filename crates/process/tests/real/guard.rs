//! The supervising process is killed: what then? (F39, F41, and the accept of "mlx-tree itself is killed")

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mlx_tree_process::signal::{Signal, Target, send};
use mlx_tree_process::state::{InstanceLock, Record, ServerLock, Settled, StateDir, settle_orphan};
use mlx_tree_process::{Asked, Grace, Guard, How, Identity, ProcessGroup};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ENOUGH, LONG, assert_gone, helper, is_over, launch, spawn_ready, until};

/// More than a process that ends on TERM needs, even on a machine that is out of breath.
const GRACE: Grace = Grace::new(Duration::from_secs(10));

/// A helper that supervises a helper, with locks, guard and record.
struct Supervisor {
    process: Child,
    identity: Identity,
    said: Lines<BufReader<pipe::Receiver>>,
    settled: String,
    guard: Identity,
    server: Identity,
}

impl Supervisor {
    async fn start(dir: &Path, server: &[&str]) -> Self {
        let mut process = Command::new(helper())
            .arg("supervise")
            .arg(dir)
            .args(server)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper starts");
        let identity = Identity::of(process.id().cast_signed()).expect("it is not reaped");
        let stdout = process.stdout.take().expect("piped");
        let pipe = pipe::Receiver::from_owned_fd(stdout.into()).expect("a pipe");
        let mut said = BufReader::new(pipe).lines();
        let settled = next(&mut said, "settled").await;
        let guard = next(&mut said, "guard").await.parse().expect("an identity");
        let server = next(&mut said, "server").await.parse().expect("an identity");
        Self { process, identity, said, settled, guard, server }
    }

    fn kill(&mut self) {
        send(Target::Process(&self.identity), Signal::Kill).expect("alive");
        self.process.wait().expect("reaped");
    }
}

/// The worker that the server announces; it may be quicker to say `ready` than its parent to announce it.
#[cfg(target_os = "linux")]
async fn announced(supervisor: &mut Supervisor) -> Identity {
    loop {
        let text = next(&mut supervisor.said, "said").await;
        if text != "ready" {
            let pid = text.strip_prefix("worker ").expect("the announcement").parse().expect("a pid");
            return Identity::of(pid).expect("alive");
        }
    }
}

/// A test that fails leaves nobody behind either.
impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = send(Target::Group(&self.server), Signal::Kill);
    }
}

async fn next(lines: &mut Lines<BufReader<pipe::Receiver>>, word: &str) -> String {
    let line = timeout(LONG, lines.next_line()).await.expect("in time").expect("readable").expect("a line");
    line.strip_prefix(word).unwrap_or_else(|| panic!("expected {word:?}, got {line:?}")).trim().to_owned()
}

fn kill(who: &Identity) {
    send(Target::Process(who), Signal::Kill).expect("alive");
}

#[tokio::test]
async fn when_the_supervisor_is_killed_server_group_and_port_are_gone() {
    let mut latencies = Vec::new();
    for _ in 0..20 {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = temporary.path().join("state");
        let mut supervisor = Supervisor::start(&dir, &["port-worker"]).await;
        let said = next(&mut supervisor.said, "said port").await;
        let (port, worker) = said.split_once(' ').expect("two numbers");
        let worker = Identity::of(worker.parse().expect("a pid")).expect("alive");
        // Every other time at the worst moment: while the kernel moves the server into its control group.
        if latencies.len() % 2 == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        let killed = Instant::now();
        supervisor.kill();
        let (server, guard) = (&supervisor.server, &supervisor.guard);
        until("the server is gone", || is_over(server) && is_over(&worker)).await;
        latencies.push(killed.elapsed());
        TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
        until("the guard is gone", || is_over(guard)).await;
        assert_eq!(nothing_to_settle(&dir).await, Settled::Nothing);
    }
    for (when, first) in [("at rest", 0), ("just started", 1)] {
        let mut some: Vec<Duration> = latencies.iter().copied().skip(first).step_by(2).collect();
        some.sort();
        println!("kill -9 of the supervisor to server gone, {when}: median {:?}, worst {:?}", some[5], some[9]);
    }
}

#[tokio::test]
async fn a_server_that_ignores_term_gets_its_grace_from_the_guard_and_then_kill() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut supervisor = Supervisor::start(&temporary.path().join("state"), &["ignore-term"]).await;
    assert_eq!(next(&mut supervisor.said, "said").await, "ready");
    let killed = Instant::now();
    supervisor.kill();
    let server = &supervisor.server;
    until("the server is gone", || is_over(server)).await;
    assert!(killed.elapsed() >= Duration::from_millis(300), "its grace was cut short");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_worker_that_left_the_group_is_ended_by_the_guard_too() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut supervisor = Supervisor::start(&temporary.path().join("state"), &["escape", "mark", "stay"]).await;
    let worker = announced(&mut supervisor).await;
    supervisor.kill();
    until("the worker is gone", || is_over(&worker)).await;
}

/// The guard first, then the supervisor: nobody is left to act, until the next start does.
#[tokio::test]
async fn when_the_guard_was_killed_too_the_next_start_settles_the_orphan() {
    for lose_the_record in [false, true] {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = temporary.path().join("state");
        let mut first = Supervisor::start(&dir, &["hold-port", "127.0.0.1:0"]).await;
        let said = next(&mut first.said, "said port").await;
        let port = said.split_once(' ').expect("two numbers").0.to_owned();
        kill(&first.guard);
        let guard = &first.guard;
        until("the guard is gone", || is_over(guard)).await;
        first.kill();
        assert!(!is_over(&first.server), "nobody has ended it yet");
        if lose_the_record {
            // Then the lock alone tells, and only Linux tells who shares it.
            if cfg!(not(target_os = "linux")) {
                kill(&first.server);
                continue;
            }
            Record::remove(&StateDir::open(&dir).expect("ours")).expect("removed");
        }
        let mut second = Supervisor::start(&dir, &["hold-port", &format!("127.0.0.1:{port}")]).await;
        assert!(second.settled.starts_with("Ended"), "{}", second.settled);
        assert!(is_over(&first.server), "two servers at once");
        assert_eq!(next(&mut second.said, "said port").await.split_once(' ').expect("two").0, port);
        second.kill();
        let server = &second.server;
        until("the second server is gone", || is_over(server)).await;
    }
}

async fn nothing_to_settle(dir: &Path) -> Settled {
    let dir = StateDir::open(dir).expect("ours");
    let instance = InstanceLock::acquire(&dir).expect("its holder is gone");
    settle_orphan(&instance, GRACE).await.expect("settled")
}

fn guard() -> Guard {
    Guard::start([helper(), "guard".into()]).expect("the guard starts")
}

#[tokio::test]
async fn a_guard_that_dies_is_noticed_and_the_next_one_protects_as_well() {
    let group = spawn_ready(&["sleep"]).await;
    let first = guard();
    first.protect(group.identity(), GRACE).expect("it listens");
    kill(first.identity());
    assert_eq!(timeout(LONG, first.died()).await.expect("noticed"), How::Signal(9));
    first.protect(group.identity(), GRACE).expect_err("nobody listens");
    let second = guard();
    second.protect(group.identity(), GRACE).expect("it listens");
    drop(second);
    let exit = timeout(LONG, group.exited()).await.expect("the guard ends it");
    assert_eq!((exit.how, exit.asked), (How::Signal(15), Asked::No));
    assert_gone(group.identity()).await;
}

#[tokio::test]
async fn what_is_released_and_what_was_never_protected_is_left_alone() {
    let (released, stranger) = (spawn_ready(&["sleep"]).await, spawn_ready(&["sleep"]).await);
    let guard = guard();
    guard.protect(released.identity(), GRACE).expect("it listens");
    guard.release(released.identity()).expect("it listens");
    // The right pid, but not the process that was meant.
    let stale = Identity { start_time: stranger.identity().start_time + 1, ..stranger.identity().clone() };
    guard.protect(&stale, GRACE).expect("it listens");
    let died = guard.died();
    drop(guard);
    assert_eq!(timeout(LONG, died).await.expect("it ends"), How::Code(0));
    for group in [released, stranger] {
        assert!(!is_over(group.identity()));
        group.stop(ENOUGH).await.expect("it ends");
    }
}

/// What a terminal or an init system sends to everybody does not end the guard before its time.
#[tokio::test]
async fn the_guard_is_deaf_to_polite_signals() {
    let group = spawn_ready(&["sleep"]).await;
    let guard = guard();
    guard.protect(group.identity(), GRACE).expect("it listens");
    // It has read the line when it is asleep again; its handlers are set before it reads.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for signal in [Signal::Term, Signal::Interrupt] {
        send(Target::Process(guard.identity()), signal).expect("alive");
    }
    let died = guard.died();
    timeout(Duration::from_millis(200), died).await.expect_err("it has ended");
    drop(guard);
    timeout(LONG, group.exited()).await.expect("the guard ends it");
}

/// The leader is gone and reaped, a member of its group lives on: the guard ends it, since a group's
/// number is not given away while it has members.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn members_that_outlive_their_leader_are_ended_by_the_guard() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut supervisor = Supervisor::start(&temporary.path().join("state"), &["worker", "stay"]).await;
    let worker = announced(&mut supervisor).await;
    // Frozen, so that it does not notice the exit of the leader, which ends the group by itself.
    send(Target::Process(&supervisor.identity), Signal::Stop).expect("alive");
    let pid = supervisor.identity.pid;
    until("every thread of it is frozen", || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("alive");
        threads
            .flatten()
            .all(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| stat.contains(") T ")))
    })
    .await;
    kill(&supervisor.server);
    assert!(!is_over(&worker));
    supervisor.kill();
    until("the worker is gone", || is_over(&worker)).await;
}

#[tokio::test]
async fn a_server_lock_is_held_by_the_child_and_not_by_us() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = StateDir::open(temporary.path().join("state")).expect("a state directory");
    let instance = InstanceLock::acquire(&dir).expect("the only one");
    let lock = ServerLock::acquire(&instance).await.expect("nobody has it");
    let group = ProcessGroup::spawn(launch(&["sleep"]).lock(lock)).expect("it starts");
    kill(group.identity());
    group.exited().await;
    ServerLock::acquire(&instance).await.expect("free with the child gone");
}
