//! What the recorder remembers: the present life of each server, who is with it, and the cases that are still open.
//!
//! ```text
//!  server.spawned ─▶ Life ──server.exited──▶ Case: open ──at once──▶ noted ──a second later──▶ gathered ──▶ settled: written a
//!                     ▲ samples                ▲ requests' fates, decision, recovery (each makes it news)    last time, dropped
//! ```
//!
//! A case is settled when each of its requests has ended and its server is ready again, or has gone down once more; or when it
//! is [`OLD`]. All is bounded: attempts, events, cases, and what is in each.

mod case;
mod life;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_api::{AttemptEnd, BreakerState, Event, Kind, RequestOutcome, Sample};

use self::case::{Case, Ended, Stage, shortened};
use self::life::{Attempt, Life};
use crate::report::{Decision, Fate, Machine, Outcome, Recovery, Report, Way};

/// So many events are in a report.
const EVENTS: usize = 50;
/// So many requests are listed in a report.
const REQUESTS: usize = 64;
/// So many requests in flight are remembered.
const ATTEMPTS: usize = 1024;
/// So many cases are open at once.
const CASES: usize = 32;
/// A request whose attempt broke so long before the end was in flight then: what broke it was the beginning of that end.
const SHORTLY: Duration = Duration::from_secs(30);
/// A case is not waited for any longer.
const OLD: Duration = Duration::from_secs(15 * 60);

/// The last lines of one incarnation: at most so many.
pub(crate) type Lines = Arc<dyn Fn(u64, usize) -> Vec<String> + Send + Sync>;

/// A server that reports are about.
#[derive(Clone)]
pub struct Subject {
    /// What its events are stamped with: `server`, or `NAME/server`.
    pub child: String,
    /// What it is called.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its model, as configured.
    pub model: String,
    /// The last lines that an incarnation wrote, oldest first: at most so many. Must not wait.
    pub lines: Arc<dyn Fn(u64, usize) -> Vec<String> + Send + Sync>,
}

/// See the module.
pub(crate) struct Ledger {
    subjects: Vec<Subject>,
    lives: HashMap<String, Life>,
    attempts: VecDeque<Attempt>,
    recent: VecDeque<Event>,
    cases: VecDeque<Case>,
}

