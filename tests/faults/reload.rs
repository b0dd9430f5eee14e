//! A configuration that changes while everything runs: F44, F45, and what else must not be noticed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::gateway::{Address, eventually, plain, sampled, streamed};
use crate::support::wire::Standstill;
use crate::support::{Instance, PATIENCE, PROGRAM, Setup, gone, send};
use mlx_tree::stand_in::{OllamaOptions, OllamaServer};
use mlx_tree_api::{Phase, Status};
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;

/// The user's own file in this home.
fn file(home: &Path) -> PathBuf {
    home.join(".config/mlx-tree/config.toml")
}

/// Replaces the user's file, in one step as editors do.
pub(crate) fn write(home: &Path, text: &str) {
    let path = file(home);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).expect("it is written");
    fs::set_permissions(&fresh, Permissions::from_mode(0o600)).expect("it is ours");
    fs::rename(fresh, path).expect("it is replaced");
}

/// A demo with this configuration, and these flags for the stand-in.
pub(crate) fn demo(text: &str, flags: &[&str]) -> Setup {
    let setup = Setup::demo(flags);
    write(setup.home(), text);
    setup
}

/// `mlx-tree reload`, which is expected to do it; what it prints.
fn reloaded(tree: &Instance) -> String {
    let (status, stdout, stderr) = tree.command(&["reload"]);
    assert!(status.success(), "{stderr}\nlog:\n{}", tree.log());
    stdout
}

/// `mlx-tree reload`, which is expected to be refused; what it prints.
fn refused(tree: &Instance) -> String {
    let (status, stdout, stderr) = tree.command(&["reload"]);
    assert_eq!((status.code(), stdout.as_str()), (Some(78), ""), "{stderr}");
    stderr
}

fn life(status: &Status) -> (Option<u32>, u64, u64) {
    (status.process_pid, status.server.epoch, status.restart_count)
}

