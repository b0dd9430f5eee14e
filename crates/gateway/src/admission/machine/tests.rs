//! Rules that are about a moment or a number.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use super::*;
use crate::admission::ClientKey;
use crate::backend::{End, Ended};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn backend(epoch: u64, state: BackendState) -> Backend {
    Backend::new(epoch, state)
}

fn ready(epoch: u64) -> Backend {
    backend(epoch, BackendState::Ready { address: (Ipv4Addr::LOCALHOST, 4_000).into() })
}

fn restarting(epoch: u64) -> Backend {
    backend(epoch, BackendState::Restarting { ready_at: None, reason: "it fell".into() })
}

fn machine(max_inflight: usize, now: Instant) -> Admission {
    let max_inflight = NonZeroUsize::new(max_inflight).expect("not zero");
    Admission::new(Limits { max_inflight, max_queue: 2, ..Limits::default() }, ready(1), now)
}

fn entry(deadline: Instant) -> Entry {
    Entry { client: ClientKey::Token(1), deadline, arrived: None, standing: Standing::Fresh }
}

/// One that is let in at once.
fn admitted(machine: &mut Admission, now: Instant) -> Grant {
    match machine.on_arrive(now, &entry(now + s(90)), &mut Vec::new()) {
        Arrival::Admitted(grant) => grant,
        other => panic!("not let in: {other:?}"),
    }
}

/// One that waits, with what happened at the same time.
fn waiting(machine: &mut Admission, now: Instant, entry: &Entry) -> (Place, Vec<Effect>) {
    let mut effects = Vec::new();
    match machine.on_arrive(now, entry, &mut effects) {
        Arrival::Waiting(place) => (place, effects),
        other => panic!("does not wait: {other:?}"),
    }
}

#[test]
fn at_its_deadline_it_is_too_late() {
    let now = Instant::now();
    let mut machine = machine(1, now);
    let arrival = machine.on_arrive(now, &entry(now), &mut Vec::new());
    assert!(matches!(arrival, Arrival::Denied(Denied::TimedOut { waited: Duration::ZERO, .. })), "{arrival:?}");

    let grant = admitted(&mut machine, now);
    let (place, _) = waiting(&mut machine, now, &entry(now + s(1)));
    let mut effects = Vec::new();
    machine.on_finish(now + s(1), grant.slot, Outcome::Succeeded, &mut effects);
    assert!(matches!(&effects[..], [Effect::Deny(denied, Denied::TimedOut { .. })] if *denied == place), "{effects:?}");
}

#[test]
fn the_deadline_of_one_that_has_its_answer_is_nothing() {
    let now = Instant::now();
    let mut machine = machine(1, now);
    let grant = admitted(&mut machine, now);
    let (place, _) = waiting(&mut machine, now, &entry(now + s(1)));
    let mut effects = Vec::new();
    machine.on_finish(now, grant.slot, Outcome::Succeeded, &mut effects);
    assert!(matches!(&effects[..], [Effect::Admit(..)]));
    assert_eq!(machine.on_expire(now + s(1), place, &mut Vec::new()), None);
    assert_eq!(machine.snapshot(now + s(1)).in_flight, 1);
}

#[test]
fn a_slot_that_was_kept_long_enough_does_not_count_at_a_death() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    let left = admitted(&mut machine, now);
    admitted(&mut machine, now);
    machine.on_linger(now, left.slot, s(1), &mut Vec::new());
    machine.on_backend(now + s(1), restarting(1), &mut Vec::new());
    machine.on_backend(now + s(2), ready(2), &mut Vec::new());
    let grant = admitted(&mut machine, now + s(2));
    machine.on_finish(now + s(2), grant.slot, Outcome::Succeeded, &mut Vec::new());
    assert_eq!(machine.snapshot(now + s(2)).limit, 4, "one in flight, so it was not the number");
}

#[test]
fn a_server_that_was_told_to_go_is_trusted_as_before() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    admitted(&mut machine, now);
    admitted(&mut machine, now);
    let told = Some(Ended { epoch: 1, how: End::Planned });
    for news in [backend(1, BackendState::Draining), Backend { ended: told, ..restarting(1) }, ready(2)] {
        machine.on_backend(now, news, &mut Vec::new());
    }
    let shown = machine.snapshot(now);
    assert_eq!((shown.limited, shown.in_flight), (Limited::SlowStart, 0));
    let grant = admitted(&mut machine, now);
    machine.on_finish(now, grant.slot, Outcome::Succeeded, &mut Vec::new());
    assert_eq!(machine.snapshot(now).limit, 4);
}

#[test]
fn a_failure_does_not_end_a_slow_start_and_a_death_with_one_in_flight_clamps_nothing() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    admitted(&mut machine, now);
    machine.on_backend(now, ready(2), &mut Vec::new());
    let grant = admitted(&mut machine, now);
    machine.on_finish(now, grant.slot, Outcome::Failed, &mut Vec::new());
    assert_eq!(machine.snapshot(now).limited, Limited::SlowStart);
    let grant = admitted(&mut machine, now);
    machine.on_finish(now, grant.slot, Outcome::Succeeded, &mut Vec::new());
    assert_eq!((machine.snapshot(now).limit, machine.snapshot(now).limited), (4, Limited::No));
}

