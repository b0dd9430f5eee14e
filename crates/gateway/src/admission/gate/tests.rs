//! Stories on the paused clock, with an exchange and a server that exist for them only.

mod deaths;
mod overload;
mod threads;

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
use crate::backend::{BackendState, End, Ended};
use crate::refusal::{Code, Refusal};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(max_inflight: usize, max_queue: usize) -> Limits {
    let max_inflight = NonZeroUsize::new(max_inflight).expect("not zero");
    Limits { max_inflight, max_queue, ..Limits::default() }
}

fn ready(epoch: u64) -> Backend {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000 + u16::try_from(epoch).expect("a small number")));
    Backend::new(epoch, BackendState::Ready { address })
}

fn restarting(epoch: u64, ready_at: Option<Instant>) -> Backend {
    Backend::new(epoch, BackendState::Restarting { ready_at, reason: "signal 9".into() })
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

/// What has been sent to the server, in order, and how much of it at once: counted where it arrives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    sent: Vec<(u64, u32)>,
    working: usize,
    most: usize,
}

/// How a request went.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    attempts: u32,
    after: Duration,
}

// === impl Log ===

impl Log {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().expect("nobody panics with it")
    }

    /// What has been sent, as (incarnation, number of the request).
    fn sent(&self) -> Vec<(u64, u32)> {
        self.book().sent.clone()
    }

    /// The most at once.
    fn most(&self) -> usize {
        self.book().most
    }

    /// A request that takes `work`, and is sent again when its server dies.
    async fn ask(self, gate: Gate, number: u32, mut entry: Entry, work: Duration) -> Result<Served, Denied> {
        let (start, mut attempts) = (Instant::now(), 0);
        loop {
            let permit = gate.enter(entry).await?;
            attempts += 1;
            {
                let mut book = self.book();
                book.sent.push((permit.epoch(), number));
                book.working += 1;
                book.most = book.most.max(book.working);
            }
            let done = tokio::select! {
                biased;
                _ = permit.gone() => None,
                () = tokio::time::sleep(work) => Some(Served { attempts, after: start.elapsed() }),
            };
            self.book().working -= 1;
            if let Some(served) = done {
                permit.finish(Outcome::Succeeded);
                return Ok(served);
            }
            entry = Entry { arrived: Some(permit.seq()), standing: Standing::Suspect, ..entry };
            permit.finish(Outcome::BackendDied);
        }
    }

    /// The same in a task of its own, which has begun when this returns.
    async fn start(
        &self,
        gate: &Gate,
        number: u32,
        entry: Entry,
        work: Duration,
    ) -> tokio::task::JoinHandle<Result<Served, Denied>> {
        let task = tokio::spawn(self.clone().ask(gate.clone(), number, entry, work));
        tokio::task::yield_now().await;
        task
    }
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
    tell.send_replace(Backend::new(1, BackendState::Draining));
    assert!(once(permit.gone()).await.is_pending(), "what is in flight goes on while it drains");
    tell.send_replace(restarting(1, None));
    assert_eq!(permit.gone().await, End::Death);
    tell.send_replace(ready(2));
    assert_eq!(permit.gone().await, End::Death);
    tell.send_replace(Backend::new(1, BackendState::Recycling { reason: "told to".into() }));
    assert_eq!(permit.gone().await, End::Planned);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_what_whoever_saw_it_says_whatever_was_planned_and_whatever_follows() {
    let reason = || Arc::from("an operator restarts it");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_001));
    let before = [
        BackendState::Yielding { address, reason: reason() },
        BackendState::Finishing { reason: reason() },
        BackendState::Draining,
    ];
    let after = [
        BackendState::Restarting { ready_at: None, reason: reason() },
        BackendState::Recycling { reason: reason() },
        BackendState::Asleep,
        BackendState::Stopped { reason: reason() },
        BackendState::Draining,
    ];
    for before in before {
        for after in &after {
            for how in [End::Death, End::Planned] {
                let (gate, tell) = gate(limits(4, 4), ready(1));
                let permits = [gate.enter(entry("a")).await, gate.enter(entry("a")).await];
                tell.send_replace(Backend::new(1, before.clone()));
                let permit = permits[0].as_ref().expect("there is room");
                assert!(once(permit.gone()).await.is_pending(), "what is in flight goes on: {before:?}");
                tell.send_replace(Backend { epoch: 1, state: after.clone(), ended: Some(Ended { epoch: 1, how }) });
                assert_eq!(permit.gone().await, how, "{before:?}, then {after:?}");
                tell.send_replace(Backend { ended: Some(Ended { epoch: 1, how }), ..ready(2) });
                assert_eq!(permit.gone().await, how, "{before:?}, then {after:?}, then the next one");
                let first = gate.enter(entry("a")).await.expect("there is room");
                first.finish(Outcome::Succeeded);
                let limited = if how == End::Death { Limited::Clamped } else { Limited::No };
                assert_eq!(gate.snapshot().limited, limited, "{before:?}, then {after:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f50_the_slot_of_a_client_that_left_is_free_when_the_server_has_noticed() {
    let (gate, _tell) = gate(limits(1, 2), ready(1));
    let first = gate.enter(entry("a")).await.expect("there is room");
    let second = Log::default().start(&gate, 2, entry("a"), s(1)).await;
    first.linger(Duration::from_millis(300));
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().queued), (1, 1));
    let served = second.await.expect("it ran").expect("it was served");
    assert_eq!(served.after, Duration::from_millis(1_300));
}

#[tokio::test(start_paused = true)]
async fn f50_a_slot_that_nobody_waits_for_is_shown_as_free_when_it_is() {
    let (gate, _tell) = gate(limits(1, 2), ready(1));
    gate.enter(entry("a")).await.expect("there is room").linger(s(1));
    assert_eq!(gate.snapshot().in_flight, 1);
    tokio::time::sleep(s(1)).await;
    assert_eq!(gate.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn f50_a_permit_that_is_lost_in_use_keeps_its_slot_for_the_longest_grace() {
    let (gate, _tell) = gate(limits(1, 2), ready(1));
    let first = gate.enter(entry("a")).await.expect("there is room");
    let second = Log::default().start(&gate, 2, entry("a"), s(1)).await;
    drop(first);
    let served = second.await.expect("it ran").expect("it was served");
    assert_eq!(served.after, s(3));
}

#[tokio::test(start_paused = true)]
async fn of_two_times_that_are_waited_for_the_earlier_one_counts() {
    let (gate, tell) = gate(limits(2, 2), ready(1));
    let dead = [gate.enter(entry("a")).await, gate.enter(entry("a")).await];
    tell.send_replace(ready(2));
    drop(dead);
    let first = gate.enter(entry("a")).await.expect("there is room");
    // Its turn comes when the limit rises, in 30 s; or when the slot is free, if that is sooner.
    let second = Log::default().start(&gate, 2, entry("a"), s(1)).await;
    tokio::time::sleep(s(1)).await;
    first.linger(s(1));
    assert_eq!(second.await.expect("it ran"), Ok(Served { attempts: 1, after: s(3) }));
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_an_entry_is_told_what_it_waited_for() {
    let (gate, tell) = gate(limits(1, 2), restarting(1, None));
    let asked = Entry { deadline: Instant::now() + s(10), ..entry("a") };
    let denied = gate.enter(asked).await.expect_err("nothing came up");
    assert_eq!(denied.code(), Code::QueueTimeout);
    let told = Refusal::from(denied);
    assert!(told.message.starts_with("The request waited 10 s") && told.message.contains("signal 9"), "{told}");
    tell.send_replace(ready(2));
    let _busy = gate.enter(entry("a")).await.expect("there is room");
    let denied = gate.enter(Entry { deadline: Instant::now() + s(10), ..asked }).await.expect_err("it stays busy");
    assert!(denied.to_string().contains("busy with others"), "{denied}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_asleep_is_wanted_and_waited_for() {
    struct Heard(std::sync::atomic::AtomicUsize);
    impl Observer for Heard {
        fn progressed(&self, _server: &str) {}
        fn wanted(&self, server: &str) {
            assert_eq!(server, "tiny");
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        fn tell(&self, _server: &str, _epoch: u64, _kind: mlx_tree_api::Kind) {}
    }
    let heard = Arc::new(Heard(std::sync::atomic::AtomicUsize::new(0)));
    let (tell, backend) = watch::channel(Backend::new(0, BackendState::Asleep));
    let gate = Gate::new("tiny".into(), limits(1, 2), backend, heard.clone());
    let served = Log::default().start(&gate, 1, entry("a"), s(1)).await;
    assert_eq!(heard.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    tell.send_replace(ready(1));
    assert_eq!(served.await.expect("it ran"), Ok(Served { attempts: 1, after: s(1) }));
}

#[tokio::test(start_paused = true)]
async fn draining_sends_away_those_who_wait_and_lets_those_in_flight_end() {
    let (gate, tell) = gate(limits(1, 2), ready(1));
    let first = Log::default().start(&gate, 1, entry("a"), s(5)).await;
    let second = Log::default().start(&gate, 2, entry("a"), s(5)).await;
    tell.send_replace(Backend::new(1, BackendState::Draining));
    assert_eq!(second.await.expect("it ran"), Err(Denied::ShuttingDown));
    assert_eq!(gate.enter(entry("b")).await.map(|_| ()), Err(Denied::ShuttingDown));
    assert_eq!(first.await.expect("it ran"), Ok(Served { attempts: 1, after: s(5) }));
    assert_eq!(gate.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_an_operator_stops_lets_nobody_wait() {
    let (gate, tell) = gate(limits(1, 2), restarting(1, None));
    let waits = Log::default().start(&gate, 1, entry("a"), s(5)).await;
    tell.send_replace(Backend::new(1, BackendState::Stopped { reason: "by an operator".into() }));
    let denied = waits.await.expect("it ran").expect_err("it is stopped");
    assert_eq!(denied.code(), Code::BackendStopped);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_tells_of_the_server_any_more_what_was_told_last_holds() {
    let (gate, tell) = gate(limits(1, 2), ready(1));
    let first = Log::default().start(&gate, 1, entry("a"), s(5)).await;
    let second = Log::default().start(&gate, 2, entry("a"), s(5)).await;
    drop(tell);
    assert_eq!(first.await.expect("it ran"), Ok(Served { attempts: 1, after: s(5) }));
    assert_eq!(second.await.expect("it ran"), Ok(Served { attempts: 1, after: s(10) }));
}

#[tokio::test(start_paused = true)]
async fn limits_change_under_those_who_wait() {
    let (gate, _tell) = gate(limits(1, 4), ready(1));
    let log = Log::default();
    let mut tasks = Vec::new();
    for number in 0..3 {
        tasks.push(log.start(&gate, number, entry("a"), s(1)).await);
    }
    gate.set_limits(limits(3, 4));
    for task in tasks {
        assert_eq!(task.await.expect("it ran"), Ok(Served { attempts: 1, after: s(1) }));
    }
    assert_eq!(log.most(), 3);
}
