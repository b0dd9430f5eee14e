//! Whether a ready server is alive: checks, evidence of work, and canaries in; at most one thing to do out.
//!
//! Busy is not down, and 200 is not alive. So a missed check counts only while nothing else shows progress, and whenever
//! there is doubt a canary (a completion of one token) settles it.
//!
//! ```text
//!              missed, no progress, below the threshold
//!                 ┌────┐
//!                 │    ▼      a routine canary failed, a thread died,        the canary failed, or waits
//!  ready ──────▶ Trusted ───── the server says it is dead, busy for long ──▶ Suspect ── on an idle process ──▶ Down
//!                 ▲  │                                                        │
//!                 │  └─────────── threshold reached without progress ─────────┼──────────────────────────────▶ Down
//!                 └────────────────────── the canary was answered ────────────┘
//! ```

use std::num::NonZeroU32;
use std::time::Duration;

use mlx_tree_policy::{Evidence, HealthThreshold, HealthVerdict, Monotonic};

use crate::server::probe::ProbeError;

/// What shows that a server is doing something, apart from answering us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing does.
    None,
    /// Its processes used processor time: it works on something, perhaps on something useful.
    Working,
    /// Its clients received bytes: it serves.
    Serving,
}

/// The spans that the machine goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// A canary is asked for when nothing has proved that the server generates for this long; never, if `None`.
    pub canary_idle: Option<Duration>,
    /// A canary that waits on a server which shows no progress for this long has failed.
    pub stall_after: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing.
    None,
    /// Ask the server for one token, and report the answer to [`Liveness::on_canary`].
    AskCanary,
    /// The server is down, for this reason. Said once; the machine then waits for the next incarnation.
    Down(String),
}

/// What there is to tell about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A check was missed, so many in a row.
    Missed(u32),
    /// A check was missed while the server shows progress.
    Busy,
    /// There is doubt.
    Suspected(String),
    /// All is well again after so many missed checks.
    Recovered(u32),
}

/// How the server looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No incarnation is ready: there is nothing to judge.
    Unwatched,
    /// As it should be.
    Trusted,
    /// Slow to answer, and working.
    Busy,
    /// In doubt.
    Suspect,
}

/// The machine. One for all incarnations of a server; see [`Liveness::on_ready`].
#[derive(Debug)]
pub struct Liveness {
    threshold: HealthThreshold,
    spans: Spans,
    standing: Standing,
    /// Misses in a row that progress excused.
    excused: u32,
    excused_limit: u32,
    canary: Canary,
    /// When the canary was asked that is being waited for. Before, the server may have been idle for hours.
    asked: Monotonic,
    /// When something last proved that it generates.
    proved: Monotonic,
    /// When it last showed progress.
    progressed: Monotonic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Canary {
    NotAsked,
    Routine,
    Decisive,
}

// === impl Liveness ===

impl Liveness {
    /// A machine that waits for the first incarnation. `limit` is how many misses in a row `threshold` allows.
    #[must_use]
    pub const fn new(threshold: HealthThreshold, limit: u32, spans: Spans) -> Self {
        Self {
            threshold,
            spans,
            standing: Standing::Unwatched,
            excused: 0,
            excused_limit: limit,
            canary: Canary::NotAsked,
            asked: Monotonic::ORIGIN,
            proved: Monotonic::ORIGIN,
            progressed: Monotonic::ORIGIN,
        }
    }

    /// Goes by other numbers from now on. What has been missed so far stays missed.
    pub const fn retune(&mut self, failure_threshold: NonZeroU32, interval: Duration, spans: Spans) {
        self.threshold.retune(failure_threshold, interval);
        self.excused_limit = failure_threshold.get();
        self.spans = spans;
    }

    /// An incarnation has become ready, which its canary has just proved.
    pub const fn on_ready(&mut self, now: Monotonic) {
        self.threshold.reset();
        self.standing = Standing::Trusted;
        self.excused = 0;
        self.canary = Canary::NotAsked;
        self.proved = now;
        self.progressed = now;
    }

    /// The incarnation is gone, or about to be.
    pub const fn on_gone(&mut self) {
        self.threshold.reset();
        self.standing = Standing::Unwatched;
        self.canary = Canary::NotAsked;
    }

    /// A health check was answered or missed.
    pub fn on_check(
        &mut self,
        answer: &Result<(), ProbeError>,
        progress: Progress,
        now: Monotonic,
    ) -> (Action, Option<Finding>) {
        if self.standing == Standing::Unwatched {
            return (Action::None, None);
        }
        if progress != Progress::None {
            self.progressed = now;
        }
        if progress == Progress::Serving {
            self.proved = now;
        }
        let silent = now.saturating_since(self.progressed.max(self.asked));
        if self.canary != Canary::NotAsked && silent >= self.spans.stall_after {
            let span = self.spans.stall_after.as_secs_f64();
            return self.down(format!("a completion of one token waits, and the server has done nothing for {span} s"));
        }
        match answer {
            Ok(()) => self.answered(now),
            Err(error) => self.missed(error, progress, now),
        }
    }