#[tokio::test]
async fn f44_whatever_is_wrong_with_the_file_the_old_configuration_goes_on() {
    let good = "[gateway]\nmax_queue = 7\n";
    let tree = demo(good, &[]).start();
    let before = life(&tree.ready(1).await);
    let path = file(tree.home());
    let broken: [(&str, &dyn Fn()); 5] = [
        ("half-written", &|| write(tree.home(), "[gateway]\nmax_queue = 8\nmax_infl")),
        ("wrong", &|| write(tree.home(), "[gateway]\nmax_queue = -1\nmax_inflght = 2\n")),
        ("others may write it", &|| fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours")),
        ("a directory", &|| {
            fs::remove_file(&path).expect("it is ours");
            fs::create_dir(&path).expect("a directory");
        }),
        ("of the wrong bytes", &|| {
            fs::remove_dir(&path).expect("it is empty");
            fs::write(&path, [0xff, 0xfe, 0x00]).expect("it is written");
        }),
    ];
    for (what, breaks) in broken {
        write_unless_directory(&path, tree.home(), good);
        breaks();
        let said = refused(&tree);
        let (status, _, check) = tree.command(&["check"]);
        assert_eq!(status.code(), Some(78), "{what}: {check}");
        let report = |text: &str| text.split("\nhelp: ").next().map(|text| text.trim_end().to_owned());
        assert_eq!(report(&said), report(&check), "{what}: reload says what check says");
        let status = tree.status().await;
        assert_eq!(life(&status), before, "{what}");
        let config = status.config.expect("it has one");
        assert!(config.rejected.is_some_and(|reason| reason.contains("config.toml")), "{what}");
        assert_eq!(status.degraded.len(), 1, "{what}: {:?}", status.degraded);
    }
    tree.told(&["Configuration cannot be used", "max_queue"]).await;
    write(tree.home(), good);
    assert!(reloaded(&tree).contains("nothing has changed"), "the old one had gone on");
    let status = tree.status().await;
    assert_eq!((status.degraded.len(), status.config.and_then(|config| config.rejected)), (0, None));
    tree.stop().await;
}

fn write_unless_directory(path: &Path, home: &Path, text: &str) {
    if !path.is_dir() {
        write(home, text);
    }
}

#[tokio::test]
async fn f44_a_file_that_was_demanded_and_is_gone_or_must_not_be_read_is_told_and_changes_nothing() {
    let setup = Setup::new(&["demo", "--log-format", "json"]).with(|command, home| {
        write(home, "");
        fs::write(home.join("given.toml"), "gateway.max_queue = 7\n").expect("it is written");
        command.arg("--config").arg(home.join("given.toml"));
    });
    let tree = setup.start();
    tree.ready(1).await;
    let given = tree.home().join("given.toml");
    fs::remove_file(&given).expect("it is ours");
    assert!(refused(&tree).contains("the file cannot be read"), "gone");
    if !nix::unistd::geteuid().is_root() {
        fs::write(&given, "gateway.max_queue = 8\n").expect("it is written");
        fs::set_permissions(&given, Permissions::from_mode(0o000)).expect("it is ours");
        assert!(refused(&tree).contains("the file cannot be read"), "forbidden");
        fs::remove_file(&given).expect("it is ours");
    }
    fs::write(&given, "gateway.max_queue = 8\n").expect("it is written");
    assert!(reloaded(&tree).contains("gateway.max_queue: 7 → 8 (live)"), "the same file as at the start");
    tree.stop().await;
}

#[tokio::test]
async fn f45_other_limits_of_the_gateway_touch_no_process_and_nothing_in_flight() {
    let tree = demo("[gateway]\nmax_inflight = 1\n", &["--control", "--tps", "20"]).start();
    let before = life(&tree.ready(1).await);
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("slow")).await;
    stream.event().await.expect("it streams");
    let standstill = Standstill::of(&tree).await;
    let waiting = [gateway.send(&plain("one")).await, gateway.send(&streamed("two")).await];
    tree.gateway_until("one in, two waiting", |it| (it.in_flight, it.queued) == (1, 2)).await;
    write(tree.home(), "[gateway]\nmax_inflight = 3\nmax_queue = 0\nhold_budget = \"5s\"\nmax_body = \"1KiB\"\n");
    // What an init system sends; the command does the same.
    tree.signal(Signal::SIGHUP);
    tree.told(&["Configuration changed", "gateway.max_inflight: 1 → 3 (live)"]).await;
    tree.gateway_until("all three in", |it| (it.in_flight, it.queued) == (3, 0)).await;
    gateway.ask(&plain(&"long ".repeat(500))).await.refused(413, "body_too_large");
    standstill.end().await;
    stream.answer().await.whole();
    for call in waiting {
        call.answer().await.whole();
    }
    let status = tree.status().await;
    assert_eq!(life(&status), before);
    tree.stop().await;
}

