//! Every state that the supervisor can get into within eight events, with up to three children: walked, not sampled.
//!
//! In each state: nobody is lost, nobody runs twice, and the machine waits for something that can come. From each state: a
//! stop ends everything, whether the children cooperate or must be killed; and if nothing fails any more, every permanent
//! child ends up ready, through backoffs, suspensions, half-open breakers and trials that ran out.
//!
//! A state is reached by playing its events anew, and told from others by everything that decides what happens next (the
//! `Debug` of the machine and the policies). Two children are walked eight events deep, three with all their faults six or
//! seven, three with an operator five: some 70,000 states, in some 11 s.
//!
//! What it has found: a child that was stuck when the breaker's driver suspended it, and a run that its policy took for ready
//! while it was being stopped; both left a permanent child down for good. Whether it would find others was tried by planting
//! them in `src/core`, one at a time:
//!
//! | planted | shortest way found | what was said |
//! |---|---|---|
//! | `try_again` queues no retry | a crash, a start that fails | b waits, and no timer will wake it |
//! | `schedule` arms no timer | a crash | a waits, and no timer will wake it |
//! | `heard_exit` queues no news while busy | two crashes, a start between them | a ends up as Up |
//! | `group_stop` does not wait for the member's end | a crash | b runs, and is known as Down |
//! | `due` kills nobody whose time to stop is over | a start | nobody will ever be killed |

#[path = "model/world.rs"]
mod world;

use std::collections::HashSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mlx_tree_supervision::{Readiness, Restart, Shutdown, Strategy};

use world::{End, Happening, Operator, Plan, Policy, World};

const PLAIN: Plan = Plan {
    restart: Restart::Permanent,
    shutdown: Shutdown::Timeout(Duration::from_secs(1)),
    readiness: Readiness::Started,
    policy: Policy::Plain,
};
const GUARDED: Plan = Plan { policy: Policy::Breaker, ..PLAIN };
const SLOW: Plan = Plan { readiness: Readiness::Explicit { start_timeout: Duration::from_secs(3) }, ..GUARDED };
const TRANSIENT: Plan = Plan { restart: Restart::Transient, shutdown: Shutdown::Kill, ..PLAIN };
const TEMPORARY: Plan = Plan { restart: Restart::Temporary, ..PLAIN };

struct Walk {
    strategy: Strategy,
    plans: Vec<Plan>,
    /// All children are up and ready before the events begin.
    from: From,
    depth: usize,
    may_ask: Operator,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Boot,
    Ready,
}

// === impl Walk ===

impl Walk {
    /// Walks, and answers how many states there were.
    fn states(&self) -> usize {
        let mut seen = HashSet::from([self.play(&[]).fingerprint()]);
        let mut frontier = vec![Vec::new()];
        for depth in 0..self.depth {
            let mut next = Vec::new();
            for events in frontier {
                let here = self.play(&events);
                if here.end == End::Ended {
                    continue;
                }
                // Nobody asks twice: what one request can spoil shows after one.
                let may_ask = if here.operator == Operator::Spoke { Operator::Silent } else { self.may_ask };
                for happening in here.possible(may_ask) {
                    let mut events: Vec<_> = events.clone();
                    events.push(happening);
                    let there = self.checked(&events, |world| {
                        world.check()?;
                        world.suspensions_are_due()
                    });
                    if seen.insert(there.fingerprint()) {
                        self.end_well(&events);
                        if depth + 1 < self.depth {
                            next.push(events);
                        }
                    }
                }
            }
            frontier = next;
        }
        seen.len()
    }

    fn play(&self, events: &[Happening]) -> World {
        let mut world = World::new(self.strategy, &self.plans);
        if self.from == From::Ready {
            for place in 0..self.plans.len() {
                world.happen(Happening::Starts(place));
                world.happen(Happening::IsReady(place));
            }
        }
        for &event in events {
            world.happen(event);
        }
        world
    }

    /// What must hold of the state's future.
    fn end_well(&self, events: &[Happening]) {
        self.checked(events, |world| {
            world.come_to_rest()?;
            let undisturbed = world.end == End::NotYet && world.operator == Operator::Silent;
            if undisturbed { world.is_well() } else { Ok(()) }
        });
        self.checked(events, |world| {
            world.happen(Happening::Stop);
            world.come_to_rest()?;
            if world.end == End::Ended { Ok(()) } else { Err("a stop does not end it".to_owned()) }
        });
        self.checked(events, |world| {
            world.happen(Happening::Stop);
            world.only_kills_work()
        });
    }

    fn checked(&self, events: &[Happening], check: impl FnOnce(&mut World) -> Result<(), String>) -> World {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut world = self.play(events);
            check(&mut world).map(|()| world)
        }));
        let problem = match played {
            Ok(Ok(world)) => return world,
            Ok(Err(problem)) => problem,
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned()),
        };
        panic!("{:?} with {:#?}\nafter {events:?}:\n{problem}", self.strategy, self.plans);
    }
}

fn walk(strategy: Strategy, from: From, depth: usize, may_ask: Operator, plans: &[Plan]) -> usize {
    Walk { strategy, plans: plans.to_vec(), from, depth, may_ask }.states()
}

/// Past the test runner, which shows only what failing tests print.
fn say(what: &str, states: usize) {
    let _ = writeln!(std::io::stderr(), "model: {states} states, {what}");
}

fn walk_all(strategy: Strategy) {
    // One for one, the siblings see little of each other.
    let three = if strategy == Strategy::OneForOne { 6 } else { 7 };
    for (name, from, depth, may_ask, plans) in [
        ("two that start for the first time", From::Boot, 8, Operator::Silent, &[GUARDED, PLAIN][..]),
        ("one with an operator", From::Ready, 8, Operator::Spoke, &[SLOW]),
        ("two", From::Ready, 8, Operator::Silent, &[SLOW, PLAIN]),
        ("three", From::Ready, three, Operator::Silent, &[PLAIN, GUARDED, TRANSIENT]),
        ("three with an operator", From::Ready, 5, Operator::Spoke, &[GUARDED, TEMPORARY, PLAIN]),
    ] {
        let states = walk(strategy, from, depth, may_ask, plans);
        say(&format!("{strategy:?}, {name}"), states);
    }
}

#[test]
fn one_for_one_survives_every_eight_events() {
    walk_all(Strategy::OneForOne);
}

#[test]
fn one_for_all_survives_every_eight_events() {
    walk_all(Strategy::OneForAll);
}

#[test]
fn rest_for_one_survives_every_eight_events() {
    walk_all(Strategy::RestForOne);
}

#[test]
fn a_child_that_is_stuck_while_its_trial_runs_out_comes_back() {
    let walk = Walk {
        strategy: Strategy::OneForOne,
        plans: vec![GUARDED, PLAIN],
        from: From::Boot,
        depth: 0,
        may_ask: Operator::Silent,
    };
    use Happening::{FailsForGood, Starts, Timer};
    walk.end_well(&[Starts(0), FailsForGood(0), Starts(1), Timer, Timer, Starts(0), Timer, Timer]);
}
