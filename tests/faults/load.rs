//! Too many clients, clients that leave, clients that insist: what the server has of it, and what they are told.

use std::time::Instant;

use crate::support::gateway::{Answer, End, count, eventually, plain, sampled, streamed};
use crate::support::{Instance, Setup};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mlx_tree_api::{BreakerState, LimitedBy};
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt as _;

/// Health checks that do not interfere with a server that is frozen for a while.
fn unwatched(setup: Setup) -> Setup {
    setup.set("health.interval", "60s")
}

async fn stands_at(tree: &Instance, name: &str, wanted: u64) {
    eventually(&format!("{name} at {wanted}"), || async { count(&tree.stats().await, name) == wanted }).await;
}

#[tokio::test]
async fn f50_one_who_leaves_the_queue_is_forgotten_and_one_who_leaves_a_stream_ends_it_at_the_server() {
    let tree = Setup::demo(&["--control", "--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"])
        .set("gateway.max_inflight", "1")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let mut working = gateway.send(&sampled("one")).await;
    working.event().await.expect("it streams");
    let waiting = [gateway.send(&plain("two")).await, gateway.send(&streamed("three")).await];
    tree.gateway_until("two waiting", |it| (it.in_flight, it.queued) == (1, 2)).await;
    drop(waiting);
    tree.gateway_until("nobody waiting", |it| (it.in_flight, it.queued) == (1, 0)).await;
    working.event().await.expect("it still streams");
    drop(working);
    stands_at(&tree, "aborted", 1).await;
    tree.balanced().await;
    assert_eq!(count(&tree.stats().await, "chats"), 1, "the stream");
    tree.stop().await;
}

