//! Ends that are wanted: what becomes of those who wait and of those who are being served.

use std::future::ready;
use std::os::unix::process::ExitStatusExt as _;

use crate::reload;
use crate::support::gateway::{End, count, eventually, plain, sampled, streamed};
use crate::support::wire::Standstill;
use crate::support::{Setup, send};
use futures_util::future::join_all;
use mlx_tree_api::Phase;
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use tokio::net::TcpStream;

#[tokio::test]
async fn f49_what_is_in_flight_ends_and_what_waits_is_told_when_mlx_tree_is_terminated() {
    let mut tree = Setup::demo(&["--control", "--tps", "20"]).set("gateway.max_inflight", "2").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("one")).await;
    stream.event().await.expect("it streams");
    let standstill = Standstill::of(&tree).await;
    let whole = gateway.send(&plain("two")).await;
    tree.gateway_until("full", |it| it.in_flight == 2).await;
    let waiting = [gateway.send(&plain("three")).await, gateway.send(&streamed("four")).await];
    tree.gateway_until("two waiting", |it| it.queued == 2).await;
    tree.signal(Signal::SIGTERM);
    for call in waiting {
        call.answer().await.refused(503, "shutting_down");
    }
    assert!(tree.is_running(), "the others are not cut for that");
    eventually("closed to whoever is new", || async { TcpStream::connect(gateway.0).await.is_err() }).await;
    standstill.end().await;
    stream.answer().await.whole();
    whole.answer().await.whole();
    assert_eq!(tree.ended().await.code(), Some(0), "{}", tree.log());
}

#[tokio::test]
async fn f49_what_takes_longer_than_the_drain_is_told_that_it_is_incomplete() {
    let endless = ["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"];
    let mut tree = Setup::demo(&endless).set("shutdown.drain", "1s").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("five")).await;
    stream.event().await.expect("it streams");
    let whole = gateway.send(&plain("six")).await;
    tree.gateway_until("working", |it| it.in_flight == 2).await;
    tree.signal(Signal::SIGTERM);
    stream.answer().await.cut("shutting_down");
    whole.answer().await.refused(503, "shutting_down");
    assert_eq!(tree.ended().await.code(), Some(0), "{}", tree.log());
}

#[tokio::test]
async fn f49_a_second_signal_ends_it_at_once() {
    let endless = ["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"];
    // Longer than any test waits.
    let mut tree = Setup::demo(&endless).set("shutdown.drain", "300s").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("seven")).await;
    stream.event().await.expect("it streams");
    tree.signal(Signal::SIGTERM);
    tree.told(&["[GATEWAY]", "finish"]).await;
    assert!(tree.is_running());
    tree.signal(Signal::SIGTERM);
    let status = tree.ended().await;
    assert_eq!((status.code(), status.signal()), (Some(143), None), "{}", tree.log());
    crate::support::gone(server, crate::support::PATIENCE).await;
    let answer = stream.answer().await;
    assert!(answer.end == End::Cut && !answer.is_success(), "{answer:#?}");
}

#[tokio::test]
async fn a_restart_that_an_operator_wants_is_noticed_by_nobody() {
    let tree = Setup::demo(&["--control", "--tps", "40"]).set("gateway.max_inflight", "3").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("a part of it is there")).await;
    stream.event().await.expect("it streams");
    let standstill = Standstill::of(&tree).await;
    let mut calls = vec![gateway.send(&plain("one")).await, gateway.send(&streamed("two")).await];
    tree.gateway_until("full", |it| it.in_flight == 3).await;
    for number in 0..20 {
        let prompt = format!("number {number}");
        calls.push(gateway.send(&if number % 2 == 0 { plain(&prompt) } else { sampled(&prompt) }).await);
    }
    tree.gateway_until("a queue", |it| it.queued == 20).await;
    let goes_on = async {
        tree.until("draining", |it| it.phase == Phase::Draining).await;
        standstill.end().await;
    };
    let (restarted, ()) = tokio::join!(tree.perform(Verb::Restart), goes_on);
    restarted.expect("it restarts");
    stream.answer().await.whole();
    for answer in join_all(calls.into_iter().map(crate::support::gateway::Call::answer)).await {
        answer.whole();
        assert_eq!(answer.attempts(), 1, "what the server had begun it has finished: {answer:?}");
    }
    let status = tree.status().await;
    assert_eq!((status.restart_count, status.server.epoch), (0, 2), "it was no failure");
    assert!(count(&tree.stats().await, "chats") <= 20, "of those that waited each once");
    tree.told(&["[SUPERVISOR]", "ends what it works on (in flight: 3)"]).await;
    tree.told(&["[SUPERVISOR]", "Planned restart"]).await;
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn restarts_that_an_operator_wants_at_once_are_held_against_no_request_and_against_no_server() {
    let tree = Setup::demo(&["--control", "--prefill", "700ms"]).set("shutdown.drain", "0s").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let calls = [gateway.send(&plain("eight")).await, gateway.send(&plain("nine")).await];
    for epoch in 2..=3 {
        tree.gateway_until("working", |it| it.in_flight > 0).await;
        tree.perform(Verb::Restart).await.expect("it restarts");
        tree.ready(epoch).await;
    }
    for call in calls {
        call.answer().await.whole();
    }
    let gate = tree.balanced().await.gates.remove(0);
    assert_eq!((gate.limit, gate.limited_by), (4, None), "nothing has crashed");
    tree.stop().await;
}

