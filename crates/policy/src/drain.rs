//! Planned ends: a server gets nothing new, finishes what it works on, and is then started afresh or stays down.
//!
//! ```text
//!             restart, recycle                 finished, or out of time, or "now"
//!   serving ────────────────────▶ DRAINING      ─────────────────────────────────▶ end it, start it
//!    │   ▲                        to restart
//!    │   │                          │  ▲  restart, once more by an operator: "now"
//!    │   │                    drain │  │ restart
//!    │   │                          ▼  │
//!    │   └──────────── start ──── DRAINING      ─────────────────────────────────▶ end it, it stays down
//!    └────────────────────────▶ to stop            stop: "now"
//!             drain
//! ```
//!
//! How one begins depends on how the server stands: one that hangs or is not there yet has nothing to finish.
//!
//! | | serves | suspect | being started | down |
//! |---|---|---|---|---|
//! | restart | drains | at once | at once | at once |
//! | recycle | drains | at once | at once | nothing: it comes back afresh, if it does |
//! | drain | drains | drains | at once | at once |
//!
//! The last word holds. Nothing in here is a failure, and nothing in here forgets one.

use std::time::Duration;

use crate::Monotonic;

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// An operator wants it started afresh, and what was held against it forgotten.
    Restart,
    /// It is to be started afresh if it runs, for a reason of its own: a changed configuration, or its memory.
    Recycle,
    /// An operator wants it down, when it has finished what it works on.
    Drain,
    /// An operator wants it down.
    Stop,
    /// An operator wants it up.
    Start,
}

/// How a server stands of which something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It serves.
    Serving,
    /// It served lately, and there is doubt whether it still does.
    Suspect,
    /// It is being started.
    Starting,
    /// It is down, whether it comes back or not.
    Down,
}

/// What follows when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The server is started afresh.
    Restart,
    /// It stays down until an operator starts it.
    Stop,
}

/// Who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// An operator.
    ByOperator,
    /// Nobody in person.
    ByItself,
}

/// How long may still be waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Until this moment.
    Until(Monotonic),
    /// Not at all.
    Now,
}

/// What becomes of a drain after a further word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Course {
    /// It goes on.
    Goes,
    /// It is off, and the server goes on as before.
    CalledOff,
}

/// How things are at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    /// Whether it still is the incarnation that drains, and serves.
    pub life: Life,
    /// Whether those who send requests know that it gets none.
    pub door: Door,
    /// So many requests are with it.
    pub in_flight: u32,
}

/// Whether the incarnation that drains still serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Serves,
    /// It does not: it went down by itself, or somebody else ended it.
    Over,
}

/// Whether those who send requests know that a server gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// They may not know yet.
    Open,
    /// They do.
    Shut,
}

/// A planned end that has begun. The machine described in the module's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    aim: Aim,
    asked: Asked,
    haste: Haste,
}

// === impl Drain ===

impl Drain {
    /// Begins one for `word`, which may take `limit`; `None` if nothing is to be done for it.
    #[must_use]
    pub fn begin(word: Word, stand: Stand, limit: Duration, now: Monotonic) -> Option<Self> {
        let patiently = Haste::Until(now + limit);
        let (aim, asked) = match word {
            Word::Restart => (Aim::Restart, Asked::ByOperator),
            Word::Recycle => (Aim::Restart, Asked::ByItself),
            Word::Drain | Word::Stop => (Aim::Stop, Asked::ByOperator),
            Word::Start => return None,
        };
        let haste = match (word, stand) {
            (Word::Recycle, Stand::Down) | (Word::Start, _) => return None,
            (Word::Restart | Word::Recycle, Stand::Serving) | (Word::Drain, Stand::Serving | Stand::Suspect) => {
                patiently
            }
            (Word::Restart | Word::Recycle, Stand::Suspect | Stand::Starting)
            | (Word::Restart, Stand::Down)
            | (Word::Drain, Stand::Starting | Stand::Down)
            | (Word::Stop, _) => Haste::Now,
        };
        Some(Self { aim, asked, haste })
    }

    /// Somebody asks for something while it is under way.
    pub fn on_word(&mut self, word: Word) -> Course {
        match (word, self.aim) {
            (Word::Restart, Aim::Restart) => match self.asked {
                Asked::ByOperator => self.haste = Haste::Now,
                Asked::ByItself => self.asked = Asked::ByOperator,
            },
            (Word::Restart, Aim::Stop) => (self.aim, self.asked) = (Aim::Restart, Asked::ByOperator),
            // Whatever happens, its next life will be a fresh one.
            (Word::Recycle, Aim::Restart | Aim::Stop) => {}
            (Word::Drain, Aim::Restart | Aim::Stop) => (self.aim, self.asked) = (Aim::Stop, Asked::ByOperator),
            (Word::Stop, Aim::Restart | Aim::Stop) => {
                *self = Self { aim: Aim::Stop, asked: Asked::ByOperator, haste: Haste::Now };
            }
            // It will be up in any case.
            (Word::Start, Aim::Restart) => {}
            (Word::Start, Aim::Stop) => return Course::CalledOff,
        }
        Course::Goes
    }

    /// Whether the server is to be ended now.
    #[must_use]
    pub fn is_ripe(&self, scene: Scene, now: Monotonic) -> bool {
        let waits = match self.haste {
            Haste::Until(until) => now < until,
            Haste::Now => false,
        };
        let finished = match (scene.life, scene.door) {
            (Life::Over, _) => true,
            // Whoever does not know may send something in this very moment.
            (Life::Serves, Door::Open) => false,
            (Life::Serves, Door::Shut) => scene.in_flight == 0,
        };
        finished || !waits
    }

    /// What follows when it is over.
    #[must_use]
    pub const fn aim(&self) -> Aim {
        self.aim
    }

    /// Who wants it.
    #[must_use]
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Until when the server may finish what it works on; `None` if it is to end at once.
    #[must_use]
    pub const fn until(&self) -> Option<Monotonic> {
        match self.haste {
            Haste::Until(until) => Some(until),
            Haste::Now => None,
        }
    }
}

#[cfg(test)]
mod tests;
