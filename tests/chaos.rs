//! A load of clients, faults under it, and what the clients see of them: the ground of the chaos bench and of its tests.
//!
//! ```text
//!  clients ──▶ front ──▶ server ◀── faults, past the front
//!     │          ▲
//!     ▼          └── witness: processes, descriptors, memory
//!   outcomes ──▶ invariants, tables
//! ```
//!
//! A fault comes at the earliest `every` after the last one, and not before the server is ready again and the requests that the
//! last one met have ended: what is promised is that one end of the server costs a request nothing, not that two do.

#![allow(dead_code, unreachable_pub, reason = "a module of several programs, each of which uses its part")]

pub mod client;
pub mod faults;
pub mod front;
pub mod invariants;
pub mod outcome;
pub mod report;
pub mod rivals;
pub mod setup;
pub mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use client::{Client, References};
use faults::{Fault, Strike};
use front::{Front, Serving};
use outcome::Seen;

/// The load and the faults.
#[derive(Debug, Clone)]
pub struct Load {
    pub clients: usize,
    pub length: Length,
    pub every: Duration,
    pub faults: Vec<Fault>,
    /// Tokens of each answer.
    pub tokens: u32,
    pub seed: u64,
}

/// When it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After this time.
    Time(Duration),
    /// When so many faults are overcome.
    Faults(usize),
}

/// What came of it.
pub struct Record {
    pub seen: Vec<Seen>,
    pub begun: u64,
    pub strikes: Vec<Strike>,
    /// When clients got a part of an answer, in order.
    pub heard: Vec<Instant>,
    pub start: Instant,
    pub end: Instant,
    /// How long after the end of the load a further request had its whole answer; `None` if it has none.
    pub alive_after: Option<Duration>,
}

/// Which requests are in flight: a client's count is odd while it has one.
pub struct Turns {
    counts: Vec<AtomicU64>,
    over: AtomicBool,
}

/// The load runs so long before the first fault: time in which nothing may be restarted.
pub const CALM: Duration = Duration::from_millis(1500);

/// In a run of a given time, a front that does not come back within this one gets the next fault all the same.
const PATIENCE: Duration = Duration::from_secs(25);

/// A small generator of numbers (splitmix64), the same for the same seed.
pub struct Chance(u64);

/// Runs the load against a front, with the faults in turn.
pub async fn run(front: &Arc<Front>, load: &Load, references: &Arc<References>) -> Record {
    let start = Instant::now();
    let counts = (0..load.clients).map(|_| AtomicU64::new(0)).collect();
    let turns = Arc::new(Turns { counts, over: AtomicBool::new(false) });
    let clients: Vec<_> = (0..load.clients)
        .map(|number| {
            let client = Client::new(number, front, load, references, &turns);
            tokio::spawn(client.ask_until_it_is_over())
        })
        .collect();
    let strikes = strike(front, load, &turns, start).await;
    turns.over.store(true, Ordering::SeqCst);
    let (mut seen, mut heard) = (Vec::new(), Vec::new());
    for client in clients {
        let client = client.await.expect("a client ends");
        seen.extend(client.seen);
        heard.extend(client.heard);
    }
    heard.sort_unstable();
    let end = Instant::now();
    let begun = turns.counts.iter().map(|turn| turn.load(Ordering::SeqCst).div_ceil(2)).sum();
    let last = Client::new(0, front, load, references, &turns).ask_once(front.patience).await;
    Record { seen, begun, strikes, heard, start, end, alive_after: last.then(|| end.elapsed()) }
}

/// Strikes in turn until the run is over.
async fn strike(front: &Front, load: &Load, turns: &Turns, start: Instant) -> Vec<Strike> {
    let mut strikes = Vec::<Strike>::new();
    let mut next = start + CALM;
    while !load.is_over(start, next, strikes.len()) {
        sleep(next.saturating_duration_since(Instant::now())).await;
        next = Instant::now() + Duration::from_millis(50);
        if let Some(serving) = front.keeper.serving().await {
            let fault = load.faults[strikes.len() % load.faults.len()];
            let met = turns.now();
            let mut struck = Strike {
                busiest: front.keeper.most_at_once(&serving).await,
                restarts: front.keeper.restarts().await,
                fault,
                at: Instant::now(),
                ready_after: None,
            };
            fault.strike(&serving).await;
            let patience = match load.length {
                Length::Time(_) => PATIENCE,
                // Whoever is met has an end within this, and one that is met twice has been promised nothing.
                Length::Faults(_) => client::PATIENCE,
            };
            overcome(front, &serving, turns, &met, &mut struck, patience).await;
            next = struck.at + load.every;
            strikes.push(struck);
        }
    }
    if let Length::Time(time) = load.length {
        sleep((start + time).saturating_duration_since(Instant::now())).await;
    }
    strikes
}

/// Waits until the next server is ready and those whom the fault met have their answers, or an end without one.
async fn overcome(
    front: &Front,
    struck: &Serving,
    turns: &Turns,
    met: &[u64],
    strike: &mut Strike,
    patience: Duration,
) {
    while strike.at.elapsed() < patience {
        if strike.ready_after.is_none() && front.keeper.serving().await.is_some_and(|now| now.epoch > struck.epoch) {
            strike.ready_after = Some(strike.at.elapsed());
        }
        if strike.ready_after.is_some() && turns.have_moved_on(met) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

// === impl Load ===

impl Load {
    /// Whether there is no further fault, if it could come at `next`.
    fn is_over(&self, start: Instant, next: Instant, faults: usize) -> bool {
        match self.length {
            // What is struck at the very end would be a fault without anybody who sees it.
            Length::Time(time) => self.faults.is_empty() || next + self.every / 2 > start + time,
            Length::Faults(wanted) => faults >= wanted,
        }
    }
}

// === impl Record ===

impl Record {
    /// How long after a strike the first token of the next server came: the end of the longest silence that follows.
    pub fn silence_after(&self, number: usize) -> Duration {
        let from = self.strikes[number].at;
        let to = self.strikes.get(number + 1).map_or(self.end, |next| next.at);
        let within = self.heard.iter().copied().filter(|at| (from..to).contains(at));
        let (mut last, mut longest) = (from, (Duration::ZERO, Duration::ZERO));
        for at in within.chain([to]) {
            longest = longest.max((at - last, at - from));
            last = at;
        }
        longest.1
    }
}

// === impl Turns ===

impl Turns {
    /// Client `number` begins a request, or ends it.
    pub fn turn(&self, number: usize) {
        self.counts[number].fetch_add(1, Ordering::SeqCst);
    }

    /// Whether no further request is to be begun.
    pub fn are_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn now(&self) -> Vec<u64> {
        self.counts.iter().map(|turn| turn.load(Ordering::SeqCst)).collect()
    }

    /// Whether the requests that were in flight then have ended.
    fn have_moved_on(&self, then: &[u64]) -> bool {
        then.iter().zip(self.now()).all(|(then, now)| then % 2 == 0 || now > *then)
    }
}

// === impl Chance ===

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A seed that nobody has chosen.
pub fn fresh_seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| u64::from(age.subsec_nanos()))
}