#[tokio::test]
async fn a_second_restart_does_not_wait_and_a_sampled_stream_that_it_cuts_is_told_so() {
    // Longer than any test waits.
    let tree = Setup::demo(&["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"])
        .set("shutdown.drain", "300s")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("ten")).await;
    stream.event().await.expect("it streams");
    let twice = async {
        tree.until("draining", |it| it.phase == Phase::Draining).await;
        tree.perform(Verb::Restart).await
    };
    let (first, second) = tokio::join!(tree.perform(Verb::Restart), twice);
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(tree.status().await.server.epoch, 2, "the two were one restart");
    stream.answer().await.cut("backend_crashed");
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn a_server_that_fails_while_it_drains_has_failed_and_what_it_failed_under_twice_is_refused() {
    // Longer than any test waits.
    let tree = Setup::demo(&["--headers-then-silence", "--only-with", "poison"])
        .set("shutdown.drain", "300s")
        .set("health.failure_threshold", "1")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let poison = gateway.send(&plain("poison")).await;
    tree.gateway_until("working", |it| it.in_flight == 1).await;
    let crashes = async {
        let status = tree.until("draining", |it| it.phase == Phase::Draining).await;
        send(status.process_pid.expect("it serves"), Signal::SIGABRT);
    };
    let (restarted, ()) = tokio::join!(tree.perform(Verb::Restart), crashes);
    restarted.expect("the next one serves");
    tree.gateway_until("sent again", |it| it.in_flight == 1).await;
    let hangs = async {
        let status = tree.until("draining", |it| it.phase == Phase::Draining).await;
        send(status.process_pid.expect("it serves"), Signal::SIGSTOP);
    };
    let (drained, ()) = tokio::join!(tree.perform(Verb::Drain), hangs);
    drained.expect("it is down");
    poison.answer().await.refused(422, "request_quarantined");
    tree.perform(Verb::Start).await.expect("it starts");
    gateway.ask(&plain("poison")).await.refused(422, "request_quarantined");
    gateway.ask(&plain("anything else")).await.whole();
    tree.told(&["Server went down (signal: 6)"]).await;
    tree.told(&["Server is down:"]).await;
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn a_drain_ends_what_is_in_flight_refuses_the_rest_and_a_start_brings_it_back() {
    let tree = Setup::demo(&["--control", "--tps", "20"]).set("gateway.max_inflight", "2").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("one")).await;
    stream.event().await.expect("it streams");
    let standstill = Standstill::of(&tree).await;
    let whole = gateway.send(&plain("two")).await;
    tree.gateway_until("full", |it| it.in_flight == 2).await;
    let waiting = gateway.send(&plain("three")).await;
    tree.gateway_until("waiting", |it| it.queued == 1).await;
    let refused = async {
        let status = tree.until("draining", |it| it.phase == Phase::Draining).await;
        assert!(status.reason.is_some_and(|reason| reason.contains("in flight: 2")), "who is waited for");
        waiting.answer().await.refused(503, "backend_stopped");
        gateway.ask(&plain("four")).await.refused(503, "backend_stopped");
        assert_eq!(gateway.get("/health").await.json()["state"], "stopping");
        standstill.end().await;
    };
    let (drained, ()) = tokio::join!(tree.perform(Verb::Drain), refused);
    drained.expect("it drains");
    assert_eq!(tree.status().await.phase, Phase::Stopped);
    stream.answer().await.whole();
    whole.answer().await.whole();
    gateway.ask(&plain("five")).await.refused(503, "backend_stopped");
    tree.perform(Verb::Drain).await.expect("there is nothing to do");
    tree.perform(Verb::Start).await.expect("it starts");
    gateway.ask(&crate::support::gateway::with(plain("six"), "max_tokens", 3)).await.whole();
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn a_start_calls_a_drain_off_and_a_stop_cuts_it_short() {
    let tree = Setup::demo(&["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"])
        .set("shutdown.drain", "300s")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("one")).await;
    stream.event().await.expect("it streams");
    let called_off = async {
        tree.until("draining", |it| it.phase == Phase::Draining).await;
        tree.perform(Verb::Start).await
    };
    let (drained, started) = tokio::join!(tree.perform(Verb::Drain), called_off);
    assert!(drained.is_err_and(|error| error.to_string().contains("wanted running")));
    started.expect("it runs");
    gateway.ask(&crate::support::gateway::with(plain("two"), "max_tokens", 3)).await.whole();
    stream.event().await.expect("it still streams");
    let stopped = async {
        tree.until("draining", |it| it.phase == Phase::Draining).await;
        tree.perform(Verb::Stop).await
    };
    let (drained, stopped) = tokio::join!(tree.perform(Verb::Drain), stopped);
    assert!(drained.is_ok() && stopped.is_ok(), "{drained:?} {stopped:?}");
    stream.answer().await.cut("backend_crashed");
    tree.stop().await;
}

