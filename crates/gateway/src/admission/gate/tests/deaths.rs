//! Stories of servers that die.

use super::*;

fn breaker_open(ready_at: Option<Instant>) -> Backend {
    Backend::new(1, BackendState::BreakerOpen { ready_at, reason: "5 restarts failed".into() })
}

#[tokio::test(start_paused = true)]
async fn f63_a_crash_with_4_in_flight_and_20_queued_loses_nobody_and_keeps_the_order() {
    let (gate, tell) = gate(limits(4, 64), ready(1));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..24 {
        tasks.push(log.start(&gate, number, entry("a"), s(1)).await);
    }
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().queued), (4, 20));

    tell.send_replace(restarting(1, Some(Instant::now() + s(4))));
    tokio::time::sleep(s(4)).await;
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().queued), (0, 24));
    tell.send_replace(ready(2));

    for (number, task) in (0..).zip(tasks) {
        let served = task.await.expect("it ran").expect("it was served");
        assert_eq!(served.attempts, if number < 4 { 2 } else { 1 });
        assert_eq!(served.after, s(4 + number + 1), "one at a time: four died together");
    }
    let sent = log.sent();
    let before: Vec<_> = (0..4).map(|number| (1, number)).collect();
    let after: Vec<_> = (0..24).map(|number| (2, number)).collect();
    assert_eq!(sent, [before, after].concat(), "the suspects first, then the others, each once");

    assert_eq!((gate.snapshot().limit, gate.snapshot().limited), (1, Limited::Clamped));
    tokio::time::sleep(s(6)).await;
    assert_eq!(gate.snapshot().limit, 2, "30 s without a death");
    tokio::time::sleep(s(60)).await;
    assert_eq!((gate.snapshot().limit, gate.snapshot().limited), (4, Limited::No));
}

