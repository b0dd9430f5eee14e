//! What happens around the gateway: to its process, its descriptors, its environment, and to servers that are merely busy.

use std::io::Write as _;
use std::process::Command;

use crate::support::Setup;
use crate::support::gateway::{Address, End, eventually, plain, sampled, streamed};
use mlx_tree::ractor::ActorCell;
use mlx_tree::settings::{Environment, Flag, Sources, load};
use mlx_tree_api::Phase;
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;

/// The id of the gateway in the tree.
const GATEWAY: &str = "gateway";

/// Streams through the gateway from a server that answers no health check while it works, and stays.
async fn busy_is_not_down(flags: &[&str]) {
    let tree = Setup::demo(&[flags, &["--tps", "20", "--burn", "--answer-tokens", "120"]].concat())
        .set("health.interval", "1s")
        .set("health.timeout", "1s")
        .start();
    let server = tree.ready(1).await.process_pid;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("one")).await;
    stream.event().await.expect("it streams");
    let whole = gateway.send(&plain("two")).await;
    tree.until("seen to be busy", |it| matches!(it.phase, Phase::Busy | Phase::Suspect)).await;
    stream.answer().await.whole();
    whole.answer().await.whole();
    let status = tree.ready(1).await;
    assert_eq!((status.restart_count, status.process_pid), (0, server), "{}", tree.log());
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f11_a_server_that_is_slow_to_say_that_it_lives_serves_the_gateway_in_peace() {
    busy_is_not_down(&["--health-delay-when-busy", "5s"]).await;
}

#[tokio::test]
async fn f12_a_server_of_one_thread_serves_the_gateway_in_peace() {
    busy_is_not_down(&["--single-thread"]).await;
}

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("our own process").count()
}

#[tokio::test]
async fn f30_out_of_descriptors_it_gives_up_connections_that_nobody_uses_and_stays() {
    if !std::path::Path::new("/usr/bin/prlimit").exists() {
        crate::support::say("skipped: needs prlimit");
        return;
    }
    let tree = Setup::demo(&["--control"]).start();
    let server = tree.ready(1).await.process_pid;
    let gateway = tree.gateway().await;
    // A dozen more than it has.
    let limit = descriptors(tree.pid()) + 12;
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={}", tree.pid())).arg(format!("--nofile={limit}:{limit}"));
    assert!(prlimit.status().expect("prlimit runs").success());
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(gateway.connect().await);
    }
    tree.told(&["accept.failed"]).await;
    for number in 0..5 {
        gateway.ask(&plain(&format!("meanwhile {number}"))).await.whole();
        assert!(tree.try_status().await.is_some(), "the control plane answers");
    }
    drop(idle);
    eventually("given back", || async { descriptors(tree.pid()) < limit - 5 }).await;
    gateway.ask(&streamed("afterwards")).await.whole();
    let status = tree.ready(1).await;
    assert_eq!((status.restart_count, status.process_pid), (0, server), "{}", tree.log());
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f75_a_proxy_in_the_environment_is_not_asked_for_what_is_on_this_machine() {
    let tree = Setup::scripted(&["--control", "--control"])
        .with(|command, _| {
            // Nobody listens there.
            for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                command.env(name, "http://127.0.0.1:1");
            }
        })
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    gateway.ask(&plain("three")).await.whole();
    crate::support::send(server, Signal::SIGKILL);
    gateway.ask(&streamed("four")).await.whole();
    let (status, ..) = tree.command(&["status"]);
    assert!(status.success());
    tree.stop().await;
}

/// A tree in this program, so that its actors can be got at.
async fn within() -> (mlx_tree::Tree, tempfile::TempDir) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let command = [
        crate::support::PROGRAM,
        "stand-in",
        "--host",
        "{host}",
        "--port",
        "{port}",
        "--tps",
        "20",
        "--answer-tokens",
        "40",
    ];
    let sources = Sources::new(Environment::capture())
        .flag(Flag::text("test", "state_dir", home.path().join("state").display().to_string()))
        .flag(Flag::text("test", "server.port", "0"))
        .flag(Flag::text("test", "gateway.listen", "127.0.0.1:0"))
        .flag(Flag::list("test", "server.command", command));
    let settings = load(&sources).expect("good settings").settings;
    (mlx_tree::Tree::new(settings).start().await.expect("it starts"), home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_gateway_that_goes_down_comes_back_on_its_socket_and_takes_no_server_with_it() {
    let (tree, _home) = within().await;
    let url = tree.status().await.gateway.expect("there is one").url;
    let gateway = Address(url.strip_prefix("http://").expect("a plain URL").parse().expect("an address"));
    gateway.ask(&plain("five")).await.whole();
    let supervisor = tree.supervisor();
    supervisor.terminate_child(GATEWAY).await.expect("it is there");
    let others: Vec<_> = supervisor.actor().get_children().iter().map(ActorCell::get_id).collect();
    // Nobody serves the socket now, and nobody is refused.
    let waiting = gateway.send(&plain("six")).await;
    supervisor.restart_child(GATEWAY).await.expect("it was there");
    waiting.answer().await.whole();

    let server = tree.status().await.process_pid;
    let epoch = supervisor.wait_ready(GATEWAY).await.expect("it serves");
    let actor = supervisor.actor().get_children().into_iter().find(|child| !others.contains(&child.get_id()));
    let mut streaming = gateway.send(&sampled("seven")).await;
    streaming.head().await;
    // As good as a panic: it has no say in it.
    actor.expect("it is a child").kill();
    eventually("seen", || async {
        let status = tree.status().await;
        status.children.iter().any(|child| child.id == GATEWAY && child.restarts == 1)
    })
    .await;
    let answer = streaming.answer().await;
    assert!(answer.end == End::Cut && !answer.is_success(), "{answer:#?}");
    gateway.ask(&plain("eight")).await.whole();
    assert!(supervisor.wait_ready(GATEWAY).await.expect("it serves") > epoch);
    let status = tree.status().await;
    assert_eq!((status.process_pid, status.restart_count), (server, 0), "the server has noticed nothing");
    tree.stop().await;
    tree.closed().await;
}

/// A terminal that was stopped with Ctrl-S, a pager that nobody scrolls, a journal that hangs: the log has a reader that does
/// not read, and everything else goes on.
#[tokio::test]
async fn f28_a_log_that_nobody_reads_keeps_nobody_waiting() {
    let (_reader, writer) = nix::unistd::pipe().expect("a pipe");
    let file = std::fs::File::from(writer);
    let flags = |flags| nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("set");
    flags(nix::fcntl::OFlag::O_NONBLOCK);
    // Until it is full; whoever writes to it then waits for ever.
    while (&file).write(&[b'.'; 512]).is_ok() {}
    flags(nix::fcntl::OFlag::empty());
    let setup = Setup::demo(&[]).set("log.format", "json");
    let nothing = setup.home().join("log");
    std::fs::write(&nothing, "").expect("written");
    let mut tree = setup.start_writing_to(file, nothing);
    tree.ready(1).await;
    tree.gateway().await.ask(&plain("hello")).await.whole();
    tree.perform(Verb::Restart).await.expect("an operator is obeyed");
    tree.signal(Signal::SIGTERM);
    assert_eq!(tree.ended().await.code(), Some(0), "and so is SIGTERM");
}
