//! Stories on the paused clock.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::admission::{ClientKey, Limited, Outcome, Standing};
use crate::backend::BackendState;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(max_inflight: usize, max_queue: usize) -> Limits {
    let max_inflight = NonZeroUsize::new(max_inflight).expect("not zero");
    Limits { max_inflight, max_queue, ..Limits::default() }
}

fn ready(epoch: u64) -> Backend {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000 + u16::try_from(epoch).expect("a small number")));
    Backend { epoch, state: BackendState::Ready { address } }
}

fn restarting(epoch: u64, ready_at: Option<Instant>) -> Backend {
    Backend { epoch, state: BackendState::Restarting { ready_at, reason: "signal 9".into() } }
}

fn gate(limits: Limits, backend: Backend) -> (Gate, watch::Sender<Backend>) {
    let (tell, backend) = watch::channel(backend);
    (Gate::new("tiny".into(), limits, backend, Arc::new(())), tell)
}

fn client(name: &str) -> ClientKey {
    ClientKey::of_token(name.as_bytes())
}

fn entry(name: &str) -> Entry {
    Entry { client: client(name), deadline: Instant::now() + s(90), arrived: None, standing: Standing::Fresh }
}

/// What a future says when it is asked once.
async fn once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[tokio::test(start_paused = true)]
async fn with_a_free_slot_an_entry_goes_in_at_once() {
    let (gate, _tell) = gate(limits(2, 1), ready(1));
    let permit = gate.enter(entry("a")).await.expect("there is room");
    assert_eq!((permit.epoch(), permit.address().port(), permit.queued_for()), (1, 4_001, s(0)));
    assert_eq!(gate.snapshot().in_flight, 1);
    permit.finish(Outcome::Succeeded);
    assert_eq!(gate.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn an_entry_waits_for_a_slot_and_knows_for_how_long() {
    let (gate, _tell) = gate(limits(1, 1), ready(1));
    let first = gate.enter(entry("a")).await.expect("there is room");
    let second = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter(entry("a")).await }
    });
    tokio::time::sleep(s(3)).await;
    assert_eq!((gate.snapshot().queued, gate.snapshot().limited), (1, Limited::No));
    first.finish(Outcome::Failed);
    let second = second.await.expect("it ran").expect("it was let in");
    assert_eq!(second.queued_for(), s(3));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_dropped_has_left_the_queue() {
    let (gate, _tell) = gate(limits(1, 1), ready(1));
    let _first = gate.enter(entry("a")).await.expect("there is room");
    let mut second = Box::pin(gate.enter(entry("a")));
    assert!(once(second.as_mut()).await.is_pending());
    assert_eq!(gate.snapshot().queued, 1);
    drop(second);
    assert_eq!(gate.snapshot().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_nobody_takes_frees_its_slot_at_once() {
    let (gate, _tell) = gate(limits(1, 1), ready(1));
    let first = gate.enter(entry("a")).await.expect("there is room");
    let mut second = Box::pin(gate.enter(entry("a")));
    assert!(once(second.as_mut()).await.is_pending());
    first.finish(Outcome::Succeeded);
    assert_eq!(gate.snapshot().in_flight, 1, "it has been let in, and does not know yet");
    drop(second);
    assert_eq!(gate.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_knows_when_its_incarnation_is_over() {
    let (gate, tell) = gate(limits(1, 1), ready(1));
    let permit = gate.enter(entry("a")).await.expect("there is room");
    assert!(once(permit.gone()).await.is_pending());
    tell.send_replace(Backend { epoch: 1, state: BackendState::Draining });
    assert!(once(permit.gone()).await.is_pending(), "what is in flight goes on while it drains");
    tell.send_replace(restarting(1, None));
    permit.gone().await;
    tell.send_replace(ready(2));
    permit.gone().await;
}
