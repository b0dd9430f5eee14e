//! How requests ended, and how long that took.

use std::collections::BTreeMap;

use mlx_tree_api::{Kind, RequestOutcome, Sample};

use super::{Words, add};
use crate::histogram::Histogram;
use crate::words::{self, known};

const WHOLE: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const FIRST_BYTE: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const WAIT: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// The requests of one server, or of none.
#[derive(Debug)]
pub(crate) struct RequestTotals {
    /// By outcome and code, which is empty without an error.
    pub(crate) ended: BTreeMap<(&'static str, &'static str), u64>,
    /// By outcome.
    pub(crate) took: BTreeMap<&'static str, Histogram>,
    pub(crate) first_byte: Histogram,
    pub(crate) wait: Histogram,
    pub(crate) holds: u64,
    pub(crate) replays: u64,
    pub(crate) continuations: u64,
    /// By the fallback that was asked.
    pub(crate) diverts: Words,
    pub(crate) quarantines: u64,
    pub(crate) cut_streams: u64,
}

// === impl RequestTotals ===

impl RequestTotals {
    /// Of a server: how its requests can end is known.
    pub(crate) fn new() -> Self {
        let answered = [RequestOutcome::Answered, RequestOutcome::Diverted, RequestOutcome::Left];
        let answered = answered.map(|outcome| (outcome.as_str(), ""));
        let failed = words::FAILURES.iter().map(|code| (RequestOutcome::Failed.as_str(), *code));
        let ended = answered.into_iter().chain(failed).map(|end| (end, 0)).collect();
        Self { ended, ..Self::empty() }
    }

    /// Of no server.
    pub(crate) fn empty() -> Self {
        Self {
            ended: BTreeMap::new(),
            took: BTreeMap::new(),
            first_byte: Histogram::new(FIRST_BYTE),
            wait: Histogram::new(WAIT),
            holds: 0,
            replays: 0,
            continuations: 0,
            diverts: Words::new(),
            quarantines: 0,
            cut_streams: 0,
        }
    }

    /// Something has happened to a request; other events change nothing.
    pub(super) fn on_event(&mut self, kind: &Kind) {
        match kind {
            Kind::RequestHeld { .. } => self.holds += 1,
            Kind::RequestReplayed { .. } => self.replays += 1,
            Kind::RequestContinued { .. } => self.continuations += 1,
            Kind::RequestDiverted { to, .. } => add(&mut self.diverts, known(words::FALLBACKS, to)),
            Kind::RequestQuarantined { .. } => self.quarantines += 1,
            Kind::RequestFailed { cut: true, .. } => self.cut_streams += 1,
            _ => {}
        }
    }

    /// Takes a [`Sample::RequestEnded`]; others are none of its business.
    pub(crate) fn on_end(&mut self, sample: &Sample<'_>) {
        let Sample::RequestEnded { outcome, code, took, first_byte, waited, .. } = sample else { return };
        let (outcome, code) = (outcome.as_str(), code.map_or("", |code| known(words::CODES, code)));
        *self.ended.entry((outcome, code)).or_default() += 1;
        self.took.entry(outcome).or_insert_with(|| Histogram::new(WHOLE)).observe(*took);
        self.wait.observe(*waited);
        if let Some(first_byte) = first_byte {
            self.first_byte.observe(*first_byte);
        }
    }
}
