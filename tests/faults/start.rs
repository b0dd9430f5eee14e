//! Servers that do not come up: what is tried again, what is left alone, and what the operator is told.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use crate::support::gateway::{count, eventually};
use crate::support::{Instance, Setup, processes, wire};
use mlx_tree_api::{BreakerState, Phase, ServerState, Status};
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;

/// Held down by the breaker.
async fn given_up(tree: &Instance) -> Status {
    tree.until("suspended", |it| it.phase == Phase::Suspended && it.circuit_breaker_state == BreakerState::Open).await
}

/// Held down by the breaker at the first failure: no retry can cure it, and five tries are not burnt.
async fn given_up_at_once(tree: &Instance) -> Status {
    let status = given_up(tree).await;
    let decisions: Vec<_> = status.journal.iter().map(|entry| entry.decision.as_str()).collect();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert!(decisions[0].starts_with("breaker opened"), "{decisions:?}");
    assert_eq!((status.restart_count, status.breaker.restarts_in_window), (0, 0));
    status
}

fn reason(status: &Status) -> &str {
    &status.last_exit.as_ref().expect("it has ended once").reason
}

#[tokio::test]
async fn f1_a_server_that_exits_at_once_is_restarted_with_doubling_delays_and_left_alone_after_five() {
    for (code, word) in [("0", "unexpected_exit"), ("3", "exit_code")] {
        let tree = Setup::demo(&["--exit-after", "0", "--code", code])
            .set("restart.backoff_initial", "20ms")
            .set("breaker.open_for", "60s")
            .start();
        let status = given_up(&tree).await;
        let decisions: Vec<_> = status.journal.iter().map(|entry| entry.decision.as_str()).collect();
        assert_eq!(
            decisions[..5],
            ["0.02", "0.04", "0.08", "0.16", "0.32"].map(|delay| format!("restart after {delay} s")),
            "exit {code}"
        );
        assert!(decisions[5].starts_with("breaker opened"), "{decisions:?}");
        assert_eq!(decisions.len(), 6, "{decisions:?}");
        assert_eq!((status.state, status.restart_count), (ServerState::Suspended, 5));
        assert_eq!((reason(&status), status.process_pid), (word, None));
        assert!(status.next_attempt_in_s.expect("a trial is due") > 0.0);
        let why = status.reason.expect("there is a reason");
        assert!(why.contains(&format!("code {code}")), "{why}");
        tree.stop().await;
    }
}

#[tokio::test]
async fn f13_a_slow_start_is_a_start_and_no_failing_health_check() {
    // Three intervals of health checks, several times over.
    let tree = Setup::demo(&["--listen-after", "1500ms", "--load", "3s"]).start();
    let mut phases = Vec::new();
    let ready = tree
        .until("ready", |it| {
            assert_eq!((it.health_check_failures, it.restart_count, it.server.epoch.max(1)), (0, 0, 1));
            if phases_seen(&mut phases, it.phase) == Phase::Ready {
                return true;
            }
            assert_eq!(it.state, ServerState::Starting);
            false
        })
        .await;
    assert!(phases.contains(&Phase::Loading), "{phases:?}");
    assert!(ready.last_exit.is_none() && ready.reason.is_none());
    tree.stop().await;
}

#[tokio::test]
async fn f14_a_start_that_takes_too_long_is_ended_and_counts_as_a_failed_start() {
    let tree = Setup::scripted(&["--load inf --ignore-term", "ok"])
        .set("server.start_timeout", "4s")
        .set("shutdown.hung_grace", "200ms")
        .start();
    let first = tree.server().await;
    let status = tree.ready(2).await;
    assert!(!crate::support::exists(first), "the first server is left behind");
    // On a machine that is very busy a good server may be late, too.
    assert_eq!((reason(&status), status.restart_count), ("start_timeout", status.server.epoch - 1));
    assert_eq!(u64::from(status.breaker.consecutive_failures), status.restart_count, "ready alone forgets nothing");
    tree.stop().await;
}

