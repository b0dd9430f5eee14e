//! The shapes that restart delays can have, behind one type: fixed, doubling, doubling after a first try at once, in steps.

mod steps;

pub use steps::{InvalidSteps, RestartSteps};

use std::time::Duration;

use crate::Backoff;

/// How long to wait before the n-th restart in a row.
///
/// | | 1st | 2nd | 3rd | 4th | later |
/// | --- | --- | --- | --- | --- | --- |
/// | `Schedule::Fixed(S(5))`: systemd's `RestartSec=5` | 5 s | 5 s | 5 s | 5 s | 5 s |
/// | `Backoff::default().into()` | 2 s | 4 s | 8 s | 16 s | … 60 s |
/// | [`Schedule::crash_loop`]: Kubernetes | 0 s | 10 s | 20 s | 40 s | … 300 s |
/// | [`RestartSteps`] of 1 s, 16 s, 4 | 1 s | 2 s | 4 s | 8 s | 16 s |
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// The same each time; zero means at once.
    Fixed(Duration),
    /// Doubling up to a cap.
    Doubling(Backoff),
    /// The first restart at once, then doubling up to a cap.
    AtOnceThenDoubling(Backoff),
    /// Growing by a factor, so that the longest delay is reached after a number of steps.
    Steps(RestartSteps),
}

// === impl Schedule ===

impl Schedule {
    /// What a kubelet does with a container that keeps crashing (`CrashLoopBackOff`): the first restart at once, then 10 s,
    /// doubling, up to 300 s. A kubelet begins anew after ten minutes without a crash: that is
    /// [`Reset::AfterStable`](crate::Reset::AfterStable), and none of the schedule's business.
    #[must_use]
    pub const fn crash_loop() -> Self {
        Self::AtOnceThenDoubling(Backoff::crash_loop())
    }

    /// The delay before the restart that follows the `consecutive_failures`-th failure in a row (the first one is 1; 0 is
    /// taken for 1). `unit_random` is as for [`Backoff::delay`].
    #[must_use]
    pub fn delay(&self, consecutive_failures: u32, unit_random: f64) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Doubling(backoff) => backoff.delay(consecutive_failures, unit_random),
            Self::AtOnceThenDoubling(_) if consecutive_failures <= 1 => Duration::ZERO,
            Self::AtOnceThenDoubling(backoff) => backoff.delay(consecutive_failures - 1, unit_random),
            Self::Steps(steps) => steps.delay(consecutive_failures),
        }
    }

    /// The longest delay. No delay is ever longer.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Doubling(backoff) | Self::AtOnceThenDoubling(backoff) => backoff.max(),
            Self::Steps(steps) => steps.longest(),
        }
    }

    /// How much of a delay chance may take away.
    #[must_use]
    pub const fn jitter(&self) -> f64 {
        match self {
            Self::Fixed(_) | Self::Steps(_) => 0.0,
            Self::Doubling(backoff) | Self::AtOnceThenDoubling(backoff) => backoff.jitter(),
        }
    }
}

impl From<Backoff> for Schedule {
    fn from(backoff: Backoff) -> Self {
        Self::Doubling(backoff)
    }
}

impl From<RestartSteps> for Schedule {
    fn from(steps: RestartSteps) -> Self {
        Self::Steps(steps)
    }
}

impl From<Duration> for Schedule {
    fn from(delay: Duration) -> Self {
        Self::Fixed(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn seconds(schedule: Schedule, restarts: u32) -> Vec<u64> {
        (1..=restarts).map(|n| schedule.delay(n, 0.7).as_secs()).collect()
    }

    #[test]
    fn each_shape_gives_the_delays_of_its_table() {
        assert_eq!(seconds(Schedule::Fixed(S(5)), 3), [5, 5, 5]);
        assert_eq!(seconds(Backoff::default().into(), 6), [2, 4, 8, 16, 32, 60]);
        assert_eq!(seconds(Schedule::crash_loop(), 8), [0, 10, 20, 40, 80, 160, 300, 300]);
        let steps = RestartSteps::new(S(1), S(16), 4).unwrap();
        assert_eq!(seconds(steps.into(), 6), [1, 2, 4, 8, 16, 16]);
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let spans = || (1_u64..100_000, 0_u64..1_000_000);
        let backoff = || {
            spans().prop_map(|(initial, extra)| {
                Backoff::new(Duration::from_millis(initial), Duration::from_millis(initial + extra), 0.0).unwrap()
            })
        };
        prop_oneof![
            (0_u64..100_000).prop_map(|delay| Schedule::Fixed(Duration::from_millis(delay))),
            backoff().prop_map(Schedule::Doubling),
            backoff().prop_map(Schedule::AtOnceThenDoubling),
            (spans(), 0_u32..50).prop_map(|((initial, extra), steps)| {
                let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(initial + extra));
                RestartSteps::new(initial, max, steps).unwrap().into()
            }),
        ]
    }

    proptest! {
        #[test]
        fn no_shape_grows_shorter_or_beyond_its_longest(schedule in schedules(), n in 0_u32..200) {
            let (now, next) = (schedule.delay(n, 0.0), schedule.delay(n + 1, 0.0));
            prop_assert!(now <= next && next <= schedule.longest());
            prop_assert_eq!(schedule.delay(u32::MAX, 0.0), schedule.longest());
        }
    }
}
