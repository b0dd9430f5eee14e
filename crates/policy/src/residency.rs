//! Who may be in memory together, and who has to make room.
//!
//! ```text
//!                 wanted, and it fits                    ready
//!   Away ───────────────────────────────▶ Coming ─────────────────▶ There
//!    ▲  (asleep: needs nothing)             │ it went down            │ idle for idle_stop, or in the way of
//!    │                                      ▼                         │ another one, and idle
//!    └────────────── Stop ◀────────────── Failing (comes back) ◀──────┤
//!    └────────────── Stop ◀───────────────────────────────────────────┘
//! ```
//!
//! * Whoever is not away counts with all the memory that it needs: a start in progress, a restart that is due, a stop that is
//!   not over. So the budget holds at every moment, not only in between.
//! * Wants are served in the order in which they came. Nobody overtakes, so nobody starves.
//! * To make room, those who are idle are stopped, the one first that was used least recently; nobody with a request in
//!   flight is ever stopped.
//! * One that never is idle *yields* once another one has waited for a `turn`: it gets nothing new, finishes what it has,
//!   and is idle.
//! * Nobody is stopped for another one before it was there for `min_stay`, so two that are wanted in turns do not spend their
//!   time loading.
//!
//! The driver reports what happens and carries out the [`Order`]s; until it says that one is [done](Residency::on_done), what
//! it reports of that lodger's place does not count.

use std::time::Duration;

use crate::Monotonic;

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidencyConfig {
    /// What all may need together; `None` if there is always room.
    pub budget: Option<u64>,
    /// How long one stays before it gives way.
    pub min_stay: Duration,
    /// How long another one waits before one that is in use yields.
    pub turn: Duration,
    /// How long a want lasts after it was last told.
    pub want_lasts: Duration,
}

/// One who may be in memory, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lodger {
    /// How much it needs.
    pub need: u64,
    /// Whether it may be stopped.
    pub tenancy: Tenancy,
    /// After how much time without use it is stopped, whoever waits or not.
    pub idle_stop: Option<Duration>,
}

/// Whether a lodger may be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// It is always there, and is not our business but for the room that it takes.
    Fixed,
    /// It comes when it is wanted, and goes when it is in the way.
    Guest,
}

/// Where a lodger is, as its driver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is down, needs nothing, and may be started.
    Away,
    /// It is down, needs nothing, and may not be started.
    Barred,
    /// It is being started.
    Coming,
    /// It serves.
    There {
        /// Since when.
        since: Monotonic,
    },
    /// It is down for a failure, and comes back by itself.
    Failing,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start this one, and say when that has begun.
    Start(usize),
    /// Stop this one, and say when it is gone.
    Stop(usize),
    /// Give this one nothing new.
    Yield(usize),
    /// Give this one new requests again.
    Resume(usize),
}

/// The machine described in the module's head. Lodgers are named by their place in the list that it was made from.
#[derive(Debug, Clone)]
pub struct Residency {
    config: ResidencyConfig,
    lodgers: Vec<State>,
}

#[derive(Debug, Clone)]
struct State {
    lodger: Lodger,
    place: Place,
    under_way: UnderWay,
    in_flight: u32,
    last_use: Monotonic,
    want: Option<Want>,
    turn: Turn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Want {
    since: Monotonic,
    last: Monotonic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Start,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Keeps,
    Yields,
}

// === impl Residency ===

impl Residency {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(config: ResidencyConfig, lodgers: impl IntoIterator<Item = Lodger>, now: Monotonic) -> Self {
        let state = |lodger| State {
            lodger,
            place: Place::Away,
            under_way: UnderWay::Nothing,
            in_flight: 0,
            last_use: now,
            want: None,
            turn: Turn::Keeps,
        };
        Self { config, lodgers: lodgers.into_iter().map(state).collect() }
    }

    /// Goes by other numbers from now on.
    pub const fn set_config(&mut self, config: ResidencyConfig) {
        self.config = config;
    }

    /// What one of them needs from now on.
    pub fn set_lodger(&mut self, who: usize, lodger: Lodger) {
        self.lodgers[who].lodger = lodger;
    }

    /// Where a lodger is now. Without effect while an order about it is being carried out.
    pub fn on_place(&mut self, who: usize, place: Place) {
        let lodger = &mut self.lodgers[who];
        if lodger.under_way == UnderWay::Nothing {
            lodger.arrive(place);
        }
    }

    /// How many requests are with it, and when one last began or ended.
    pub fn on_use(&mut self, who: usize, in_flight: u32, last_use: Monotonic) {
        let lodger = &mut self.lodgers[who];
        lodger.in_flight = in_flight;
        lodger.last_use = lodger.last_use.max(last_use);
    }