#[tokio::test]
async fn f15_a_health_check_that_answers_before_the_model_is_loaded_does_not_make_it_ready() {
    let tree = Setup::demo(&["--load", "inf", "--control"]).start();
    let url = tree.url().await;
    let health = async || wire::ask(&url, "GET", "/health", "").await;
    eventually("listening", || async { health().await.is_some() }).await;
    // A token is asked for when the health check was good, and is never made.
    eventually("asked for a token", || async { count(&tree.stats().await, "requests") == 1 }).await;
    let answer = health().await.expect("it listens");
    assert!(answer.contains(" 200 "), "{answer}");
    assert_eq!(tree.status().await.phase, Phase::Loading);
    tree.stop().await;
}

#[tokio::test]
async fn f16_a_taken_port_is_named_with_its_holder_who_is_left_alone() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = holder.local_addr().expect("bound").port();
    let tree = Setup::demo(&[]).set("server.port", &port.to_string()).set("breaker.open_for", "1s").start();
    let status = given_up(&tree).await;
    assert_eq!((reason(&status), status.restart_count), ("port_in_use", 0));
    let why = status.reason.expect("there is a reason");
    assert!(why.contains(&format!("pid {}", std::process::id())) && why.contains(&port.to_string()), "{why}");
    assert_eq!(processes::stand_ins_of(tree.home()), [], "it was seen before a server was launched");
    // Nobody has to do anything once the port is free.
    drop(holder);
    let url = tree.ready(1).await.server.url.expect("it serves");
    assert!(url.ends_with(&format!(":{port}")), "{url}");
    tree.stop().await;
}

#[tokio::test]
async fn f17_a_server_that_hangs_because_its_port_was_taken_at_the_last_moment_is_found_and_ended() {
    let port = crate::support::free_port();
    let tree = Setup::demo(&["--listen-after", "1s", "--bind-error-hang"])
        .set("server.port", &port.to_string())
        .set("server.start_timeout", "60s")
        .set("breaker.open_for", "60s")
        .start();
    let hanging = tree.server().await;
    let holder = TcpListener::bind(("127.0.0.1", port)).expect("the server does not listen yet");
    let status = given_up_at_once(&tree).await;
    assert!(matches!(reason(&status), "port_in_use" | "foreign_listener"), "{status:?}");
    crate::support::gone(hanging, crate::support::PATIENCE).await;
    drop(holder);
    tree.stop().await;
}

#[tokio::test]
async fn f25_what_cannot_be_executed_is_not_tried_five_times() {
    let place = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str, mode: u32| {
        let path = place.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        path.to_str().expect("utf-8").to_owned()
    };
    let absent = place.path().join("absent").to_str().expect("utf-8").to_owned();
    let directory = place.path().to_str().expect("utf-8").to_owned();
    let cases = [
        (absent, "no such program"),
        (file("plain", "#!/bin/sh\n", 0o644), "not executable"),
        (file("nonsense", "\u{1}\u{2}nonsense", 0o755), "not a program"),
        (directory, "is a directory"),
        ("no-such-program-in-any-path".to_owned(), "no such program"),
    ];
    for (program, words) in cases {
        let tree = Setup::serving(&[&program, "--port", "{port}"]).set("breaker.open_for", "60s").start();
        let status = given_up_at_once(&tree).await;
        assert_eq!(reason(&status), "cannot_execute", "{program}");
        let why = status.reason.expect("there is a reason");
        assert!(why.contains(words) && why.contains(&program), "{why}");
        tree.stop().await;
    }
}

#[tokio::test]
async fn f26_a_missing_python_module_is_named_and_not_tried_five_times() {
    let last_words = "/opt/python: No module named mlx_lm";
    let tree = Setup::demo(&["--exit-after", "0", "--last-words", last_words]).set("breaker.open_for", "60s").start();
    let status = given_up_at_once(&tree).await;
    let exit = status.last_exit.clone().expect("there was one");
    assert_eq!((exit.reason.as_str(), exit.cause.as_deref()), ("python_module_missing", Some(last_words)));
    assert!(status.reason.expect("there is a reason").contains("No module named mlx_lm"));
    tree.told(&["↳", last_words]).await;
    tree.stop().await;
}

