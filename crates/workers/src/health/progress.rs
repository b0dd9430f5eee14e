//! What shows that a server works, and what the world is told about its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mlx_tree_policy::Monotonic;
use mlx_tree_process::{Identity, usage};

use super::liveness::{Progress, Standing};

/// The share of one processor that a group must use to count as working. An idle `mlx_lm.server` was measured at well under
/// one hundredth; one that generates keeps a processor busy, also when the work itself is done by a GPU.
const WORKING: f64 = 0.02;

/// Counts what the server's clients receive. Whoever forwards answers adds to it; that is the best proof of life there is.
#[derive(Debug, Clone, Default)]
pub struct Served(Arc<AtomicU64>);

/// The server's health, as of now.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthView {
    /// How the server looks.
    pub standing: Standing,
    /// Checks missed in a row.
    pub failures: u32,
    /// When a check or a canary was last answered well.
    pub last_ok: Option<Monotonic>,
    /// What the last bad answer was; kept until the next incarnation.
    pub last_error: Option<String>,
}

/// Compares what a process group has used and served with what it had at the last look.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    epoch: u64,
    at: Monotonic,
    cpu: Duration,
    served: u64,
}

// === impl Served ===

impl Served {
    /// Something reached a client.
    pub fn add(&self, pieces: u64) {
        self.0.fetch_add(pieces, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl HealthView ===

impl HealthView {
    /// Nothing has been judged yet.
    #[must_use]
    pub const fn unwatched() -> Self {
        Self { standing: Standing::Unwatched, failures: 0, last_ok: None, last_error: None }
    }
}

// === impl Meter ===

impl Meter {
    /// What has happened since the last look at the same incarnation. At the first look, nothing has.
    pub(super) fn look(&mut self, epoch: u64, cpu: Option<Duration>, served: &Served, now: Monotonic) -> Progress {
        let reading = Reading { epoch, at: now, cpu: cpu.unwrap_or_default(), served: served.count() };
        let Some(last) = self.last.replace(reading).filter(|last| last.epoch == epoch) else { return Progress::None };
        let elapsed = now.saturating_since(last.at).as_secs_f64();
        let used = cpu.map_or(0.0, |cpu| cpu.saturating_sub(last.cpu).as_secs_f64());
        if served.count() > last.served {
            Progress::Serving
        } else if elapsed > 0.0 && used / elapsed >= WORKING {
            Progress::Working
        } else {
            Progress::None
        }
    }
}

/// The processor time that the group of `leader` has used, where it can be read.
pub(super) async fn processor_time(leader: &Identity) -> Option<Duration> {
    usage::of_group(leader).await.ok().map(|usage| usage.cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::new(Duration::from_secs(seconds))
    }

    #[test]
    fn progress_is_what_changed_since_the_last_look() {
        let (mut meter, served) = (Meter::default(), Served::default());
        let cpu = |millis| Some(Duration::from_millis(millis));
        assert_eq!(meter.look(1, cpu(5_000), &served, at(0)), Progress::None, "the first look compares with nothing");
        assert_eq!(meter.look(1, cpu(5_050), &served, at(10)), Progress::None, "an idle server's housekeeping");
        assert_eq!(meter.look(1, cpu(6_050), &served, at(20)), Progress::Working);
        served.add(1);
        assert_eq!(meter.look(1, cpu(6_050), &served, at(30)), Progress::Serving);
        assert_eq!(meter.look(2, cpu(9_000), &served, at(40)), Progress::None, "another incarnation is another story");
        assert_eq!(meter.look(2, None, &served, at(50)), Progress::None, "what cannot be read proves nothing");
    }
}
