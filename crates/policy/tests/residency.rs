//! Arbitrary stories of a full house: the budget holds, nobody at work is stopped, and whoever waits gets its turn.

use std::time::Duration;

use mlx_tree_policy::Monotonic;
use mlx_tree_policy::residency::{Lodger, Order, Place, Residency, ResidencyConfig, Tenancy};
use proptest::prelude::*;

const BUDGET: u64 = 16;
/// The longest that anything in this world takes: a start, a stop, a request.
const LONGEST: u64 = 20;
const MIN_STAY: u64 = 10;
const TURN: u64 = 30;

/// A lodger in the world: what it really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Real {
    Asleep,
    Starting { until: u64, begun: bool },
    Serving { since: u64 },
    Failing { until: u64 },
    Stopping { until: u64 },
}

struct World {
    house: Residency,
    lodgers: Vec<Lodger>,
    real: Vec<Real>,
    /// When each request ends.
    requests: Vec<Vec<u64>>,
    yields: Vec<bool>,
    waits_since: Vec<Option<u64>>,
    now: u64,
    chance: Vec<u64>,
    next: usize,
}

impl World {
    fn new(lodgers: Vec<Lodger>, chance: Vec<u64>) -> Self {
        let seconds = Duration::from_secs;
        let config = ResidencyConfig {
            budget: Some(BUDGET),
            min_stay: seconds(MIN_STAY),
            turn: seconds(TURN),
            want_lasts: seconds(120),
        };
        let count = lodgers.len();
        let house = Residency::new(config, lodgers.iter().copied(), at(0));
        let (real, requests) = (vec![Real::Asleep; count], vec![Vec::new(); count]);
        let (yields, waits_since) = (vec![false; count], vec![None; count]);
        Self { house, lodgers, real, requests, yields, waits_since, now: 0, chance, next: 0 }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.next = (self.next + 1) % self.chance.len();
        (self.chance[self.next] ^ (self.now.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)) % sides
    }

    /// One second passes: what is due happens, clients come, and the house decides.
    fn second(&mut self) {
        self.now += 1;
        for who in 0..self.real.len() {
            self.live(who);
            self.clients(who);
        }
        self.decide();
        self.check();
    }

    fn live(&mut self, who: usize) {
        let now = self.now;
        self.requests[who].retain(|ends| *ends > now);
        let unlucky = self.dice(200) == 0;
        match self.real[who] {
            Real::Starting { until, begun: false } => {
                self.real[who] = Real::Starting { until, begun: true };
                self.house.on_done(who, Place::Coming);
            }
            Real::Starting { until, .. } if until <= now => {
                if self.dice(8) == 0 {
                    self.real[who] = Real::Failing { until: now + 1 + self.dice(LONGEST) };
                    self.house.on_place(who, Place::Failing);
                } else {
                    self.serve(who);
                }
            }
            Real::Failing { until } if until <= now => self.serve(who),
            Real::Stopping { until } if until <= now => {
                self.real[who] = Real::Asleep;
                self.house.on_done(who, Place::Away);
            }
            Real::Serving { .. } if unlucky => {
                self.requests[who].clear();
                self.real[who] = Real::Failing { until: now + 1 + self.dice(LONGEST) };
                self.house.on_place(who, Place::Failing);
            }
            Real::Asleep
            | Real::Starting { .. }
            | Real::Serving { .. }
            | Real::Failing { .. }
            | Real::Stopping { .. } => {}
        }
        self.used(who);
    }

    fn serve(&mut self, who: usize) {
        self.real[who] = Real::Serving { since: self.now };
        self.waits_since[who] = None;
        self.house.on_place(who, Place::There { since: at(self.now) });
    }

    /// Somebody always has a question for everybody.
    fn clients(&mut self, who: usize) {
        match self.real[who] {
            Real::Serving { .. } if !self.yields[who] => {
                if self.dice(2) == 0 {
                    let ends = self.now + 1 + self.dice(LONGEST);
                    self.requests[who].push(ends);
                    self.used(who);
                }
            }
            _ => {
                self.waits_since[who].get_or_insert(self.now);
                self.house.on_want(who, at(self.now));
            }
        }
    }

    fn used(&mut self, who: usize) {
        let count = u32::try_from(self.requests[who].len()).expect("few");
        self.house.on_use(who, count, at(self.now));
    }

    fn decide(&mut self) {
        for order in self.house.decide(at(self.now)) {
            match order {
                Order::Start(who) => {
                    assert_eq!(self.real[who], Real::Asleep, "only who is asleep is woken");
                    self.real[who] = Real::Starting { until: self.now + 1 + self.dice(LONGEST), begun: false };
                }
                Order::Stop(who) => {
                    assert!(self.requests[who].is_empty(), "{who} is at work");
                    match self.real[who] {
                        Real::Serving { since } => assert!(self.now - since >= MIN_STAY, "{who} has only just come"),
                        Real::Failing { .. } => {}
                        other => panic!("{who} is stopped in {other:?}"),
                    }
                    self.real[who] = Real::Stopping { until: self.now + 1 + self.dice(LONGEST) };
                }
                Order::Yield(who) => self.yields[who] = true,
                Order::Resume(who) => {
                    self.yields[who] = false;
                    if matches!(self.real[who], Real::Serving { .. }) {
                        self.waits_since[who] = None;
                    }
                }
            }
        }
    }

    fn check(&self) {
        let lodgers = self.lodgers.iter().zip(&self.real);
        let taken: u64 = lodgers.filter(|(_, real)| **real != Real::Asleep).map(|(lodger, _)| lodger.need).sum();
        assert!(taken <= BUDGET, "{taken} of {BUDGET}: {:?}", self.real);
        // Everybody before it in the queue may take a turn, a last request, a stop, a start, a failure and a stay.
        let round = TURN + MIN_STAY + 5 * LONGEST + 5;
        // Twice that, since a start that fails may come more than once. Who starves waits for ever.
        let patience = 2 * round * (self.lodgers.len() as u64 + 1);
        for (who, since) in self.waits_since.iter().enumerate() {
            let waited = since.map_or(0, |since| self.now - since);
            assert!(waited <= patience, "{who} waits for {waited} s: {:?}", self.real);
        }
    }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::new(Duration::from_secs(seconds))
}

fn lodger() -> impl Strategy<Value = Lodger> {
    (1..=BUDGET, prop::option::of(20_u64..100)).prop_map(|(need, idle_stop)| Lodger {
        need,
        tenancy: Tenancy::Guest,
        idle_stop: idle_stop.map(Duration::from_secs),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_nobody_at_work_is_stopped_and_nobody_starves(
        lodgers in prop::collection::vec(lodger(), 1..6),
        chance in prop::collection::vec(any::<u64>(), 32..64),
    ) {
        let mut world = World::new(lodgers, chance);
        for _ in 0..2000 {
            world.second();
        }
    }
}
