//! The server goes down, and those whose requests it had or was to have: held, replayed, continued, or told.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::support::gateway::{Address, Call, count, plain, sampled, streamed, with};
use crate::support::{Setup, wire};
use mlx_tree_api::Phase;
use nix::sys::signal::Signal;

/// What an undisturbed server says to this.
async fn undisturbed(body: &serde_json::Value) -> String {
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    let text = tree.gateway().await.ask(body).await.whole();
    tree.stop().await;
    text
}

#[tokio::test]
async fn f3_a_request_whose_server_dies_before_its_first_byte_is_replayed_and_its_client_sees_an_answer() {
    for (body, whole) in
        [(plain("one"), undisturbed(&plain("one")).await), (streamed("two"), undisturbed(&streamed("two")).await)]
    {
        // The first completion is the canary of the start.
        let tree = Setup::scripted(&["--die-on-request 2 --before-bytes", "--control"]).start();
        tree.ready(1).await;
        let answer = tree.gateway().await.ask(&body).await;
        assert_eq!((answer.whole(), answer.attempts()), (whole, 2), "{}", tree.log());
        assert!(answer.number("x-mlx-tree-queue-ms") > 0, "it has waited for the restart");
        assert_eq!(count(&tree.stats().await, "chats"), 1, "one replay");
        assert_eq!(tree.status().await.restart_count, 1);
        tree.balanced().await;
        tree.stop().await;
    }
}

