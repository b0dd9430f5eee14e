//! The totals under a lock and with a clock: what the program holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mlx_tree_api::{Event, Fold, Sample, ServerTrend, Status, Trend};

use crate::render;
use crate::ring::STEP;
use crate::totals::Totals;

/// Adds up what it is told, and shows it to whoever asks. To be attached to the bus before anything happens.
#[derive(Debug)]
pub struct Metrics {
    since: Instant,
    totals: Mutex<Totals>,
}

/// What mlx-tree itself uses, where that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time since its start.
    pub cpu: Option<Duration>,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing yet, of the servers of these names. The first one is the default server.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = String>) -> Self {
        Self { since: Instant::now(), totals: Mutex::new(Totals::new(servers)) }
    }

    /// Everything as Prometheus text, format version 0.0.4. What is true now is taken from `status` and `own`.
    #[must_use]
    pub fn render(&self, status: &Status, own: &Own) -> String {
        let totals = self.totals();
        render::page(&totals, status, own, self.since.elapsed())
    }

    /// The last minutes of each server.
    #[must_use]
    pub fn trend(&self) -> Trend {
        let mut totals = self.totals();
        let (now, wall) = (self.since.elapsed(), Timestamp::now());
        let stamp = |ago: Duration| {
            let ago = SignedDuration::try_from(ago).unwrap_or_default();
            wall.checked_sub(ago).unwrap_or(wall).to_string()
        };
        let servers = totals.servers_mut().map(|(name, server)| ServerTrend {
            server: name.to_owned(),
            points: server.ring.points(now, stamp),
            phases: server.ring.phases(now, stamp),
        });
        Trend { step_s: STEP.as_secs_f64(), servers: servers.collect() }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold for Metrics {
    fn event(&self, event: &Event) {
        self.totals().on_event(event, self.since.elapsed());
    }

    fn sample(&self, sample: &Sample<'_>) {
        self.totals().on_sample(sample, self.since.elapsed());
    }
}