/// Whether something is to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It is.
    Some,
    /// It is not.
    None,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        Self {
            subjects,
            lives: HashMap::new(),
            attempts: VecDeque::new(),
            recent: VecDeque::new(),
            cases: VecDeque::new(),
        }
    }

    /// Something has happened.
    pub(crate) fn on_event(&mut self, event: &Event, now: Duration) -> News {
        // Of those there may be thousands, and they say nothing about the server.
        if !matches!(event.kind, Kind::RequestHeld { .. }) {
            if self.recent.len() == EVENTS {
                self.recent.pop_front();
            }
            self.recent.push_back(event.clone());
        }
        self.about_requests(&event.kind);
        if let Some(subject) = self.subjects.iter().find(|subject| subject.child == event.child).cloned() {
            self.about_server(&subject, event, now);
        }
        self.news()
    }

    /// Something has been measured.
    pub(crate) fn on_sample(&mut self, sample: &Sample<'_>, now: Duration) -> News {
        match *sample {
            Sample::Used { server, epoch, memory_bytes, cpu } => {
                if let Some(name) = self.name_of(server) {
                    self.lives.entry(name).or_default().used(epoch, memory_bytes, cpu, now);
                }
                News::None
            }
            Sample::AttemptBegan { server, epoch, request } => {
                if self.attempts.len() == ATTEMPTS {
                    self.attempts.pop_front();
                }
                if let Some(server) = self.name_of(server) {
                    self.attempts.push_back(Attempt::new(server, epoch, request, now));
                }
                News::None
            }
            Sample::AttemptEnded { server, epoch, request, end } => {
                let Some(server) = self.name_of(server) else { return News::None };
                let doubted = self.lives.get(&server).is_some_and(|life| life.doubted(epoch));
                let ours = |it: &Attempt| it.request == request && it.epoch == epoch && it.server == server;
                match end {
                    AttemptEnd::Answered => {
                        self.attempts.retain(|it| !ours(it));
                        // Sent again after an end, and answered this time.
                        self.fates(request, |fate| {
                            if fate.outcome == Outcome::Open {
                                fate.outcome = Outcome::Answered;
                            }
                        });
                        return self.news();
                    }
                    AttemptEnd::Abandoned if !doubted => self.attempts.retain(|it| !ours(it)),
                    // It may turn out to have been with a server that was going down.
                    AttemptEnd::Abandoned | AttemptEnd::Broken => {
                        self.attempts.iter_mut().filter(|it| ours(it)).for_each(|it| it.broken = Some(now));
                    }
                }
                News::None
            }
            Sample::RequestEnded { request, outcome, code, .. } => {
                self.fates(request, |fate| {
                    fate.outcome = match outcome {
                        RequestOutcome::Answered => Outcome::Answered,
                        RequestOutcome::Diverted => {
                            fate.way = Way::Diverted;
                            Outcome::Answered
                        }
                        RequestOutcome::Rejected | RequestOutcome::Failed => Outcome::Failed,
                        RequestOutcome::Cut => Outcome::Cut,
                        RequestOutcome::Left => Outcome::Left,
                    };
                    fate.code = code.map(str::to_owned).or_else(|| fate.code.take());
                });
                self.news()
            }
            _ => News::None,
        }
    }

    /// The cases whose servers have to be asked for their last lines: id, lines, incarnation.
    pub(crate) fn ungathered(&self) -> Vec<(String, Lines, u64)> {
        self.below(Stage::Gathered)
    }

    /// The same for those of which nothing is written down.
    pub(crate) fn unnoted(&self) -> Vec<(String, Lines, u64)> {
        self.below(Stage::Noted)
    }

    fn below(&self, stage: Stage) -> Vec<(String, Lines, u64)> {
        let cases = self.cases.iter().filter(|case| case.stage < stage);
        cases
            .filter_map(|case| {
                let subject = self.subjects.iter().find(|subject| subject.name == case.report.server)?;
                Some((case.report.id.clone(), Arc::clone(&subject.lines), case.report.epoch))
            })
            .collect()
    }

    /// What of a case can be written down at once, with the last lines that are there already. It stays news.
    pub(crate) fn noted(&mut self, id: &str, lines: Vec<String>) -> Option<Report> {
        let events: Vec<_> = self.recent.iter().cloned().collect();
        let case = self.cases.iter_mut().find(|case| case.report.id == id && case.stage == Stage::Open)?;
        case.stage = Stage::Noted;
        case.report.last_lines = shortened(lines);
        case.report.events = events;
        Some(case.report.clone())
    }

    /// What was found out about a case.
    pub(crate) fn gathered(&mut self, id: &str, lines: Vec<String>, machine: &Machine) {
        let events: Vec<_> = self.recent.iter().cloned().collect();
        let Some(case) = self.cases.iter_mut().find(|case| case.report.id == id) else { return };
        case.report.last_lines = shortened(lines);
        case.report.machine = machine.clone();
        case.report.events = events;
        case.stage = Stage::Gathered;
        case.news = true;
    }

    /// What has to be written down now. Cases that are settled are dropped.
    pub(crate) fn take_news(&mut self, now: Duration) -> Vec<Report> {
        let gathered = self.cases.iter_mut().filter(|case| case.stage == Stage::Gathered);
        let news = gathered.filter_map(|case| std::mem::take(&mut case.news).then(|| case.report.clone()));
        let reports = news.collect();
        self.cases
            .retain(|case| case.stage != Stage::Gathered || !case.is_settled() && now.saturating_sub(case.since) < OLD);
        reports
    }

    fn news(&self) -> News {
        if self.cases.iter().any(|case| case.news) { News::Some } else { News::None }
    }

    /// Measurements may go by either name.
    fn name_of(&self, server: &str) -> Option<String> {
        let subject = self.subjects.iter().find(|subject| subject.name == server || subject.child == server)?;
        Some(subject.name.clone())
    }

    /// Changes what is known of a request, wherever it is listed.
    fn fates(&mut self, request: &str, mut change: impl FnMut(&mut Fate)) {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.request == request) {
            change(&mut attempt.fate);
        }
        for case in &mut self.cases {
            for fate in case.report.requests.iter_mut().filter(|fate| fate.request == request) {
                let before = fate.clone();
                change(fate);
                case.news |= *fate != before;
            }
        }
    }

    fn about_requests(&mut self, kind: &Kind) {
        match kind {
            Kind::RequestReplayed { request, .. } => self.fates(request, |fate| fate.way = Way::Replayed),
            Kind::RequestContinued { request, .. } => self.fates(request, |fate| fate.way = Way::Continued),
            Kind::RequestDiverted { request, .. } => self.fates(request, |fate| fate.way = Way::Diverted),
            Kind::RequestQuarantined { request, for_s } => {
                self.fates(request, |fate| fate.quarantined_s = Some(*for_s));
            }
            Kind::RequestFailed { request, code, cut, .. } => self.fates(request, |fate| {
                fate.outcome = if *cut { Outcome::Cut } else { Outcome::Failed };
                fate.code = Some(code.clone());
            }),
            _ => {}
        }
    }

    fn about_server(&mut self, subject: &Subject, event: &Event, now: Duration) {
        let life = self.lives.entry(subject.name.clone()).or_default();
        match &event.kind {
            Kind::ServerSpawned { pid, .. } => {
                life.spawned(event.epoch, *pid, now);
                self.attempts.retain(|it| it.server != subject.name || it.epoch >= event.epoch);
            }
            Kind::ServerReady { .. } => {
                life.ready(now);
                let epoch = event.epoch;
                self.case_of(&subject.name, |case| {
                    let after_s = now.saturating_sub(case.since).as_secs_f64();
                    case.report.recovery.get_or_insert(Recovery { after_s, epoch });
                    case.news = true;
                });
            }
            Kind::HealthFailed { .. } | Kind::HealthSuspected { .. } => life.doubt(now),
            Kind::HealthRecovered { .. } => life.trust(),
            Kind::ServerUnhealthy { reason } => life.give_up(reason, now),
            Kind::ServerExited { reason, code, signal, message, cause } => {
                let (reason, message, cause) = (reason.clone(), message.clone(), cause.clone());
                let ended = Ended { reason, code: *code, signal: *signal, message, cause };
                self.open(subject, event, ended, now);
            }
            Kind::RestartGranted { consecutive } => self.case_of(&subject.name, |case| {
                case.decide(Decision::Restart { delay_s: 0.0, consecutive: *consecutive });
            }),
            Kind::RestartDelayed { delay_s: wait } => self.case_of(&subject.name, |case| {
                if let Some(Decision::Restart { delay_s, .. }) = &mut case.report.decision {
                    *delay_s = *wait;
                }
            }),
            Kind::BreakerOpened { reason, open_for_s } => {
                self.breaker(&subject.name, BreakerState::Open);
                let (reason, open_for_s) = (reason.clone(), *open_for_s);
                self.case_of(&subject.name, |case| case.decide(Decision::Suspend { reason, open_for_s }));
            }
            Kind::BreakerHalfOpened => self.breaker(&subject.name, BreakerState::HalfOpen),
            Kind::BreakerClosed { .. } => self.breaker(&subject.name, BreakerState::Closed),
            _ => {}
        }
    }

    fn breaker(&mut self, server: &str, state: BreakerState) {
        self.lives.entry(server.to_owned()).or_default().breaker = state;
        self.case_of(server, |case| {
            if case.stage != Stage::Gathered {
                case.report.breaker.after = state;
            }
        });
    }

    /// The case whose server has not been up since.
    fn case_of(&mut self, server: &str, change: impl FnOnce(&mut Case)) {
        let open =
            |case: &&mut Case| case.report.server == server && !case.superseded && case.report.recovery.is_none();
        if let Some(case) = self.cases.iter_mut().rev().find(open) {
            change(case);
        }
    }

    fn open(&mut self, subject: &Subject, event: &Event, ended: Ended, now: Duration) {
        let life = self.lives.entry(subject.name.clone()).or_default();
        let breaker = life.breaker;
        let life = life.end(event.epoch);
        let shortly = life.doubt_since().map_or(now, |since| since.min(now)).saturating_sub(SHORTLY);
        let (mut requests, mut further) = (Vec::new(), 0);
        self.attempts.retain(|it| {
            let with_it = it.server == subject.name && it.epoch == event.epoch;
            if with_it && it.broken.is_none_or(|broken| broken >= shortly) {
                if requests.len() < REQUESTS {
                    requests.push(it.fate_at(now));
                } else {
                    further += 1;
                }
            }
            !with_it
        });
        for case in self.cases.iter_mut().filter(|case| case.report.server == subject.name) {
            case.superseded = true;
        }
        if self.cases.len() == CASES {
            self.cases.pop_front();
        }
        let case = Case::open(subject, event, ended, &life, breaker, now);
        let report = Report { requests, further_requests: further, ..case.report };
        self.cases.push_back(Case { report, ..case });
    }
}

// === impl Subject ===

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("child", &self.child).field("name", &self.name).finish_non_exhaustive()
    }
}