#[test]
fn f26_a_missing_python_is_a_configuration_error_that_names_it() {
    let setup = Setup::new(&["run"]).set("server.python", "/no/such/python").set("server.model", "builtin:tiny");
    let (exit, _, told) = setup.run();
    assert_eq!(exit.code(), Some(78), "{told}");
    assert!(told.contains("error:") && told.contains("/no/such/python"), "{told}");
}

#[tokio::test]
async fn f27_a_missing_working_directory_is_told_before_anything_is_launched() {
    let setup = Setup::demo(&[]);
    let cwd = setup.home().join("gone");
    let tree = setup.set("server.cwd", cwd.to_str().expect("utf-8")).set("breaker.open_for", "60s").start();
    let status = given_up_at_once(&tree).await;
    assert_eq!(reason(&status), "bad_working_directory");
    assert!(status.reason.expect("there is a reason").contains(cwd.to_str().expect("utf-8")));
    // Once it is mended, the operator's word is enough.
    fs::create_dir(&cwd).expect("created");
    tree.perform(Verb::Reset).await.expect("a reset is never refused");
    let server = tree.ready(1).await.process_pid.expect("it serves");
    assert_eq!(fs::read_link(format!("/proc/{server}/cwd")).expect("it lives"), cwd);
    // The same when it goes away later.
    fs::remove_dir(&cwd).expect("removed");
    crate::support::send(server, Signal::SIGKILL);
    assert_eq!(reason(&given_up(&tree).await), "bad_working_directory");
    tree.stop().await;
}

#[tokio::test]
async fn f31_a_fork_that_fails_is_a_failed_start_and_no_panic() {
    const NOBODY_ELSE: u32 = 54_321;
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/prlimit").exists() {
        crate::support::say(
            "skipped: needs prlimit, and root to run it as a user of its own: the limit counts per user",
        );
        return;
    }
    let tree = Setup::scripted(&["ok"])
        .set("restart.max_restarts", "1000")
        .set("breaker.failure_threshold", "1000")
        .set("restart.backoff_max", "200ms")
        .run_by(NOBODY_ELSE)
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    limit_processes(&tree, "1:", NOBODY_ELSE);
    crate::support::send(server, Signal::SIGKILL);
    let starved = tree
        .until("short of processes", |it| {
            it.last_exit.as_ref().is_some_and(|exit| exit.reason == "out_of_resources") && it.restart_count >= 3
        })
        .await;
    assert_eq!(starved.circuit_breaker_state, BreakerState::Closed, "worth another try");
    limit_processes(&tree, "4000:", NOBODY_ELSE);
    tree.ready(2).await;
    assert!(!tree.log().contains("panicked"), "{}", tree.log());
    tree.stop().await;
}

fn limit_processes(tree: &Instance, soft: &str, user: u32) {
    let mut prlimit = std::process::Command::new("prlimit");
    prlimit.arg(format!("--pid={}", tree.pid())).arg(format!("--nproc={soft}")).uid(user).gid(user);
    assert!(prlimit.status().expect("prlimit runs").success());
}

#[tokio::test]
async fn f35_a_model_that_cannot_be_read_shows_the_servers_own_words() {
    let tree = Setup::demo(&["--all-404"]).set("breaker.open_for", "60s").start();
    let status = given_up(&tree).await;
    let exit = status.last_exit.clone().expect("there was one");
    let said = "[load_safetensors] Failed to read the header of model.safetensors";
    assert!(exit.message.contains(said), "{exit:?}");
    assert!(status.reason.expect("there is a reason").contains(said));
    assert_eq!(processes::stand_ins_of(tree.home()), [], "a server that cannot serve is not kept");
    tree.stop().await;
}

fn phases_seen(phases: &mut Vec<Phase>, phase: Phase) -> Phase {
    if phases.last() != Some(&phase) {
        phases.push(phase);
    }
    phase
}
