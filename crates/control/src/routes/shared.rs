//! One answer for many who ask at the same time: how often it is put together is bounded, how old it is too.
//!
//! *Architecture Invariant:* what is answered was put together after it was asked for. Whoever has seen an event, or the end of a
//! verb, and asks then, never gets a document from before.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::pace::Bucket;

/// So many times a second it is put together at most …
const RATE: u32 = 20;

/// … but for the first few after a pause.
const BURST: u32 = 5;

/// Something that is put together on demand.
#[derive(Debug)]
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    bucket: Bucket,
    /// The latest one, and when it was begun.
    latest: Option<(Instant, T)>,
}

// === impl Shared ===

impl<T: Clone> Shared<T> {
    pub(super) fn new() -> Self {
        let bucket = Bucket::new(RATE, BURST, Instant::now());
        Self { state: Mutex::new(State { bucket, latest: None }) }
    }

    /// One that `compose` has begun after this call. `None` when that takes longer than `patience`.
    pub(super) async fn get(&self, patience: Duration, compose: impl AsyncFnOnce() -> T) -> Option<T> {
        timeout(patience, self.await_one(compose)).await.ok()
    }

    async fn await_one(&self, compose: impl AsyncFnOnce() -> T) -> T {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some((begun, latest)) = &state.latest
            && *begun > asked
        {
            return latest.clone();
        }
        // Those who ask meanwhile wait for the same one.
        let wait = state.bucket.wait(Instant::now());
        sleep(wait).await;
        let begun = Instant::now();
        let latest = compose().await;
        state.latest = Some((begun, latest.clone()));
        latest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_answered_by_few_and_nobody_by_one_from_before_he_asked() {
        let (shared, truth, composed) = (Shared::new(), AtomicU32::new(0), AtomicU32::new(0));
        let ask = async || {
            let before = truth.fetch_add(1, Ordering::SeqCst) + 1;
            let seen = shared.get(PATIENCE, async || {
                composed.fetch_add(1, Ordering::SeqCst);
                let seen = truth.load(Ordering::SeqCst);
                sleep(Duration::from_millis(3)).await;
                seen
            });
            assert!(seen.await.expect("in time") >= before);
        };
        let start = Instant::now();
        for _ in 0..10 {
            join_all((0..100).map(|_| ask())).await;
        }
        let allowed = BURST + 1 + u32::try_from(start.elapsed().as_millis()).expect("short") * RATE / 1000;
        let composed = composed.load(Ordering::SeqCst);
        assert!((10..=allowed).contains(&composed), "{composed} of {allowed}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_now_and_then_does_not_wait() {
        let shared = Shared::new();
        let start = Instant::now();
        for _ in 0..BURST {
            assert_eq!(shared.get(PATIENCE, async || 7).await, Some(7));
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_can_be_had_later() {
        let shared = Shared::new();
        assert_eq!(shared.get(PATIENCE, std::future::pending::<u8>).await, None);
        assert_eq!(shared.get(PATIENCE, async || 7).await, Some(7));
    }
}
