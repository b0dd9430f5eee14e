//! Stories of too many requests.

use super::*;

#[tokio::test(start_paused = true)]
async fn f61_of_128_at_once_exactly_n_and_the_queue_are_admitted_and_the_others_told_at_once() {
    let (gate, _tell) = gate(limits(4, 64), ready(1));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..128 {
        tasks.push(log.start(&gate, number, entry(&number.to_string()), s(1)).await);
    }
    assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 60, "told at once");
    let (mut served, mut refused) = (0_u64, 0);
    for task in tasks {
        match task.await.expect("it ran") {
            Ok(done) => {
                assert_eq!(done.after, s(served / 4 + 1), "first come, first served, four at a time");
                served += 1;
            }
            Err(denied) => {
                let told = Refusal::from(denied);
                assert_eq!(told.code, Code::ServerOverloaded);
                assert!(told.retry_after > Some(s(0)) && told.retry_after <= Some(s(17)), "{told:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((served, refused, log.most()), (68, 60, 4));
    assert_eq!(log.sent(), (0..68).map(|number| (1, number)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_no_time() {
    let (gate, _tell) = gate(limits(1, 0), ready(1));
    let _busy = gate.enter(entry("a")).await.expect("there is room");
    let start = Instant::now();
    let denied = gate.enter(entry("a")).await.expect_err("nobody may wait");
    assert_eq!((denied.code(), start.elapsed()), (Code::ServerOverloaded, s(0)));
    assert!(denied.to_string().starts_with("The server has its hands full: 1 requests are in work and 0 wait"));
}

/// What clients get done in 20 s of `clients` that ask again at once, or as soon as they have been told no.
async fn storm(clients: u32) -> (usize, usize) {
    const WORK: Duration = Duration::from_millis(250);
    let (gate, _tell) = gate(limits(4, 64), ready(1));
    let (log, end) = (Log::default(), Instant::now() + s(20));
    let tasks: Vec<_> = (0..clients)
        .map(|number| {
            let (gate, log) = (gate.clone(), log.clone());
            tokio::spawn(async move {
                let (mut done, mut refused) = (0, 0);
                while Instant::now() < end {
                    match log.clone().ask(gate.clone(), number, entry(&number.to_string()), WORK).await {
                        Ok(_) => done += 1,
                        Err(_) => {
                            refused += 1;
                            // The least that a round trip takes.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    assert!(gate.snapshot().queued <= 64);
                }
                (done, refused)
            })
        })
        .collect();
    let mut sum = (0, 0);
    for task in tasks {
        let (done, refused) = task.await.expect("it ran");
        sum = (sum.0 + done, sum.1 + refused);
    }
    assert!(Instant::now() < end + s(10), "it is over within 10 s after the storm");
    assert_eq!((log.most(), gate.snapshot().in_flight, gate.snapshot().queued), (4, 0, 0));
    sum
}

#[tokio::test(start_paused = true)]
async fn f62_a_storm_of_retries_costs_less_than_a_tenth_of_the_work() {
    let (calm, refused) = storm(60).await;
    assert_eq!(refused, 0);
    let (stormy, refused) = storm(120).await;
    assert!(refused > 50_000, "it is a storm: {refused} refusals");
    assert!(stormy * 10 >= calm * 9, "{stormy} in the storm, {calm} in the calm");
}

#[tokio::test(start_paused = true)]
async fn a_noisy_client_delays_a_quiet_one_by_one_turn() {
    let (gate, _tell) = gate(limits(1, 64), ready(1));
    let (log, mut noisy) = (Log::default(), Vec::new());
    for number in 0..65 {
        noisy.push(log.start(&gate, number, entry("noisy"), s(1)).await);
    }
    // The queue is full of one client. Another one comes, and takes the place of its youngest.
    let quiet = log.start(&gate, 100, entry("quiet"), s(1)).await;
    let evicted = noisy.pop().expect("65 of them").await.expect("it ran").expect_err("it made room");
    assert_eq!((evicted.code(), evicted.code().status().as_u16()), (Code::ClientShareExceeded, 429));
    assert!(evicted.to_string().contains("64 requests waiting"), "{evicted}");
    let more = gate.enter(entry("noisy")).await.expect_err("it has the most already");
    assert_eq!(more.code(), Code::ServerOverloaded);
    let served = quiet.await.expect("it ran").expect("it was served");
    assert_eq!(served.after, s(3), "after the one in work and one turn of the noisy one");
}

#[tokio::test(start_paused = true)]
async fn two_clients_share_the_queue_by_halves_and_do_not_push_each_other_out() {
    let (gate, _tell) = gate(limits(1, 6), ready(1));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..7 {
        tasks.push(log.start(&gate, number, entry("a"), s(1)).await);
    }
    for number in 10..13 {
        tasks.push(log.start(&gate, number, entry("b"), s(1)).await);
    }
    for name in ["a", "b"] {
        let denied = gate.enter(entry(name)).await.expect_err("three each");
        assert_eq!(denied.code(), Code::ServerOverloaded);
    }
    for task in tasks {
        // Some made room; the order of the others is what counts.
        drop(task.await.expect("it ran"));
    }
    let order: Vec<_> = log.sent().into_iter().map(|(_, number)| number).collect();
    assert_eq!(order, [0, 1, 10, 2, 11, 3, 12]);
}

#[tokio::test(start_paused = true)]
async fn who_would_be_served_after_its_deadline_is_told_now() {
    let (gate, _tell) = gate(limits(1, 64), ready(1));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..14 {
        tasks.push(log.start(&gate, number, entry("a"), s(10)).await);
    }
    tokio::time::sleep(s(41)).await;
    // Four have taken 10 s each, one is in work, nine wait: a turn that comes in 90 s.
    let start = Instant::now();
    let short = Entry { deadline: start + s(80), ..entry("a") };
    let denied = gate.enter(short).await.expect_err("too late for it");
    assert_eq!((denied.code(), start.elapsed()), (Code::ServerOverloaded, s(0)));
    assert!(denied.to_string().contains("with 9 requests waiting") && denied.to_string().contains("in about 90 s"));
    // Another client's turn comes sooner.
    let other = log.start(&gate, 20, Entry { deadline: start + s(80), ..entry("b") }, s(1)).await;
    assert!(other.await.expect("it ran").is_ok());
}
