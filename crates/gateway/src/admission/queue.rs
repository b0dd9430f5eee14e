//! The order of those who wait: those who come back, oldest first; then round robin between clients, first come first served
//! within one.
//!
//! ```text
//!   coming back   ▶ 17 ▶ 19                    (had their turn; their server died)
//!   client A      ▶ 23 ▶ 24 ▶ 25 ▶ 26          ╮
//!   client B      ▶ 31                         ├ a turn each, then to the end of the round
//!   client C      ▶ 27 ▶ 33                    ╯
//! ```
//!
//! With one client it is a plain FIFO. Every operation is logarithmic in the number of entries or clients, but
//! [`Queue::remove_all`], which looks at all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use super::client::ClientKey;
use super::entry::{Place, Seq, Standing};

/// One that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Which of those that wait: never given twice.
    pub(super) place: Place,
    /// Its age.
    pub(super) seq: Seq,
    pub(super) client: ClientKey,
    pub(super) standing: Standing,
    pub(super) deadline: Instant,
    /// When it began to wait.
    pub(super) since: Instant,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Returning(Seq),
    Client(ClientKey),
}

/// What waits of one client.
#[derive(Debug, Clone)]
struct Line {
    /// Its place in the round.
    turn: u64,
    entries: BTreeMap<Place, Waiting>,
}

/// Those who wait, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    returning: BTreeMap<(Seq, Place), Waiting>,
    lines: HashMap<ClientKey, Line>,
    /// The clients in the order of their turns.
    round: BTreeMap<u64, ClientKey>,
    /// The clients by how many entries they have, the largest last.
    sizes: BTreeSet<(usize, u64)>,
    lanes: HashMap<Place, Lane>,
    next_turn: u64,
}

// === impl Queue ===

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// How many come back.
    pub(super) fn returning(&self) -> usize {
        self.returning.len()
    }

    /// How many would go before one more of this client, if all are served at the same pace.
    pub(super) fn ahead_of(&self, client: &ClientKey) -> usize {
        let own = self.of(client);
        let others = self.len() - self.returning.len() - own;
        let rounds = (own + 1).saturating_mul(self.lines.len());
        self.returning.len() + own + others.min(rounds)
    }

    /// How many this client has, of those who wait for their first turn.
    pub(super) fn of(&self, client: &ClientKey) -> usize {
        self.lines.get(client).map_or(0, |line| line.entries.len())
    }

    /// The next in order.
    pub(super) fn head(&self) -> Option<&Waiting> {
        let returning = self.returning.first_key_value().map(|(_, waiting)| waiting);
        returning.or_else(|| {
            let (_, client) = self.round.first_key_value()?;
            self.lines.get(client)?.entries.first_key_value().map(|(_, waiting)| waiting)
        })
    }

    /// Takes the next in order. If it was its client's turn, the client goes to the end of the round.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let next = *self.head()?;
        let served = self.lanes.get(&next.place).copied();
        self.remove(next.place);
        if let Some(Lane::Client(client)) = served {
            self.end_turn(client);
        }
        Some(next)
    }

    /// Adds one that waits for its first turn.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.lanes.insert(waiting.place, Lane::Client(waiting.client));
        let line = self.lines.entry(waiting.client).or_insert_with(|| {
            let turn = self.next_turn;
            self.next_turn += 1;
            self.round.insert(turn, waiting.client);
            Line { turn, entries: BTreeMap::new() }
        });
        let before = line.entries.len();
        line.entries.insert(waiting.place, waiting);
        self.sizes.remove(&(before, line.turn));
        self.sizes.insert((before + 1, line.turn));
    }

    /// Adds one that has had its turn and comes back.
    pub(super) fn push_back_in(&mut self, waiting: Waiting) {
        self.lanes.insert(waiting.place, Lane::Returning(waiting.seq));
        self.returning.insert((waiting.seq, waiting.place), waiting);
    }

    /// Takes one out, wherever it stands.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waiting> {
        match self.lanes.remove(&place)? {
            Lane::Returning(seq) => self.returning.remove(&(seq, place)),
            Lane::Client(client) => {
                let line = self.lines.get_mut(&client)?;
                let before = line.entries.len();
                let removed = line.entries.remove(&place);
                let turn = line.turn;
                self.sizes.remove(&(before, turn));
                if before > 1 {
                    self.sizes.insert((before - 1, turn));
                } else {
                    self.round.remove(&turn);
                    self.lines.remove(&client);
                }
                removed
            }
        }
    }

    /// Takes out the youngest entry of the client that has most, if that has at least `least`; with how many it had.
    pub(super) fn evict(&mut self, least: usize) -> Option<(Waiting, usize)> {
        let (most, turn) = *self.sizes.last()?;
        if most < least {
            return None;
        }
        let client = *self.round.get(&turn)?;
        let (&youngest, _) = self.lines.get(&client)?.entries.last_key_value()?;
        self.remove(youngest).map(|evicted| (evicted, most))
    }

    /// Takes out all that `hopeless` says, oldest first.
    pub(super) fn remove_all(&mut self, hopeless: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let lines = self.lines.values().flat_map(|line| line.entries.values());
        let mut out: Vec<_> =
            self.returning.values().chain(lines).filter(|waiting| hopeless(waiting)).copied().collect();
        out.sort_unstable_by_key(|waiting| (waiting.seq, waiting.place));
        for waiting in &out {
            self.remove(waiting.place);
        }
        out
    }

    fn end_turn(&mut self, client: ClientKey) {
        let Some(line) = self.lines.get_mut(&client) else { return };
        let (turn, size) = (line.turn, line.entries.len());
        line.turn = self.next_turn;
        self.next_turn += 1;
        self.round.remove(&turn);
        self.round.insert(line.turn, client);
        self.sizes.remove(&(size, turn));
        self.sizes.insert((size, line.turn));
    }
}
