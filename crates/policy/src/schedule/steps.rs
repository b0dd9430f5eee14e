//! systemd's shape: `RestartSec=` to `RestartMaxDelaySec=` in `RestartSteps=`.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Delays that grow by one factor, from the first to the longest, in a number of steps.
///
/// ```text
/// delay(n) = initial * (max / initial)^((n - 1) / steps)   for n <= steps,   then max
/// ```
///
/// Without steps every delay is the first one, as in systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartSteps {
    initial: Duration,
    max: Duration,
    steps: u32,
}

/// Why [`RestartSteps`] were refused. systemd warns, and goes by `RestartSec=` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidSteps {
    /// Nothing grows from zero.
    ZeroInitial,
    /// The first delay is longer than the longest one.
    InitialAboveMax {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        max: Duration,
    },
}

// === impl RestartSteps ===

impl RestartSteps {
    /// Delays from `initial` to `max`, which is reached after `steps` restarts.
    ///
    /// # Errors
    /// [`InvalidSteps`] if `initial` is zero or above `max`.
    pub const fn new(initial: Duration, max: Duration, steps: u32) -> Result<Self, InvalidSteps> {
        if initial.is_zero() {
            return Err(InvalidSteps::ZeroInitial);
        }
        if initial.as_nanos() > max.as_nanos() {
            return Err(InvalidSteps::InitialAboveMax { initial, max });
        }
        Ok(Self { initial, max, steps })
    }

    /// The delay before the n-th restart in a row (0 is taken for 1).
    #[must_use]
    pub fn delay(&self, restart: u32) -> Duration {
        if restart <= 1 || self.steps == 0 {
            return self.initial;
        }
        if restart > self.steps {
            return self.max;
        }
        let ratio = self.max.as_secs_f64() / self.initial.as_secs_f64();
        let growth = ratio.powf(f64::from(restart - 1) / f64::from(self.steps));
        let delay = Duration::try_from_secs_f64(self.initial.as_secs_f64() * growth).unwrap_or(self.max);
        delay.clamp(self.initial, self.max)
    }

    /// The longest delay.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        if self.steps == 0 { self.initial } else { self.max }
    }
}

// === impl InvalidSteps ===

impl fmt::Display for InvalidSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroInitial => f.write_str("the first delay must be longer than zero"),
            Self::InitialAboveMax { initial, max } => {
                write!(f, "the first delay ({initial:?}) is longer than the longest one ({max:?})")
            }
        }
    }
}

impl Error for InvalidSteps {}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_longest_delay_comes_after_the_steps_are_used_up() {
        let steps = RestartSteps::new(Duration::from_millis(100), S(60), 5).unwrap();
        let millis: Vec<u128> = (1..=7).map(|n| steps.delay(n).as_millis()).collect();
        assert_eq!(millis, [100, 359, 1291, 4643, 16692, 60_000, 60_000]);
    }

    #[test]
    fn without_steps_nothing_grows() {
        let steps = RestartSteps::new(S(1), S(60), 0).unwrap();
        assert_eq!([1, 2, 100].map(|n| steps.delay(n)), [S(1); 3]);
        assert_eq!(steps.longest(), S(1));
    }

    #[test]
    fn steps_that_make_no_sense_are_refused_with_their_reason() {
        assert_eq!(RestartSteps::new(S(0), S(1), 3), Err(InvalidSteps::ZeroInitial));
        let invalid = RestartSteps::new(S(3), S(1), 3).unwrap_err();
        assert_eq!(invalid, InvalidSteps::InitialAboveMax { initial: S(3), max: S(1) });
        assert_eq!(invalid.to_string(), "the first delay (3s) is longer than the longest one (1s)");
    }
}
