//! What a server's memory calls for: nothing, a planned restart when it is idle, or its end at once.
//!
//! ```text
//!           over the soft limit, confirmed          idle for a moment, or patience is over,
//!   FINE ─────────────────────────────────▶ HIGH ── and the last one was long enough ago ───▶ recycle, once
//!    ▲  ◀──────────────────────────────────  │
//!    │      a tenth below it                 └─ it was never below since it became ready: nothing helps, only told
//!    │
//!    └── any state: over the hard limit, confirmed ─────────────────────────────────────────▶ end it: a failure
//! ```
//!
//! * One reading decides nothing: a load or a long prompt may need more for a moment. Over a limit is what was over it in every
//!   reading for the time of `confirm`.
//! * The soft limit is about a server that serves; the hard one also about one that is being loaded.
//! * A recycle that cannot help is not tried: an incarnation that was above the limit from the beginning would come back the
//!   same. And two of them are at least `every` apart, so that a server that leaks quickly serves for most of its time.
//! * An end for the hard limit is a failure like a crash: who counts failures sees to it that a limit below what the server
//!   needs does not become a loop.

use std::time::Duration;

use crate::Monotonic;

/// A server without a request for so long counts as idle here: between two requests of one conversation there is less.
const IDLE: Duration = Duration::from_secs(2);

/// The limits of one server. They may be changed at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLimits {
    /// Above it, it is restarted when it is idle; in bytes.
    pub soft: Option<u64>,
    /// Above it, it is ended at once; in bytes.
    pub hard: Option<u64>,
    /// A server that never is idle is restarted after so long above its soft limit.
    pub patience: Duration,
    /// Between two restarts for the soft limit there is at least so much time.
    pub every: Duration,
}

/// One look at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReading {
    /// Its incarnation.
    pub epoch: u64,
    /// What it is doing.
    pub stage: Stage,
    /// What its process group uses, in bytes.
    pub bytes: u64,
    /// So many requests are with it.
    pub in_flight: u32,
    /// When one last began or ended.
    pub last_use: Monotonic,
}

/// What a server is doing whose memory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is being loaded.
    Loading,
    /// It serves.
    Serving,
    /// It is on its way out already.
    Leaving,
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The one for a restart when that suits.
    Soft,
    /// The one that ends it.
    Hard,
}

/// What a reading calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct MemoryVerdict {
    /// A limit that it is above, as is known from this reading on.
    pub news: Option<Limit>,
    /// What is to be done.
    pub act: MemoryAct,
}

/// What is to be done about a server's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryAct {
    /// Nothing.
    Nothing,
    /// A planned restart.
    Recycle,
    /// Its end: it has failed.
    End,
}

/// The machine described in the module's head, of one server.
#[derive(Debug, Clone, Default)]
pub struct MemoryWatch {
    confirm: Duration,
    life: Life,
    recycled: Option<Monotonic>,
}

/// What is known of the present incarnation.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    epoch: u64,
    over_soft: Over,
    over_hard: Over,
    /// Whether it was below the soft limit once it served.
    was_below: bool,
    told: Told,
}

/// What an incarnation has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// To make place for another one when that suits.
    Recycle,
    /// To end.
    End,
}

/// Since when every reading was over a limit, and whether that is known.
#[derive(Debug, Clone, Copy, Default)]
struct Over {
    since: Option<Monotonic>,
    confirmed: Option<Monotonic>,
}

// === impl MemoryLimits ===

impl MemoryLimits {
    /// Whether there is anything to watch.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.soft.is_some() || self.hard.is_some()
    }

    /// A limit, in bytes.
    #[must_use]
    pub const fn of(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Soft => self.soft,
            Limit::Hard => self.hard,
        }
    }
}

// === impl Limit ===

impl Limit {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

// === impl MemoryWatch ===

impl MemoryWatch {
    /// One that takes a reading for true when all of them were over the limit for `confirm`.
    #[must_use]
    pub fn new(confirm: Duration) -> Self {
        Self { confirm, ..Self::default() }
    }

    /// The readings come at another pace.
    pub fn set_confirm(&mut self, confirm: Duration) {
        self.confirm = confirm;
    }

    /// What `reading` calls for, by these `limits`.
    pub fn on_reading(&mut self, limits: &MemoryLimits, reading: MemoryReading, now: Monotonic) -> MemoryVerdict {
        if reading.epoch != self.life.epoch {
            self.life = Life { epoch: reading.epoch, ..Life::default() };
        }
        let hard = self.life.over_hard.on_reading(reading.bytes, limits.hard, self.confirm, now);
        // What it takes while it is loaded says nothing of what it will take.
        let soft_limit = match reading.stage {
            Stage::Loading | Stage::Leaving => None,
            Stage::Serving => limits.soft,
        };
        let soft = self.life.over_soft.on_reading(reading.bytes, soft_limit, self.confirm, now);
        self.life.was_below |= soft_limit.is_some_and(|limit| reading.bytes <= limit);
        let news = match (hard, soft) {
            (News::Over, _) => Some(Limit::Hard),
            (News::None, News::Over) => Some(Limit::Soft),
            (News::None, News::None) => None,
        };
        let act = self.act(limits, reading, now);
        match act {
            MemoryAct::Nothing => {}
            MemoryAct::Recycle => (self.life.told, self.recycled) = (Told::Recycle, Some(now)),
            MemoryAct::End => self.life.told = Told::End,
        }
        MemoryVerdict { news, act }
    }

    fn act(&self, limits: &MemoryLimits, reading: MemoryReading, now: Monotonic) -> MemoryAct {
        match (self.life.told, self.life.over_hard.confirmed) {
            (Told::End, _) => return MemoryAct::Nothing,
            (Told::Nothing | Told::Recycle, Some(_)) => return MemoryAct::End,
            (Told::Recycle, None) => return MemoryAct::Nothing,
            (Told::Nothing, None) => {}
        }
        let Some(high_since) = self.life.over_soft.confirmed else { return MemoryAct::Nothing };
        let idle = reading.in_flight == 0 && now >= reading.last_use + IDLE;
        let suits = idle || now >= high_since + limits.patience;
        let again = self.recycled.is_none_or(|last| now >= last + limits.every);
        if suits && again && self.life.was_below { MemoryAct::Recycle } else { MemoryAct::Nothing }
    }
}

/// What has become known of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    Over,
}

// === impl Over ===

impl Over {
    fn on_reading(&mut self, bytes: u64, limit: Option<u64>, confirm: Duration, now: Monotonic) -> News {
        let Some(limit) = limit else {
            *self = Self::default();
            return News::None;
        };
        if bytes > limit {
            let since = *self.since.get_or_insert(now);
            if self.confirmed.is_none() && now >= since + confirm && now > since {
                self.confirmed = Some(now);
                return News::Over;
            }
        } else {
            self.since = None;
            // One that goes up and down around its limit is one story, not many.
            if bytes <= limit - limit / 10 {
                self.confirmed = None;
            }
        }
        News::None
    }
}

#[cfg(test)]
mod tests;