#[tokio::test]
async fn f50_the_place_of_one_who_has_left_is_given_to_nobody_before_the_server_has_noticed() {
    // The server notices at the end of the prefill, when it writes.
    let tree = Setup::demo(&["--control", "--prefill", "700ms", "--keepalive-every", "700ms"])
        .set("gateway.max_inflight", "1")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    for (number, body) in [plain("four"), streamed("five")].into_iter().enumerate() {
        let leaving = gateway.send(&body).await;
        stands_at(&tree, "in_flight", 1).await;
        let next = gateway.send(&plain(&format!("next {number}"))).await;
        tree.gateway_until("waiting", |it| it.queued == 1).await;
        drop(leaving);
        next.answer().await.whole();
        stands_at(&tree, "aborted", u64::try_from(number + 1).expect("few")).await;
    }
    assert_eq!(count(&tree.stats().await, "max_chats_in_flight"), 1);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f51_a_client_that_has_closed_its_side_has_left() {
    let tree = Setup::demo(&["--control", "--tps", "20", "--answer-tokens", "inf", "--max-tokens", "100000"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let body = sampled("six").to_string();
    let mut stream = gateway.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        gateway.0,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it reads");
    stands_at(&tree, "in_flight", 1).await;
    stream.shutdown().await.expect("half of it");
    stands_at(&tree, "aborted", 1).await;
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f61_of_a_hundred_and_twenty_eight_at_once_four_are_at_the_server_sixty_four_wait_and_sixty_are_told() {
    let tree = unwatched(Setup::demo(&["--control", "--crash-above", "4", "--prefill", "100ms"])).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    // Frozen, it ends nothing while they all arrive.
    crate::support::send(server, Signal::SIGSTOP);
    let mut answers = FuturesUnordered::new();
    for number in 0..128 {
        answers.push(gateway.send(&plain(&format!("client {number}"))).await.answer());
    }
    // Told while the server does nothing at all, so without waiting for it.
    for _ in 0..60 {
        answers.next().await.expect("there are more").refused(503, "server_overloaded");
    }
    let full = tree.gateway_until("full", |it| it.queued == 64).await;
    assert_eq!((full.in_flight, full.gates[0].limit, full.gates[0].limited_by), (4, 4, None));
    crate::support::send(server, Signal::SIGCONT);
    for _ in 0..68 {
        answers.next().await.expect("there are more").whole();
    }
    let stats = tree.stats().await;
    assert_eq!((count(&stats, "max_chats_in_flight"), count(&stats, "chats")), (4, 68), "{stats}");
    assert_eq!(tree.status().await.restart_count, 0);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f62_clients_that_come_again_at_once_cost_the_server_nothing_and_are_all_served() {
    const CLIENTS: u64 = 24;
    let tree = Setup::demo(&["--control", "--prefill", "50ms"])
        .set("gateway.max_inflight", "2")
        .set("gateway.max_queue", "4")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let insistent = |number: u64| async move {
        let mut refused = 0;
        let start = Instant::now();
        loop {
            let answer = gateway.ask(&plain(&format!("client {number}"))).await;
            if answer.status() == 200 {
                answer.whole();
                return refused;
            }
            answer.refused(503, "server_overloaded");
            refused += 1;
            assert!(start.elapsed() < crate::support::PATIENCE, "never served, refused {refused} times");
        }
    };
    let (refused, most) = tokio::join!(join_all((0..CLIENTS).map(insistent)), async {
        let mut most = 0;
        while count(&tree.stats().await, "served") <= CLIENTS {
            most = most.max(tree.status().await.gateway.expect("there is one").queued);
        }
        most
    });
    assert!(refused.iter().sum::<u64>() > 0 && most <= 4, "refused {refused:?}, at most {most} waited");
    let stats = tree.stats().await;
    assert_eq!((count(&stats, "chats"), count(&stats, "max_chats_in_flight")), (CLIENTS, 2), "{stats}");
    tree.balanced().await;
    gateway.ask(&plain("after the storm")).await.whole();
    tree.stop().await;
}

#[tokio::test]
async fn f65_while_the_breaker_is_open_nobody_is_held_who_would_wait_in_vain() {
    let crash = "--exit-after 0 --code 1";
    let tree = Setup::scripted(&["ok", crash, crash, "--control"])
        .set("restart.backoff_initial", "1s")
        .set("breaker.failure_threshold", "1")
        .set("breaker.open_for", "50s")
        .set("gateway.hold_budget", "20s")
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    crate::support::send(server, Signal::SIGKILL);
    let held = gateway.send(&plain("held until it opened")).await;
    tree.gateway_until("holding", |it| it.queued == 1).await;
    let open = tree.until("open", |it| it.circuit_breaker_state == BreakerState::Open).await;
    held.answer().await.refused(503, "backend_circuit_open");
    let answer = gateway.ask(&plain("one who came later")).await;
    answer.refused(503, "backend_circuit_open");
    let left = open.breaker.half_open_in_s.expect("it is open");
    assert!((20..=60).contains(&answer.number("retry-after")), "{left} s are left: {answer:#?}");
    assert_eq!(gateway.get("/health").await.status(), 503);
    assert_eq!(tree.status().await.circuit_breaker_state, BreakerState::Open, "they were told while it was open");
    tree.stop().await;
}

#[tokio::test]
async fn f65_one_who_can_wait_for_the_trial_is_served_by_it() {
    let crash = "--exit-after 0 --code 1";
    let tree = Setup::scripted(&["ok", crash, "--control"])
        .set("breaker.failure_threshold", "1")
        .set("breaker.open_for", "2s")
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    crate::support::send(server, Signal::SIGKILL);
    tree.until("open", |it| it.circuit_breaker_state == BreakerState::Open).await;
    assert_eq!(gateway.get("/health").await.status(), 200);
    let answers = join_all((0..5).map(async |number| gateway.ask(&plain(&format!("patient {number}"))).await)).await;
    for answer in answers {
        answer.whole();
        assert_eq!(answer.attempts(), 1);
    }
    assert_eq!(tree.status().await.server.epoch, 3, "one trial");
    tree.stop().await;
}

/// How an answer may end that a flapping server is to blame for.
fn is_honest(answer: &Answer) -> bool {
    match answer.status() {
        200 => answer.is_success() || (answer.error().is_some() && answer.end == End::Cut),
        status => matches!(status, 422 | 502 | 503) && answer.error().is_some(),
    }
}

#[tokio::test]
async fn f66_a_flapping_server_serves_what_it_can_and_every_request_ends() {
    let tree = Setup::demo(&["--exit-after", "1500ms", "--prefill", "100ms"])
        .set("restart.max_restarts", "1000")
        .set("breaker.failure_threshold", "1000")
        .set("restart.backoff_max", "200ms")
        .set("gateway.hold_budget", "10s")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let clients = (0..6).map(async |client| {
        let (mut served, mut told) = (0, 0);
        for number in 0..8 {
            let prompt = format!("client {client}, request {number}");
            let body = [plain(&prompt), streamed(&prompt), sampled(&prompt)][number % 3].clone();
            let answer = gateway.ask(&body).await;
            assert!(is_honest(&answer), "{answer:#?}");
            if answer.is_success() { served += 1 } else { told += 1 }
        }
        (served, told)
    });
    let ends = join_all(clients).await;
    let (served, told) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    crate::support::say(&format!("served {served}, told {told}, restarts {}", tree.status().await.restart_count));
    assert!(served > told, "served {served}, told {told}");
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f67_the_permits_of_dead_servers_count_no_more_and_the_limit_climbs_back() {
    let tree = Setup::demo(&["--control", "--tps", "50", "--answer-tokens", "inf", "--max-tokens", "100000"])
        .set("gateway.climb_after", "1s")
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    // They read nothing any more, and so hold what they have beyond the end of the server.
    let mut idle = Vec::new();
    for number in 0..4 {
        let mut call = gateway.send(&sampled(&format!("nobody reads on {number}"))).await;
        call.event().await.expect("it streams");
        idle.push(call);
    }
    crate::support::send(server, Signal::SIGKILL);
    tree.ready(2).await;
    let back = tree.gateway_until("back", |it| it.in_flight == 0).await;
    assert_eq!(back.gates[0].limit, 1, "{back:?}");
    assert!(matches!(back.gates[0].limited_by, Some(LimitedBy::SlowStart | LimitedBy::Clamped)), "{back:?}");
    drop(idle);
    gateway.ask(&crate::support::gateway::with(plain("the first success"), "max_tokens", 3)).await.whole();
    tree.gateway_until("trusted again", |it| (it.gates[0].limit, it.gates[0].limited_by) == (4, None)).await;
    let mut streams = Vec::new();
    for number in 0..6 {
        streams.push(gateway.send(&sampled(&format!("again {number}"))).await);
    }
    tree.gateway_until("full", |it| (it.in_flight, it.queued) == (4, 2)).await;
    stands_at(&tree, "in_flight", 4).await;
    drop(streams);
    tree.balanced().await;
    assert_eq!(count(&tree.stats().await, "max_chats_in_flight"), 4);
    tree.stop().await;
}