    /// The server wrote something that looks like the death of one of its threads.
    pub fn on_alarm(&mut self, line: &str, now: Monotonic) -> (Action, Option<Finding>) {
        match self.standing {
            Standing::Unwatched => (Action::None, None),
            Standing::Trusted | Standing::Busy | Standing::Suspect => self.suspect(format!("it wrote \"{line}\""), now),
        }
    }

    /// A canary was answered, or failed.
    pub fn on_canary(&mut self, answer: &Result<(), ProbeError>, now: Monotonic) -> (Action, Option<Finding>) {
        let asked = std::mem::replace(&mut self.canary, Canary::NotAsked);
        match (asked, answer) {
            (Canary::NotAsked, _) => (Action::None, None),
            (Canary::Routine | Canary::Decisive, Ok(())) => {
                self.proved = now;
                self.progressed = now;
                self.standing = Standing::Trusted;
                (Action::None, self.clear_streak(now))
            }
            (Canary::Routine, Err(error)) => self.suspect(format!("a completion of one token failed: {error}"), now),
            (Canary::Decisive, Err(error)) => self.down(format!("a completion of one token failed: {error}")),
        }
    }

    /// How the server looks.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Misses in a row.
    #[must_use]
    pub const fn streak(&self) -> u32 {
        self.threshold.streak()
    }

    fn answered(&mut self, now: Monotonic) -> (Action, Option<Finding>) {
        let finding = self.clear_streak(now);
        if self.standing == Standing::Busy {
            self.standing = Standing::Trusted;
        }
        let unproved = self.spans.canary_idle.is_some_and(|span| now.saturating_since(self.proved) >= span);
        if unproved && self.canary == Canary::NotAsked {
            (self.canary, self.asked) = (Canary::Routine, now);
            return (Action::AskCanary, finding);
        }
        (Action::None, finding)
    }

    fn missed(&mut self, error: &ProbeError, progress: Progress, now: Monotonic) -> (Action, Option<Finding>) {
        // An answer that says "I am not well" is no sign of being busy: the server had the time to say so.
        let spoke = matches!(error, ProbeError::Status { .. } | ProbeError::Body(_));
        let evidence = if progress == Progress::None || spoke { Evidence::Missed } else { Evidence::Busy };
        match self.threshold.on_check(evidence, now) {
            HealthVerdict::Healthy | HealthVerdict::Discarded(mlx_tree_policy::Discard::LateTick) => {
                (Action::None, None)
            }
            HealthVerdict::Discarded(mlx_tree_policy::Discard::Busy) => {
                self.excused = self.excused.saturating_add(1);
                if progress == Progress::Working && self.excused >= self.excused_limit {
                    let why = format!("busy, and {} health checks in a row were missed: {error}", self.excused);
                    return self.suspect(why, now);
                }
                if self.standing == Standing::Trusted {
                    self.standing = Standing::Busy;
                }
                (Action::None, Some(Finding::Busy))
            }
            HealthVerdict::Missed { streak, .. } if spoke && self.canary != Canary::Decisive => {
                let (action, _) = self.suspect(error.to_string(), now);
                (action, Some(Finding::Missed(streak)))
            }
            HealthVerdict::Missed { streak, .. } => (Action::None, Some(Finding::Missed(streak))),
            HealthVerdict::Unhealthy { streak } => {
                let (action, _) = self.down(format!("{streak} health checks in a row were missed: {error}"));
                (action, Some(Finding::Missed(streak)))
            }
        }
    }

    /// Puts the server in doubt; a canary decides. One that is under way already becomes the one that decides.
    fn suspect(&mut self, why: String, now: Monotonic) -> (Action, Option<Finding>) {
        let finding = (self.standing != Standing::Suspect).then_some(Finding::Suspected(why));
        self.standing = Standing::Suspect;
        let under_way = std::mem::replace(&mut self.canary, Canary::Decisive);
        if under_way != Canary::NotAsked {
            return (Action::None, finding);
        }
        self.asked = now;
        (Action::AskCanary, finding)
    }

    fn down(&mut self, why: String) -> (Action, Option<Finding>) {
        self.on_gone();
        (Action::Down(why), None)
    }

