//! The real thing: `mlx_lm.server` from the package index over a model that is made on the spot, broken in the ways in which
//! it breaks for its users.
//!
//! The first run in a checkout makes two Python environments below the build directory, which takes some minutes.

#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mlx::{Version, complete, environment, health, post, real, real_as, real_of, server_log, text_of};
use mlx_tree_api::{BreakerState, Phase, ServerState, Status};
use nix::sys::signal::Signal;
use serde_json::json;
use support::{Instance, PATIENCE, exists, gone, send};

/// Kills the process that runs the generation: it writes outside of its logits.
const SEGFAULT: &str = r#"{"prompt":"hi","max_tokens":4,"logit_bias":{"999999999":5}}"#;
/// Kills the thread that generates, and nothing else.
const DEADLY_STOP: &str = r#"{"prompt":"hi","stop":[1]}"#;

fn url(status: &Status) -> String {
    status.server.url.clone().expect("a ready server has an address")
}

fn pid(status: &Status) -> u32 {
    status.process_pid.expect("a ready server has a process")
}

/// Sends a request that the server does not survive; what it answers, if anything, does not matter.
async fn poison(url: &str, body: &str) {
    let body = serde_json::from_str(body).expect("JSON");
    let _ = tokio::time::timeout(Duration::from_secs(3), post(url, &body)).await;
}

#[tokio::test]
async fn it_comes_up_in_the_managed_environment_proves_itself_and_serves() {
    let tree = real().await.start();
    let status = tree.ready(1).await;
    assert_eq!((status.state, status.server.kind.as_str()), (ServerState::Running, "mlx_lm"));
    tree.told(&["of the managed environment", "mlx_lm 0.32.2"]).await;
    tree.told(&["builtin:tiny has random weights"]).await;
    // Ready means that a completion was made before anybody asked for one.
    let asked = |line: &String| line.contains("POST /v1/completions") && line.contains("200");
    assert_eq!(server_log(&tree).iter().filter(|line| asked(line)).count(), 1);
    let text = text_of(&complete(&url(&status), "Say something", 12).await);
    assert!(text.split_whitespace().count() >= 12, "{text:?}");
    tree.stop().await;
}

#[tokio::test]
async fn f05_killed_it_comes_back_as_another_process_and_says_the_same() {
    let tree = real().await.start();
    let first = tree.ready(1).await;
    let before = text_of(&complete(&url(&first), "What did you say?", 24).await);
    send(pid(&first), Signal::SIGKILL);
    let second = tree.ready(2).await;
    assert_ne!(pid(&first), pid(&second));
    let exit = second.last_exit.as_ref().expect("there was one");
    assert_eq!((exit.signal, exit.reason.as_str()), (Some(9), "killed"));
    assert_eq!(text_of(&complete(&url(&second), "What did you say?", 24).await), before);
    tree.stop().await;
}

#[tokio::test]
async fn f07_a_request_that_makes_it_segfault_costs_one_restart() {
    let tree = real().await.start();
    let first = tree.ready(1).await;
    poison(&url(&first), SEGFAULT).await;
    let second = tree.ready(2).await;
    let exit = second.last_exit.as_ref().expect("there was one");
    assert_eq!((exit.signal, exit.reason.as_str()), (Some(11), "crashed"));
    assert_eq!(second.restart_count, 1);
    let _ = text_of(&complete(&url(&second), "Still there?", 4).await);
    tree.stop().await;
}

#[tokio::test]
async fn f09_a_dead_generation_thread_is_found_and_named() {
    let tree = real().await.start();
    let first = tree.ready(1).await;
    poison(&url(&first), DEADLY_STOP).await;
    let second = tree.ready(2).await;
    died_of_its_thread(&tree, &second).await;
    let _ = text_of(&complete(&url(&second), "And now?", 4).await);
    tree.stop().await;
}

#[tokio::test]
async fn f09_a_dead_generation_thread_is_found_although_health_stays_200() {
    let tree = real_of(Version::Blind).await.set("health.canary_timeout", "6s").start();
    let first = tree.ready(1).await;
    tree.told(&["mlx_lm 0.31.3", "as configured"]).await;
    poison(&url(&first), DEADLY_STOP).await;
    tree.told(&["Server is suspect"]).await;
    // It lives until the canary that waits in vain is given up.
    assert_eq!(health(&url(&first)).await, 200, "a server that tells of it is not what this test is about");
    let second = tree.ready(2).await;
    died_of_its_thread(&tree, &second).await;
    let _ = text_of(&complete(&url(&second), "And now?", 4).await);
    tree.stop().await;
}

