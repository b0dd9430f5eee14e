//! What one server has been through.
//!
//! A restart is counted when it happens, for the reason of the end before it:
//!
//! ```text
//!            exited              granted, half-open, reset            a process, or another failure
//!   nothing ───────▶ it is known ────────────────────────▶ it is owed ─────────────────────────────▶ counted
//!                     of why        an operator, a sleep, a server that is ready: forgotten
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use mlx_tree_api::{AttemptEnd, Kind, Phase, Probe, ProbeOutcome, Sample};

use super::{RequestTotals, Words, add, zeros};
use crate::histogram::Histogram;
use crate::ring::Ring;
use crate::words::{self, known};

const START: &[f64] = &[0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const RECOVERY: &[f64] = &[1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
const PROBE: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The totals of one server.
#[derive(Debug)]
pub(crate) struct ServerTotals {
    phase: Option<(Phase, Duration)>,
    phase_times: BTreeMap<&'static str, Duration>,
    pub(crate) starts: u64,
    pub(crate) exits: Words,
    pub(crate) restarts: Words,
    pub(crate) recycles: u64,
    restart: Restart,
    down_since: Option<Duration>,
    pub(crate) start: Histogram,
    pub(crate) recovery: Histogram,
    pub(crate) memory_high: Words,
    used: Option<Used>,
    cpu: Duration,
    /// By probe and outcome.
    pub(crate) probes: BTreeMap<(&'static str, &'static str), Histogram>,
    pub(crate) health_failures: u64,
    pub(crate) breaker_openings: u64,
    pub(crate) attempts: Words,
    pub(crate) tokens: u64,
    pub(crate) requests: RequestTotals,
    pub(crate) ring: Ring,
}

/// Nothing yet, of every probe.
fn probes() -> BTreeMap<(&'static str, &'static str), Histogram> {
    let outcomes = |probe: &'static Probe| ProbeOutcome::ALL.iter().map(|outcome| (probe.as_str(), outcome.as_str()));
    Probe::ALL.iter().flat_map(outcomes).map(|kind| (kind, Histogram::new(PROBE))).collect()
}

/// A restart on its way; see the head of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restart {
    Nothing,
    Known { reason: &'static str, epoch: u64 },
    Owed { reason: &'static str, epoch: u64 },
}

/// The last that was measured of an incarnation.
#[derive(Debug, Clone, Copy)]
struct Used {
    epoch: u64,
    at: Duration,
    cpu: Duration,
}

// === impl ServerTotals ===

impl ServerTotals {
    pub(super) fn new() -> Self {
        Self {
            phase: None,
            phase_times: BTreeMap::new(),
            starts: 0,
            exits: zeros(words::REASONS),
            restarts: zeros(words::REASONS),
            recycles: 0,
            restart: Restart::Nothing,
            down_since: None,
            start: Histogram::new(START),
            recovery: Histogram::new(RECOVERY),
            memory_high: zeros(words::LIMITS),
            used: None,
            cpu: Duration::ZERO,
            probes: probes(),
            health_failures: 0,
            breaker_openings: 0,
            attempts: AttemptEnd::ALL.iter().map(|end| (end.as_str(), 0)).collect(),
            tokens: 0,
            requests: RequestTotals::new(),
            ring: Ring::new(),
        }
    }

    /// How long it has been in `phase`, until `now`.
    pub(crate) fn time_in(&self, phase: Phase, now: Duration) -> Duration {
        let before = self.phase_times.get(phase.as_str()).copied().unwrap_or_default();
        match self.phase {
            Some((present, since)) if present == phase => before + now.saturating_sub(since),
            Some(_) | None => before,
        }
    }

    /// Processor time of all its incarnations.
    pub(crate) const fn cpu(&self) -> Duration {
        self.cpu
    }

    /// One of the events that are about a server; others change nothing.
    pub(super) fn on_event(&mut self, kind: &Kind, epoch: u64, now: Duration) {
        match kind {
            Kind::ServerSpawned { .. } => {
                self.starts += 1;
                self.restarted(epoch);
            }
            Kind::ServerReady { took_s, .. } => {
                self.start.observe(Duration::try_from_secs_f64(*took_s).unwrap_or_default());
                if let Some(since) = self.down_since.take() {
                    self.recovery.observe(now.saturating_sub(since));
                }
                self.restart = Restart::Nothing;
            }
            Kind::ServerExited { reason, .. } => {
                // One that could not be launched has had no process.
                self.restarted(epoch);
                let reason = known(words::REASONS, reason);
                add(&mut self.exits, reason);
                self.restart = Restart::Known { reason, epoch };
                self.down_since.get_or_insert(now);
                self.ring.gone(now);
            }
            Kind::ServerUnhealthy { .. } => drop(self.down_since.get_or_insert(now)),
            Kind::ServerStopped { .. } => {
                self.down_since = None;
                self.ring.gone(now);
            }
            Kind::ServerPutToSleep { .. } => self.is_wanted_so(),
            Kind::OperatorRequested { verb } => match verb.as_str() {
                "stop" | "drain" => self.is_wanted_so(),
                "start" | "restart" => self.restart = Restart::Nothing,
                _ => {}
            },
            Kind::ServerRecycling { .. } => self.recycles += 1,
            Kind::ServerMemoryHigh { limit, .. } => add(&mut self.memory_high, known(words::LIMITS, limit)),
            Kind::HealthFailed { .. } => self.health_failures += 1,
            Kind::BreakerOpened { .. } => self.breaker_openings += 1,
            Kind::RestartGranted { .. } | Kind::BreakerHalfOpened | Kind::BreakerClosed { .. } => {
                if let Restart::Known { reason, epoch } = self.restart {
                    self.restart = Restart::Owed { reason, epoch };
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_sample(&mut self, sample: &Sample<'_>, now: Duration) {
        match *sample {
            Sample::Probed { probe, outcome, took, .. } => {
                let histogram = self.probes.entry((probe.as_str(), outcome.as_str()));
                histogram.or_insert_with(|| Histogram::new(PROBE)).observe(took);
            }
            Sample::Used { epoch, memory_bytes, cpu, .. } => self.used(epoch, memory_bytes, cpu, now),
            Sample::Entered { phase, .. } => {
                if let Some((before, since)) = self.phase.replace((phase, now)) {
                    *self.phase_times.entry(before.as_str()).or_default() += now.saturating_sub(since);
                }
                self.ring.entered(phase, now);
            }
            Sample::WaitBegan { .. } => self.ring.wait_began(now),
            Sample::WaitEnded { .. } => self.ring.wait_ended(now),
            Sample::AttemptBegan { .. } => self.ring.attempt_began(now),
            Sample::AttemptEnded { end, .. } => {
                add(&mut self.attempts, end.as_str());
                self.ring.attempt_ended(now);
            }
            Sample::Tokens { count, .. } => {
                self.tokens += count;
                self.ring.tokens(count, now);
            }
            Sample::RequestEnded { .. } => self.requests.on_end(sample),
            _ => {}
        }
    }

    fn used(&mut self, epoch: u64, memory_bytes: u64, cpu: Duration, now: Duration) {
        let last = self.used.filter(|last| last.epoch == epoch);
        if self.used.is_some_and(|last| last.epoch > epoch) {
            // It was measured before its successor was, and told after.
            return;
        }
        self.used = Some(Used { epoch, at: now, cpu });
        match last {
            Some(last) => {
                // A member of the group that has ended takes its time with it.
                let more = cpu.saturating_sub(last.cpu);
                self.cpu += more;
                let cores = more.as_secs_f64() / now.saturating_sub(last.at).as_secs_f64().max(0.001);
                self.ring.used(memory_bytes, cores, last.at, now);
            }
            None => {
                self.cpu += cpu;
                self.ring.used(memory_bytes, 0.0, now, now);
            }
        }
    }

    fn restarted(&mut self, epoch: u64) {
        if let Restart::Owed { reason, epoch: before } = self.restart
            && epoch > before
        {
            add(&mut self.restarts, reason);
            self.restart = Restart::Nothing;
        }
    }

    /// It is down, and that is no failure.
    fn is_wanted_so(&mut self) {
        self.restart = Restart::Nothing;
        self.down_since = None;
    }
}
