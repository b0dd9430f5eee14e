//! How long to wait before the next start: an exponential curve with a cap.
//!
//! ```text
//! delay(n) = min(initial * 2^(n-1), max) * (1 - jitter * r),   n = consecutive failures,  r in 0..=1
//! ```
//!
//! With the defaults: 2, 4, 8, 16, 32, 60, 60 … seconds. Jitter only ever shortens a delay, so `max` is a promise (Akka adds
//! its jitter after the cap and can exceed it).

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A validated curve of restart delays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    jitter: f64,
}

/// Why a [`Backoff`] was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InvalidBackoff {
    /// The first delay is zero, so every delay would be.
    ZeroInitial,
    /// The first delay is longer than the longest one.
    InitialAboveMax {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// The jitter is no fraction between 0 and 1.
    Jitter(f64),
}

// === impl Backoff ===

impl Backoff {
    /// A curve that begins at `initial`, doubles with each further failure and never exceeds `max`.
    ///
    /// `jitter` is the fraction of a delay that chance may take away: 0 keeps the numbers exact, 1 spreads them evenly
    /// between nothing and the full delay.
    ///
    /// # Errors
    /// [`InvalidBackoff`] if `initial` is zero or above `max`, or `jitter` lies outside 0..=1.
    pub fn new(initial: Duration, max: Duration, jitter: f64) -> Result<Self, InvalidBackoff> {
        if initial.is_zero() {
            return Err(InvalidBackoff::ZeroInitial);
        }
        if initial > max {
            return Err(InvalidBackoff::InitialAboveMax { initial, max });
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidBackoff::Jitter(jitter));
        }
        Ok(Self { initial, max, jitter })
    }

    /// The delay before the restart that follows the `consecutive_failures`-th failure in a row (the first one is 1; 0 is
    /// taken for 1).
    ///
    /// `unit_random` is a number in 0..=1 from the caller's source of chance; it matters only where there is jitter.
    #[must_use]
    pub fn delay(&self, consecutive_failures: u32, unit_random: f64) -> Duration {
        let doublings = consecutive_failures.saturating_sub(1);
        // Anything that does not fit is above every cap.
        let uncapped = 2_u32.checked_pow(doublings).and_then(|factor| self.initial.checked_mul(factor));
        let delay = uncapped.map_or(self.max, |delay| delay.min(self.max));
        // The exact value must not pass through a float when there is nothing to take away.
        if self.jitter == 0.0 {
            return delay;
        }
        let chance = if unit_random.is_nan() { 0.0 } else { unit_random.clamp(0.0, 1.0) };
        delay.mul_f64(1.0 - self.jitter * chance).min(delay)
    }

    /// The delay after the first failure.
    #[must_use]
    pub const fn initial(&self) -> Duration {
        self.initial
    }

    /// The longest delay.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The fraction of a delay that chance may take away.
    #[must_use]
    pub const fn jitter(&self) -> f64 {
        self.jitter
    }
}

impl Default for Backoff {
    /// 2 s, doubling, up to 60 s, no jitter.
    fn default() -> Self {
        Self { initial: Duration::from_secs(2), max: Duration::from_secs(60), jitter: 0.0 }
    }
}

// === impl InvalidBackoff ===

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroInitial => f.write_str("the first delay must be longer than zero"),
            Self::InitialAboveMax { initial, max } => {
                write!(f, "the first delay ({initial:?}) is longer than the longest one ({max:?})")
            }
            Self::Jitter(jitter) => write!(f, "the jitter must lie between 0 and 1, not {jitter}"),
        }
    }
}

impl Error for InvalidBackoff {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_documented_delays_are_exact() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (1..=7).map(|n| backoff.delay(n, 0.9).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay(3, 0.5).subsec_nanos(), 0);
    }

    #[test]
    fn the_edges_of_the_count_give_the_edges_of_the_curve() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(0, 0.0), S(2));
        assert_eq!(backoff.delay(u32::MAX, 0.0), S(60));
        let huge = Backoff::new(Duration::MAX, Duration::MAX, 0.0).unwrap();
        assert_eq!(huge.delay(2, 0.0), Duration::MAX);
    }

    #[test]
    fn a_curve_that_makes_no_sense_is_refused_with_its_reason() {
        assert_eq!(Backoff::new(S(0), S(1), 0.0), Err(InvalidBackoff::ZeroInitial));
        assert_eq!(Backoff::new(S(3), S(1), 0.0), Err(InvalidBackoff::InitialAboveMax { initial: S(3), max: S(1) }));
        assert_eq!(Backoff::new(S(1), S(1), 1.5), Err(InvalidBackoff::Jitter(1.5)));
        assert!(matches!(Backoff::new(S(1), S(1), f64::NAN), Err(InvalidBackoff::Jitter(_))));
    }

    #[test]
    fn full_jitter_spreads_a_delay_between_nothing_and_all_of_it() {
        let backoff = Backoff::new(S(2), S(60), 1.0).unwrap();
        assert_eq!(backoff.delay(1, 0.0), S(2));
        assert_eq!(backoff.delay(1, 0.5), S(1));
        assert_eq!(backoff.delay(1, 1.0), S(0));
        assert_eq!(backoff.delay(1, f64::NAN), S(2));
    }

    proptest! {
        #[test]
        fn a_delay_never_exceeds_the_cap_nor_loses_more_than_the_jitter(
            initial in 1_u64..100_000, extra in 0_u64..10_000_000, jitter in 0.0..=1.0_f64,
            n in any::<u32>(), chance in any::<f64>(),
        ) {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(initial + extra));
            let plain = Backoff::new(initial, max, 0.0).unwrap().delay(n, chance);
            let delay = Backoff::new(initial, max, jitter).unwrap().delay(n, chance);
            prop_assert!(plain >= initial && plain <= max);
            prop_assert!(delay <= plain);
            prop_assert!(delay.as_secs_f64() >= plain.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }

        #[test]
        fn more_failures_never_mean_a_shorter_wait(n in 0_u32..1000) {
            let backoff = Backoff::default();
            prop_assert!(backoff.delay(n, 0.0) <= backoff.delay(n + 1, 0.0));
        }
    }
}
