//! How long the server takes for a request, as a moving estimate, and what follows for those who wait.

use std::time::Duration;

/// How many completed requests it takes to say anything.
const ENOUGH: u32 = 4;

/// The weight of one more request, once there are many.
const WEIGHT: u32 = 8;

/// What a request is taken to need for the sake of `Retry-After`, while nothing is known.
const ASSUMED: Duration = Duration::from_secs(1);

/// No estimate is longer: it keeps the arithmetic far from its limits.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The steps that spread those who come again: the golden ratio's fraction, in 1/65536.
const SPREAD: u16 = 40_503;

/// The moving mean of the time that completed requests took, and the spread of those who are sent away.
#[derive(Debug, Clone, Default)]
pub(super) struct Estimate {
    mean: Duration,
    samples: u32,
    spread: u16,
}

// === impl Estimate ===

impl Estimate {
    /// A request was completed after `took`.
    pub(super) fn on_completed(&mut self, took: Duration) {
        let took = took.min(LONGEST);
        self.samples = self.samples.saturating_add(1);
        let weight = self.samples.min(WEIGHT);
        self.mean = (self.mean * (weight - 1) + took) / weight;
    }

    /// How long an entry with `ahead` others before it waits for its turn, when `limit` are served at once; `None` while too
    /// little is known. It is a little short rather than long: one who is refused for nothing is worse off than one who
    /// waits in vain.
    pub(super) fn wait(&self, ahead: usize, limit: usize) -> Option<Duration> {
        (self.samples >= ENOUGH).then(|| share(self.mean, ahead, limit))
    }

    /// When one who is sent away should come again, with `queued` waiting now: while they are served, not all at once. Those
    /// who are sent away together get different answers, from the time of one turn to the time of the whole queue.
    pub(super) fn again(&mut self, queued: usize, limit: usize) -> Duration {
        let mean = if self.samples >= ENOUGH { self.mean } else { ASSUMED };
        let (first, last) = (share(mean, 1, limit), share(mean, queued.saturating_add(1), limit));
        self.spread = self.spread.wrapping_add(SPREAD);
        first + last.saturating_sub(first) / 65_536 * u32::from(self.spread)
    }
}

/// `mean * turns / limit`.
fn share(mean: Duration, turns: usize, limit: usize) -> Duration {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    mean.saturating_mul(number(turns)) / number(limit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_said_before_enough_is_known() {
        let mut estimate = Estimate::default();
        for _ in 1..ENOUGH {
            estimate.on_completed(s(2));
            assert_eq!(estimate.wait(8, 4), None);
        }
        estimate.on_completed(s(2));
        assert_eq!(estimate.wait(8, 4), Some(s(4)));
        assert_eq!(estimate.wait(0, 4), Some(s(0)), "the first in line is never refused for its turn");
    }

    #[test]
    fn the_mean_follows_a_change_and_one_odd_request_does_not_carry_it_away() {
        let mut estimate = Estimate::default();
        (0..20).for_each(|_| estimate.on_completed(s(1)));
        estimate.on_completed(s(9));
        assert_eq!(estimate.wait(1, 1), Some(s(2)));
        (0..40).for_each(|_| estimate.on_completed(s(9)));
        assert!(estimate.wait(1, 1).is_some_and(|wait| wait > s(8) && wait <= s(9)));
    }

    #[test]
    fn those_who_are_sent_away_together_come_again_one_after_the_other() {
        let mut estimate = Estimate::default();
        let mut told: Vec<_> = (0..64).map(|_| estimate.again(64, 4)).collect();
        assert!(told.iter().all(|after| *after >= Duration::from_millis(250)), "no sooner than a turn takes: {told:?}");
        let mut told: Vec<u64> = told.drain(..).map(|after| after.as_secs()).collect();
        told.sort_unstable();
        assert!(told.iter().all(|after| *after <= 16), "no later than the queue takes: {told:?}");
        let most = (0..=16).map(|second| told.iter().filter(|after| **after == second).count()).max();
        assert!(most <= Some(6), "64 over 16 seconds, four a second: {told:?}");
    }
}
