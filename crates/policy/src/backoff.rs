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
    /// No delay at all: every restart is at once, as in OTP. Asked for by name, so that nobody gets it by a slip.
    pub const NONE: Self = Self { initial: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 };

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

    /// Akka's three numbers: `min(max, min * 2^(n-1)) * (1 + random_factor * r)`, to the same delays.
    ///
    /// Akka adds its jitter after the cap, so its longest delay is `max * (1 + random_factor)`, whatever `max` says. Here that
    /// product is the curve's [`max`](Backoff::max), and jitter takes away from it.
    ///
    /// # Errors
    /// [`InvalidBackoff`] if `min` is zero or above `max`, or `random_factor` is negative or no number.
    pub fn from_min_max(min: Duration, max: Duration, random_factor: f64) -> Result<Self, InvalidBackoff> {
        if !(random_factor >= 0.0 && random_factor.is_finite()) {
            return Err(InvalidBackoff::Jitter(random_factor));
        }
        if random_factor == 0.0 {
            return Self::new(min, max, 0.0);
        }
        let spread = 1.0 + random_factor;
        let widened =
            |span: Duration| Duration::try_from_secs_f64(span.as_secs_f64() * spread).unwrap_or(Duration::MAX);
        let Self { initial, max, .. } = Self::new(min, max, 0.0)?;
        Self::new(widened(initial), widened(max), random_factor / spread)
    }

    /// The delays of a kubelet's `CrashLoopBackOff`: 10 s, doubling, up to 300 s. A kubelet's very first restart is not
    /// delayed: see [`Schedule::crash_loop`](crate::Schedule::crash_loop).
    #[must_use]
    pub const fn crash_loop() -> Self {
        Self { initial: Duration::from_secs(10), max: Duration::from_secs(300), jitter: 0.0 }
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
    fn no_delay_stays_none_however_often_it_fails() {
        assert!([1, 2, 40, u32::MAX].into_iter().all(|n| Backoff::NONE.delay(n, 0.5).is_zero()));
    }

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

    #[test]
    fn akkas_random_factor_must_be_a_number_that_lengthens() {
        for wrong in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(Backoff::from_min_max(S(1), S(2), wrong), Err(InvalidBackoff::Jitter(_))));
        }
        assert_eq!(Backoff::from_min_max(S(0), S(2), 0.2), Err(InvalidBackoff::ZeroInitial));
        assert_eq!(
            Backoff::from_min_max(S(3), S(2), 0.2),
            Err(InvalidBackoff::InitialAboveMax { initial: S(3), max: S(2) })
        );
        assert_eq!(Backoff::from_min_max(S(3), S(30), 0.2).unwrap().max(), S(36));
    }

    proptest! {
        #[test]
        fn akkas_numbers_give_akkas_delays(
            min in 1_u64..10_000, extra in 0_u64..1_000_000, factor in 0.0..3.0_f64, n in 1_u32..40, chance in 0.0..=1.0_f64,
        ) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + extra));
            let capped = (min.as_secs_f64() * 2_f64.powi(n as i32 - 1)).min(max.as_secs_f64());
            let akka = capped * (1.0 + factor * chance);
            // Chance that lengthens there shortens here.
            let ours = Backoff::from_min_max(min, max, factor).unwrap();
            prop_assert!((ours.delay(n, 1.0 - chance).as_secs_f64() - akka).abs() < akka * 1e-6 + 1e-6);
            prop_assert!(ours.delay(n, 0.0) <= ours.max());
        }

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