#[tokio::test]
async fn tokens_are_exchanged_while_a_client_is_being_served() {
    let tokens = |token: &str| format!("[gateway]\ntokens = [\"{token}\"]\n");
    let (old, new) = ("the-old-canary-token", "the-new-canary-token");
    let tree = demo(&tokens(old), &["--tps", "20", "--answer-tokens", "15"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let with = async |token: &str, body: serde_json::Value| {
        let header = format!("Bearer {token}");
        gateway.send_with(&[("authorization", &header)], &body).await
    };
    let mut stream = with(old, sampled("slow")).await;
    stream.event().await.expect("it streams");
    write(tree.home(), &tokens(new));
    let said = reloaded(&tree);
    with(old, plain("again")).await.answer().await.refused(401, "invalid_api_key");
    with(new, plain("hello")).await.answer().await.whole();
    stream.answer().await.whole();
    assert!(said.contains("gateway.tokens: [\"***\"] → [\"***\"] (live)"), "{said}");
    let status = serde_json::to_string(&tree.status().await).expect("JSON");
    for text in [&said, &status, &tree.log()] {
        assert!(!text.contains("canary"), "a secret is told: {text}");
    }
    tree.stop().await;
}

/// Asks again and again, each time in another way, until `enough`; the texts that came.
async fn clients(gateway: Address, enough: &AtomicBool) -> Vec<String> {
    let one = async |body: fn(&str) -> serde_json::Value| {
        let mut texts = Vec::new();
        while !enough.load(Ordering::Relaxed) {
            texts.push(gateway.ask(&body("again")).await.whole());
        }
        texts
    };
    let (plain, greedy, drawn) = tokio::join!(one(plain), one(streamed), one(sampled));
    [plain, greedy, drawn].concat()
}

#[tokio::test]
async fn other_arguments_restart_the_server_and_no_client_notices() {
    let text = |tokens: u32| format!("[server]\nargs = [\"--answer-tokens\", \"{tokens}\", \"--tps\", \"100\"]\n");
    let tree = demo(&text(9), &[]).start();
    let first = tree.ready(1).await.process_pid.expect("it runs");
    let gateway = tree.gateway().await;
    let enough = AtomicBool::new(false);
    let change = async {
        tree.gateway_until("at work", |it| it.in_flight > 0).await;
        write(tree.home(), &text(4));
        let done = tree.client().perform(Verb::Reload).await.expect("it is reloaded");
        assert_eq!(done.message, "the new configuration holds; restarted: server");
        assert_eq!(done.details.len(), 1, "{:?}", done.details);
        assert!(done.details[0].starts_with("server.args: ") && done.details[0].ends_with(" (restarts server)"));
        enough.store(true, Ordering::Relaxed);
    };
    let (texts, ()) = tokio::join!(clients(gateway, &enough), change);
    assert!(texts.len() >= 3, "each was served");
    let status = tree.status().await;
    assert_eq!((status.server.epoch, status.restart_count), (2, 0), "it was no failure");
    assert!(!crate::support::exists(first));
    let short = gateway.ask(&plain("again")).await.whole();
    assert!(texts.iter().any(|text| text.len() > short.len()), "there were longer ones before");

    // Whoever starts it the next time takes the new ones too.
    send(status.process_pid.expect("it runs"), Signal::SIGKILL);
    tree.ready(3).await;
    assert_eq!(gateway.ask(&plain("again")).await.whole().len(), short.len());
    tree.stop().await;
}

#[tokio::test]
async fn live_numbers_hold_for_the_next_failure() {
    let setup = Setup::new(&["demo"]);
    write(setup.home(), "[restart]\nbackoff_initial = \"20s\"\n");
    let tree = setup.start();
    let pid = tree.ready(1).await.process_pid.expect("it runs");
    write(tree.home(), "[restart]\nbackoff_initial = \"300ms\"\n[breaker]\nfailure_threshold = 1\n");
    assert!(reloaded(&tree).contains("restart.backoff_initial: \"20s\" → \"300ms\" (live)"));
    let status = tree.status().await;
    assert_eq!((status.process_pid, status.breaker.failure_threshold), (Some(pid), 1));
    send(pid, Signal::SIGKILL);
    let second = tree.ready(2).await.process_pid.expect("it runs");
    tree.told(&["Waiting 0.3s"]).await;
    send(second, Signal::SIGKILL);
    let status = tree.until("held back", |it| it.phase == Phase::Suspended).await;
    assert_eq!(status.breaker.consecutive_failures, 2, "the first one is not forgotten");
    // What is held back is not started by a change that has nothing to do with it …
    write(tree.home(), "[gateway]\nmax_queue = 3\n[breaker]\nfailure_threshold = 1\n");
    reloaded(&tree);
    assert_eq!(tree.status().await.phase, Phase::Suspended);
    // … and is at once by one that is about what it is started with: that is not what has failed.
    write(tree.home(), "[server]\nargs = [\"--answer-tokens\", \"3\"]\n");
    assert!(reloaded(&tree).contains("restarted: server"));
    assert_eq!(tree.status().await.phase, Phase::Ready);
    tree.stop().await;
}

#[tokio::test]
async fn hangups_while_it_starts_are_one_reload_and_while_it_ends_are_none() {
    let mut tree = demo("", &["--control", "--load", "700ms", "--tps", "20"]).start();
    tree.until("starting", |it| it.phase == Phase::Loading || it.phase == Phase::Starting).await;
    write(tree.home(), "[gateway]\nmax_queue = 5\n");
    for _ in 0..50 {
        tree.signal(Signal::SIGHUP);
    }
    let status = tree.ready(1).await;
    tree.told(&["Configuration changed: gateway.max_queue: 64 → 5 (live)"]).await;
    assert_eq!(status.server.epoch, 1, "a start in progress goes on");
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("slow")).await;
    stream.event().await.expect("it streams");
    let standstill = Standstill::of(&tree).await;
    let reloads = tree.log().matches("Configuration ").count();
    assert!(reloads < 25, "{reloads} of 50 that came at once");
    tree.signal(Signal::SIGTERM);
    tree.told(&["[GATEWAY]", "finish"]).await;
    write(tree.home(), "[server]\nargs = [\"--answer-tokens\", \"3\"]\n");
    tree.signal(Signal::SIGHUP);
    standstill.end().await;
    stream.answer().await.whole();
    assert_eq!(tree.ended().await.code(), Some(0), "{}", tree.log());
    assert_eq!(tree.log().matches("Configuration ").count(), reloads, "{}", tree.log());
}

#[tokio::test]
async fn a_start_in_progress_is_begun_anew_with_what_it_is_to_be_started_with() {
    let text = |tokens: u32| format!("[server]\nargs = [\"--answer-tokens\", \"{tokens}\"]\n");
    let tree = demo(&text(9), &["--load", "2s"]).start();
    let first = tree.until("loading", |it| it.phase == Phase::Loading).await.process_pid.expect("it runs");
    write(tree.home(), &text(2));
    assert!(reloaded(&tree).contains("restarted: server"));
    gone(first, PATIENCE).await;
    let status = tree.status().await;
    assert_eq!((status.phase, status.server.epoch, status.restart_count), (Phase::Ready, 2, 0));
    tree.stop().await;
}

#[tokio::test]
async fn a_server_that_was_stopped_stays_so_and_has_the_new_configuration_at_its_next_start() {
    let tree = demo("", &[]).start();
    tree.ready(1).await;
    tree.perform(Verb::Stop).await.expect("it stops");
    write(tree.home(), "[server]\nargs = [\"--answer-tokens\", \"3\"]\n");
    assert!(!reloaded(&tree).contains("restarted"));
    assert_eq!(tree.status().await.phase, Phase::Stopped);
    tree.perform(Verb::Start).await.expect("it starts");
    let pid = tree.server().await;
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(cfg!(not(target_os = "linux")) || String::from_utf8_lossy(&words).contains("--answer-tokens\u{0}3\u{0}"));
    tree.stop().await;
}

#[tokio::test]
async fn what_a_reload_would_do_is_told_in_either_language_and_what_waits_stays_told() {
    let tree = demo("", &[]).start();
    tree.ready(1).await;
    write(tree.home(), "[gateway]\nmax_queue = 5\n[log]\nformat = \"json\"\n");
    let (status, said, _) = tree.command(&["reload", "--dry-run", "--set", "log.language=ru"]);
    assert!(status.success());
    assert_eq!(
        said,
        "вот что изменит перечитывание; пока ничего не сделано\n  gateway.max_queue: 64 → 5 (сразу)\n  \
         log.format: \"narration\" → \"json\" (после перезапуска mlx-tree)\n"
    );
    assert!(tree.status().await.config.is_some_and(|config| config.pending.is_empty()));
    assert!(reloaded(&tree).contains("gateway.max_queue: 64 → 5 (live)"));
    for _ in 0..2 {
        assert_eq!(tree.status().await.config.expect("it has one").pending, ["log.format"]);
        assert!(reloaded(&tree).contains("log.format: \"narration\" → \"json\" (when mlx-tree is restarted)"));
    }
    // The log goes on in its form, and in another language if that is wanted.
    write(tree.home(), "[log]\nlanguage = \"ru\"\n");
    let (_, said, _) = tree.command(&["reload"]);
    assert!(said.contains("новая конфигурация действует"), "{said}");
    tree.told(&["Конфигурация изменена", "gateway.max_queue: 5 → 64 (сразу)"]).await;
    write(tree.home(), "[gateway]\nmax_queue = \"many\"\n[log]\nlanguage = \"ru\"\n");
    let (status, _, said) = tree.command(&["reload", "--set", "log.language=ru"]);
    assert_eq!(status.code(), Some(78));
    assert!(said.contains("ошибка: конфигурация неверна") && said.contains("что делать: "), "{said}");
    tree.stop().await;
}

#[tokio::test]
async fn what_a_server_cannot_be_started_with_is_refused_as_a_whole() {
    let command = format!(
        "command = [{PROGRAM:?}, \"stand-in\", \"--host\", \"{{host}}\", \"--port\", \"{{port}}\"]\n[gateway]\nmax_queue = 5\n"
    );
    let setup = Setup::new(&["run"]);
    write(setup.home(), &format!("[server]\n{command}"));
    let tree = setup.start();
    let before = life(&tree.ready(1).await);
    write(tree.home(), "[server]\nmodel = \"/nowhere/at/all\"\n[gateway]\nmax_queue = 6\n");
    let said = refused(&tree);
    assert!(said.contains("server could not be started with it") && said.contains("/nowhere/at/all"), "{said}");
    let status = tree.status().await;
    assert_eq!(life(&status), before);
    assert!(status.config.and_then(|config| config.rejected).is_some_and(|reason| reason.contains("/nowhere")));
    write(tree.home(), &format!("[server]\n{command}"));
    assert!(reloaded(&tree).contains("nothing has changed"), "not even max_queue had");
    tree.stop().await;
}

#[tokio::test]
async fn a_fallback_comes_and_goes_with_the_configuration() {
    let options = OllamaOptions { port: 0, models: vec!["small:latest".to_owned()], ..OllamaOptions::default() };
    let ollama = OllamaServer::start(options).expect("a port");
    let tree = demo("", &[]).start();
    tree.ready(1).await;
    tree.perform(Verb::Stop).await.expect("it stops");
    let gateway = tree.gateway().await;
    gateway.ask(&plain("hello")).await.refused(503, "backend_stopped");
    let url = format!("http://{}", ollama.address());
    write(tree.home(), &format!("[fallback]\npolicy = \"label\"\nurl = \"{url}\"\nmodel = \"small\"\n"));
    reloaded(&tree);
    let answer = gateway.ask(&plain("hello")).await;
    assert_eq!((answer.status(), answer.header("x-mlx-tree-backend")), (200, Some("ollama")), "{answer:?}");
    let there = |status: &Status| status.children.iter().any(|child| child.id == "fallback");
    assert!(there(&tree.status().await), "it has its worker");
    write(tree.home(), "");
    reloaded(&tree);
    gateway.ask(&plain("hello")).await.refused(503, "backend_stopped");
    assert!(!there(&tree.status().await));
    tree.stop().await;
}

#[tokio::test]
async fn reloads_at_once_come_one_after_the_other() {
    let tree = demo("", &[]).start();
    tree.ready(1).await;
    let client = tree.client();
    for round in 0..4 {
        write(tree.home(), &format!("[server]\nargs = [\"--answer-tokens\", \"{}\"]\n", 3 + round));
        let (one, other) = tokio::join!(client.perform(Verb::Reload), client.perform(Verb::Reload));
        let lines = [one, other].map(|done| done.expect("it is reloaded").details.len());
        assert_eq!(lines.iter().sum::<usize>(), 1, "one of the two finds nothing left to do");
    }
    eventually("ready", || async { tree.status().await.phase == Phase::Ready }).await;
    assert_eq!(tree.status().await.server.epoch, 5);
    tree.stop().await;
}
