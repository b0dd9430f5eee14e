//! How long a start takes, going by those that were seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The weight of the latest start: the next one is most like it, and one odd start does not decide.
const WEIGHT: f64 = 0.4;

/// Remembers how long starts took. Cheap to clone; all clones are one memory.
#[derive(Debug, Clone, Default)]
pub struct StartTimes(Arc<Mutex<Option<f64>>>);

// === impl StartTimes ===

impl StartTimes {
    /// A start has taken so long.
    pub fn took(&self, span: Duration) {
        let mut mean = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let span = span.as_secs_f64();
        *mean = Some(mean.map_or(span, |mean| mean + WEIGHT * (span - mean)));
    }

    /// What the next one will take, as far as can be told.
    #[must_use]
    pub fn expected(&self) -> Option<Duration> {
        let mean = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mean.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_starts_count_most() {
        let starts = StartTimes::default();
        assert_eq!(starts.expected(), None);
        starts.took(Duration::from_secs(100));
        assert_eq!(starts.expected(), Some(Duration::from_secs(100)));
        for _ in 0..10 {
            starts.took(Duration::from_secs(10));
        }
        let expected = starts.expected().expect("there were some").as_secs_f64();
        assert!((10.0..11.0).contains(&expected), "{expected}");
    }
}
