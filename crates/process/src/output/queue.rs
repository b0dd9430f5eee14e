//! Lines that wait for a reader: bounded by bytes, lossy, never in the writer's way.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use super::Line;

/// Waiting lines may take this much memory.
const BUDGET: usize = 1024 * 1024;

/// What a line costs beside its text: the structure, the allocation.
const OVERHEAD: usize = 64;

/// The receiving end of a group's lines. Not reading costs the child nothing: what does not fit into
/// 1 MiB is counted in [`OutputLines::dropped`] and thrown away, newest first. Clones compete.
#[derive(Clone)]
pub struct OutputLines {
    shared: Arc<Shared>,
}

/// The sending end; closed by drop of the last one.
pub(super) struct LineSender {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    senders: usize,
}

/// Both ends.
pub(super) fn queue() -> (LineSender, OutputLines) {
    let state = State { lines: VecDeque::new(), bytes: 0, dropped: 0, senders: 1 };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
    (LineSender { shared: Arc::clone(&shared) }, OutputLines { shared })
}

// === impl OutputLines ===

impl OutputLines {
    /// The next line; `None` when no more will come and all have been taken. Cancel-safe.
    pub async fn next(&self) -> Option<Line> {
        // There may always be one: who takes them all would otherwise never leave the thread to others.
        consume_budget().await;
        loop {
            // Registered before looking, so that a line that comes in between is not slept through.
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.shared.lock();
                if let Some(line) = state.lines.pop_front() {
                    state.bytes -= cost(line.text.len());
                    return Some(line);
                }
                if state.senders == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// How many lines have been thrown away so far because nobody took them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }
}

impl fmt::Debug for OutputLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("OutputLines").field("waiting", &state.lines.len()).field("dropped", &state.dropped).finish()
    }
}

// === impl LineSender ===

impl LineSender {
    /// Queues the line that `make` makes of `length` bytes, or counts it as dropped without making it.
    pub(super) fn send(&self, length: usize, make: impl FnOnce() -> Line) {
        {
            let mut state = self.shared.lock();
            if state.bytes + cost(length) > BUDGET {
                state.dropped += 1;
                return;
            }
        }
        // Made outside of the lock; both pipes together may overshoot the budget by two lines.
        let line = make();
        let mut state = self.shared.lock();
        state.bytes += cost(line.text.len());
        state.lines.push_back(line);
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

impl Clone for LineSender {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for LineSender {
    fn drop(&mut self) {
        self.shared.lock().senders -= 1;
        self.shared.changed.notify_waiters();
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(length: usize) -> usize {
    length + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::super::{LineEnd, Stream};
    use super::*;

    fn line(text: &str) -> Line {
        Line { stream: Stream::Stdout, text: text.to_owned(), end: LineEnd::Newline }
    }

    #[tokio::test]
    async fn lines_come_out_in_order_and_the_end_is_seen() {
        let (sender, lines) = queue();
        let second = sender.clone();
        sender.send(1, || line("a"));
        second.send(1, || line("b"));
        drop((sender, second));
        assert_eq!(lines.next().await, Some(line("a")));
        assert_eq!(lines.next().await, Some(line("b")));
        assert_eq!(lines.next().await, None);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_not_kept() {
        let (sender, lines) = queue();
        let text = "x".repeat(100_000);
        for _ in 0..50 {
            sender.send(text.len(), || line(&text));
        }
        assert_eq!(lines.dropped(), 40);
        lines.next().await.expect("one of ten");
        sender.send(1, || line("room again"));
        assert_eq!(lines.dropped(), 40);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_by_a_line_and_by_the_end() {
        let (sender, lines) = queue();
        let reader = tokio::spawn(async move { (lines.next().await, lines.next().await) });
        tokio::task::yield_now().await;
        sender.send(1, || line("a"));
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(reader.await.expect("no panic"), (Some(line("a")), None));
    }
}
