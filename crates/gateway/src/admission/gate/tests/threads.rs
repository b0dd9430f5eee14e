//! Many tasks on several threads, with the real clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_many_threads_that_come_leave_and_die_the_books_balance() {
    let (gate, tell) = gate(limits(3, 16), ready(1));
    // What works at each incarnation, as the server would count it.
    let working: Arc<[AtomicUsize; 64]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
    let served = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0_u64..24)
        .map(|task| {
            let (gate, working, served) = (gate.clone(), working.clone(), served.clone());
            tokio::spawn(async move {
                for turn in 0_u64..100 {
                    let hash = (task * 100 + turn).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                    let entry = Entry { deadline: Instant::now() + s(60), ..entry(&(task % 5).to_string()) };
                    // Some are not patient: they leave at whatever moment that is.
                    let patience = if hash % 3 == 0 { Duration::from_micros(hash % 500) } else { s(60) };
                    let Ok(Ok(permit)) = tokio::time::timeout(patience, gate.enter(entry)).await else { continue };
                    let counter = &working[usize::try_from(permit.epoch()).expect("a few") % 64];
                    assert!(counter.fetch_add(1, Ordering::SeqCst) < 3, "no more than three at one incarnation");
                    tokio::task::yield_now().await;
                    counter.fetch_sub(1, Ordering::SeqCst);
                    served.fetch_add(1, Ordering::SeqCst);
                    match hash % 4 {
                        0 => permit.linger(Duration::from_micros(100)),
                        1 => permit.finish(Outcome::Failed),
                        _ => permit.finish(Outcome::Succeeded),
                    }
                }
            })
        })
        .collect();
    let deaths = tokio::spawn(async move {
        for epoch in 1..40 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            tell.send_replace(restarting(epoch, None));
            tokio::task::yield_now().await;
            tell.send_replace(ready(epoch + 1));
        }
        tell
    });
    for task in tasks {
        task.await.expect("no assertion has failed");
    }
    let _tell = deaths.await.expect("it ran");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let now = gate.snapshot();
    assert_eq!((now.in_flight, now.queued), (0, 0));
    assert!(served.load(Ordering::SeqCst) > 0);
}
