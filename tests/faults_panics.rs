//! F46, F47, F48: a bug in an actor of the tree, again and again, and more questions than anybody can answer.
//!
//! The tree runs in this program, so that it can be made to panic from inside; its server is a process as ever.

mod support;

use std::time::{Duration, Instant};

use mlx_tree::Tree;
use mlx_tree::api::{BreakerState, ChildState, Kind, Phase, Status};
use mlx_tree::settings::{Environment, Flag, Sources, load};
use mlx_tree::tree::Part;
use support::gateway::{Address, plain, sampled};
use support::{PATIENCE, PROGRAM, Setup, exists, gone, processes, wire};
use tempfile::TempDir;

/// A tree over a stand-in, in this program.
struct Inside {
    home: TempDir,
    tree: Tree,
}

impl Inside {
    /// A tree whose stand-in has these flags, with these keys.
    async fn start(flags: &[&str], keys: &[(&'static str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let command = [PROGRAM, "stand-in", "--host", "{host}", "--port", "{port}", "--quiet"];
        let flag = |key: &'static str, value: &str| Flag::text("test", key, value);
        let mut sources = Sources::new(Environment::capture().with("HOME", home.path().to_str().expect("utf-8")))
            .flag(flag("state_dir", home.path().join("state").to_str().expect("utf-8")))
            .flag(flag("server.port", "0"))
            .flag(flag("gateway.listen", "127.0.0.1:0"))
            .flag(flag("restart.backoff_initial", "100ms"))
            .flag(flag("restart.backoff_max", "1s"))
            .flag(flag("shutdown.grace", "3s"))
            .flag(Flag::list("test", "server.command", command.iter().chain(flags).copied()));
        for (key, value) in keys {
            sources = sources.flag(flag(key, value));
        }
        let settings = load(&sources).unwrap_or_else(|errors| panic!("{errors}")).settings;
        let environment = sources.environment().clone();
        let tree = Tree::new(settings).environment(environment).launch().await.expect("it starts");
        Self { home, tree }
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = self.tree.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "never {what}: {status:#?}; {:#?}", self.told());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ready(&self, epoch: u64) -> Status {
        self.until("ready", |it| it.phase == Phase::Ready && it.server.epoch >= epoch).await
    }

    /// Has a part panic. Answers the incarnation that did.
    async fn panic(&self, part: Part) -> u64 {
        let start = Instant::now();
        loop {
            if let Some(epoch) = self.tree.default_server().sabotage(part) {
                return epoch;
            }
            assert!(start.elapsed() < PATIENCE, "{part:?} never runs");
            tokio::task::yield_now().await;
        }
    }

    /// Has a part panic, and waits for the next incarnation of it.
    async fn panics_and_comes_back(&self, part: Part) -> Status {
        let epoch = self.panic(part).await;
        let id = match part {
            Part::Server => "server",
            Part::Health => "health",
            Part::Breaker => "breaker",
        };
        let back = |it: &Status| {
            let child = it.children.iter().find(|child| child.id == id).expect("in the tree");
            child.epoch > epoch && child.state == ChildState::Ready
        };
        let status = self.until("back", back).await;
        let child = status.children.iter().find(|child| child.id == id).expect("in the tree");
        let said = child.last_exit.as_deref().unwrap_or_default();
        assert!(said.contains(Part::WORDS), "it says why: {child:#?}");
        status
    }

    async fn gateway(&self) -> Address {
        let url = self.tree.status().await.gateway.expect("there is one").url;
        Address(url.strip_prefix("http://").expect("plain").parse().expect("an address"))
    }

    fn told(&self) -> Vec<Kind> {
        self.tree.events(0).0.iter().map(|event| event.kind.clone()).collect()
    }

    async fn stop(self) {
        self.tree.stop().await;
        self.tree.closed().await;
        assert_eq!(processes::stand_ins_of(self.home.path()), [], "nothing is left behind");
    }
}

/// The watcher and the breaker own nothing: the server notices nothing, and is watched again.
#[tokio::test]
async fn f46_a_panic_of_those_who_watch_costs_no_server() {
    let tree = Inside::start(
        &["--control"],
        &[
            ("health.interval", "500ms"),
            ("health.timeout", "500ms"),
            ("health.failure_threshold", "6"),
            ("health.canary_idle", "500ms"),
        ],
    )
    .await;
    // Before there is anything to watch, while it is well, and in the middle of checks and canaries.
    tree.panics_and_comes_back(Part::Health).await;
    tree.panics_and_comes_back(Part::Breaker).await;
    let server = tree.ready(1).await.process_pid;
    let gateway = tree.gateway().await;
    let streamed = gateway.send(&sampled("a long story, which nobody interrupts")).await;
    for part in [Part::Health, Part::Breaker, Part::Health, Part::Breaker] {
        tree.panics_and_comes_back(part).await;
    }
    streamed.answer().await.whole();
    let status = tree.until("watched again", |it| it.health.last_ok_s_ago.is_some_and(|ago| ago < 0.4)).await;
    assert_eq!((status.process_pid, status.restart_count, status.server.epoch), (server, 0, 1), "{status:#?}");
    // The verdict of the new watcher counts as the old one's would have.
    wire::steer(&status.server.url.expect("it serves"), "hang").await;
    tree.ready(2).await;
    gateway.ask(&plain("hello")).await.whole();
    tree.stop().await;
}

/// The time of an open breaker is the gate's, and the trial comes although the one who was to give it has panicked.
#[tokio::test]
async fn f46_a_breaker_that_panics_while_it_is_open_or_half_open_still_gives_its_trial() {
    let home = tempfile::tempdir().expect("a directory");
    let script = home.path().join("script");
    std::fs::write(&script, "--exit-after 0 --code 3\n--exit-after 0 --code 3\nok\n").expect("written");
    let flags = ["--script", script.to_str().expect("utf-8")];
    let keys = [("breaker.failure_threshold", "1"), ("breaker.open_for", "1s"), ("breaker.open_max", "1s")];
    let tree = Inside::start(&flags, &keys).await;
    tree.until("open", |it| it.circuit_breaker_state == BreakerState::Open).await;
    tree.panics_and_comes_back(Part::Breaker).await;
    let status = tree.until("on trial", |it| it.circuit_breaker_state == BreakerState::HalfOpen).await;
    assert!(status.gateway.is_some());
    tree.panics_and_comes_back(Part::Breaker).await;
    tree.ready(2).await;
    tree.stop().await;
}

/// The worker owns the process, so the process ends with it: wholly, before the next one is started, and as any other end of
/// the server for those whose requests it had.
#[tokio::test]
async fn f46_a_panic_of_the_worker_is_one_end_of_its_server() {
    let tree = Inside::start(&["--control", "--tps", "20", "--answer-tokens", "60"], &[]).await;
    let first = tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut sampled = gateway.send(&sampled("once")).await;
    assert!(sampled.event().await.is_some(), "it streams");
    let body = plain("twice");
    let replayed = async { gateway.ask(&body).await };
    let disturbed = async {
        tree.until("both at work", |it| it.gateway.as_ref().is_some_and(|it| it.in_flight == 2)).await;
        tree.panic(Part::Server).await;
    };
    let (replayed, ()) = tokio::join!(replayed, disturbed);
    assert_eq!((replayed.is_success(), replayed.attempts()), (true, 2), "{replayed:#?}");
    sampled.answer().await.cut("backend_crashed");
    let second = tree.ready(2).await;
    assert!(!exists(first.process_pid.expect("it ran")), "there is one server at a time");
    assert_ne!(first.process_pid, second.process_pid);
    let exit = second.last_exit.expect("there was one");
    assert_eq!((exit.reason.as_str(), exit.epoch), ("panic", 1));
    let told = tree.told();
    let down =
        told.iter().position(|kind| matches!(kind, Kind::ServerExited { reason, .. } if reason == "worker_failed"));
    assert!(down.is_some(), "it is told: {told:#?}");
    tree.stop().await;
}

/// The same in every other state of a worker: launching, loading, and while it ends its server.
#[tokio::test]
async fn f46_a_panic_of_the_worker_in_any_state_leaves_one_server_that_serves() {
    let tree =
        Inside::start(&["--load", "400ms", "--ignore-term", "--control"], &[("shutdown.hung_grace", "1s")]).await;
    // As soon as there is one: it is being launched.
    tree.panic(Part::Server).await;
    let loading = tree.until("loading", |it| it.phase == Phase::Loading && it.server.epoch == 2).await;
    tree.panic(Part::Server).await;
    let third = tree.ready(3).await;
    assert!(!exists(loading.process_pid.expect("it ran")), "there is one server at a time");
    // A hung server that ignores TERM is being ended for a second.
    wire::steer(&third.server.url.expect("it serves"), "kill-generation").await;
    let restart = tree.tree.clone();
    let asked = tokio::spawn(async move { restart.restart_server().await });
    tree.until("being ended", |it| it.phase == Phase::Stopping).await;
    tree.panic(Part::Server).await;
    if let Err(error) = asked.await.expect("no panic of ours") {
        assert!(error.to_string().contains(Part::WORDS), "the one who asked for it is told: {error}");
    }
    let fourth = tree.ready(4).await;
    assert!(!exists(third.process_pid.expect("it ran")));
    tree.gateway().await.ask(&plain("hello")).await.whole();
    assert_eq!(processes::stand_ins_of(tree.home.path()).len(), 1, "{fourth:#?}");
    tree.stop().await;
}

/// Watchers that panic whenever they can are started less and less often, for ever. The server stays, and so does the tree.
#[tokio::test]
async fn f47_a_watcher_that_panics_again_and_again_backs_off_and_the_server_serves() {
    let tree = Inside::start(&[], &[]).await;
    let server = tree.ready(1).await.process_pid;
    // More often than the intensity of the root would bear: 5 in 5 minutes.
    let mut panicked = [0, 0];
    while panicked.iter().any(|epoch| *epoch < 7) {
        for (part, panicked) in [Part::Health, Part::Breaker].into_iter().zip(&mut panicked) {
            *panicked = tree.tree.default_server().sabotage(part).unwrap_or(0).max(*panicked);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let down = |it: &Status| {
        let waits = |id: &str| it.children.iter().any(|child| child.id == id && child.state == ChildState::Waiting);
        waits("health") && waits("breaker")
    };
    let status = tree.until("backing off", down).await;
    assert_eq!((status.process_pid, status.phase), (server, Phase::Ready), "{status:#?}");
    for child in status.children.iter().filter(|child| ["health", "breaker"].contains(&child.id.as_str())) {
        assert!(child.restarts >= 5 && child.next_start_in_s.is_some(), "{child:#?}");
    }
    // It serves, and somebody should look all the same.
    for part in ["health", "breaker"] {
        let said = |line: &&String| line.starts_with(&format!("{part} has failed "));
        assert!(status.degraded.iter().find(said).is_some_and(|line| line.contains(Part::WORDS)), "{status:#?}");
    }
    tree.gateway().await.ask(&plain("hello")).await.whole();
    tree.stop().await;
}

/// A worker that panics whenever it can is a server that does not come up: the breaker opens, everybody is told, and the tree
/// stays to try again.
#[tokio::test]
async fn f47_a_worker_that_panics_again_and_again_opens_the_breaker() {
    let tree = Inside::start(
        &[],
        &[("breaker.failure_threshold", "3"), ("breaker.open_for", "1h"), ("breaker.open_max", "1h")],
    )
    .await;
    let mut last = 0;
    while tree.tree.status().await.circuit_breaker_state != BreakerState::Open {
        if let Some(epoch) = tree.tree.default_server().sabotage(Part::Server) {
            last = epoch;
        }
        tokio::task::yield_now().await;
    }
    let status = tree.until("held back", |it| it.phase == Phase::Suspended && it.process_pid.is_none()).await;
    assert!(last > 3 && status.breaker.consecutive_failures > 3, "{status:#?}");
    assert!(status.degraded[0].starts_with("the breaker is open: "), "{status:#?}");
    let gateway = tree.gateway().await;
    gateway.ask(&plain("hello")).await.refused(503, "backend_circuit_open");
    assert_eq!(gateway.get("/health").await.status(), 503);
    tree.tree.reset().await;
    tree.ready(last + 1).await;
    gateway.ask(&plain("hello")).await.whole();
    tree.stop().await;
}

/// F48: a status is put together from what is there, so no actor has to answer; and what a server writes waits nowhere.
#[tokio::test]
async fn f48_a_flood_of_questions_and_of_alarming_lines_is_answered_within_bounded_memory() {
    let noisy = r#"
import http.server, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
def alarm():
    lines = "Exception in thread Thread-1 (_generate):\n" * 1000
    while True:
        sys.stderr.write(lines)
threading.Thread(target=alarm, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;
    let tree =
        Setup::serving(&["python3", "-c", noisy, "{port}"]).set("server.kind", "http").set("health.path", "/").start();
    tree.ready(1).await;
    let access = tree.access();
    let (control, token) = (access.url, access.token.secret().to_owned());
    let ask = |count: usize| {
        // Whoever has the token is not told to ask more slowly.
        let (control, token) = (control.clone(), token.clone());
        async move {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            for _ in 0..count {
                let answer =
                    client.get(format!("{control}/status")).bearer_auth(&token).send().await.expect("it answers");
                assert_eq!(answer.status(), 200);
                answer.bytes().await.expect("all of it");
            }
        }
    };
    let flood = |count| futures_util::future::join_all((0..16).map(move |_| ask(count)));
    flood(20).await;
    let before = processes::resident(tree.pid());
    flood(60).await;
    let after = processes::resident(tree.pid());
    assert!(after < before + (16 << 20), "it has grown from {before} to {after} bytes");
    let status = tree.status().await;
    assert_eq!((status.phase.state(), status.restart_count), (mlx_tree::api::ServerState::Running, 0), "{status:#?}");
    let server = status.process_pid.expect("it runs");
    tree.stop().await;
    gone(server, PATIENCE).await;
}