    fn clear_streak(&mut self, now: Monotonic) -> Option<Finding> {
        let missed = self.threshold.streak();
        let _ = self.threshold.on_check(Evidence::Answered, now);
        self.excused = 0;
        (missed > 0).then_some(Finding::Recovered(missed))
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const SILENT: Result<(), ProbeError> = Err(ProbeError::TimedOut(Duration::from_secs(5)));

    fn at(seconds: u64) -> Monotonic {
        Monotonic::new(Duration::from_secs(seconds))
    }

    fn watched() -> Liveness {
        let threshold = HealthThreshold::new(NonZeroU32::new(3).expect("not zero"), Duration::from_secs(10));
        let spans = Spans { canary_idle: Some(Duration::from_secs(60)), stall_after: Duration::from_secs(60) };
        let mut liveness = Liveness::new(threshold, 3, spans);
        liveness.on_ready(at(0));
        liveness
    }

    fn unwell() -> Result<(), ProbeError> {
        Err(ProbeError::Status { status: 503, body: "unavailable".to_owned() })
    }

    #[test]
    fn a_frozen_process_is_down_at_the_third_miss() {
        let mut server = watched();
        assert_eq!(server.on_check(&SILENT, Progress::None, at(10)), (Action::None, Some(Finding::Missed(1))));
        assert_eq!(server.on_check(&SILENT, Progress::None, at(20)), (Action::None, Some(Finding::Missed(2))));
        let (action, finding) = server.on_check(&SILENT, Progress::None, at(30));
        assert!(matches!(action, Action::Down(_)), "{action:?}");
        assert_eq!(finding, Some(Finding::Missed(3)));
    }

    #[test]
    fn a_server_that_streams_to_its_clients_is_never_down_however_slow_its_health_check() {
        let mut server = watched();
        for tick in 1..100 {
            let (action, finding) = server.on_check(&SILENT, Progress::Serving, at(tick * 10));
            assert_eq!((action, finding), (Action::None, Some(Finding::Busy)));
        }
    }

    #[test]
    fn a_server_that_only_burns_processor_time_must_answer_a_canary_sooner_or_later() {
        let mut server = watched();
        let _ = server.on_check(&SILENT, Progress::Working, at(10));
        assert_eq!(server.standing(), Standing::Busy);
        let _ = server.on_check(&SILENT, Progress::Working, at(20));
        let (action, _) = server.on_check(&SILENT, Progress::Working, at(30));
        assert_eq!((action, server.standing()), (Action::AskCanary, Standing::Suspect));
        let _ = server.on_canary(&Ok(()), at(90));
        assert_eq!(server.standing(), Standing::Trusted);
    }

    #[test]
    fn two_hundred_is_not_alive_an_idle_server_must_prove_that_it_generates() {
        let mut server = watched();
        for tick in 1..6 {
            assert_eq!(server.on_check(&Ok(()), Progress::None, at(tick * 10)).0, Action::None);
        }
        assert_eq!(server.on_check(&Ok(()), Progress::None, at(60)).0, Action::AskCanary);
        let refused = Err(ProbeError::Status { status: 404, body: "generation thread died".to_owned() });
        assert_eq!(server.on_canary(&refused, at(61)).0, Action::AskCanary, "one failed canary is doubt");
        assert!(matches!(server.on_canary(&refused, at(62)).0, Action::Down(_)), "the second one is certainty");
    }

    #[test]
    fn a_dead_generation_thread_behind_a_lively_health_check_is_found_by_a_canary_that_nobody_works_on() {
        let mut server = watched();
        assert_eq!(server.on_alarm("Exception in thread Thread-1 (_generate):", at(0)).0, Action::AskCanary);
        for tick in 1..6 {
            assert_eq!(server.on_check(&Ok(()), Progress::None, at(tick * 10)).0, Action::None);
        }
        assert!(matches!(server.on_check(&Ok(()), Progress::None, at(60)).0, Action::Down(_)));
    }

    #[test]
    fn that_a_server_was_idle_before_its_canary_is_not_held_against_it() {
        let mut server = watched();
        for tick in 1..6 {
            assert_eq!(server.on_check(&Ok(()), Progress::None, at(tick * 10)).0, Action::None);
        }
        assert_eq!(server.on_check(&Ok(()), Progress::None, at(60)).0, Action::AskCanary);
        for tick in 7..12 {
            assert_eq!(server.on_check(&Ok(()), Progress::None, at(tick * 10)).0, Action::None, "{tick}0 s");
        }
        assert!(matches!(server.on_check(&Ok(()), Progress::None, at(120)).0, Action::Down(_)));
    }

    #[test]
    fn a_server_that_says_it_is_unwell_is_asked_for_a_canary_at_once() {
        let mut server = watched();
        let (action, finding) = server.on_check(&unwell(), Progress::Working, at(10));
        assert_eq!((action, finding), (Action::AskCanary, Some(Finding::Missed(1))));
        assert!(matches!(server.on_canary(&unwell(), at(10)).0, Action::Down(_)));
    }

    #[test]
    fn a_flapping_health_check_is_told_and_never_acted_on() {
        let mut server = watched();
        for round in 0..50 {
            let now = at(20 * round + 10);
            assert_eq!(server.on_check(&SILENT, Progress::None, now), (Action::None, Some(Finding::Missed(1))));
            let (action, finding) = server.on_check(&Ok(()), Progress::Serving, at(20 * round + 20));
            assert_eq!((action, finding), (Action::None, Some(Finding::Recovered(1))));
        }
    }

    #[test]
    fn after_a_verdict_nothing_is_said_until_the_next_incarnation() {
        let mut server = watched();
        let _ = server.on_check(&unwell(), Progress::None, at(10));
        let _ = server.on_canary(&unwell(), at(10));
        assert_eq!(server.on_check(&unwell(), Progress::None, at(20)), (Action::None, None));
        assert_eq!(server.on_alarm("Traceback", at(20)), (Action::None, None));
        server.on_ready(at(30));
        assert_eq!(server.on_check(&unwell(), Progress::None, at(40)).1, Some(Finding::Missed(1)));
    }
}
