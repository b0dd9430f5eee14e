//! One end of a server while its report is still being written.

use std::time::Duration;

use mlx_tree_api::{BreakerState, Event};

use super::Subject;
use super::life::Life;
use crate::report::{BreakerThen, Decision, Machine, Outcome, Report, SCHEMA};
use crate::shelf::stamp;

/// So many bytes of last lines are in a report.
pub(super) const LINES_BYTES: usize = 32 * 1024;

/// What an event says about an end.
pub(super) struct Ended {
    pub(super) reason: String,
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) message: String,
    pub(super) cause: Option<String>,
}

/// See the module.
pub(super) struct Case {
    pub(super) report: Report,
    pub(super) since: Duration,
    /// Whether there is something that has not been written down.
    pub(super) news: bool,
    pub(super) stage: Stage,
    /// Whether the same server has gone down again, so that its recovery is another case's.
    pub(super) superseded: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing of it is written down.
    Open,
    /// What was known at once is.
    Noted,
    /// What shows only a moment later is known too.
    Gathered,
}

// === impl Case ===

impl Case {
    /// The case of an end that `event` tells of, with what was known of that life. Nothing is known of requests yet.
    pub(super) fn open(
        subject: &Subject,
        event: &Event,
        ended: Ended,
        life: &Life,
        breaker: BreakerState,
        now: Duration,
    ) -> Self {
        let Ended { reason, code, signal, message, cause } = ended;
        let report = Report {
            schema: SCHEMA,
            id: id_of(&event.at, &subject.name, event.epoch),
            server: subject.name.clone(),
            epoch: event.epoch,
            at: event.at.clone(),
            kind: subject.kind.clone(),
            model: subject.model.clone(),
            pid: life.pid(),
            how: life.how(&reason, code, signal),
            reason,
            message,
            cause,
            given_up_for: life.given_up(),
            uptime_s: life.uptime(now),
            ready_after_s: life.ready_after(),
            usage: life.usage(now),
            machine: Machine::default(),
            requests: Vec::new(),
            further_requests: 0,
            decision: None,
            breaker: BreakerThen { before: breaker, after: breaker },
            recovery: None,
            last_lines: Vec::new(),
            events: Vec::new(),
            mlx_tree: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Self { report, since: now, news: true, stage: Stage::Open, superseded: false }
    }

    pub(super) fn decide(&mut self, decision: Decision) {
        self.report.decision = Some(decision);
        self.news = true;
    }

    pub(super) fn is_settled(&self) -> bool {
        let requests = self.report.requests.iter().all(|fate| fate.outcome != Outcome::Open);
        requests && (self.superseded || self.report.recovery.is_some())
    }
}

/// `20261124T143522-server-3`: sorts by time, and is a good name for a file.
fn id_of(at: &str, server: &str, epoch: u64) -> String {
    let stamp = stamp(at);
    let plain = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    let server: String = server.chars().take(40).map(plain).collect();
    format!("{stamp}-{server}-{epoch}")
}

/// The last of them that fit.
pub(super) fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = lines.iter().rev().take_while(|line| {
        bytes += line.len();
        bytes <= LINES_BYTES
    });
    let from = lines.len() - fits.count();
    lines.drain(..from);
    lines
}