async fn died_of_its_thread(tree: &Instance, status: &Status) {
    tree.told(&["Server is suspect", "it wrote"]).await;
    tree.told(&["counts as down", "a completion of one token failed"]).await;
    let exit = status.last_exit.as_ref().expect("there was one");
    assert_eq!((exit.epoch, exit.reason.as_str(), exit.signal), (1, "generation_died", None));
    assert!(exit.message.contains("a completion of one token failed"), "{exit:?}");
    // The line of the traceback that says what killed the thread.
    assert!(exit.cause.as_deref().is_some_and(|cause| cause.starts_with("ValueError: text input")), "{exit:?}");
}

#[tokio::test]
async fn f21_a_frozen_server_is_let_run_to_hear_its_sigterm() {
    // Without SIGCONT the SIGTERM would stay pending for all of the grace, and this test would run out of patience.
    let setup = real().await.set("health.interval", "500ms").set("health.timeout", "500ms");
    let tree = setup.set("shutdown.hung_grace", "10m").start();
    let first = tree.ready(1).await;
    send(pid(&first), Signal::SIGSTOP);
    tree.told(&["Health check failed (3/3)"]).await;
    let second = tree.ready(2).await;
    let exit = second.last_exit.as_ref().expect("there was one");
    assert_eq!(exit.reason, "unhealthy");
    assert!(exit.message.contains("3 health checks in a row were missed"), "{exit:?}");
    assert!(!exists(pid(&first)));
    tree.stop().await;
}

#[tokio::test]
async fn f16_a_taken_port_opens_the_breaker_at_once_and_a_restart_helps_once_it_is_free() {
    let mut stranger = Stranger::listen().await;
    let tree = real().await.set("server.port", &stranger.port.to_string()).start();
    let status = tree.until("held back", |it| it.circuit_breaker_state == BreakerState::Open).await;
    held_by_a_stranger(&status, &stranger);
    assert_eq!(status.restart_count, 0, "no restart can help, so none is tried");
    tree.told(&["help: end that process, or set server.port"]).await;
    assert!(stranger.serves(), "it was none of our business");
    stranger.end();
    let (exit, said, error) = tree.command(&["restart"]);
    assert!(exit.success() && said.contains("the server is ready"), "{said}{error}");
    let status = tree.ready(1).await;
    assert_eq!(url(&status), format!("http://127.0.0.1:{}", stranger.port));
    assert_eq!(status.circuit_breaker_state, BreakerState::Closed);
    tree.stop().await;
}

#[tokio::test]
async fn f16_a_taken_port_that_becomes_free_is_taken_by_the_trial() {
    let mut stranger = Stranger::listen().await;
    let tree = real()
        .await
        .set("server.port", &stranger.port.to_string())
        .set("breaker.open_for", "1s")
        .set("breaker.open_growth", "1.0")
        .set("breaker.probation", "500ms")
        .start();
    tree.told(&["HALF_OPEN"]).await;
    let status = tree.until("held back again", |it| it.circuit_breaker_state == BreakerState::Open).await;
    held_by_a_stranger(&status, &stranger);
    stranger.end();
    tree.until("closed", |it| it.phase == Phase::Ready && it.circuit_breaker_state == BreakerState::Closed).await;
    tree.stop().await;
}

fn held_by_a_stranger(status: &Status, stranger: &Stranger) {
    assert_eq!(status.phase, Phase::Suspended);
    let exit = status.last_exit.as_ref().expect("the start failed");
    assert_eq!(exit.reason, "port_in_use");
    assert!(exit.message.contains(&format!("pid {} ", stranger.process.id())), "{exit:?}");
    let reason = status.reason.as_deref().expect("it is down");
    assert!(reason.contains("port_in_use") || reason.contains(&exit.message), "{reason}");
}

/// Somebody else's server.
struct Stranger {
    process: Child,
    port: u16,
}

