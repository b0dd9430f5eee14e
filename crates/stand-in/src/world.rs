//! What the threads of one incarnation share: the counts, and whether generation and HTTP still work.

use crate::{
    completion::Kind,
    options::{Delay, Options},
};
use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// Counts since the start of this incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Completion requests read.
    pub requests: u64,
    /// Completions answered to their end (also to a client that had left).
    pub served: u64,
    /// Streams ended by a write that failed.
    pub aborted: u64,
    /// Completion requests being worked on now.
    pub in_flight: u64,
    /// The most there were at once.
    pub max_in_flight: u64,
    /// Of the requests, the chats.
    pub chats: u64,
    /// Of those in flight, the chats. A canary is a plain completion, and one whose asker has left still counts while
    /// generation stands still; whoever asks what a gateway let through asks this.
    pub chats_in_flight: u64,
    /// The most chats there were at once.
    pub max_chats_in_flight: u64,
    /// Tokens made.
    pub tokens: u64,
    /// Requests to `/health`.
    pub health: u64,
    /// Connections accepted.
    pub connections: u64,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
    tokens: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    stats: Stats,
    in_scope: u64,
    hung: Option<Hung>,
    generation: Generation,
    last_request: String,
    leaked: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Hung;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Generation {
    /// From the load on.
    #[default]
    Alive,
    /// Serves nobody, and stays so.
    Ended,
}

/// One completion request being worked on; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    world: &'a World,
    /// How many there are with this one.
    pub(crate) now: u64,
    /// The number of this one among those in scope, from 1.
    pub(crate) in_scope: Option<u64>,
    chat: bool,
}

// === impl World ===

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let mut state = State::default();
        if options.generation.ends_after == Some(0) {
            state.generation = Generation::Ended;
        }
        Self {
            options,
            started: Instant::now(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            tokens: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A handler that panicked leaves counts that are still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats { tokens: self.tokens.load(SeqCst), ..self.lock().stats }
    }

    pub(crate) fn connection_came(&self) {
        self.lock().stats.connections += 1;
    }

    /// Counts a request to `/health` and says which one it is, from 0.
    pub(crate) fn health_came(&self) -> u64 {
        let mut state = self.lock();
        state.stats.health += 1;
        state.stats.health - 1
    }

    /// Whether a completion is being worked on.
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().stats.in_flight > 0
    }

    pub(crate) fn token_made(&self) {
        self.tokens.fetch_add(1, SeqCst);
    }

    /// Counts a completion request, which came to this path with this head and body.
    pub(crate) fn completion_came(&self, path: &str, head: &str, body: &str) -> InFlight<'_> {
        let scope = &self.options.scope;
        let mut state = self.lock();
        state.last_request = format!("{head}\n{body}");
        state.stats.requests += 1;
        state.stats.in_flight += 1;
        state.stats.max_in_flight = state.stats.max_in_flight.max(state.stats.in_flight);
        let chat = Kind::of(path) == Kind::Chat;
        if chat {
            state.stats.chats += 1;
            state.stats.chats_in_flight += 1;
            state.stats.max_chats_in_flight = state.stats.max_chats_in_flight.max(state.stats.chats_in_flight);
        }
        let mut in_scope = None;
        if scope.with.as_ref().is_none_or(|text| body.contains(text.as_str())) {
            state.in_scope += 1;
            let number = state.in_scope;
            in_scope = (scope.from.unwrap_or(1)..=scope.until.unwrap_or(u64::MAX)).contains(&number).then_some(number);
        }
        if let (Some(bytes), Some(_)) = (self.options.generation.leak, in_scope) {
            // Written to, or no memory would be taken for it.
            state.leaked.push(vec![1; bytes]);
        }
        InFlight { world: self, now: state.stats.in_flight, in_scope, chat }
    }

    pub(crate) fn last_request(&self) -> String {
        self.lock().last_request.clone()
    }

    pub(crate) fn aborted(&self) {
        self.lock().stats.aborted += 1;
    }

    pub(crate) fn generation(&self) -> Generation {
        self.lock().generation
    }

    pub(crate) fn set_generation(&self, generation: Generation) {
        self.lock().generation = generation;
        self.changed.notify_all();
    }

    /// Blocks until generation changes from this, at most so long.
    pub(crate) fn wait_while_generation_is(&self, generation: Generation, at_most: Duration) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, at_most, |state| state.generation == generation));
    }

    /// Whether every connection is to be left without an answer.
    pub(crate) fn is_hung(&self) -> bool {
        let by_time = self.options.network.hang_after.is_some_and(|after| self.started.elapsed() >= after);
        by_time || self.lock().hung.is_some()
    }

    pub(crate) fn hang(&self) {
        self.lock().hung = Some(Hung);
    }

    pub(crate) fn unhang(&self) {
        self.lock().hung = None;
        self.changed.notify_all();
    }

    /// Blocks until the hang is over, which it may never be.
    pub(crate) fn wait_while_hung(&self) {
        while self.is_hung() {
            let state = self.lock();
            drop(self.changed.wait_timeout(state, Duration::from_millis(100)));
        }
    }

    /// Blocks until the model is loaded, which may be never.
    pub(crate) fn wait_until_loaded(&self) {
        match self.options.generation.load {
            None => {}
            Some(Delay::For(time)) => std::thread::sleep(time.saturating_sub(self.started.elapsed())),
            Some(Delay::Forever) => sleep_forever(),
        }
    }
}

/// Blocks this thread until the process ends.
pub(crate) fn sleep_forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

// === impl InFlight ===

impl InFlight<'_> {
    /// It ran to its end. Said before the last of the answer is written: whoever has read that may send the next request at once,
    /// and that one is not beside this one.
    pub(crate) fn served(self) {
        let mut state = self.world.lock();
        state.stats.served += 1;
        if self.world.options.generation.ends_after == Some(state.stats.served) {
            state.generation = Generation::Ended;
        }
        drop(state);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        state.stats.in_flight -= 1;
        state.stats.chats_in_flight -= u64::from(self.chat);
    }
}
