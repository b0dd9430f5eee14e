//! The numbers of a restart policy, checked.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{Backoff, BreakerConfig, Intensity, InvalidBreaker};

/// The numbers of a [`RestartPolicy`](super::RestartPolicy).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestartPolicyConfig {
    /// The limit whose excess opens the breaker.
    pub intensity: Intensity,
    /// The delays between restarts while the breaker is closed.
    pub backoff: Backoff,
    /// The breaker. Its `failure_threshold` counts failed *restarts*: with 5, the failure of the fifth restart in a row
    /// opens it, which is the sixth failure, because the first run that failed was no restart.
    pub breaker: BreakerConfig,
    /// A run that stays ready for so long is a success and clears the history.
    pub stable_after: Duration,
}

/// Why a [`RestartPolicyConfig`] was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InvalidPolicy {
    /// The breaker's numbers make no sense.
    Breaker(InvalidBreaker),
    /// A run would count as a success before its trial is over.
    StableWithinProbation {
        /// How long a run has to stay ready to be a success.
        stable_after: Duration,
        /// How long a trial has to stay ready.
        probation: Duration,
    },
}

// === impl RestartPolicyConfig ===

impl RestartPolicyConfig {
    /// Whether these numbers make sense together.
    ///
    /// # Errors
    /// [`InvalidPolicy`], the first thing that does not.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        self.breaker.check()?;
        if self.stable_after < self.breaker.probation {
            return Err(InvalidPolicy::StableWithinProbation {
                stable_after: self.stable_after,
                probation: self.breaker.probation,
            });
        }
        Ok(())
    }

    /// The breaker's numbers with a threshold that counts failures instead of failed restarts.
    pub(super) fn failure_breaker(&self) -> BreakerConfig {
        BreakerConfig { failure_threshold: self.breaker.failure_threshold.saturating_add(1), ..self.breaker }
    }
}

impl Default for RestartPolicyConfig {
    /// 5 restarts in 300 s; delays of 2 s to 60 s; the breaker's defaults; stable after 300 s.
    fn default() -> Self {
        Self {
            intensity: Intensity::new(5, Duration::from_secs(300)),
            backoff: Backoff::default(),
            breaker: BreakerConfig::default(),
            stable_after: Duration::from_secs(300),
        }
    }
}

// === impl InvalidPolicy ===

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The source says it.
            Self::Breaker(_) => f.write_str("the breaker's numbers make no sense"),
            Self::StableWithinProbation { stable_after, probation } => {
                write!(f, "a run would count as stable ({stable_after:?}) before its probation ({probation:?}) is over")
            }
        }
    }
}

impl Error for InvalidPolicy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Breaker(invalid) => Some(invalid),
            Self::StableWithinProbation { .. } => None,
        }
    }
}

impl From<InvalidBreaker> for InvalidPolicy {
    fn from(invalid: InvalidBreaker) -> Self {
        Self::Breaker(invalid)
    }
}