#[tokio::test]
async fn f4_a_sampled_stream_that_is_cut_ends_with_an_error_and_no_end_that_looks_like_one() {
    let tree = Setup::scripted(&["--die-after-tokens 5 --from-request 2", "--control"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let answer = gateway.ask(&sampled("three")).await;
    assert_eq!(answer.cut("backend_crashed").split(' ').count(), 5, "what has arrived is the client's");
    tree.ready(2).await;
    assert_eq!(count(&tree.stats().await, "chats"), 0, "it is not generated again");
    gateway.ask(&sampled("three")).await.whole();
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f4_a_greedy_stream_that_is_cut_goes_on_to_the_letter() {
    let body = streamed("four");
    let whole = undisturbed(&body).await;
    let tree = Setup::scripted(&["--die-after-tokens 5 --from-request 2", "ok"]).start();
    tree.ready(1).await;
    let answer = tree.gateway().await.ask(&body).await;
    assert_eq!(answer.whole(), whole, "{answer:#?}");
    let ids: BTreeSet<String> = answer.chunks().iter().map(|chunk| chunk["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "one answer: {answer:#?}");
    assert!(answer.comments.iter().any(|comment| comment.contains("attempts=2")), "{answer:#?}");
    tree.told(&["goes on where it was cut"]).await;
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f4_a_greedy_stream_is_cut_as_well_if_nothing_is_to_be_continued() {
    let tree = Setup::scripted(&["--die-after-tokens 5 --from-request 2", "ok"])
        .set("gateway.continue_streams", "never")
        .start();
    tree.ready(1).await;
    tree.gateway().await.ask(&streamed("five")).await.cut("backend_crashed");
    tree.ready(2).await;
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f9_a_request_at_a_server_that_generates_no_more_is_replayed_after_the_canarys_restart() {
    let tree = Setup::scripted(&["--control", "ok"])
        .set("health.canary_idle", "500ms")
        .set("health.canary_timeout", "1s")
        .set("health.stall_after", "1s")
        .start();
    let url = tree.ready(1).await.server.url.expect("it serves");
    wire::steer(&url, "kill-generation").await;
    let gateway = tree.gateway().await;
    let (plain, streamed) = (plain("six"), streamed("seven"));
    let (plain, streamed) = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed));
    for answer in [plain, streamed] {
        answer.whole();
        assert_eq!(answer.attempts(), 2, "{}", tree.log());
    }
    assert_eq!(tree.status().await.last_exit.expect("there was one").reason, "unhealthy");
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f10_a_head_and_comments_do_not_commit_anybody() {
    for silence in ["--headers-then-silence", "--headers-then-silence --comments"] {
        let tree = Setup::scripted(&[&format!("{silence} --from-request 2"), "ok"])
            .set("health.canary_idle", "500ms")
            .set("health.canary_timeout", "1s")
            .set("health.stall_after", "1s")
            .start();
        tree.ready(1).await;
        let answer = tree.gateway().await.ask(&streamed("eight")).await;
        answer.whole();
        assert_eq!(answer.attempts(), 2, "{silence}: {}", tree.log());
        assert_eq!(tree.status().await.last_exit.expect("there was one").reason, "unhealthy");
        tree.stop().await;
    }
}

#[tokio::test]
async fn f13_one_who_cannot_wait_for_a_slow_start_is_told_at_once_and_one_who_can_is_served() {
    // The first start teaches how long a start takes.
    let begun = Instant::now();
    let tree = Setup::demo(&["--load", "4s", "--control"]).start();
    let url = tree.ready(1).await.server.url.expect("it serves");
    // It cannot have taken longer than this; what is left of the backoff comes on top.
    let longest = begun.elapsed().as_secs() + 1 + 2;
    let gateway = tree.gateway().await;
    wire::steer(&url, "exit?code=1").await;
    tree.until("down", |it| it.phase != Phase::Ready).await;
    let patient = gateway.send(&plain("nine")).await;
    tree.gateway_until("holding", |it| it.queued == 1).await;
    let answer = gateway.send_with(&[("x-request-timeout", "2")], &plain("ten")).await.answer().await;
    answer.refused(503, "backend_restarting");
    let told = answer.number("retry-after");
    assert!((2..=longest).contains(&told), "the time that a start takes, at most {longest} s: {answer:#?}");
    assert_ne!(tree.status().await.phase, Phase::Ready, "it has not waited for the end of the start");
    let answer = patient.answer().await;
    answer.whole();
    assert_eq!(answer.attempts(), 1);
    let status = tree.ready(2).await;
    assert_eq!((status.restart_count, status.health.failures), (1, 0));
    tree.stop().await;
}

/// Sends one request after the other, so that the order in which they wait is known.
async fn queue(tree: &crate::support::Instance, gateway: Address, prompts: &[String]) -> Vec<Call> {
    let mut calls = Vec::new();
    for (place, prompt) in prompts.iter().enumerate() {
        calls.push(gateway.send(&plain(prompt)).await);
        let waiting = u64::try_from(place + 1).expect("few");
        tree.gateway_until("in its place", |it| it.queued + it.in_flight > waiting).await;
    }
    calls
}

#[tokio::test]
async fn f63_a_restart_under_one_request_with_twenty_behind_it_answers_them_all_in_order_and_each_once() {
    let tree = Setup::scripted(&["--control --tps 10 --answer-tokens inf --from-request 2", "--control"])
        .set("gateway.max_inflight", "1")
        .start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let gateway = tree.gateway().await;
    let first = gateway.send(&plain("the first")).await;
    tree.gateway_until("working", |it| it.in_flight == 1).await;
    let prompts: Vec<String> = (0..20).map(|number| format!("number {number}")).collect();
    let calls = queue(&tree, gateway, &prompts).await;
    crate::support::send(server, Signal::SIGKILL);

    let order = std::sync::Mutex::new(Vec::new());
    let answers =
        futures_util::future::join_all(std::iter::once(first).chain(calls).enumerate().map(|(place, call)| {
            let order = &order;
            async move {
                let answer = call.answer().await;
                order.lock().expect("nobody panics").push(place);
                answer
            }
        }))
        .await;
    for (place, answer) in answers.iter().enumerate() {
        answer.whole();
        assert_eq!(answer.attempts(), if place == 0 { 2 } else { 1 });
    }
    let waits: Vec<u64> = answers[1..].iter().map(|answer| answer.number("x-mlx-tree-queue-ms")).collect();
    assert_eq!(
        order.into_inner().expect("nobody panics"),
        Vec::from_iter(0..21),
        "first come, first served: {waits:?}"
    );
    let stats = tree.stats().await;
    assert_eq!(count(&stats, "chats"), 21, "the first once more, and each of the twenty once: {stats}");
    assert_eq!(count(&stats, "max_chats_in_flight"), 1);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn f64_a_request_that_kills_the_server_does_so_twice_and_the_others_are_served() {
    let tree = Setup::demo(&["--die-on-substring", "POISON", "--prefill", "300ms"]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    // Both in flight beside it when it strikes.
    let others = [gateway.send(&plain("eleven")).await, gateway.send(&streamed("twelve")).await];
    tree.gateway_until("working", |it| it.in_flight == 2).await;
    let poison = with(plain("POISON"), "max_tokens", 3);
    let answer = gateway.ask(&poison).await;
    answer.refused(422, "request_quarantined");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    for other in others {
        other.answer().await.whole();
    }
    let again = gateway.ask(&poison).await;
    again.refused(422, "request_quarantined");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    gateway.ask(&plain("thirteen")).await.whole();
    let status = tree.ready(3).await;
    assert_eq!((status.server.epoch, status.restart_count), (3, 2), "{}", tree.log());
    tree.balanced().await;
    tree.stop().await;
}
