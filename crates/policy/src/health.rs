//! When missed health checks add up to "down": only a streak of real evidence counts.
//!
//! Busy is not down: a miss while the server is visibly making progress says that it is slow. And a tick that comes far too
//! late (a laptop slept, we were stopped or starved) says something about us, not about the server.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Monotonic;

/// What one health check has found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The server answered as it should.
    Answered,
    /// No answer, or a wrong one.
    Missed,
    /// No answer, or a wrong one, but the server made progress elsewhere since the last check.
    Busy,
}

/// What the evidence so far amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum HealthVerdict {
    /// The last check was answered.
    Healthy,
    /// `streak` of `threshold` misses in a row.
    Missed {
        /// Misses in a row, this one included.
        streak: u32,
        /// How many make the server count as down.
        threshold: u32,
    },
    /// The streak was thrown away, for this reason.
    Discarded(Discard),
    /// The threshold is reached: the server counts as down. Stays so with every further miss.
    Unhealthy {
        /// Misses in a row, this one included.
        streak: u32,
    },
}

/// Why a streak was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// The server is making progress: slow, not down.
    Busy,
    /// The tick came more than two intervals late, so time did not pass as it seemed to.
    LateTick,
}

/// Counts misses in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthThreshold {
    threshold: NonZeroU32,
    interval: Duration,
    streak: u32,
    last_tick: Option<Monotonic>,
}

// === impl HealthThreshold ===

impl HealthThreshold {
    /// `threshold` misses in a row mean down; checks are expected every `interval`.
    #[must_use]
    pub const fn new(threshold: NonZeroU32, interval: Duration) -> Self {
        Self { threshold, interval, streak: 0, last_tick: None }
    }

    /// Takes in one check, at the time its outcome became known.
    ///
    /// A miss on a late tick does not count either: its probe may have been in flight while the machine slept.
    pub fn on_check(&mut self, evidence: Evidence, now: Monotonic) -> HealthVerdict {
        let late = self.last_tick.is_some_and(|last| {
            let lateness = now.saturating_since(last).saturating_sub(self.interval);
            lateness > self.interval.saturating_mul(2)
        });
        self.last_tick = Some(now);
        match (evidence, late) {
            (Evidence::Answered, true | false) => {
                self.streak = 0;
                HealthVerdict::Healthy
            }
            (Evidence::Busy, true | false) => {
                self.streak = 0;
                HealthVerdict::Discarded(Discard::Busy)
            }
            (Evidence::Missed, true) => {
                self.streak = 0;
                HealthVerdict::Discarded(Discard::LateTick)
            }
            (Evidence::Missed, false) => {
                self.streak = self.streak.saturating_add(1);
                let (streak, threshold) = (self.streak, self.threshold.get());
                if streak >= threshold {
                    HealthVerdict::Unhealthy { streak }
                } else {
                    HealthVerdict::Missed { streak, threshold }
                }
            }
        }
    }

    /// Goes by other numbers from now on; the streak stays, and the next miss is judged by them.
    pub const fn retune(&mut self, threshold: NonZeroU32, interval: Duration) {
        self.threshold = threshold;
        // The tick that is under way was armed with the old interval, and is not late for the new one.
        self.interval = interval;
        self.last_tick = None;
    }

    /// Misses in a row so far.
    #[must_use]
    pub const fn streak(&self) -> u32 {
        self.streak
    }

    /// Begins anew, for a new incarnation of the server.
    pub const fn reset(&mut self) {
        self.streak = 0;
        self.last_tick = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Evidence::{Answered, Busy, Missed};

    fn three_every_10_s() -> HealthThreshold {
        HealthThreshold::new(NonZeroU32::new(3).unwrap(), Duration::from_secs(10))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::new(Duration::from_secs(seconds))
    }

    fn missed(streak: u32) -> HealthVerdict {
        HealthVerdict::Missed { streak, threshold: 3 }
    }

    #[test]
    fn three_misses_in_a_row_mean_down() {
        let mut health = three_every_10_s();
        assert_eq!(health.on_check(Missed, at(10)), missed(1));
        assert_eq!(health.on_check(Missed, at(20)), missed(2));
        assert_eq!(health.on_check(Missed, at(30)), HealthVerdict::Unhealthy { streak: 3 });
        assert_eq!(health.on_check(Missed, at(40)), HealthVerdict::Unhealthy { streak: 4 });
    }

    #[test]
    fn one_answer_between_them_starts_the_count_anew() {
        let mut health = three_every_10_s();
        let _ = health.on_check(Missed, at(10));
        let _ = health.on_check(Missed, at(20));
        assert_eq!(health.on_check(Answered, at(30)), HealthVerdict::Healthy);
        assert_eq!(health.on_check(Missed, at(40)), missed(1));
    }

    #[test]
    fn a_server_that_streams_while_its_health_path_is_silent_is_never_down() {
        let mut health = three_every_10_s();
        for tick in 1..=12 {
            assert_eq!(health.on_check(Busy, at(tick * 10)), HealthVerdict::Discarded(Discard::Busy));
        }
        assert_eq!(health.on_check(Missed, at(130)), missed(1));
    }

    #[test]
    fn a_tick_after_a_laptops_sleep_discards_the_streak() {
        let mut health = three_every_10_s();
        let _ = health.on_check(Missed, at(10));
        let _ = health.on_check(Missed, at(20));
        assert_eq!(health.on_check(Missed, at(3600)), HealthVerdict::Discarded(Discard::LateTick));
        assert_eq!(health.on_check(Missed, at(3610)), missed(1));
    }

    #[test]
    fn exactly_two_intervals_late_is_still_in_time() {
        let mut health = three_every_10_s();
        let _ = health.on_check(Missed, at(10));
        assert_eq!(health.on_check(Missed, at(40)), missed(2));
        let mut later = three_every_10_s();
        let _ = later.on_check(Missed, at(10));
        assert_eq!(later.on_check(Missed, at(41)), HealthVerdict::Discarded(Discard::LateTick));
    }

    #[test]
    fn a_new_incarnation_starts_with_a_clean_slate() {
        let mut health = three_every_10_s();
        let _ = health.on_check(Missed, at(10));
        health.reset();
        assert_eq!(health.streak(), 0);
        assert_eq!(health.on_check(Missed, at(900)), missed(1));
    }
}
