//! The story of the restart policy on the real binary, with scaled times: what the README promises, and what is read of it.

mod support;

use std::time::{Duration, Instant};

use mlx_tree_api::{BreakerState, Phase, ServerState};
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use support::{Instance, Setup};

/// The documented numbers, sixty times as fast: 2, 4, 8 … s are 33, 67, 133 … ms; the breaker is open for a second.
fn sixty_times_as_fast(lines: &[&str]) -> Setup {
    Setup::scripted(lines)
        .set("restart.backoff_initial", "33ms")
        .set("restart.backoff_max", "1s")
        .set("restart.period", "300s")
        .set("restart.stable_after", "300s")
        .set("breaker.open_for", "1s")
        .set("breaker.open_max", "10s")
        .set("breaker.probation", "1s")
}

/// What the narration has said so far, without what stands before the first event.
fn narration(tree: &Instance) -> Vec<String> {
    tree.log().lines().filter(|line| line.contains("[SUPERVISOR]")).map(str::to_owned).collect()
}

/// How many lines say this.
fn count(lines: &[String], words: &str) -> usize {
    lines.iter().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn five_failed_restarts_open_the_breaker_a_failed_trial_opens_it_longer_and_a_good_one_closes_it() {
    let crash = "--exit-after 0 --code 1";
    // The first run, its five restarts, and the first trial.
    let tree = sixty_times_as_fast(&[crash, crash, crash, crash, crash, crash, crash, "ok"]).start();
    let first = tree.until("open", |it| it.circuit_breaker_state == BreakerState::Open).await;
    assert_eq!((first.state, first.restart_count, first.breaker.consecutive_failures), (ServerState::Suspended, 5, 6));
    assert!(first.breaker.half_open_in_s.is_some_and(|left| left <= 1.0), "{:?}", first.breaker);
    let longer = tree
        .until("open again", |it| it.journal.iter().filter(|it| it.decision.starts_with("breaker opened")).count() == 2)
        .await;
    assert_eq!(longer.breaker.consecutive_failures, 7);
    let trial = tree.ready(8).await;
    assert_eq!(trial.circuit_breaker_state, BreakerState::HalfOpen, "ready alone is no recovery");
    let closed = tree.until("closed", |it| it.circuit_breaker_state == BreakerState::Closed).await;
    assert_eq!((closed.state, closed.server.epoch), (ServerState::Running, 8));

    let told = narration(&tree);
    assert_eq!(count(&told, "Server went down (code: 1)"), 7, "{told:#?}");
    assert_eq!(count(&told, "Waiting "), 5, "{told:#?}");
    assert_eq!(count(&told, "Circuit breaker OPEN: no restarts for 1s"), 1, "{told:#?}");
    assert_eq!(count(&told, "Circuit breaker OPEN: no restarts for 2s"), 1, "{told:#?}");
    assert_eq!(count(&told, "HALF_OPEN: one restart as a trial"), 2, "{told:#?}");
    assert_eq!(count(&told, "Circuit breaker CLOSED (recovered)"), 1, "{told:#?}");
    let decisions: Vec<_> = closed.journal.iter().map(|entry| entry.decision.as_str()).collect();
    let delays = ["0.033", "0.066", "0.132", "0.264", "0.528"].map(|delay| format!("restart after {delay} s"));
    assert_eq!(decisions[..5], delays, "doubling");
    assert!(decisions[6].starts_with("breaker half-open") && decisions[8].starts_with("breaker half-open"));
    assert_eq!(decisions.last(), Some(&"breaker closed"));
    tree.stop().await;
}

#[tokio::test]
async fn a_server_that_dies_after_each_start_meets_the_restart_intensity() {
    let tree =
        sixty_times_as_fast(&["ok"]).set("breaker.failure_threshold", "1000").set("breaker.open_for", "5s").start();
    for epoch in 1..=6 {
        let server = tree.ready(epoch).await.process_pid.expect("it serves");
        support::send(server, Signal::SIGKILL);
    }
    let open = tree.until("open", |it| it.circuit_breaker_state == BreakerState::Open).await;
    assert_eq!((open.phase, open.breaker.restarts_in_window, open.restart_count), (Phase::Suspended, 5, 5));
    assert!(open.breaker.reason.expect("there is one").contains("intensity"));
    // The trial is exempt from the intensity.
    let status = tree.ready(7).await;
    assert_eq!(status.circuit_breaker_state, BreakerState::HalfOpen);
    tree.stop().await;
}

#[tokio::test]
async fn a_stable_run_is_a_success_and_begins_the_count_anew() {
    let tree =
        sixty_times_as_fast(&["ok"]).set("breaker.probation", "500ms").set("restart.stable_after", "1500ms").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    support::send(server, Signal::SIGKILL);
    assert_eq!(tree.ready(2).await.breaker.consecutive_failures, 1);
    let status = tree.until("stable", |it| it.breaker.consecutive_failures == 0).await;
    assert_eq!(status.journal.last().map(|entry| entry.decision.as_str()), Some("failures forgotten"));
    support::send(status.process_pid.expect("it serves"), Signal::SIGKILL);
    let status = tree.ready(3).await;
    assert_eq!(status.journal.last().map(|entry| entry.decision.as_str()), Some("restart after 0.033 s"));
    tree.stop().await;
}

#[tokio::test]
async fn a_transient_server_that_ends_by_itself_with_success_stays_down_and_a_failed_one_comes_back() {
    let tree = Setup::scripted(&["--control", "--control", "ok"]).set("restart.policy", "transient").start();
    let url = tree.url().await;
    tree.ready(1).await;
    support::wire::steer(&url, "exit?code=1").await;
    let url = tree.ready(2).await.server.url.expect("it serves");
    support::wire::steer(&url, "exit?code=0").await;
    let status = tree.until("down", |it| it.phase == Phase::Stopped).await;
    assert_eq!(status.restart_count, 1);
    assert!(status.reason.expect("there is a reason").contains("ended by itself"));
    tree.perform(Verb::Start).await.expect("it starts");
    tree.ready(3).await;
    tree.stop().await;
}

#[tokio::test]
async fn a_server_that_is_never_restarted_stays_down_until_an_operator_starts_it() {
    let tree = Setup::demo(&[]).set("restart.policy", "never").start();
    for epoch in 1..=2 {
        let server = tree.ready(epoch).await.process_pid.expect("it serves");
        support::send(server, Signal::SIGKILL);
        let status = tree.until("down for good", |it| it.state == ServerState::Failed).await;
        assert_eq!((status.restart_count, status.next_attempt_in_s), (0, None));
        assert!(status.reason.expect("there is a reason").contains("SIGKILL"), "{}", tree.log());
        tree.perform(Verb::Start).await.expect("an operator may");
    }
    tree.perform(Verb::Stop).await.expect("it stops");
    tree.perform(Verb::Start).await.expect("and starts again");
    assert_eq!(tree.ready(4).await.server.epoch, 4);
    tree.stop().await;
}

#[tokio::test]
async fn the_operators_log_in_russian_is_the_promised_one() {
    let tree = Setup::scripted(&["--control", "ok"])
        .set("log.language", "ru")
        .set("restart.backoff_initial", "2s")
        .set("restart.backoff_max", "60s")
        .start();
    let first = tree.ready(1).await;
    support::wire::steer(&first.server.url.expect("it serves"), "hang").await;
    tree.told(&["Health check failed (1/3)"]).await;
    support::send(first.process_pid.expect("it serves"), Signal::SIGKILL);
    let second = tree.ready(2).await.process_pid.expect("it serves");
    let start = Instant::now();
    let ready = format!("✅ [SUPERVISOR] MLX API Server запущен и здоров (PID: {second})");
    while !tree.log().contains(&ready) {
        assert!(start.elapsed() < support::PATIENCE, "{}", tree.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = tree.log();
    let mut rest = log.as_str();
    for line in [
        &*format!("✅ [SUPERVISOR] MLX API Server запущен и здоров (PID: {})\n", first.process_pid.expect("it served")),
        "🔍 [SUPERVISOR] Запущен цикл мониторинга\n",
        "⚠️ [SUPERVISOR] Health check failed (1/3)\n",
        "❌ [SUPERVISOR] Сервер упал (",
        "🔄 [SUPERVISOR] Попытка перезапуска сервера...\n",
        "⏳ [SUPERVISOR] Ожидание 2.0с перед перезапуском (exponential backoff)\n",
        &ready,
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("not told, or not in this order: {line}\n{log}"));
        rest = &rest[at + line.len()..];
    }
    tree.stop().await;
}
