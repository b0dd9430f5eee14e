//! A point on a monotonic clock, passed in by the caller.

use std::ops::Add;
use std::time::Duration;

/// A point in time, as the span since an origin that the caller chose once.
///
/// Nothing in this crate reads a clock. A driver picks an origin (the machine's boot, or the start of a test) and hands in
/// the time since then, so that a story of two minutes takes no time to test, and a history written by one process can be
/// read by the next one of the same boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The origin itself.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The point that lies `since_origin` after the origin.
    #[must_use]
    pub const fn new(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The span from the origin to this point.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The span from `earlier` to this point; zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