#[tokio::test]
async fn when_an_operator_stops_the_server_everybody_is_told() {
    let tree = Setup::demo(&["--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"])
        .set("gateway.max_inflight", "2")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut stream = gateway.send(&sampled("eleven")).await;
    stream.event().await.expect("it streams");
    let whole = gateway.send(&plain("twelve")).await;
    tree.gateway_until("full", |it| it.in_flight == 2).await;
    let waiting = gateway.send(&plain("thirteen")).await;
    tree.gateway_until("waiting", |it| it.queued == 1).await;
    tree.perform(Verb::Stop).await.expect("it stops");
    waiting.answer().await.refused(503, "backend_stopped");
    whole.answer().await.refused(503, "backend_stopped");
    stream.answer().await.cut("backend_crashed");
    gateway.ask(&plain("fourteen")).await.refused(503, "backend_stopped");
    tree.balanced().await;
    tree.perform(Verb::Start).await.expect("it starts");
    gateway.ask(&crate::support::gateway::with(plain("fifteen"), "max_tokens", 3)).await.whole();
    tree.stop().await;
}

#[tokio::test]
async fn clients_that_never_stop_asking_notice_nothing_of_five_restarts_and_are_told_of_a_drain() {
    let tree = Setup::demo(&["--tps", "100", "--answer-tokens", "25"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let (phase, watched) = tokio::sync::watch::channel(Work::Goes);
    let (tell, told) = tokio::sync::watch::channel([0; 4]);
    let clients: Vec<_> = [plain, streamed, sampled, sampled]
        .into_iter()
        .enumerate()
        .map(|(client, ask)| {
            let (watched, tell) = (watched.clone(), tell.clone());
            tokio::spawn(async move {
                let mut whole = 0;
                while *watched.borrow() != Work::Over {
                    let drained = *watched.borrow() == Work::Stopped;
                    let answer = gateway.ask(&ask(&format!("number {whole}"))).await;
                    if answer.status() == 503 && (drained || *watched.borrow() == Work::Stopped) {
                        answer.refused(503, "backend_stopped");
                        tell.send_modify(|refused| refused[client] += 1);
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        continue;
                    }
                    answer.whole();
                    assert_eq!(answer.attempts(), 1, "nothing is begun that cannot be finished: {answer:?}");
                    whole += 1;
                }
                whole
            })
        })
        .collect();
    for _ in 0..5 {
        tree.perform(Verb::Restart).await.expect("it restarts");
    }
    phase.send_replace(Work::Stopped);
    tree.perform(Verb::Drain).await.expect("it drains");
    eventually("told of it, each of them", || ready(told.borrow().iter().all(|refused| *refused > 0))).await;
    tree.perform(Verb::Start).await.expect("it starts");
    phase.send_replace(Work::Goes);
    tree.perform(Verb::Restart).await.expect("it restarts");
    phase.send_replace(Work::Over);
    for client in clients {
        assert!(client.await.expect("everything it was answered was as it should be") > 0);
    }
    let status = tree.status().await;
    assert_eq!((status.restart_count, status.server.epoch), (0, 8));
    tree.balanced().await;
    tree.stop().await;
}

/// What the clients of a story may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Goes,
    Stopped,
    Over,
}

#[tokio::test]
async fn one_that_is_being_started_is_restarted_at_once() {
    // Longer than any test waits.
    let tree = Setup::scripted(&["--load 300s", ""]).set("shutdown.drain", "300s").start();
    tree.until("loading", |it| it.phase == Phase::Loading).await;
    tree.perform(Verb::Restart).await.expect("the next one starts");
    assert_eq!(tree.status().await.server.epoch, 2);
    tree.stop().await;
}

#[tokio::test]
async fn a_correction_by_hangup_does_not_wait_for_the_restart_that_it_corrects() {
    let tree = reload::demo("", &["--answer-tokens", "inf", "--tps", "20"]).set("shutdown.drain", "600s").start();
    let mut stream = tree.gateway().await.send(&sampled("endless")).await;
    stream.event().await.expect("it streams");
    for (key, value) in [("server.args", "[\"--tps\", \"9\"]"), ("gateway.max_queue", "5")] {
        reload::write(tree.home(), &format!("{key} = {value}\n"));
        tree.signal(Signal::SIGHUP);
        tree.told(&["Configuration changed", key]).await;
    }
    drop(stream);
    tree.stop().await;
}
