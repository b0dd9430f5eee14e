//! Stories of lodgers; in seconds and gibibytes.

use super::*;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn at(seconds: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(seconds))
}

fn guest(need: u64) -> Lodger {
    Lodger { need, tenancy: Tenancy::Guest, idle_stop: None }
}

fn house(budget: u64, lodgers: impl IntoIterator<Item = Lodger>) -> Residency {
    let seconds = Duration::from_secs;
    let config =
        ResidencyConfig { budget: Some(budget), min_stay: seconds(10), turn: seconds(30), want_lasts: seconds(120) };
    Residency::new(config, lodgers, at(0))
}

/// Carries out a start that takes no time.
fn arrives(house: &mut Residency, who: usize, since: u64) {
    house.on_done(who, Place::Coming);
    house.on_place(who, Place::There { since: at(since) });
}

/// A house in which these are there since second 0.
fn with_there(budget: u64, lodgers: impl IntoIterator<Item = Lodger>, there: &[usize]) -> Residency {
    let mut house = house(budget, lodgers);
    for who in there {
        house.on_want(*who, at(0));
        assert_eq!(house.decide(at(0)), [Order::Start(*who)]);
        arrives(&mut house, *who, 0);
    }
    house
}

#[test]
fn who_is_wanted_and_fits_is_started_and_nobody_else() {
    let mut house = house(16, [guest(8), guest(8), guest(1)]);
    assert_eq!(house.decide(at(0)), []);
    house.on_want(A, at(1));
    house.on_want(B, at(1));
    assert_eq!(house.decide(at(1)), [Order::Start(A), Order::Start(B)]);
    house.on_want(C, at(2));
    assert_eq!(house.decide(at(2)), [], "a start in progress counts with all its memory");
    assert_eq!(house.taken(), 16);
}

#[test]
fn the_one_that_was_used_least_recently_makes_room() {
    let mut house = with_there(16, [guest(8), guest(8), guest(8)], &[A, B]);
    house.on_use(A, 0, at(20));
    house.on_use(B, 0, at(15));
    house.on_want(C, at(30));
    assert_eq!(house.decide(at(30)), [Order::Stop(B), Order::Yield(B)]);
    assert_eq!(house.decide(at(31)), [], "its memory is not free before it is gone");
    house.on_done(B, Place::Away);
    assert_eq!(house.decide(at(32)), [Order::Start(C), Order::Resume(B)]);
}

#[test]
fn nobody_is_stopped_before_it_was_there_for_a_while() {
    let mut house = with_there(8, [guest(8), guest(8)], &[A]);
    house.on_want(B, at(4));
    assert_eq!(house.decide(at(4)), []);
    assert_eq!(house.next_wake(at(4)), Some(at(10)));
    assert_eq!(house.decide(at(10)), [Order::Stop(A), Order::Yield(A)]);
}

#[test]
fn one_in_use_is_not_stopped_and_yields_after_a_turn() {
    let mut house = with_there(8, [guest(8), guest(8)], &[A]);
    house.on_use(A, 2, at(20));
    house.on_want(B, at(20));
    assert_eq!(house.decide(at(20)), []);
    assert_eq!(house.next_wake(at(20)), Some(at(50)), "the turn");
    assert_eq!(house.decide(at(50)), [Order::Yield(A)]);
    house.on_use(A, 1, at(60));
    assert_eq!(house.decide(at(60)), [], "one is still with it");
    house.on_want(A, at(61));
    house.on_use(A, 0, at(62));
    assert_eq!(house.decide(at(62)), [Order::Stop(A)]);
    house.on_done(A, Place::Away);
    assert_eq!(house.decide(at(63)), [Order::Start(B), Order::Resume(A)], "whoever came first is first");
    arrives(&mut house, B, 70);
    assert_eq!(house.decide(at(70)), []);
    assert_eq!(house.decide(at(80)), [Order::Stop(B), Order::Yield(B)], "and then it is the other one's turn again");
}

#[test]
fn a_want_that_nobody_tells_any_more_is_forgotten_and_who_yielded_for_it_goes_on() {
    let mut house = with_there(8, [guest(8), guest(8)], &[A]);
    house.on_use(A, 1, at(20));
    house.on_want(B, at(20));
    assert_eq!(house.decide(at(50)), [Order::Yield(A)]);
    assert_eq!(house.next_wake(at(50)), Some(at(140)));
    assert_eq!(house.decide(at(140)), [Order::Resume(A)]);
    house.on_use(A, 0, at(150));
    assert_eq!(house.decide(at(200)), [], "idle, and in nobody's way");
}

#[test]
fn a_small_one_does_not_overtake_a_large_one_that_waits() {
    let mut house = with_there(10, [guest(8), guest(10), guest(1)], &[A]);
    house.on_use(A, 1, at(20));
    house.on_want(B, at(20));
    house.on_want(C, at(21));
    assert_eq!(house.decide(at(21)), [], "C would fit, and B would never get its room");
}

#[test]
fn an_idle_one_is_put_to_sleep_after_its_time_and_its_return_is_one_want_away() {
    let nap = Lodger { idle_stop: Some(Duration::from_secs(60)), ..guest(8) };
    let mut house = with_there(8, [nap], &[A]);
    house.on_use(A, 0, at(30));
    assert_eq!(house.next_wake(at(30)), Some(at(90)));
    assert_eq!(house.decide(at(89)), []);
    assert_eq!(house.decide(at(90)), [Order::Stop(A), Order::Yield(A)]);
    house.on_want(A, at(91));
    house.on_done(A, Place::Away);
    assert_eq!(house.decide(at(92)), [Order::Start(A), Order::Resume(A)], "asked for while it went");
}

#[test]
fn one_that_fails_holds_its_room_only_until_somebody_needs_it() {
    let mut house = with_there(8, [guest(8), guest(8)], &[A]);
    house.on_place(A, Place::Failing);
    assert_eq!(house.taken(), 8, "it comes back by itself");
    house.on_want(B, at(1));
    assert_eq!(house.decide(at(1)), [Order::Stop(A), Order::Yield(A)], "it serves nobody");
}

#[test]
fn one_that_is_always_there_keeps_its_room_and_one_that_was_stopped_is_not_started() {
    let fixed = Lodger { tenancy: Tenancy::Fixed, idle_stop: Some(Duration::ZERO), ..guest(8) };
    let mut house = house(12, [fixed, guest(8), guest(4)]);
    house.on_place(A, Place::There { since: at(0) });
    house.on_want(B, at(100));
    assert_eq!(house.decide(at(200)), [], "there is no room, and nobody may make it");
    house.on_place(A, Place::Barred);
    assert_eq!(house.decide(at(201)), [], "its room stays its own");
    house.on_place(C, Place::Barred);
    house.on_want(C, at(202));
    assert_eq!(house.decide(at(400)), []);
}

#[test]
fn a_start_that_is_refused_ends_the_want() {
    let mut house = house(8, [guest(8)]);
    house.on_want(A, at(0));
    assert_eq!(house.decide(at(0)), [Order::Start(A)]);
    house.on_done(A, Place::Away);
    assert_eq!(house.decide(at(1)), []);
}