impl Stranger {
    async fn listen() -> Self {
        let python = environment(Version::Current).await.interpreter;
        let mut process = Command::new(python)
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let _ = BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line);
        let mut words = line.split_whitespace().skip_while(|word| *word != "port").skip(1);
        let port = words.next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port: {line:?}"));
        Self { process, port }
    }

    fn serves(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_none()
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test]
async fn f35_a_directory_that_is_no_model_is_refused_before_anything_starts() {
    let model = tempfile::tempdir().expect("a directory");
    let (exit, _, error) = real().await.set("server.model", model.path().to_str().expect("utf-8")).run();
    assert_eq!(exit.code(), Some(78), "{error}");
    assert!(error.contains("error: the model directory") && error.contains("lacks config.json"), "{error}");
    assert!(error.contains("help: set server.model to a directory with config.json"), "{error}");
}

#[tokio::test]
async fn f35_a_hub_name_that_cannot_be_had_is_explained_and_not_tried_again_and_again() {
    let offline = real().await.with(|command, _| {
        command.env("HF_HUB_OFFLINE", "1");
    });
    let tree = offline.set("server.model", "nobody/no-such-model").start();
    let status = tree.until("held back", |it| it.circuit_breaker_state == BreakerState::Open).await;
    assert_eq!((status.phase, status.restart_count), (Phase::Suspended, 0));
    let exit = status.last_exit.as_ref().expect("the start failed");
    assert_eq!(exit.reason, "bad_model");
    assert!(exit.cause.as_deref().is_some_and(|cause| cause.contains("LocalEntryNotFoundError")), "{exit:?}");
    let (_, picture, _) = tree.command(&["status"]);
    assert!(picture.contains("held back") && picture.contains("bad model: "), "{picture}");
    // The process that would have hung for ever is gone.
    assert_eq!(status.process_pid, None);
    tree.stop().await;
}

#[tokio::test]
async fn f26_a_python_without_the_module_is_refused_with_what_brings_it() {
    let bare = tempfile::tempdir().expect("a directory");
    let made = Command::new(environment(Version::Current).await.interpreter)
        .args(["-m", "venv", "--without-pip"])
        .arg(bare.path())
        .status();
    assert!(made.expect("it runs").success());
    let python = bare.path().join("bin/python");
    let (exit, _, error) = real().await.set("server.python", python.to_str().expect("utf-8")).run();
    assert_eq!(exit.code(), Some(78), "{error}");
    assert!(error.contains(&format!("error: {} has no module mlx_lm", python.display())), "{error}");
    assert!(error.contains("help: set server.python to \"auto\"") && error.contains("-m pip install"), "{error}");
}

#[tokio::test]
async fn it_stops_in_the_middle_of_a_long_answer_and_leaves_nothing() {
    let tree = real().await.start();
    let status = tree.ready(1).await;
    let address: SocketAddr = url(&status).trim_start_matches("http://").parse().expect("an address");
    let mut answer = begin_long_answer(&url(&status)).await;
    let (exit, _, error) = tree.command(&["stop"]);
    assert!(exit.success(), "{error}");
    let log = tree.log();
    let stopped = log.lines().find(|line| line.contains("Server stopped")).expect("it is told");
    assert!(!stopped.contains("after its grace"), "{stopped}");
    assert!(!exists(pid(&status)));
    TcpListener::bind(address).expect("the port is free");
    let rest = rest_of(&mut answer).await;
    assert!(!rest.contains("[DONE]"), "an answer that was cut must not look whole");
    assert_eq!(tree.status().await.phase, Phase::Stopped);
    tree.stop().await;
}

#[tokio::test]
async fn ten_answers_at_once_are_cut_by_one_kill_and_ten_are_given_by_the_next_server() {
    let tree = real().await.start();
    let first = tree.ready(1).await;
    let alone = text_of(&complete(&url(&first), "All together now", 16).await);
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(begin_long_answer(&url(&first)).await);
    }
    send(pid(&first), Signal::SIGKILL);
    for answer in &mut answers {
        assert!(!rest_of(answer).await.contains("[DONE]"), "an answer that was cut must not look whole");
    }
    let second = tree.ready(2).await;
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let url = url(&second);
            tokio::spawn(async move { text_of(&complete(&url, "All together now", 16).await) })
        })
        .collect();
    for one in asked {
        assert_eq!(one.await.expect("an answer"), alone);
    }
    assert_eq!(tree.status().await.restart_count, 1);
    tree.stop().await;
}

