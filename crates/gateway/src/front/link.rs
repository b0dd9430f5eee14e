//! What the two ends of a connection tell each other: its wire below the HTTP library, and its requests above it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::identity::Departure;
use crate::Refusal;

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const WRITING: u8 = 2;
const ENDING: u8 = 3;
const EVICTED: u8 = 4;

const NO_FLUSH: u8 = 0;
const FLUSH_WANTED: u8 = 1;
const FLUSHED: u8 = 2;

const OPEN: u8 = 0;
const LEFT: u8 = 1;
const STALLED: u8 = 2;

/// One connection's shared state.
#[derive(Debug)]
pub(super) struct Link {
    opened: Instant,
    /// ```text
    /// Idle ── begin ──▶ Busy ── answered ──▶ Writing ── has_flushed ──▶ Idle
    ///   └──── evict ──▶ Evicted ◀── evict ── Ending ◀── finish ── any of them
    /// ```
    phase: AtomicU8,
    /// When it became idle, in milliseconds since it was opened.
    idle_at: AtomicU64,
    /// The wire, which waits for the end of the answer before it reads the next request.
    idle: AtomicWaker,
    /// Why the bytes that came are no request.
    refusal: Mutex<Option<Refusal>>,
    flush: AtomicU8,
    /// The answer that waits until all of it is written before it is cut.
    flushed: AtomicWaker,
    end: AtomicU8,
    /// The client, as the requests see it.
    pub(super) departure: Departure,
}

/// Which connections can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those without a request.
    Idle,
    /// Those too that are only open so that the client can read our last words.
    Spare,
}

/// Whether a connection is as it was believed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Yes, and it is changed.
    Yes,
    /// No: it is not idle.
    No,
}

/// How a connection has ended, as far as its wire knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Not by the client's doing.
    Open,
    /// The client has left.
    Left,
    /// The client took nothing of what was written.
    Stalled,
}

// === impl Link ===

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            phase: AtomicU8::new(IDLE),
            idle_at: AtomicU64::new(0),
            idle: AtomicWaker::new(),
            refusal: Mutex::new(None),
            flush: AtomicU8::new(NO_FLUSH),
            flushed: AtomicWaker::new(),
            end: AtomicU8::new(OPEN),
            departure: Departure::default(),
        }
    }

    /// A request begins, unless the connection is being taken away.
    pub(super) fn begin(&self) -> Taken {
        self.change(IDLE, BUSY)
    }

    /// Takes the connection away, unless there is a request on it.
    pub(super) fn evict(&self, which: Which) -> Taken {
        match (self.change(IDLE, EVICTED), which) {
            (Taken::No, Which::Spare) => self.change(ENDING, EVICTED),
            (taken, Which::Idle | Which::Spare) => taken,
        }
    }

    /// There will be no more requests.
    pub(super) fn finish(&self, now: Instant) {
        self.rest_since(now);
        for phase in [IDLE, BUSY, WRITING] {
            self.change(phase, ENDING);
        }
    }

    /// The answer has been given. The connection is idle when it is written.
    pub(super) fn answered(&self) {
        self.change(BUSY, WRITING);
    }

    /// Resolves when the answer has been given and written.
    pub(super) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.idle.register(cx.waker());
        match self.phase.load(Ordering::Acquire) {
            BUSY | WRITING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    fn rest_since(&self, now: Instant) {
        let since = now.saturating_duration_since(self.opened).as_millis();
        self.idle_at.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn change(&self, from: u8, to: u8) -> Taken {
        match self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Taken::Yes,
            Err(_) => Taken::No,
        }
    }

    /// Since when there has been no request on it, if there is none.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let since = Duration::from_millis(self.idle_at.load(Ordering::Relaxed));
        matches!(self.phase.load(Ordering::Acquire), IDLE | ENDING).then(|| self.opened + since)
    }

    /// Leaves a refusal for the request that is about to be read, or is being read.
    pub(super) fn refuse(&self, refusal: Refusal) {
        if let Ok(mut place) = self.refusal.lock() {
            *place = Some(refusal);
        }
    }

    /// The refusal that was left.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().ok()?.take()
    }

    /// Resolves when all that was written before is with the operating system.
    pub(super) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.flushed.register(cx.waker());
        match self.flush.load(Ordering::Acquire) {
            FLUSHED => return Poll::Ready(()),
            _ => self.flush.store(FLUSH_WANTED, Ordering::Release),
        }
        Poll::Pending
    }

    /// All that was written is with the operating system. Answers whether the connection has become idle with that.
    pub(super) fn has_flushed(&self) -> Taken {
        if self.flush.load(Ordering::Acquire) == FLUSH_WANTED {
            self.flush.store(FLUSHED, Ordering::Release);
            self.flushed.wake();
        }
        if self.phase.load(Ordering::Acquire) != WRITING {
            return Taken::No;
        }
        self.rest_since(Instant::now());
        let idle = self.change(WRITING, IDLE);
        self.idle.wake();
        idle
    }

    /// The client has left.
    pub(super) fn leave(&self) {
        self.end.store(LEFT, Ordering::Release);
        self.departure.happened();
    }

    /// The client is given up because it does not read.
    pub(super) fn stall(&self) {
        self.end.store(STALLED, Ordering::Release);
        self.departure.happened();
    }

    /// How it has ended.
    pub(super) fn end(&self) -> End {
        match self.end.load(Ordering::Acquire) {
            LEFT => End::Left,
            STALLED => End::Stalled,
            _ => End::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request and the accept loop compete for the connection, and one of them gets it.
    #[test]
    fn a_connection_is_taken_away_or_has_a_request_but_not_both() {
        let now = Instant::now();
        let link = Link::new(now);
        assert_eq!(link.begin(), Taken::Yes);
        assert_eq!((link.evict(Which::Spare), link.idle_since()), (Taken::No, None));
        link.answered();
        assert_eq!((link.evict(Which::Spare), link.idle_since()), (Taken::No, None), "it is being written");
        assert_eq!(link.has_flushed(), Taken::Yes);
        assert_eq!(link.evict(Which::Idle), Taken::Yes);
        assert_eq!((link.begin(), link.idle_since()), (Taken::No, None));
    }

    #[test]
    fn a_connection_that_says_its_last_words_is_spared_by_a_drain_only() {
        let link = Link::new(Instant::now());
        assert_eq!(link.begin(), Taken::Yes);
        link.finish(Instant::now());
        assert!(link.idle_since().is_some());
        assert_eq!((link.evict(Which::Idle), link.begin()), (Taken::No, Taken::No));
        assert_eq!(link.evict(Which::Spare), Taken::Yes);
    }
}
