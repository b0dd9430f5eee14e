//! Whether a server can be used now, and if not, when: the control path's facts about one server, put together as those who
//! forward requests need them.
//!
//! Plain facts, and a `watch`: nobody has to ask twice.

mod follow;
mod starts;

pub(crate) use follow::follow;
pub use starts::StartTimes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::drain::Aim;
use mlx_tree_policy::{BreakerState, Monotonic, RestartSnapshot};
use mlx_tree_supervision::{ChildState, ChildStatus, Restart};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::server::{Ended, ServerPhase, ServerView};
use crate::tree::Planned;

/// Whether a server can be used, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// The incarnation that this is about: the one that runs, or the last one that did.
    pub epoch: u64,
    /// What it can be used for.
    pub state: Reach,
    /// How long a start takes from the launch to ready, going by those that were seen; `None` before the first.
    pub start_takes: Option<Duration>,
    /// How the last incarnation ended of which that is decided.
    pub ended: Option<Ended>,
}

/// Whether a server can be used, and what has to happen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It serves.
    Ready {
        /// Here.
        address: SocketAddr,
    },
    /// It serves what it has, and gets nothing new for now: another server waits for its memory, or it is about to be restarted.
    Yielding {
        /// Here.
        address: SocketAddr,
        /// Why, in one line.
        reason: Arc<str>,
    },
    /// It serves what it has, and is stopped then.
    Finishing {
        /// Here.
        address: SocketAddr,
        /// Why, in one line.
        reason: Arc<str>,
    },
    /// It is being started.
    Starting {
        /// Since when.
        since: Instant,
        /// Why there was a start, in one line.
        reason: Arc<str>,
    },
    /// It was told to go, and comes back: a planned restart.
    Recycling {
        /// Who has asked for it and why, in one line.
        reason: Arc<str>,
    },
    /// It is down, and will be started by itself.
    Waiting {
        /// When the start is due, where that is known.
        until: Option<Instant>,
        /// Why it went down, in one line.
        reason: Arc<str>,
    },
    /// Its breaker is open.
    BreakerOpen {
        /// When one start is tried, where that is known.
        until: Option<Instant>,
        /// Why it opened, in one line.
        reason: Arc<str>,
    },
    /// It sleeps, and is started when it is wanted.
    Asleep,
    /// It is down, and only an operator starts it.
    Stopped {
        /// Why, in one line.
        reason: Arc<str>,
    },
    /// The tree is ending.
    Draining,
}

/// What is to become of a server, apart from failures: the operator's word, or the memory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is to run.
    Run,
    /// It is on its way down, and up again.
    Restart,
    /// It is to sleep until somebody asks for it.
    Sleep,
    /// It is to stay down.
    Stop,
}

/// Whether it is to have new requests while it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is.
    Keeps,
    /// It is not: another one waits.
    Yields,
}

/// What is said of a server that an operator has stopped.
pub(crate) const STOPPED: &str = "stopped by an operator";

/// What is said of a server that is down and is started for somebody.
const COMING: &str = "it is being started";

/// What is said of a server that gives way to another one.
const GIVES_WAY: &str = "it gives its memory to another server";

/// What is known when it is judged.
pub(crate) struct Facts<'a> {
    pub(crate) child: Option<&'a ChildStatus>,
    pub(crate) view: &'a ServerView,
    pub(crate) gate: &'a RestartSnapshot,
    pub(crate) wish: Wish,
    pub(crate) turn: Turn,
    pub(crate) planned: Option<&'a Planned>,
    pub(crate) restart: Restart,
    /// When the present incarnation began to start.
    pub(crate) since: Instant,
    pub(crate) clock: Clock,
}

// === impl Availability ===

impl Availability {
    /// Before anything is known.
    #[must_use]
    pub(crate) fn unknown() -> Self {
        let state = Reach::Waiting { until: None, reason: "it has not been started yet".into() };
        Self { epoch: 0, state, start_takes: None, ended: None }
    }

    /// When it will be ready, as far as can be told; `None` when that is unknown or nothing is going to happen by itself.
    #[must_use]
    pub fn ready_at(&self) -> Option<Instant> {
        let takes = self.start_takes?;
        match &self.state {
            Reach::Starting { since, .. } => Some(*since + takes),
            Reach::Waiting { until, .. } | Reach::BreakerOpen { until, .. } => until.map(|until| until + takes),
            Reach::Ready { .. }
            | Reach::Yielding { .. }
            | Reach::Finishing { .. }
            | Reach::Recycling { .. }
            | Reach::Asleep
            | Reach::Stopped { .. }
            | Reach::Draining => None,
        }
    }
}