/// Has a streamed answer begin that would go on for minutes.
async fn begin_long_answer(url: &str) -> reqwest::Response {
    let body = json!({"prompt": "Tell me everything", "max_tokens": 200_000, "temperature": 0, "stream": true});
    let mut answer = post(url, &body).await.expect("an answer");
    let first = answer.chunk().await.expect("it streams").expect("it has begun");
    assert!(!first.is_empty());
    answer
}

/// Reads to the end of an answer, however it ends.
async fn rest_of(answer: &mut reqwest::Response) -> String {
    let mut rest = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = answer.chunk().await {
            rest.extend_from_slice(&chunk);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the server is gone, so its answers end");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn what_is_to_be_preloaded_is_asked_before_anybody_else_after_every_start() {
    // At this level the server tells of each prompt that it is asked.
    let setup = real().await.set("server.args", r#"["--log-level", "DEBUG"]"#);
    let tree = setup.set("server.preload", r#"["Once upon a time", "The weather is"]"#).start();
    let first = tree.ready(1).await;
    let _ = complete(&url(&first), "The first guest", 1).await;
    send(pid(&first), Signal::SIGKILL);
    let second = tree.ready(2).await;
    let _ = complete(&url(&second), "The second guest", 1).await;
    let story = ["hi", "Once upon a time", "The weather is", "The first guest"];
    let again = ["hi", "Once upon a time", "The weather is", "The second guest"];
    assert_eq!(prompts_until(&tree, "The second guest").await, [story, again].concat());
    tree.stop().await;
}

/// The prompts that the server has told of, once `last` is among them.
async fn prompts_until(tree: &Instance, last: &str) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let log = server_log(tree);
        let prompts = log.iter().filter_map(|line| line.split_once("\"prompt\": ")?.1.split('"').nth(1));
        let prompts: Vec<String> = prompts.map(str::to_owned).collect();
        if prompts.iter().any(|prompt| prompt == last) || tokio::time::Instant::now() > deadline {
            return prompts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn six_kills_open_the_breaker_a_trial_closes_it() {
    let tree = real()
        .await
        .set("restart.backoff_initial", "50ms")
        .set("breaker.open_for", "1s")
        .set("breaker.probation", "1s")
        .start();
    for epoch in 1..=6 {
        let status = tree.ready(epoch).await;
        assert_eq!((status.restart_count, status.circuit_breaker_state), (epoch - 1, BreakerState::Closed));
        send(pid(&status), Signal::SIGKILL);
        gone(pid(&status), PATIENCE).await;
    }
    let status = tree.until("held back", |it| it.circuit_breaker_state == BreakerState::Open).await;
    assert_eq!((status.phase, status.process_pid, status.restart_count), (Phase::Suspended, None, 5));
    let trial = tree.until("half-open", |it| it.circuit_breaker_state == BreakerState::HalfOpen).await;
    assert_eq!(trial.server.epoch, 7);
    let status = tree.until("closed again", |it| it.circuit_breaker_state == BreakerState::Closed).await;
    assert_eq!((status.phase, status.server.epoch), (Phase::Ready, 7));
    let _ = text_of(&complete(&url(&status), "Well?", 4).await);
    let log = tree.log();
    let told: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("Circuit breaker ")?.1.split([' ', ':']).next()).collect();
    assert_eq!(told, ["OPEN", "HALF_OPEN", "CLOSED"]);
    assert_eq!(log.matches("Attempting to restart the server").count(), 5);
    for delay in ["0.1s", "0.2s", "0.4s", "0.8s"] {
        assert!(log.contains(&format!("Waiting {delay} before the restart")), "{log}");
    }
    tree.stop().await;
}

#[tokio::test]
async fn setup_and_check_say_what_a_run_would_use() {
    let (exit, said, error) = real_as(&["setup"]).await.run();
    assert!(exit.success(), "{error}");
    assert!(said.contains("mlx_lm 0.32.2, of the managed environment"), "{said}");
    assert!(said.contains("tiny-v1") && said.contains("random weights"), "{said}");
    let (exit, said, error) = real_as(&["check"]).await.run();
    assert!(exit.success(), "{error}");
    let line = said.lines().find(|line| line.contains("data_dir")).expect("every key is shown");
    assert!(line.contains("mlx-env") && line.contains("MLX_TREE__DATA_DIR"), "{line}");
}
