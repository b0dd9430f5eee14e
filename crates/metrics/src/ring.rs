//! The last minutes of one server in equal steps, and the phases that it was in.

use std::collections::VecDeque;
use std::time::Duration;

use mlx_tree_api::{Phase, PhaseBegan, Point};

/// One step.
pub(crate) const STEP: Duration = Duration::from_secs(5);
/// So many are remembered: a quarter of an hour.
const STEPS: usize = 180;
/// So many changes of phase are remembered. A server that flaps has two or three in a step.
const PHASES: usize = 256;

/// Remembers what is needed to draw the last minutes, in constant memory.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The steps that are over, oldest first; the last one is that before `step`.
    closed: VecDeque<Step>,
    /// The present step, counted from time zero.
    step: u64,
    /// What the present step comes to so far.
    open: Step,
    phases: VecDeque<(Phase, Duration)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    memory: Option<u64>,
    cores: f64,
    tokens: u64,
    in_flight: u64,
    queued: u64,
}

// === impl Ring ===

impl Ring {
    pub(crate) const fn new() -> Self {
        Self { closed: VecDeque::new(), step: 0, open: Step::DEFAULT, phases: VecDeque::new() }
    }

    pub(crate) fn used(&mut self, memory: u64, cores: f64, since: Duration, now: Duration) {
        self.advance(now);
        (self.open.memory, self.open.cores) = (Some(memory), cores);
        // The steps that were closed since the last measurement had this rate too, and could not know it.
        let late = usize::try_from(self.step.saturating_sub(index(since))).unwrap_or(STEPS).min(self.closed.len());
        for step in self.closed.range_mut(self.closed.len() - late..) {
            step.cores = cores;
        }
    }

    /// There is no process any more.
    pub(crate) fn gone(&mut self, now: Duration) {
        self.advance(now);
        (self.open.memory, self.open.cores) = (None, 0.0);
    }

    pub(crate) fn tokens(&mut self, count: u64, now: Duration) {
        self.advance(now);
        self.open.tokens += count;
    }

    pub(crate) fn attempt_began(&mut self, now: Duration) {
        self.advance(now);
        self.open.in_flight += 1;
    }

    pub(crate) fn attempt_ended(&mut self, now: Duration) {
        self.advance(now);
        self.open.in_flight = self.open.in_flight.saturating_sub(1);
    }

    pub(crate) fn wait_began(&mut self, now: Duration) {
        self.advance(now);
        self.open.queued += 1;
    }

    pub(crate) fn wait_ended(&mut self, now: Duration) {
        self.advance(now);
        self.open.queued = self.open.queued.saturating_sub(1);
    }

    pub(crate) fn entered(&mut self, phase: Phase, now: Duration) {
        self.advance(now);
        if self.phases.len() == PHASES {
            self.phases.pop_front();
        }
        self.phases.push_back((phase, now));
        // Of those that were over before the window began, none is drawn.
        let begin = now.saturating_sub(STEP * u32::try_from(STEPS).unwrap_or(u32::MAX));
        while self.phases.get(1).is_some_and(|(_, since)| *since <= begin) {
            self.phases.pop_front();
        }
    }

    /// The points, oldest first, the last one of now. `stamp` says what the clock on the wall showed so long ago.
    pub(crate) fn points(&mut self, now: Duration, stamp: impl Fn(Duration) -> String) -> Vec<Point> {
        self.advance(now);
        let point = |step: &Step, ago: Duration, span: Duration| {
            #[expect(clippy::cast_precision_loss, reason = "a rate to be drawn")]
            let tokens_per_s = step.tokens as f64 / span.as_secs_f64();
            let Step { memory, cores, in_flight, queued, .. } = *step;
            Point { at: stamp(ago), memory_bytes: memory, cpu_cores: cores, tokens_per_s, in_flight, queued }
        };
        let into_open = now.saturating_sub(STEP * u32::try_from(self.step).unwrap_or(u32::MAX));
        let ago = |back: usize| into_open + STEP * u32::try_from(back).unwrap_or(u32::MAX);
        let closed = self.closed.iter().rev().enumerate().map(|(back, step)| point(step, ago(back), STEP));
        let mut points: Vec<_> = closed.collect();
        points.reverse();
        // A moment into a step, a few tokens are no rate.
        points.push(point(&self.open, Duration::ZERO, into_open.max(Duration::from_secs(1))));
        points
    }

    /// The phases, oldest first.
    pub(crate) fn phases(&self, now: Duration, stamp: impl Fn(Duration) -> String) -> Vec<PhaseBegan> {
        let began = |(phase, since): &(Phase, Duration)| PhaseBegan {
            phase: phase.as_str().to_owned(),
            at: stamp(now.saturating_sub(*since)),
        };
        self.phases.iter().map(began).collect()
    }

    /// Closes the steps that are over.
    fn advance(&mut self, now: Duration) {
        let present = index(now);
        let mut missing = present.saturating_sub(self.step).min(STEPS as u64 + 1);
        while missing > 0 {
            missing -= 1;
            if self.closed.len() == STEPS {
                self.closed.pop_front();
            }
            self.closed.push_back(self.open);
            self.open.tokens = 0;
        }
        self.step = self.step.max(present);
    }
}

// === impl Step ===

impl Step {
    const DEFAULT: Self = Self { memory: None, cores: 0.0, tokens: 0, in_flight: 0, queued: 0 };
}

fn index(at: Duration) -> u64 {
    at.as_secs() / STEP.as_secs()
}
