//! The one clock of a tree: monotonic time since the machine's boot, driven by tokio's.

use std::time::Duration;

use mlx_tree_policy::Monotonic;
use tokio::time::Instant;

/// Tells the time to the policies. Counts on tokio's clock, so that a paused test clock drives it, from an origin that is the
/// same for every process of one boot, so that a history written by one can be read by the next.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    since_boot: Duration,
}

// === impl Clock ===

impl Clock {
    /// A clock that starts now and counts from the machine's boot.
    #[must_use]
    pub fn since_boot() -> Self {
        Self { started: Instant::now(), since_boot: mlx_tree_process::clock::since_boot() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        Monotonic::new(self.since_boot + self.started.elapsed())
    }

    /// When tokio's clock will show `point`; now, if that is past.
    #[must_use]
    pub fn instant(&self, point: Monotonic) -> Instant {
        Instant::now() + point.saturating_since(self.now())
    }

    /// When tokio's clock shows `point`, also if that is past: the same answer whenever it is asked.
    #[must_use]
    pub fn at(&self, point: Monotonic) -> Instant {
        let point = point.since_origin();
        match point.checked_sub(self.since_boot) {
            Some(later) => self.started + later,
            None => self.started.checked_sub(self.since_boot.saturating_sub(point)).unwrap_or(self.started),
        }
    }

    /// The point at which tokio's clock shows `instant`; the origin, if that is before it.
    #[must_use]
    pub fn point(&self, instant: Instant) -> Monotonic {
        let later = instant.checked_duration_since(self.started);
        let earlier = self.started.saturating_duration_since(instant);
        Monotonic::new(later.map_or(self.since_boot.saturating_sub(earlier), |later| self.since_boot + later))
    }

    /// Seconds until `point`; zero if that is past.
    #[must_use]
    pub fn seconds_until(&self, point: Monotonic) -> f64 {
        point.saturating_since(self.now()).as_secs_f64()
    }

    /// Seconds since `point`; zero if that is to come.
    #[must_use]
    pub fn seconds_since(&self, point: Monotonic) -> f64 {
        self.now().saturating_since(point).as_secs_f64()
    }
}
