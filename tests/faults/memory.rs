//! A server that takes more and more memory: a restart that nobody notices while there is time, an end when there is none, and no
//! loop when it simply needs what it takes.

use crate::support::Setup;
use crate::support::gateway::{plain, sampled};
use crate::support::wire::Standstill;
use mlx_tree_api::{BreakerState, Phase};

/// What each completion of a stand-in that leaks keeps.
const LEAK: &str = "33554432";

#[tokio::test]
async fn a_server_above_its_soft_limit_is_restarted_when_it_is_idle_and_no_request_fails() {
    let tree = Setup::demo(&["--leak", LEAK]).set("server.memory_soft_limit", "120MiB").start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    for number in 0..4 {
        gateway.ask(&plain(&format!("number {number}"))).await.whole();
    }
    tree.told(&["[SUPERVISOR]", "more than its soft limit of 120 MiB"]).await;
    tree.told(&["[SUPERVISOR]", "Planned restart of the server", "soft limit"]).await;
    gateway.ask(&plain("in the middle of it")).await.whole();
    let status = tree.ready(2).await;
    assert_eq!((status.restart_count, status.breaker.consecutive_failures), (0, 0), "it was no failure");
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn one_that_is_never_idle_is_drained_when_patience_is_over() {
    let tree = Setup::demo(&["--control", "--leak", LEAK, "--tps", "20"])
        .set("server.memory_soft_limit", "100MiB")
        .set("memory.soft_patience", "500ms")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let standstill = Standstill::of(&tree).await;
    let calls =
        [gateway.send(&sampled("one")).await, gateway.send(&sampled("two")).await, gateway.send(&plain("three")).await];
    let status = tree.until("draining", |it| it.phase == Phase::Draining).await;
    assert!(status.reason.is_some_and(|reason| reason.contains("soft limit")));
    let waits = gateway.send(&plain("four")).await;
    tree.gateway_until("waiting", |it| (it.in_flight, it.queued) == (3, 1)).await;
    standstill.end().await;
    for call in calls {
        call.answer().await.whole();
    }
    waits.answer().await.whole();
    assert_eq!(tree.ready(2).await.restart_count, 0);
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn one_above_its_hard_limit_is_ended_and_only_the_request_that_did_it_is_refused() {
    // Neither ends by itself before the memory has been looked at, however long that takes.
    let tree = Setup::demo(&["--control", "--leak", "268435456", "--only-with", "huge", "--stall-after", "1"])
        .set("server.memory_hard_limit", "150MiB")
        .start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let _until_its_end = Standstill::of(&tree).await;
    let innocent = gateway.send(&plain("small")).await;
    tree.gateway_until("working", |it| it.in_flight == 1).await;
    let guilty = gateway.send(&plain("huge")).await;
    let answer = innocent.answer().await;
    answer.whole();
    assert_eq!(answer.attempts(), 2, "it went down with the other, and was sent again");
    guilty.answer().await.refused(422, "request_quarantined");
    let exit = tree.ready(3).await.last_exit.expect("it went down");
    assert_eq!(exit.reason, "memory_limit", "{exit:?}");
    assert!(exit.message.contains("hard limit of 150 MiB"), "{exit:?}");
    tree.balanced().await;
    tree.stop().await;
}

#[tokio::test]
async fn a_hard_limit_below_what_the_server_needs_opens_the_breaker() {
    let tree = Setup::demo(&["--load", "60s"])
        .set("server.memory_hard_limit", "1MiB")
        .set("health.interval", "100ms")
        .set("health.timeout", "100ms")
        .set("breaker.failure_threshold", "2")
        .start();
    let status = tree.until("left alone", |it| it.phase == Phase::Suspended).await;
    assert_eq!(status.breaker.state, BreakerState::Open);
    assert_eq!(status.last_exit.map(|exit| exit.reason).as_deref(), Some("memory_limit"));
    assert!(status.restart_count <= 2, "no loop: {}", status.restart_count);
    tree.stop().await;
}
