//! What clients make a server do, as far as deciding who may sleep goes: how many requests are with it, and when the last
//! one was.

use tokio::sync::watch;
use tokio::time::Instant;

/// Counts the requests that are with one server. Cheap to clone; all clones are one count.
///
/// Whoever forwards requests takes an [`InFlight`] for each from the moment it is sent until the server is idle of it. One
/// that only waits for the server is not counted here: it [asks for it](crate::tree::ServerHandle::wanted).
#[derive(Debug, Clone)]
pub struct Activity(watch::Sender<Usage>);

/// What the count says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// So many requests are with the server now.
    pub in_flight: u32,
    /// When one last began or ended; the beginning of the count if there was none.
    pub last_use: Instant,
}

/// One request that is with a server, until it is dropped.
#[derive(Debug)]
pub struct InFlight(watch::Sender<Usage>);

// === impl Activity ===

impl Activity {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(Usage { in_flight: 0, last_use: Instant::now() }))
    }

    /// A request goes to the server; it has left it when the answer is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.0.send_modify(|usage| {
            usage.in_flight += 1;
            usage.last_use = Instant::now();
        });
        InFlight(self.0.clone())
    }

    /// What the count says now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        *self.0.borrow()
    }

    /// The count as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Usage> {
        self.0.subscribe()
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|usage| {
            usage.in_flight = usage.in_flight.saturating_sub(1);
            usage.last_use = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_from_its_beginning_to_its_end() {
        let activity = Activity::new();
        let begin = Instant::now();
        let (one, two) = (activity.begin(), activity.clone().begin());
        assert_eq!(activity.usage(), Usage { in_flight: 2, last_use: begin });
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(one);
        assert_eq!(activity.usage(), Usage { in_flight: 1, last_use: begin + Duration::from_secs(5) });
        drop(two);
        assert_eq!(activity.usage().in_flight, 0);
    }
}