// === impl Facts ===

impl Facts<'_> {
    /// What they amount to.
    pub(crate) fn judge(&self) -> Reach {
        let Some(child) = self.child else {
            return Reach::Waiting { until: None, reason: "its supervisor is being started".into() };
        };
        match &child.state {
            ChildState::Starting | ChildState::Up | ChildState::Ready => self.running(child),
            ChildState::Down => self.down(child, "it has ended by itself, as it may"),
            ChildState::Stopping => self.down(child, "it is being stopped"),
            ChildState::Waiting { until } => {
                Reach::Waiting { until: Some(self.clock.at(*until)), reason: last_exit(child) }
            }
            ChildState::Suspended { reason, .. } if self.restart == Restart::Temporary => {
                Reach::Stopped { reason: Arc::clone(reason) }
            }
            ChildState::Suspended { reason, .. } => self.held(reason),
            ChildState::Stuck => Reach::Stopped { reason: "it does not end: it hangs in the kernel".into() },
        }
    }

    fn running(&self, child: &ChildStatus) -> Reach {
        let current = self.view.epoch == child.epoch.get();
        let address = self.view.url.as_deref().and_then(|url| url.strip_prefix("http://")?.parse().ok());
        match (self.view.phase, address) {
            (ServerPhase::Ready { .. }, Some(address)) if current => self.serving(address),
            // It has been given up, or has just ended, and the supervisor does not know of it yet.
            (ServerPhase::Stopping, _) if current => self.going("it does not answer and is being ended"),
            (ServerPhase::Absent, _) if current => self.going("it went down"),
            _ => Reach::Starting { since: self.since, reason: last_exit(child) },
        }
    }

    fn serving(&self, address: SocketAddr) -> Reach {
        match (self.planned, self.turn) {
            (Some(planned), _) => {
                let reason = Arc::clone(&planned.reason);
                match planned.drain.aim() {
                    Aim::Stop => Reach::Finishing { address, reason },
                    Aim::Restart => Reach::Yielding { address, reason },
                }
            }
            (None, Turn::Yields) => Reach::Yielding { address, reason: GIVES_WAY.into() },
            (None, Turn::Keeps) => Reach::Ready { address },
        }
    }

    /// On its way down: because somebody wishes so, or `by_itself`.
    fn going(&self, by_itself: &str) -> Reach {
        match self.wish {
            Wish::Run => Reach::Waiting { until: None, reason: by_itself.into() },
            Wish::Restart => self.coming(),
            Wish::Sleep => Reach::Asleep,
            Wish::Stop => Reach::Stopped { reason: STOPPED.into() },
        }
    }

    fn down(&self, child: &ChildStatus, by_itself: &str) -> Reach {
        match self.wish {
            Wish::Stop => Reach::Stopped { reason: STOPPED.into() },
            Wish::Restart => self.coming(),
            Wish::Sleep => match &self.gate.breaker {
                BreakerState::Open { until, reason, .. } if until.is_none_or(|until| until > self.clock.now()) => {
                    self.open(*until, &reason.to_string())
                }
                BreakerState::Open { .. } | BreakerState::HalfOpen { .. } | BreakerState::Closed => Reach::Asleep,
            },
            Wish::Run if child.epoch.get() == 0 => {
                Reach::Waiting { until: None, reason: "it has not been started yet".into() }
            }
            Wish::Run => Reach::Stopped { reason: by_itself.into() },
        }
    }

    /// It is down because somebody wants it up again.
    fn coming(&self) -> Reach {
        Reach::Recycling { reason: self.planned.map_or_else(|| COMING.into(), |planned| Arc::clone(&planned.reason)) }
    }

    fn held(&self, why: &str) -> Reach {
        match &self.gate.breaker {
            BreakerState::Open { until, reason, .. } => self.open(*until, &reason.to_string()),
            // Its trial is about to begin. What the gate waits for next is the end of it, which is nobody's start.
            BreakerState::HalfOpen { .. } => Reach::Waiting { until: None, reason: why.into() },
            BreakerState::Closed => {
                Reach::Waiting { until: self.gate.next.map(|at| self.clock.at(at)), reason: why.into() }
            }
        }
    }

    fn open(&self, until: Option<Monotonic>, reason: &str) -> Reach {
        Reach::BreakerOpen { until: until.map(|at| self.clock.at(at)), reason: reason.into() }
    }
}

fn last_exit(child: &ChildStatus) -> Arc<str> {
    child.last_exit.as_ref().map_or_else(|| "it is being started".into(), |exit| exit.reason.to_string().into())
}

#[cfg(test)]
mod tests;
