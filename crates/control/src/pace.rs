//! How often something is done: a bucket that fills with time.

use std::time::Duration;

use tokio::time::Instant;

/// Whether it may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It may.
    Kept,
    /// There have been too many.
    Exceeded,
}

/// Drops come at a steady rate, up to a burst, and whatever is done takes one.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// How long one drop takes to come.
    every: Duration,
    /// How long a full bucket takes to fill.
    depth: Duration,
    /// When the bucket would be full again, were nothing taken any more.
    full_at: Instant,
}

// === impl Bucket ===

impl Bucket {
    /// A full one. A `rate` of 0 counts as 1.
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let every = Duration::from_secs(1) / rate.max(1);
        Self { every, depth: every * burst.max(1), full_at: now }
    }

    /// Takes a drop, if there is one.
    #[must_use]
    pub(crate) fn take(&mut self, now: Instant) -> Pace {
        let full_at = self.full_at.max(now) + self.every;
        if full_at > now + self.depth {
            return Pace::Exceeded;
        }
        self.full_at = full_at;
        Pace::Kept
    }

    /// Takes a drop in any case, and answers how long it takes to come.
    #[must_use]
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + self.every;
        self.full_at.saturating_duration_since(now + self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_it_goes_at_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
        let kept = |bucket: &mut Bucket, at: u64| {
            (0..5).filter(|_| bucket.take(start + Duration::from_millis(at)) == Pace::Kept).count()
        };
        assert_eq!(kept(&mut bucket, 0), 3);
        assert_eq!(kept(&mut bucket, 50), 0);
        assert_eq!(kept(&mut bucket, 100), 1);
        assert_eq!(kept(&mut bucket, 350), 2);
        assert_eq!(kept(&mut bucket, 60_000), 3, "no pause saves up more than the burst");
    }

    #[test]
    fn who_waits_is_told_how_long() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 2, start);
        let waits: Vec<_> = (0..4).map(|_| bucket.wait(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200]);
    }
}