    /// Somebody waits for it.
    pub fn on_want(&mut self, who: usize, at: Monotonic) {
        let lodger = &mut self.lodgers[who];
        if lodger.lodger.tenancy == Tenancy::Guest && lodger.takes_wants() {
            let since = lodger.want.map_or(at, |want| want.since);
            lodger.want = Some(Want { since, last: at });
        }
    }

    /// The order about it has been carried out, or could not be, and this is where it is now. Whoever waited for a start
    /// that was refused has had the answer.
    pub fn on_done(&mut self, who: usize, place: Place) {
        let lodger = &mut self.lodgers[who];
        if lodger.under_way == UnderWay::Start {
            lodger.want = None;
        }
        lodger.under_way = UnderWay::Nothing;
        lodger.arrive(place);
    }

    /// What is to be done now.
    #[must_use]
    pub fn decide(&mut self, now: Monotonic) -> Vec<Order> {
        let mut orders = Vec::new();
        let lasts = self.config.want_lasts;
        for lodger in &mut self.lodgers {
            lodger.want.take_if(|want| now.saturating_since(want.last) >= lasts);
        }
        for who in 0..self.lodgers.len() {
            if self.lodgers[who].is_idle_for_good(now) {
                self.stop(who, &mut orders);
            }
        }
        let yielding = self.serve_queue(now, &mut orders);
        self.take_turns(&yielding, &mut orders);
        orders
    }

    /// When [`Residency::decide`] has something to say by itself.
    #[must_use]
    pub fn next_wake(&self, now: Monotonic) -> Option<Monotonic> {
        let head = self.head();
        let wants = self.lodgers.iter().filter_map(|it| it.want).map(|want| want.last + self.config.want_lasts);
        let idle = self.lodgers.iter().filter_map(State::idle_stop_at);
        let turn = head.and_then(|who| self.lodgers[who].want).map(|want| want.since + self.config.turn);
        let stays = self.lodgers.iter().filter_map(|it| match it.place {
            Place::There { since } if head.is_some() => Some(since + self.config.min_stay),
            Place::There { .. } | Place::Away | Place::Barred | Place::Coming | Place::Failing => None,
        });
        wants.chain(idle).chain(turn).chain(stays).filter(|at| *at > now).min()
    }

    /// Who is the next to be started, if anybody waits.
    #[must_use]
    pub fn waiting(&self) -> Option<usize> {
        self.head()
    }

    /// What is taken, all of it.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.lodgers.iter().filter(|it| it.counts()).map(|it| it.lodger.need).sum()
    }

    /// Starts whoever fits, in the order of the wants, and makes room for the first who does not. Answers who has to yield
    /// for it.
    fn serve_queue(&mut self, now: Monotonic, orders: &mut Vec<Order>) -> Vec<usize> {
        while let Some(head) = self.head() {
            let missing = self.missing(head);
            if missing == 0 {
                self.lodgers[head].under_way = UnderWay::Start;
                orders.push(Order::Start(head));
                continue;
            }
            return self.make_room(head, missing, now, orders);
        }
        Vec::new()
    }

    /// The first in the queue: who has waited longest and is away.
    fn head(&self) -> Option<usize> {
        let waiting = self.lodgers.iter().enumerate().filter(|(_, it)| !it.counts() && it.place == Place::Away);
        waiting.filter_map(|(who, it)| Some((it.want?.since, who))).min().map(|(_, who)| who)
    }

    /// How much room is missing for this one.
    fn missing(&self, who: usize) -> u64 {
        let needs = self.taken().saturating_add(self.lodgers[who].lodger.need);
        self.config.budget.map_or(0, |budget| needs.saturating_sub(budget))
    }

    fn make_room(&mut self, head: usize, missing: u64, now: Monotonic, orders: &mut Vec<Order>) -> Vec<usize> {
        let going: u64 = self.lodgers.iter().filter(|it| it.under_way == UnderWay::Stop).map(|it| it.lodger.need).sum();
        let missing = missing.saturating_sub(going);
        if missing == 0 {
            return Vec::new();
        }
        let mut idle: Vec<usize> = self.evictable(now).filter(|who| self.lodgers[*who].in_flight == 0).collect();
        idle.sort_by_key(|who| (self.lodgers[*who].last_use, *who));
        if let Some(enough) = self.enough(&idle, missing) {
            for who in enough {
                self.stop(who, orders);
            }
            return Vec::new();
        }
        // All that is idle does not do. Who has been there longest has had the longest turn.
        let waited = self.lodgers[head].want.map_or(Duration::ZERO, |want| now.saturating_since(want.since));
        if waited < self.config.turn {
            return Vec::new();
        }
        let mut busy: Vec<usize> = self.evictable(now).filter(|who| self.lodgers[*who].in_flight > 0).collect();
        busy.sort_by_key(|who| (self.lodgers[*who].since(), *who));
        let free: u64 = idle.iter().map(|who| self.lodgers[*who].lodger.need).sum();
        let enough = self.enough(&busy, missing.saturating_sub(free)).unwrap_or(busy);
        // The idle ones would get new requests until then, and be busy when the others are not any more.
        enough.into_iter().chain(idle).collect()
    }