#[test]
fn a_drain_that_is_called_off_leaves_everything_as_it_was() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    admitted(&mut machine, now);
    machine.on_backend(now, backend(1, BackendState::Draining), &mut Vec::new());
    machine.on_backend(now, ready(1), &mut Vec::new());
    let shown = machine.snapshot(now);
    assert_eq!((shown.in_flight, shown.limited), (1, Limited::No));
}

#[test]
fn one_that_comes_back_is_older_than_those_who_wait_and_a_full_queue_does_not_keep_it_out() {
    let now = Instant::now();
    let mut machine = machine(1, now);
    let first = admitted(&mut machine, now);
    let (second, _) = waiting(&mut machine, now, &entry(now + s(90)));
    waiting(&mut machine, now, &entry(now + s(90)));
    machine.on_backend(now, restarting(1), &mut Vec::new());
    let back = Entry { arrived: Some(first.seq), standing: Standing::Suspect, ..entry(now + s(90)) };
    let (returned, _) = waiting(&mut machine, now, &back);
    let mut effects = Vec::new();
    machine.on_backend(now, ready(2), &mut effects);
    assert!(matches!(&effects[..], [Effect::Admit(place, grant)] if *place == returned && grant.seq == first.seq));
    let Some(Effect::Admit(_, grant)) = effects.pop() else { return };
    machine.on_finish(now, grant.slot, Outcome::Succeeded, &mut effects);
    assert!(matches!(&effects[..], [Effect::Admit(place, _)] if *place == second));
}

#[test]
fn even_those_who_come_back_are_not_endlessly_many() {
    let now = Instant::now();
    let mut machine = machine(1, now);
    machine.on_backend(now, restarting(1), &mut Vec::new());
    let back = Entry { arrived: Some(Seq(7)), ..entry(now + s(90)) };
    for _ in 0..3 {
        waiting(&mut machine, now, &back);
    }
    let arrival = machine.on_arrive(now, &back, &mut Vec::new());
    assert!(matches!(arrival, Arrival::Denied(Denied::Overloaded { queued: 3, .. })), "{arrival:?}");
}

#[test]
fn nobody_passes_a_suspect_that_waits_for_an_empty_server() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    let first = admitted(&mut machine, now);
    let suspect = Entry { standing: Standing::Suspect, ..entry(now + s(90)) };
    let (suspect, _) = waiting(&mut machine, now, &suspect);
    let (later, effects) = waiting(&mut machine, now, &entry(now + s(90)));
    assert_eq!(effects, []);
    let mut effects = Vec::new();
    machine.on_finish(now, first.slot, Outcome::Succeeded, &mut effects);
    assert!(matches!(&effects[..], [Effect::Admit(place, _)] if *place == suspect), "{effects:?}");
    machine.on_leave(now, later, &mut effects);
    assert_eq!((effects.len(), machine.snapshot(now).queued), (1, 0));
}

#[test]
fn when_a_suspect_leaves_the_queue_those_behind_it_go() {
    let now = Instant::now();
    let mut machine = machine(4, now);
    admitted(&mut machine, now);
    let suspect = Entry { standing: Standing::Suspect, ..entry(now + s(90)) };
    let (suspect, _) = waiting(&mut machine, now, &suspect);
    let (later, _) = waiting(&mut machine, now, &entry(now + s(90)));
    let mut effects = Vec::new();
    machine.on_leave(now, suspect, &mut effects);
    assert!(matches!(&effects[..], [Effect::Admit(place, _)] if *place == later), "{effects:?}");
}

#[test]
fn limits_beyond_what_a_clock_can_count_do_no_harm() {
    let now = Instant::now();
    for stable in [Duration::ZERO, Duration::MAX] {
        let limits = Limits { stable, linger_max: Duration::MAX, max_queue: usize::MAX, ..Limits::default() };
        let mut machine = Admission::new(limits, ready(1), now);
        let (first, second) = (admitted(&mut machine, now), admitted(&mut machine, now));
        machine.on_linger(now, first.slot, Duration::MAX, &mut Vec::new());
        machine.on_backend(now, ready(2), &mut Vec::new());
        let suspect = Entry { standing: Standing::Suspect, ..entry(now + s(90)) };
        assert!(matches!(machine.on_arrive(now, &suspect, &mut Vec::new()), Arrival::Admitted(_)));
        machine.on_arrive(now, &suspect, &mut Vec::new());
        machine.on_finish(now, second.slot, Outcome::Succeeded, &mut Vec::new());
        assert_eq!(machine.snapshot(now).queued, 1);
        assert!(machine.next_wake(now).is_none_or(|wake| wake > now), "no timer that spins");
    }
}
