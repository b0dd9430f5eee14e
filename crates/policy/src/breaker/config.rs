//! The numbers of a breaker, checked.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The numbers of a [`Breaker`](super::Breaker).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// So many failures in a row open it. At least 1.
    pub failure_threshold: u32,
    /// How long the first opening lasts.
    pub open_for: Duration,
    /// Each further opening lasts so many times longer. At least 1.
    pub open_growth: f64,
    /// No opening lasts longer.
    pub open_max: Duration,
    /// How long a trial has to hold before the breaker closes.
    pub probation: Duration,
    /// A trial that is undecided for so long has failed. It has to leave room for the start and the probation.
    pub half_open_deadline: Duration,
}

/// Why a [`BreakerConfig`] was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InvalidBreaker {
    /// A breaker that opens after no failure at all never closes.
    ZeroThreshold,
    /// An opening of no length is none.
    ZeroOpen,
    /// Openings must not become shorter.
    Growth(f64),
    /// The first opening is longer than the longest one.
    OpenAboveMax {
        /// The first opening.
        open_for: Duration,
        /// The longest opening.
        open_max: Duration,
    },
    /// A trial has no chance to pass its probation before its deadline.
    DeadlineWithinProbation {
        /// How long a trial has to hold.
        probation: Duration,
        /// When it is given up.
        deadline: Duration,
    },
}

// === impl BreakerConfig ===

impl BreakerConfig {
    /// Whether these numbers make sense together.
    ///
    /// # Errors
    /// [`InvalidBreaker`], the first thing that does not.
    pub fn check(&self) -> Result<(), InvalidBreaker> {
        if self.failure_threshold == 0 {
            return Err(InvalidBreaker::ZeroThreshold);
        }
        if self.open_for.is_zero() {
            return Err(InvalidBreaker::ZeroOpen);
        }
        if !(self.open_growth >= 1.0 && self.open_growth.is_finite()) {
            return Err(InvalidBreaker::Growth(self.open_growth));
        }
        if self.open_for > self.open_max {
            return Err(InvalidBreaker::OpenAboveMax { open_for: self.open_for, open_max: self.open_max });
        }
        if self.half_open_deadline <= self.probation {
            return Err(InvalidBreaker::DeadlineWithinProbation {
                probation: self.probation,
                deadline: self.half_open_deadline,
            });
        }
        Ok(())
    }

    /// How long the opening with this growth exponent lasts: 60, 120, 240, 480, 600, 600 … s with the defaults.
    pub(super) fn open_span(&self, growth: u32) -> Duration {
        let exponent = i32::try_from(growth).unwrap_or(i32::MAX);
        let seconds = self.open_for.as_secs_f64() * self.open_growth.powi(exponent);
        // What overflows is above the cap.
        Duration::try_from_secs_f64(seconds).map_or(self.open_max, |span| span.clamp(self.open_for, self.open_max))
    }
}

impl Default for BreakerConfig {
    /// 5 failures; 60 s, doubling, up to 600 s; 60 s of probation; 660 s for the whole trial.
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            open_for: Duration::from_secs(60),
            open_growth: 2.0,
            open_max: Duration::from_secs(600),
            probation: Duration::from_secs(60),
            half_open_deadline: Duration::from_secs(660),
        }
    }
}

// === impl InvalidBreaker ===

impl fmt::Display for InvalidBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroThreshold => f.write_str("the failure threshold must be at least 1"),
            Self::ZeroOpen => f.write_str("the breaker must stay open for longer than zero"),
            Self::Growth(growth) => write!(f, "the growth must be a number of at least 1, not {growth}"),
            Self::OpenAboveMax { open_for, open_max } => {
                write!(f, "the first opening ({open_for:?}) is longer than the longest one ({open_max:?})")
            }
            Self::DeadlineWithinProbation { probation, deadline } => {
                write!(f, "a trial is given up after {deadline:?}, before its probation of {probation:?} can pass")
            }
        }
    }
}

impl Error for InvalidBreaker {}
