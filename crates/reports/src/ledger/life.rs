//! One incarnation of a server, as far as events and measurements tell; and a request that is with it.

use std::time::Duration;

use mlx_tree_api::BreakerState;

use crate::report::{Fate, How, Outcome, Usage, Way};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Outlives the incarnations.
    pub(super) breaker: BreakerState,
    epoch: u64,
    pid: Option<u32>,
    launched: Option<Duration>,
    ready_after: Option<Duration>,
    doubt: Option<Duration>,
    given_up: Option<String>,
    looks: Option<Looks>,
}

/// What was seen of its use.
#[derive(Debug, Clone, Copy)]
struct Looks {
    epoch: u64,
    memory: u64,
    peak: u64,
    cpu: Duration,
    at: Duration,
    processors: Option<f64>,
}

/// A request that is, or was a moment ago, with an incarnation.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) server: String,
    pub(super) epoch: u64,
    pub(super) request: String,
    pub(super) broken: Option<Duration>,
    pub(super) fate: Fate,
    began: Duration,
}

// === impl Life ===

impl Default for Life {
    fn default() -> Self {
        Self {
            breaker: BreakerState::Closed,
            epoch: 0,
            pid: None,
            launched: None,
            ready_after: None,
            doubt: None,
            given_up: None,
            looks: None,
        }
    }
}

impl Life {
    pub(super) fn spawned(&mut self, epoch: u64, pid: u32, now: Duration) {
        // The first look at it may have come before.
        let looks = self.looks.filter(|looks| looks.epoch == epoch);
        *self = Self { epoch, pid: Some(pid), launched: Some(now), looks, ..Self::begun(self.breaker) };
    }

    fn begun(breaker: BreakerState) -> Self {
        Self { breaker, ..Self::default() }
    }

    pub(super) fn ready(&mut self, now: Duration) {
        self.ready_after = self.launched.map(|launched| now.saturating_sub(launched));
    }

    pub(super) fn doubt(&mut self, now: Duration) {
        self.doubt.get_or_insert(now);
    }

    pub(super) fn trust(&mut self) {
        self.doubt = None;
    }

    pub(super) fn give_up(&mut self, why: &str, now: Duration) {
        self.doubt(now);
        self.given_up = Some(why.to_owned());
    }

    pub(super) fn doubted(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.doubt.is_some()
    }

    pub(super) fn used(&mut self, epoch: u64, memory: u64, cpu: Duration, now: Duration) {
        // What is left of one that is being ended says nothing about why.
        let ending = self.epoch == epoch && self.given_up.is_some();
        if memory == 0 || ending {
            return;
        }
        let before = self.looks.filter(|looks| looks.epoch == epoch);
        let processors = before.and_then(|before| {
            let span = now.saturating_sub(before.at).as_secs_f64();
            (span > 0.0).then(|| cpu.saturating_sub(before.cpu).as_secs_f64() / span)
        });
        let peak = before.map_or(memory, |before| before.peak.max(memory));
        self.looks = Some(Looks { epoch, memory, peak, cpu, at: now, processors });
    }

    /// This incarnation is over; what was known of it is answered, and none of it stays. One that was never launched has
    /// nothing.
    pub(super) fn end(&mut self, epoch: u64) -> Self {
        let life = std::mem::replace(self, Self::begun(self.breaker));
        if life.epoch == epoch { life } else { Self { epoch, ..Self::begun(life.breaker) } }
    }

    pub(super) const fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(super) const fn doubt_since(&self) -> Option<Duration> {
        self.doubt
    }

    pub(super) fn given_up(&self) -> Option<String> {
        self.given_up.clone()
    }

    pub(super) fn uptime(&self, now: Duration) -> Option<f64> {
        self.launched.map(|launched| now.saturating_sub(launched).as_secs_f64())
    }

    pub(super) fn ready_after(&self) -> Option<f64> {
        self.ready_after.map(|span| span.as_secs_f64())
    }

    pub(super) fn usage(&self, now: Duration) -> Option<Usage> {
        let looks = self.looks.filter(|looks| looks.epoch == self.epoch)?;
        Some(Usage {
            memory_bytes: looks.memory,
            peak_bytes: looks.peak,
            looked_s_before: now.saturating_sub(looks.at).as_secs_f64(),
            cpu_s: looks.cpu.as_secs_f64(),
            processors: looks.processors,
        })
    }

    /// How it ended, from the word of its reason and what the system said.
    pub(super) fn how(&self, reason: &str, code: Option<i32>, signal: Option<i32>) -> How {
        match (code, signal, &self.given_up) {
            (Some(code), _, _) => How::Code { code },
            (None, Some(signal), _) => How::Signal { signal },
            (None, None, _) if reason == "memory_limit" => How::Memory,
            // The words are those of the verdict (`workers/src/health/liveness.rs`); a test holds the two together.
            (None, None, Some(why)) if why.contains("has done nothing") => How::Stall,
            (None, None, Some(why)) if why.contains("health checks in a row") => How::Health,
            (None, None, Some(_)) => How::Canary,
            (None, None, None) => match reason {
                "start_timeout" => How::StartTimeout,
                "canary_failed" => How::Canary,
                _ if self.ready_after.is_none() => How::NotStarted,
                _ => How::Unknown,
            },
        }
    }
}

// === impl Attempt ===

impl Attempt {
    pub(super) fn new(server: String, epoch: u64, request: &str, now: Duration) -> Self {
        let fate = Fate {
            request: request.to_owned(),
            for_s: 0.0,
            way: Way::Not,
            outcome: Outcome::Open,
            code: None,
            quarantined_s: None,
        };
        Self { server, epoch, request: request.to_owned(), broken: None, fate, began: now }
    }

    /// What is known of it when its server has ended.
    pub(super) fn fate_at(&self, now: Duration) -> Fate {
        let until = self.broken.unwrap_or(now);
        Fate { for_s: until.saturating_sub(self.began).as_secs_f64(), ..self.fate.clone() }
    }
}
