//! What the threads of one fake share: what it was asked, and which models are in memory.

use super::options::{OllamaFault, OllamaOptions};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OllamaStats {
    /// Requests for an answer: chats and prompts that are not empty.
    pub answers: u64,
    /// Answers that came to their end.
    pub served: u64,
    /// Answers whose client left.
    pub aborted: u64,
    /// Answers under way.
    pub in_flight: u64,
    /// The most there were at once.
    pub max_in_flight: u64,
    /// Models loaded into memory, by a request or on their own.
    pub loads: u64,
    /// Models unloaded on request, if they were in memory.
    pub unloads: u64,
    /// Requests that would have pulled a model.
    pub pulls: u64,
}

/// A request as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OllamaRequest {
    /// `POST /api/chat`.
    pub line: String,
    /// The body.
    pub body: String,
}

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) options: OllamaOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stats: OllamaStats,
    requests: Vec<OllamaRequest>,
    fault: Option<OllamaFault>,
    /// The models in memory: their context, and until when (for ever, if never).
    loaded: BTreeMap<String, (u64, Option<Instant>)>,
}

/// One answer under way, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    world: &'a World,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    Aborted,
}

// === impl World ===

impl World {
    pub(super) fn new(options: OllamaOptions) -> Self {
        let state = State { fault: options.fault, ..State::default() };
        Self { options, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> OllamaStats {
        self.lock().stats
    }

    pub(super) fn requests(&self) -> Vec<OllamaRequest> {
        self.lock().requests.clone()
    }

    pub(super) fn record(&self, line: String, body: String) {
        self.lock().requests.push(OllamaRequest { line, body });
    }

    pub(super) fn pull_wanted(&self) {
        self.lock().stats.pulls += 1;
    }

    pub(super) fn fault(&self) -> Option<OllamaFault> {
        self.lock().fault
    }

    pub(super) fn set_fault(&self, fault: Option<OllamaFault>) {
        self.lock().fault = fault;
    }

    /// The full name of a model that it has.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        let full = if name.contains(':') { name.to_owned() } else { format!("{name}:latest") };
        let OllamaOptions { models, remote, .. } = &self.options;
        models.iter().chain(remote).find(|model| **model == full).map(String::as_str)
    }

    /// Begins an answer; `None` when there are too many.
    pub(super) fn answer_wanted(&self) -> Option<InFlight<'_>> {
        let mut state = self.lock();
        state.stats.answers += 1;
        if self.options.busy_above.is_some_and(|most| state.stats.in_flight >= most) {
            return None;
        }
        state.stats.in_flight += 1;
        state.stats.max_in_flight = state.stats.max_in_flight.max(state.stats.in_flight);
        Some(InFlight { world: self, end: End::Aborted })
    }

    /// Has a model in memory, for `keep_alive` from now on; for ever if `None`.
    pub(super) fn load(&self, model: &str, context: u64, keep_alive: Option<Duration>) {
        let news = {
            let mut state = self.lock();
            let until = keep_alive.map(|span| Instant::now() + span.min(Duration::from_secs(1 << 30)));
            let before = state.loaded.insert(model.to_owned(), (context, until));
            // Another context is another load.
            let news = before.is_none_or(|(other, _)| other != context);
            state.stats.loads += u64::from(news);
            news
        };
        if news {
            std::thread::sleep(self.options.load);
        }
    }

    pub(super) fn unload(&self, model: &str) {
        let mut state = self.lock();
        if state.loaded.remove(model).is_some() {
            state.stats.unloads += 1;
        }
    }

    pub(super) fn in_memory(&self) -> Vec<(String, u64)> {
        let mut state = self.lock();
        let now = Instant::now();
        state.loaded.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        state.loaded.iter().map(|(name, (context, _))| (name.clone(), *context)).collect()
    }

    pub(super) fn loaded(&self) -> Vec<String> {
        self.in_memory().into_iter().map(|(name, _)| name).collect()
    }
}

// === impl InFlight ===

impl InFlight<'_> {
    pub(super) fn whole(mut self) {
        self.end = End::Whole;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        state.stats.in_flight -= 1;
        match self.end {
            End::Whole => state.stats.served += 1,
            End::Aborted => state.stats.aborted += 1,
        }
    }
}