    /// Who of these, the first ones first, makes so much room; nobody among them is needless.
    fn enough(&self, those: &[usize], missing: u64) -> Option<Vec<usize>> {
        let room = |those: &[usize]| those.iter().map(|who| self.lodgers[*who].lodger.need).sum::<u64>();
        let count = (0..=those.len()).find(|count| room(&those[..*count]) >= missing)?;
        let mut enough = those[..count].to_vec();
        for who in &those[..count] {
            let others: Vec<usize> = enough.iter().copied().filter(|other| other != who).collect();
            if room(&others) >= missing {
                enough = others;
            }
        }
        Some(enough)
    }

    /// Who may be stopped for another one, but for the requests that it has.
    fn evictable(&self, now: Monotonic) -> impl Iterator<Item = usize> + '_ {
        let min_stay = self.config.min_stay;
        self.lodgers.iter().enumerate().filter(move |(_, it)| it.may_be_evicted(min_stay, now)).map(|(who, _)| who)
    }

    fn stop(&mut self, who: usize, orders: &mut Vec<Order>) {
        self.lodgers[who].under_way = UnderWay::Stop;
        orders.push(Order::Stop(who));
    }

    fn take_turns(&mut self, yielding: &[usize], orders: &mut Vec<Order>) {
        for (who, lodger) in self.lodgers.iter_mut().enumerate() {
            // One that is being stopped yields until it is gone: what comes now is for its next life.
            let stopping = lodger.under_way == UnderWay::Stop;
            let turn = if yielding.contains(&who) || stopping { Turn::Yields } else { Turn::Keeps };
            if turn != lodger.turn {
                lodger.turn = turn;
                orders.push(match turn {
                    Turn::Yields => Order::Yield(who),
                    Turn::Keeps => Order::Resume(who),
                });
            }
            if !lodger.takes_wants() {
                lodger.want = None;
            }
        }
    }
}

// === impl State ===

impl State {
    fn arrive(&mut self, place: Place) {
        self.place = place;
        if !self.takes_wants() {
            self.want = None;
        }
    }

    /// Whether a want means anything: not for one who is there or comes anyway, unless it is on its way out.
    fn takes_wants(&self) -> bool {
        match self.place {
            Place::Away => true,
            Place::Barred => false,
            Place::Coming | Place::There { .. } | Place::Failing => {
                self.turn == Turn::Yields || self.under_way == UnderWay::Stop
            }
        }
    }

    fn counts(&self) -> bool {
        let there = match self.place {
            Place::Away | Place::Barred => false,
            Place::Coming | Place::There { .. } | Place::Failing => true,
        };
        // The room of one that is always there is its own, also while it is not.
        there || self.under_way != UnderWay::Nothing || self.lodger.tenancy == Tenancy::Fixed
    }

    fn since(&self) -> Monotonic {
        match self.place {
            Place::There { since } => since,
            Place::Away | Place::Barred | Place::Coming | Place::Failing => Monotonic::ORIGIN,
        }
    }

    fn may_be_evicted(&self, min_stay: Duration, now: Monotonic) -> bool {
        let ripe = match self.place {
            Place::There { since } => now >= since + min_stay,
            Place::Failing => true,
            Place::Away | Place::Barred | Place::Coming => false,
        };
        ripe && self.lodger.tenancy == Tenancy::Guest && self.under_way == UnderWay::Nothing
    }

    /// When it has been idle for so long that it is stopped, whoever waits or not.
    fn idle_stop_at(&self) -> Option<Monotonic> {
        let stoppable = match self.place {
            Place::There { .. } | Place::Failing => self.under_way == UnderWay::Nothing && self.in_flight == 0,
            Place::Away | Place::Barred | Place::Coming => false,
        };
        match self.lodger.tenancy {
            Tenancy::Guest if stoppable => Some(self.last_use.max(self.since()) + self.lodger.idle_stop?),
            Tenancy::Guest | Tenancy::Fixed => None,
        }
    }

    fn is_idle_for_good(&self, now: Monotonic) -> bool {
        self.idle_stop_at().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests;
