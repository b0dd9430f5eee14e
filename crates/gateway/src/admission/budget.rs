//! How many attempts may be second ones: a few, and a share of the recent requests.

use std::time::Duration;

use tokio::time::Instant;

/// The window is counted in this many parts.
const PARTS: usize = 10;

/// The numbers of a [`RetryBudget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Second attempts for each hundred requests.
    pub percent: u32,
    /// Second attempts within a window that no request has to come for. They are on top of the share: had it to make up for them
    /// first, one death would leave nothing for the next.
    pub free: u32,
    /// What is recent.
    pub window: Duration,
}

/// A sliding window over requests and second attempts. A failing server is never sent much more than its clients ask for.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    limits: BudgetLimits,
    parts: [Part; PARTS],
    /// The number of the newest part since `origin`.
    newest: u128,
    origin: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    requests: u64,
    retries: u64,
}

/// Whether a second attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// It may, and has been counted.
    Granted,
    /// There have been too many.
    Spent,
}

// === impl BudgetLimits ===

impl Default for BudgetLimits {
    fn default() -> Self {
        Self { percent: 20, free: 1, window: Duration::from_secs(60) }
    }
}

// === impl RetryBudget ===

impl RetryBudget {
    /// A budget without a history.
    #[must_use]
    pub fn new(limits: BudgetLimits) -> Self {
        Self { limits, parts: [Part::default(); PARTS], newest: 0, origin: None }
    }

    /// Goes by other numbers from now on. What has been counted stays, in parts of the window that it was counted in.
    pub const fn set_limits(&mut self, limits: BudgetLimits) {
        self.limits = limits;
    }

    /// A request has come, for the first time.
    pub fn on_request(&mut self, now: Instant) {
        self.part(now).requests += 1;
    }

    /// A second attempt is wanted.
    pub fn on_retry(&mut self, now: Instant) -> Retry {
        self.part(now);
        let (requests, retries) = self
            .parts
            .iter()
            .fold((0, 0), |(requests, retries), part| (requests + part.requests, retries + part.retries));
        let share = requests.saturating_mul(u64::from(self.limits.percent)) / 100;
        if retries >= share.saturating_add(u64::from(self.limits.free)) {
            return Retry::Spent;
        }
        self.part(now).retries += 1;
        Retry::Granted
    }

    /// The newest part, after those that are no longer recent have been forgotten.
    fn part(&mut self, now: Instant) -> &mut Part {
        let origin = *self.origin.get_or_insert(now);
        let length = (self.limits.window.as_nanos() / PARTS as u128).max(1);
        let number = now.saturating_duration_since(origin).as_nanos() / length;
        let passed = number.saturating_sub(self.newest);
        for step in 1..=passed.min(PARTS as u128) {
            self.parts[index(self.newest + step)] = Part::default();
        }
        self.newest = self.newest.max(number);
        &mut self.parts[index(self.newest)]
    }
}

/// Where a part is kept.
fn index(number: u128) -> usize {
    usize::try_from(number % PARTS as u128).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &mut RetryBudget, now: Instant, wanted: u32) -> u32 {
        (0..wanted).map(|_| u32::from(budget.on_retry(now) == Retry::Granted)).sum()
    }

    #[test]
    fn one_second_attempt_is_always_granted() {
        let mut budget = RetryBudget::new(BudgetLimits::default());
        let now = Instant::now();
        assert_eq!(spend(&mut budget, now, 3), 1);
        budget.on_request(now);
        assert_eq!(spend(&mut budget, now, 3), 0, "a fifth of one request is no attempt");
    }

    #[test]
    fn a_death_that_is_replayed_whole_leaves_the_share_to_the_next_one() {
        let mut budget = RetryBudget::new(BudgetLimits { free: 4, ..BudgetLimits::default() });
        let start = Instant::now();
        // Eight clients ask something that takes long. Four of them are at the server when it goes down.
        (0..8).for_each(|_| budget.on_request(start));
        assert_eq!(spend(&mut budget, start + Duration::from_secs(2), 4), 4);
        // One at a time from then on; the next is at the server when that goes down again, and was sent nowhere before.
        assert_eq!(spend(&mut budget, start + Duration::from_secs(9), 2), 1, "a fifth of eight");
    }

    #[test]
    fn a_fifth_of_the_recent_requests_may_be_tried_again_and_one_more() {
        let mut budget = RetryBudget::new(BudgetLimits::default());
        let start = Instant::now();
        for tenth in 0..200 {
            budget.on_request(start + Duration::from_millis(100 * tenth));
        }
        assert_eq!(spend(&mut budget, start + Duration::from_secs(20), 100), 1 + 40);
    }

    #[test]
    fn what_is_older_than_the_window_counts_no_more() {
        let mut budget = RetryBudget::new(BudgetLimits::default());
        let start = Instant::now();
        (0..100).for_each(|_| budget.on_request(start));
        assert_eq!(spend(&mut budget, start, 100), 1 + 20);
        let later = start + Duration::from_secs(60);
        assert_eq!(spend(&mut budget, later, 100), 1, "neither the requests nor the attempts");
        let much_later = start + Duration::from_secs(60 * 60 * 24 * 365);
        (0..10).for_each(|_| budget.on_request(much_later));
        assert_eq!(spend(&mut budget, much_later, 100), 1 + 2);
    }
}