#[tokio::test(start_paused = true)]
async fn after_a_recovery_one_request_goes_first_and_the_others_when_it_has_succeeded() {
    let (gate, tell) = gate(limits(4, 64), ready(1));
    tell.send_replace(restarting(1, None));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..5 {
        tasks.push(log.start(&gate, number, entry("a"), s(1)).await);
    }
    tell.send_replace(ready(2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().limited), (1, Limited::SlowStart));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().limited), (4, Limited::No));
    for task in tasks {
        task.await.expect("it ran").expect("it was served");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_request_that_takes_long_does_not_hold_up_the_others_forever() {
    let (gate, tell) = gate(limits(4, 64), ready(1));
    tell.send_replace(restarting(1, None));
    let log = Log::default();
    let long = log.start(&gate, 0, entry("a"), s(300)).await;
    let short = log.start(&gate, 1, entry("a"), s(1)).await;
    tell.send_replace(ready(2));
    assert_eq!(short.await.expect("it ran"), Ok(Served { attempts: 1, after: s(31) }));
    assert_eq!(long.await.expect("it ran"), Ok(Served { attempts: 1, after: s(300) }));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_takes_long_is_left_alone_for_one_stable_stretch() {
    let (gate, _tell) = gate(limits(4, 64), ready(1));
    let log = Log::default();
    let suspect = Entry { standing: Standing::Suspect, ..entry("a") };
    let long = log.start(&gate, 0, suspect, s(300)).await;
    let short = log.start(&gate, 1, entry("a"), s(1)).await;
    assert_eq!(gate.snapshot().limited, Limited::Suspect);
    assert_eq!(short.await.expect("it ran"), Ok(Served { attempts: 1, after: s(31) }));
    long.await.expect("it ran").expect("it was served");
}

#[tokio::test(start_paused = true)]
async fn f65_with_an_open_breaker_an_entry_is_held_only_if_the_trial_fits_its_deadline() {
    let start = Instant::now();
    let (gate, tell) = gate(limits(4, 64), breaker_open(Some(start + s(60))));
    let denied = gate.enter(Entry { deadline: start + s(59), ..entry("a") }).await.expect_err("it does not fit");
    assert_eq!((denied.code(), start.elapsed()), (Code::BackendCircuitOpen, s(0)));
    let told = Refusal::from(denied);
    assert!(told.retry_after >= Some(s(60)) && told.message.contains("5 restarts failed"), "{told:?}");

    let (log, mut held) = (Log::default(), Vec::new());
    for number in 0..3 {
        held.push(log.start(&gate, number, entry("a"), s(1)).await);
    }
    assert_eq!(gate.snapshot().queued, 3);

    // The trial fails, and the next one is too far away.
    let late = log.start(&gate, 3, Entry { deadline: start + s(300), ..entry("a") }, s(1)).await;
    tell.send_replace(breaker_open(Some(start + s(120))));
    for task in held {
        assert_eq!(task.await.expect("it ran").map_err(|denied| denied.code()), Err(Code::BackendCircuitOpen));
    }
    assert_eq!(start.elapsed(), s(0), "at once, not at the deadline");

    tokio::time::sleep(s(120)).await;
    tell.send_replace(ready(2));
    assert_eq!(late.await.expect("it ran"), Ok(Served { attempts: 1, after: s(121) }));

    tell.send_replace(breaker_open(None));
    let denied = gate.enter(entry("a")).await.expect_err("nobody knows when");
    assert_eq!(denied.code(), Code::BackendCircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn f66_with_a_server_that_is_up_and_down_every_5_s_each_request_ends_within_its_deadline() {
    let (gate, tell) = gate(limits(4, 64), ready(1));
    let (log, mut tasks) = (Log::default(), Vec::new());
    for number in 0..60 {
        tasks.push(log.start(&gate, number, entry("a"), s(2)).await);
    }
    let flapping = tokio::spawn(async move {
        for epoch in 1.. {
            tokio::time::sleep(s(5)).await;
            tell.send_replace(restarting(epoch, None));
            tokio::time::sleep(s(5)).await;
            tell.send_replace(ready(epoch + 1));
        }
    });
    let (mut served, mut told) = (0, 0);
    for task in tasks {
        match task.await.expect("it ran") {
            Ok(Served { after, .. }) => {
                assert!(after <= s(90) + s(2));
                served += 1;
            }
            Err(denied) => {
                assert_eq!(denied.code(), Code::QueueTimeout);
                told += 1;
            }
        }
    }
    flapping.abort();
    // Eight before the first death, then two in each of the nine times that it is up, one after the other.
    assert_eq!((served, told), (8 + 2 * 8, 60 - 8 - 2 * 8), "each up-time is used");
    assert_eq!((gate.snapshot().in_flight, gate.snapshot().queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn f67_what_is_said_of_an_old_incarnation_changes_nothing() {
    let (gate, tell) = gate(limits(1, 4), ready(1));
    let old = gate.enter(entry("a")).await.expect("there is room");
    let older = old.seq();
    tell.send_replace(restarting(1, None));
    tell.send_replace(ready(2));
    let new = gate.enter(entry("a")).await.expect("the old one does not count");
    assert!((new.epoch(), new.address().port()) == (2, 4_002) && new.seq() > older);

    let waits = Log::default().start(&gate, 3, entry("a"), s(1)).await;
    old.finish(Outcome::Succeeded);
    let now = gate.snapshot();
    assert_eq!((now.in_flight, now.queued, now.limited, now.epoch), (1, 1, Limited::No, 2));
    assert!(!waits.is_finished());
    new.finish(Outcome::Succeeded);
    waits.await.expect("it ran").expect("it was served");
    assert_eq!(gate.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn f67_a_late_success_of_an_old_incarnation_ends_no_slow_start() {
    let (gate, tell) = gate(limits(4, 4), ready(1));
    let old = gate.enter(entry("a")).await.expect("there is room");
    tell.send_replace(ready(2));
    old.finish(Outcome::Succeeded);
    assert_eq!(gate.snapshot().limited, Limited::SlowStart);
    let lost = gate.enter(entry("a")).await.expect("there is room");
    tell.send_replace(ready(3));
    drop(lost);
    assert_eq!(gate.snapshot().in_flight, 0, "nor does a lost one block a slot");
}

#[tokio::test(start_paused = true)]
async fn a_death_seen_on_the_connection_first_still_counts_all_that_were_in_flight() {
    let (gate, tell) = gate(limits(4, 4), ready(1));
    let permits = [gate.enter(entry("a")).await, gate.enter(entry("a")).await];
    for permit in permits {
        permit.expect("there is room").finish(Outcome::BackendDied);
    }
    assert_eq!(gate.snapshot().in_flight, 2, "kept until the tree says so");
    tell.send_replace(restarting(1, None));
    tell.send_replace(ready(2));
    let first = gate.enter(entry("a")).await.expect("there is room");
    first.finish(Outcome::Succeeded);
    assert_eq!(gate.snapshot().limited, Limited::Clamped);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_for_nothing_costs_a_slot_for_a_second() {
    let (gate, _tell) = gate(limits(1, 4), ready(1));
    gate.enter(entry("a")).await.expect("there is room").finish(Outcome::BackendDied);
    let next = gate.enter(entry("a")).await.expect("the server lives");
    assert_eq!(next.queued_for(), s(1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_takes_too_long_is_told_at_once_with_the_time_it_takes() {
    let start = Instant::now();
    let (gate, _tell) = gate(limits(4, 64), restarting(1, Some(start + s(40))));
    let denied = gate.enter(Entry { deadline: start + s(30), ..entry("a") }).await.expect_err("it is too long");
    assert_eq!((denied.code(), start.elapsed()), (Code::BackendRestarting, s(0)));
    assert!(denied.retry_after() >= s(40) && denied.retry_after() < s(42), "{denied:?}");
}
